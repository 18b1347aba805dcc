import json
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from torch import nn

from eyeshot.augment import augmentation, make_samples
from eyeshot.core import CallbackProgress, ModelError
from eyeshot.models import FeatureBank, extract
from eyeshot.models import feature_bank as room

from .helpers import make_backbone, make_pool, tiny_backbone

ROWS = np.arange(24)


def same(first, second):
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_clean_features_are_those_of_the_model_in_half_precision(tmp_path):
    pool, _ = make_pool()
    backbone = tiny_backbone()
    found = FeatureBank(tmp_path, backbone).clean(pool, ROWS[::-1])
    assert found.dtype == np.float16
    assert np.allclose(found, extract(backbone, pool.images[::-1]), rtol=1e-3, atol=1e-4)


def test_a_row_on_disk_holds_the_features_and_whether_the_view_succeeded(tmp_path):
    pool, _ = make_pool(6)
    pool.images[:] = 128  # without an edge
    pool.images[1::2, 4:12, 4:12] = 255
    bank = FeatureBank(tmp_path, tiny_backbone())
    found = bank.views(augmentation("edges"), pool, ROWS[:6], seed=0, draw=0)
    assert json.loads((bank.folder / "store.json").read_text())["shape"] == [bank.backbone.feature_count + 1]
    assert found.features.shape == (6, bank.backbone.feature_count)
    assert found.success.tolist() == [False, True] * 3


def test_a_second_call_computes_nothing(tmp_path):
    pool, _ = make_pool()
    first = FeatureBank(tmp_path, tiny_backbone())
    wanted = first.clean(pool, ROWS), first.views(augmentation("mirror"), pool, ROWS, seed=0, draw=0)
    second = FeatureBank(tmp_path, tiny_backbone())
    found = second.clean(pool, ROWS), second.views(augmentation("mirror"), pool, ROWS, seed=0, draw=0)
    assert (first.computed, second.computed) == (48, 0)
    assert np.array_equal(wanted[0], found[0])
    assert same(wanted[1], found[1])


def test_only_missing_rows_are_computed(tmp_path):
    pool, _ = make_pool()
    FeatureBank(tmp_path, tiny_backbone()).clean(pool, ROWS[:10])
    bank = FeatureBank(tmp_path, tiny_backbone())
    bank.clean(pool, ROWS)
    assert bank.computed == 14


def test_what_another_run_stored_meanwhile_is_not_computed_again(tmp_path):
    pool, _ = make_pool()
    first, second = (FeatureBank(tmp_path, tiny_backbone()) for _ in range(2))
    first.clean(pool, ROWS)
    second.clean(pool, ROWS)
    assert second.computed == 0


def test_another_backbone_has_a_bank_of_its_own(tmp_path):
    pool, _ = make_pool()
    first = FeatureBank(tmp_path, tiny_backbone(seed=0)).clean(pool, ROWS)
    assert not np.array_equal(first, FeatureBank(tmp_path, tiny_backbone(seed=1)).clean(pool, ROWS))


def test_a_deterministic_view_is_computed_once_for_all_draws(tmp_path):
    pool, _ = make_pool()
    bank = FeatureBank(tmp_path, tiny_backbone())
    mirror = augmentation("mirror")
    assert mirror.deterministic
    bank.views(mirror, pool, ROWS, seed=0, draw=0)
    bank.views(mirror, pool, ROWS, seed=5, draw=3)
    assert bank.computed == 24


def test_views_are_those_of_make_samples(tmp_path):
    pool, _ = make_pool()
    backbone = tiny_backbone()
    views = make_samples(augmentation("mixup"), pool, ROWS, seed=1, draw=2)
    found = FeatureBank(tmp_path, backbone).views(augmentation("mixup"), pool, ROWS, seed=1, draw=2)
    assert np.allclose(found.features, extract(backbone, views.images), rtol=1e-2, atol=1e-3)
    assert np.array_equal(found.sources, views.sources)
    assert np.array_equal(found.weights, views.weights)


def test_mixed_labels_come_back_from_disk_without_a_forward_pass(tmp_path):
    pool, _ = make_pool()
    wanted = FeatureBank(tmp_path, tiny_backbone()).views(augmentation("mixup"), pool, ROWS, seed=1, draw=0)
    bank = FeatureBank(tmp_path, tiny_backbone())
    found = bank.views(augmentation("mixup"), pool, ROWS, seed=1, draw=0)
    assert (bank.computed, bank.augment_s, bank.forward_s) == (0, 0.0, 0.0)
    assert wanted.sources.shape[1] > 1
    assert same(wanted, found)


