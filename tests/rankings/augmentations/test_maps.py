from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from eyeshot.core import CallbackProgress
from eyeshot.core.errors import MissingExtraError
from eyeshot.rankings.augmentations import maps
from eyeshot.rankings.augmentations.maps import balanced_agreement, project, shrink


def points_of(width: int = 10, *, apart: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sixty training and sixty target points."""
    points = np.random.default_rng(seed).normal(size=(120, width)) * np.geomspace(3, 0.3, width)
    points[60:] += apart
    return points.astype(np.float32), np.repeat(np.array(["train", "target"]), 60)


def pca_of(points: np.ndarray, cloud: np.ndarray, scales: np.ndarray | None = None):
    scales = np.ones(points.shape[1], np.float32) if scales is None else scales
    (found,), notes = project(points, cloud, scales=scales, names=("PCA",), seed=0)
    assert notes == []
    return found


def test_pca_is_that_of_scikit_learn_on_points_whose_whitening_is_undone():
    points, cloud = points_of()
    scales = np.geomspace(1, 9, 10).astype(np.float32)
    expected = PCA(n_components=2).fit_transform(points * scales)
    found = pca_of(points, cloud, scales).xy
    assert found.shape == (120, 2)
    assert found.dtype == np.float32
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found * signs, expected, atol=1e-3)


def test_trustworthiness_is_that_of_scikit_learn():
    points, cloud = points_of()
    found = pca_of(points, cloud)
    assert found.info.trustworthiness == pytest.approx(trustworthiness(points, found.xy, n_neighbors=5), abs=1e-6)


def test_points_in_a_plane_are_shown_as_they_are_and_agree_wholly():
    points, cloud = points_of(apart=1.0)
    points[:, 2:] = 0
    info = pca_of(points, cloud).info
    assert info.agreement == 1
    assert info.trustworthiness == pytest.approx(1)
    assert info.warning is None


def test_a_map_that_hides_the_gap_is_warned_of():
    """Training and target lie apart in sixty dimensions, and in none of the two that are seen."""
    points = np.random.default_rng(0).normal(size=(120, 62)).astype(np.float32)
    points[:, :2] *= 6
    points[60:, 2:] += 9 / np.sqrt(60)
    info = pca_of(points, np.repeat(np.array(["train", "target"]), 60)).info
    assert info.agreement < 0.7
    assert "Do not read coverage from this PCA map" in info.warning
    assert "in feature space" in info.warning


def test_agreement_is_balanced_over_covered_and_not_covered():
    truth = np.array([True] * 98 + [False] * 2)
    assert balanced_agreement(truth, truth) == 1
    assert balanced_agreement(truth, ~truth) == 0
    assert balanced_agreement(truth, np.ones(100, bool)) == 0.5
    assert balanced_agreement(truth, np.zeros(100, bool)) == 0.5
    assert balanced_agreement(np.ones(4, bool), np.array([True, True, True, False])) == 0.75


def test_a_missing_extra_is_a_note_that_says_what_to_install(monkeypatch):
    def missing(name, *, extra):
        raise MissingExtraError(f'{name} is not installed. Install it with: pip install "eyeshot[{extra}]".')

    monkeypatch.setattr(maps, "require", missing)
    points, cloud = points_of()
    found, notes = project(points, cloud, scales=np.ones(10, np.float32), seed=0)
    assert [one.info.name for one in found] == ["PCA"]
    assert [note.split(":")[0] for note in notes] == ["No t-SNE map", "No UMAP map"]
    assert all('pip install "eyeshot[maps]"' in note for note in notes)


@pytest.mark.slow
def test_all_maps_are_made_of_all_points_at_once_and_repeat():
    pytest.importorskip("umap", reason="the extra `maps` is not installed")
    pytest.importorskip("openTSNE", reason="the extra `maps` is not installed")
    points, cloud = points_of()
    heard: list[str] = []
    scales = np.ones(10, np.float32)
    progress = CallbackProgress(lambda done, total, text: heard.append(text.split(" ")[2]))
    first, notes = project(points, cloud, scales=scales, seed=3, progress=progress)
    again, _ = project(points, cloud, scales=scales, seed=3)
    assert torch.get_num_threads() == 1  # as tests/conftest.py sets it; numba would take all cores for torch too
    assert [one.info.name for one in first] == heard == ["PCA", "t-SNE", "UMAP"]
    assert notes == []
    for one, same in zip(first, again, strict=True):
        assert one.xy.shape == (120, 2)
        assert np.isfinite(one.xy).all()
        assert one.info.trustworthiness > 0.6
        np.testing.assert_array_equal(one.xy, same.xy)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:n_jobs value:UserWarning")
@pytest.mark.parametrize("seed", [0, 1])
def test_the_fast_maps_are_to_be_trusted_as_much_as_those_of_the_libraries_left_to_themselves(seed):
    umap = pytest.importorskip("umap", reason="the extra `maps` is not installed")
    tsne = pytest.importorskip("openTSNE", reason="the extra `maps` is not installed")
    random = np.random.default_rng(seed)
    centres = 4 * random.normal(size=(8, 12))
    points = random.normal(size=(400, 12)) * np.geomspace(3, 0.3, 12) + centres[np.arange(400) % 8]
    points = points.astype(np.float32)
    cloud = np.repeat(np.array(["train", "target"]), 200)
    found, _ = project(points, cloud, scales=np.ones(12, np.float32), names=("t-SNE", "UMAP"), seed=seed)
    usual = [
        tsne.TSNE(perplexity=30, random_state=seed, n_jobs=1, initialization="pca").fit(points),
        umap.UMAP(n_neighbors=15, random_state=seed, init="pca", n_jobs=1).fit_transform(points),
    ]
    for projection, xy in zip(found, usual, strict=True):
        least = trustworthiness(points, np.asarray(xy), n_neighbors=5) - 0.002
        assert projection.info.trustworthiness > least > 0.9


def test_the_very_few_points_of_a_small_run_can_be_mapped():
    pytest.importorskip("umap", reason="the extra `maps` is not installed")
    pytest.importorskip("openTSNE", reason="the extra `maps` is not installed")
    points, _ = points_of(3)
    cloud = np.repeat(np.array(["train", "target"]), 12)
    found, notes = project(points[48:72], cloud, scales=np.ones(3, np.float32), seed=0)
    assert len(found) == 3
    assert notes == []


def test_images_are_shrunk_without_aliasing_as_pillow_does():
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    found = shrink(images, 16)
    assert found.shape == (3, 16, 16, 3)
    assert found.dtype == np.uint8
    expected = np.array(Image.fromarray(images[1]).resize((16, 16), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(found[1].astype(int) - expected).max() <= 2


def test_small_images_are_enlarged_in_plain_squares():
    images = np.array([[[0, 255], [255, 0]]], np.uint8)[..., None].repeat(3, axis=3)
    found = shrink(images, 8)
    assert (found[0, :4, :4] == 0).all()
    assert (found[0, :4, 4:] == 255).all()


def test_no_images_are_no_thumbnails():
    assert shrink(np.empty((0, 64, 64, 3), np.uint8), 32).shape == (0, 32, 32, 3)