def test_failed_views_come_back_as_failed(tmp_path):
    pool, _ = make_pool(6)
    pool.images[::2] = 128  # without an edge
    edges = augmentation("edges")
    wanted = make_samples(edges, pool, ROWS[:6], seed=0, draw=0).success.numpy()
    assert not wanted[::2].any()
    for _ in range(2):
        found = FeatureBank(tmp_path, tiny_backbone()).views(edges, pool, ROWS[:6], seed=0, draw=0)
        assert np.array_equal(found.success, wanted)


def test_several_augmentations_in_order_are_one_kind_of_view(tmp_path):
    pool, _ = make_pool()
    steps = (augmentation("mirror"), augmentation("invert"))
    bank = FeatureBank(tmp_path, tiny_backbone())
    found = bank.views(steps, pool, ROWS, seed=0, draw=0)
    both = make_samples(steps, pool, ROWS, seed=0, draw=0)
    assert np.allclose(found.features, extract(tiny_backbone(), both.images), rtol=1e-2, atol=1e-3)
    bank.views(steps, pool, ROWS, seed=0, draw=0)
    assert bank.computed == 24


def test_progress_counts_missing_rows_up_to_all_of_them(tmp_path):
    pool, _ = make_pool()
    bank = FeatureBank(tmp_path, tiny_backbone(), batch_size=4)
    bank.chunk = 10
    seen = []
    bank.clean(pool, np.concatenate([ROWS, ROWS]), progress=CallbackProgress(lambda *said: seen.append(said[:2])))
    assert seen == [(10, 24), (20, 24), (24, 24)]


def test_the_chunk_shrinks_for_large_images(tmp_path):
    large = FeatureBank(tmp_path, make_backbone(nn.Flatten(), size=1024), batch_size=4)
    assert large.chunk * 3 * 1024**2 <= room.CHUNK_BYTES


def test_augmenting_and_the_forward_pass_are_timed_apart(tmp_path):
    class Slow(nn.Module):
        def forward(self, images):
            time.sleep(0.2)
            return images.mean((2, 3))

    pool, _ = make_pool()
    bank = FeatureBank(tmp_path, make_backbone(Slow(), features=3))
    bank.views(augmentation("mirror"), pool, ROWS, seed=0, draw=0)
    assert bank.forward_s > 0.19
    assert 0 < bank.augment_s < 0.19


@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_features_that_do_not_fit_into_half_precision_are_kept_in_single(tmp_path, factor):
    class Scaled(nn.Module):
        def forward(self, images):
            return images.mean((2, 3)) * factor

    pool, _ = make_pool()
    backbone = make_backbone(Scaled(), features=3)
    for _ in range(2):
        found = FeatureBank(tmp_path, backbone).clean(pool, ROWS)
        assert found.dtype == np.float32
        assert np.array_equal(found, extract(backbone, pool.images))


def test_rows_that_are_not_asked_for_are_not_read(tmp_path):
    pool, _ = make_pool()
    empty = FeatureBank(tmp_path, tiny_backbone()).clean(pool, ROWS[:0])
    assert empty.shape == (0, 6)


def test_a_bank_computes_features_in_the_format_of_its_device(tmp_path, monkeypatch):
    pool, _ = make_pool()
    wanted = FeatureBank(tmp_path / "whole", tiny_backbone()).clean(pool, ROWS)
    monkeypatch.setattr(room, "feature_precision", lambda device: "bf16")
    found = FeatureBank(tmp_path / "half", tiny_backbone()).clean(pool, ROWS)
    assert np.array_equal(found, extract(tiny_backbone(), pool.images, precision="bf16").astype(np.float16))
    assert not np.array_equal(found, wanted)
    assert np.array_equal(FeatureBank(tmp_path / "whole", tiny_backbone()).clean(pool, ROWS), wanted)  # as it is there


@pytest.fixture
def made(monkeypatch):
    """How many samples were made, by call."""
    counts = []

    def counted(augmentations, pool, rows, **options):
        counts.append(len(rows))
        return make_samples(augmentations, pool, rows, **options)

    monkeypatch.setattr(room, "make_samples", counted)
    return counts


def with_companions(folder, *seeds):
    bank, *others = (FeatureBank(folder, tiny_backbone(seed=seed), batch_size=4) for seed in seeds)
    for one in (bank, *others):
        one.chunk = 10
    bank.companions = others
    return bank, others


@pytest.mark.parametrize("name", ["gaussian-noise", "mixup", "edges"])
def test_samples_are_made_once_for_all_models_and_each_gets_what_it_gets_alone(tmp_path, made, name):
    pool, _ = make_pool()
    seeds = 0, 1, 2
    bank, others = with_companions(tmp_path / "together", *seeds)
    clean = [one.clean(pool, ROWS) for one in (bank, *others)]
    together = [one.views(augmentation(name), pool, ROWS, seed=0, draw=0) for one in (bank, *others)]
    assert made == [10, 10, 4]
    assert all(one.computed == 48 for one in (bank, *others))
    for seed, features, found in zip(seeds, clean, together, strict=True):
        alone, _ = with_companions(tmp_path / "alone", seed)
        assert np.array_equal(features, alone.clean(pool, ROWS))
        assert same(found, alone.views(augmentation(name), pool, ROWS, seed=0, draw=0))
    assert made == 4 * [10, 10, 4]


def test_a_companion_computes_only_what_it_lacks(tmp_path):
    pool, _ = make_pool()
    bank, (other,) = with_companions(tmp_path, 0, 1)
    noise = augmentation("gaussian-noise")
    FeatureBank(tmp_path, other.backbone).views(noise, pool, ROWS[3:7], seed=0, draw=0)
    bank.views(noise, pool, ROWS, seed=0, draw=0)
    assert (bank.computed, other.computed) == (24, 20)
    assert bank.companions_s >= other.forward_s > 0


def test_after_a_kill_a_companion_lacks_at_most_a_chunk(tmp_path, monkeypatch, made):
    class Killed(BaseException):
        pass

    pool, _ = make_pool()
    noise = augmentation("gaussian-noise")
    bank, (other,) = with_companions(tmp_path, 0, 1)
    usual = other._append

    def dying(keys, *rest):
        if other.computed:
            raise Killed
        usual(keys, *rest)

    monkeypatch.setattr(other, "_append", dying)
    with pytest.raises(Killed):
        bank.views(noise, pool, ROWS, seed=0, draw=0)
    bank, (other,) = with_companions(tmp_path, 0, 1)
    bank.views(noise, pool, ROWS, seed=0, draw=0)
    assert (bank.computed, other.computed) == (4, 4)
    other.views(noise, pool, ROWS, seed=0, draw=0)
    assert other.computed == 14
    assert made == [10, 10, 4, 10]


def test_a_companion_that_cannot_give_features_is_left_out(tmp_path):
    class Broken(nn.Module):
        def forward(self, images):
            return images.mean((2, 3)) * torch.nan

    pool, _ = make_pool()
    noise = augmentation("gaussian-noise")
    bank, (other,) = with_companions(tmp_path, 0, 1)
    broken = FeatureBank(tmp_path, make_backbone(Broken(), features=3, name="broken"))
    bank.companions.insert(0, broken)
    bank.views(noise, pool, ROWS, seed=0, draw=0)
    assert bank.companions == [other]
    assert (bank.computed, other.computed, broken.computed) == (24, 24, 0)
    with pytest.raises(ModelError, match="broken gave NaN"):
        broken.views(noise, pool, ROWS, seed=0, draw=0)


SCRIPT = """
import sys, pathlib, numpy as np, torch
sys.path.insert(0, sys.argv[2])
from tests.models.helpers import make_pool, tiny_backbone
from eyeshot.augment import augmentation
from eyeshot.models import FeatureBank
pool, _ = make_pool(400)
bank = FeatureBank(pathlib.Path(sys.argv[1]), tiny_backbone(), batch_size=4)
bank.chunk = 4
print("ready", flush=True)
for draw in range(50):
    bank.views(augmentation(sys.argv[3]), pool, np.arange(400), seed=0, draw=draw)
"""


def test_a_killed_bank_keeps_its_chunks_and_ends_in_the_same_rows(tmp_path, request):
    root = str(request.config.rootpath)
    arguments = [
        sys.executable,
        "-c",
        textwrap.dedent(SCRIPT),
        str(tmp_path / "killed"),
        root,
        "gaussian-noise",
    ]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=root)
    process.stdout.readline()
    time.sleep(0.3)
    process.kill()
    process.wait()
    pool, _ = make_pool(400)
    torch.manual_seed(0)
    continued, fresh = (FeatureBank(tmp_path / name, tiny_backbone(), batch_size=4) for name in ("killed", "fresh"))
    noise = augmentation("gaussian-noise")
    found = continued.views(noise, pool, np.arange(400), seed=0, draw=0)
    wanted = fresh.views(noise, pool, np.arange(400), seed=0, draw=0)
    assert continued.computed < 400
    assert np.allclose(found.features, wanted.features, rtol=1e-2, atol=1e-3)


@pytest.fixture
def passed(monkeypatch):
    """The images that go through the model, call by call."""
    seen = []
    usual = room.extract

    def counting(backbone, images, **options):
        seen.append(room.to_batch(images).numpy().copy())
        return usual(backbone, images, **options)

    monkeypatch.setattr(room, "extract", counting)
    return seen


def test_samples_with_the_same_pixels_go_through_the_model_once(tmp_path, passed):
    pool, _ = make_pool()
    bank = FeatureBank(tmp_path, tiny_backbone())
    clean = bank.clean(pool, ROWS)
    turns = [bank.views(augmentation("quarter-turns"), pool, ROWS, seed=0, draw=draw) for draw in range(5)]
    again = bank.views(augmentation("clean"), pool, ROWS, seed=0, draw=0)
    images = np.concatenate(passed)
    assert len({image.tobytes() for image in images}) == len(images) <= 4 * len(ROWS)  # of 7 asked for each
    assert np.array_equal(again.features, clean)
    for draw, found in enumerate(turns):
        samples = make_samples(augmentation("quarter-turns"), pool, ROWS, seed=0, draw=draw)
        assert np.allclose(found.features, extract(bank.backbone, samples.images), rtol=1e-2, atol=1e-3)


def test_the_same_pixels_keep_whether_their_operation_succeeded(tmp_path, passed):
    pool, _ = make_pool(6)
    pool.images[:] = np.arange(6, dtype=np.uint8)[:, None, None, None] * 40  # no edges: the samples are the images
    bank = FeatureBank(tmp_path, tiny_backbone())
    clean = bank.clean(pool, ROWS[:6])
    found = bank.views(augmentation("edges"), pool, ROWS[:6], seed=0, draw=0)
    assert not found.success.any()
    assert np.array_equal(found.features, clean)
    assert sum(map(len, passed)) == 6


def test_another_process_and_a_companion_know_the_pixels_too(tmp_path, passed):
    pool, _ = make_pool()
    FeatureBank(tmp_path, tiny_backbone()).clean(pool, ROWS)
    bank = FeatureBank(tmp_path, tiny_backbone())
    bank.companions = [FeatureBank(tmp_path, tiny_backbone(seed=1))]
    bank.companions[0].clean(pool, ROWS)
    passed.clear()
    bank.views(augmentation("clean"), pool, ROWS, seed=0, draw=0)
    assert passed == []
    assert bank.computed == bank.companions[0].companions_s + 24 == 24


def test_after_a_kill_between_pixels_and_features_the_features_are_computed(tmp_path, monkeypatch, passed):
    pool, _ = make_pool()
    bank = FeatureBank(tmp_path, tiny_backbone())
    with monkeypatch.context() as patch:
        patch.setattr(bank, "_append", lambda *_: sys.exit(9))
        with pytest.raises(SystemExit):
            bank.clean(pool, ROWS)
    passed.clear()
    found = FeatureBank(tmp_path, tiny_backbone()).clean(pool, ROWS)
    assert sum(map(len, passed)) == len(ROWS)
    assert np.array_equal(found, FeatureBank(tmp_path / "whole", tiny_backbone()).clean(pool, ROWS))


@pytest.mark.parametrize("part", ["rows.bin", "keys.txt"])
def test_damaged_digests_give_no_image_the_features_of_another(tmp_path, part):
    pool, _ = make_pool()
    bank = FeatureBank(tmp_path, tiny_backbone())
    bank.clean(pool, ROWS)
    file = bank.folder / "pixels" / part
    content = bytearray(file.read_bytes())
    # The digests of the first two images change places, without their checksums.
    step = len(content) // len(ROWS)
    content[: 2 * step] = content[step : 2 * step] + content[:step]
    file.write_bytes(content)
    found = FeatureBank(tmp_path, tiny_backbone()).views(augmentation("clean"), pool, ROWS, seed=0, draw=0)
    wanted = FeatureBank(tmp_path / "whole", tiny_backbone()).views(augmentation("clean"), pool, ROWS, seed=0, draw=0)
    assert np.allclose(found.features, wanted.features, rtol=1e-3, atol=1e-4)


def test_on_a_gpu_nothing_is_brought_back_to_be_hashed(tmp_path, monkeypatch, passed):
    pool, _ = make_pool()
    bank = FeatureBank(tmp_path, tiny_backbone())
    monkeypatch.setattr(room, "_pixel_digests", lambda _: pytest.fail("hashed"))
    bank.device = torch.device("meta")
    monkeypatch.setattr(room, "extract", lambda *_, **__: np.ones((24, bank.backbone.feature_count), np.float32))
    bank.clean(pool, ROWS)
    assert bank.computed == 24
    assert not (bank.folder / "pixels").exists()
