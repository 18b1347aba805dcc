"""Scores as a user gets them; no label of the target enters, and heads on frozen features are exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.augmentation_truth.baselines import frechet
from benchmarks.augmentation_truth.frozen_head import fit_and_read
from benchmarks.augmentation_truth.recipes import Model, choose_candidates
from benchmarks.augmentation_truth.scores import COLUMNS, SCORE_SEED, read_scores, score_task, write_scores
from benchmarks.augmentation_truth.tasks import Decoded, Task, decode, open_task
from PIL import Image
from scipy.linalg import sqrtm
from sklearn.linear_model import LogisticRegression

from eyeshot.models import FeatureBank

MODEL = Model("small", (("model", "test_resnet.r160_in1k"), ("from_scratch", True)), size=32, epochs=2)
CHOSEN = ("mirror", "invert", "mixup", "erasing", "rotate-15")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A bright bar that lies or stands, 60 images a class; the target is the negative of others."""
    random = np.random.default_rng(1)
    for folder, count, negative in ((tmp_path / "mine", 60, False), (tmp_path / "theirs", 40, True)):
        for label in ("lies", "stands"):
            (folder / label).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 60, (32, 32, 3), dtype=np.uint8)
                row, column = random.integers(4, 16, 2)
                pixels[row : row + (5 if label == "lies" else 14), column : column + (14 if label == "lies" else 5)] = (
                    230
                )
                Image.fromarray(255 - pixels if negative else pixels).save(folder / label / f"{number}.png")
    return open_task(str(tmp_path / "mine"), [tmp_path / "theirs"], tmp_path / "work")


@pytest.fixture
def data(task: Task, tmp_path: Path) -> Decoded:
    return decode(task, MODEL.load(task.name, seed=0).geometry, tmp_path / "cache")


@pytest.mark.slow
def test_no_label_of_the_target_enters_the_scores(task: Task, tmp_path: Path) -> None:
    def scored(name: str) -> list[dict[str, object]]:
        rows = score_task(task, MODEL, candidates=CHOSEN, epoch_s=1e9, work=tmp_path / name, commit="abc")
        return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]

    before = scored("before")
    truth = task.folder / "targets" / "theirs" / "truth"
    files = sorted(truth.rglob("*.png"))
    labels = np.random.default_rng(0).permutation([file.parent.name for file in files])
    moved = 0
    for file, label in zip(files, labels, strict=True):
        moved += file.parent.name != label
        file.rename(truth / label / file.name)
    assert moved > 5
    after = scored("after")
    assert before == after
    assert not list((task.folder / "targets" / "theirs" / "score").glob("*/"))
    # The negative is what this target needs; a user sees it named first.
    theirs = {row["candidate"]: row for row in before if row["target"] == "theirs"}
    assert theirs["invert"]["rank"] == 1
    assert theirs["mixup"]["role"] == theirs["erasing"]["role"] == "regulariser"
    assert theirs["no-op"]["score"] == 0
    file = tmp_path / "scores.csv"
    write_scores(file, before)
    for row, again in zip(before, read_scores(file), strict=True):
        for name in COLUMNS:
            value = row.get(name)
            kept = again[name]
            assert kept == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else kept)
            assert (kept is None or kept == "") == (value is None)


def test_scores_use_other_seeds_than_the_truth() -> None:
    from benchmarks.augmentation_truth.recipes import MOST_SEEDS

    assert SCORE_SEED >= MOST_SEEDS


def test_a_clean_head_is_that_of_scikit_learn_and_every_seeds(task: Task, data: Decoded, tmp_path: Path) -> None:
    backbone = MODEL.load(task.name, seed=0)
    clean = choose_candidates(CHOSEN, data.aspect_ratios)["clean"]
    found = [
        fit_and_read(backbone, data, clean, seed=seed, draws=2, cache=tmp_path / "cache")[1]["theirs"]
        for seed in (0, 1)
    ]
    np.testing.assert_array_equal(*found)
    bank = FeatureBank(tmp_path / "cache", backbone)
    train = np.asarray(bank.clean(data.train.pool, np.arange(len(data.train.labels))), np.float64)
    target = np.asarray(bank.clean(data.targets["theirs"].pool, np.arange(len(found[0]))), np.float64)
    spread = train.std(0)
    spread[spread < 1e-6 * spread.max()] = np.inf
    # Two draws of the same images count twice: the penalty of one image's weight is halved.
    model = LogisticRegression(C=2.0, max_iter=5000, tol=1e-8).fit((train - train.mean(0)) / spread, data.train.labels)
    expected = model.predict_proba((target - train.mean(0)) / spread)
    np.testing.assert_allclose(found[0], expected, atol=5e-3)


def test_a_head_of_the_identity_control_ties_with_clean(task: Task, data: Decoded, tmp_path: Path) -> None:
    backbone = MODEL.load(task.name, seed=0)
    chosen = choose_candidates(CHOSEN, data.aspect_ratios)
    clean, no_op, invert = (
        fit_and_read(backbone, data, chosen[name], seed=0, draws=2, cache=tmp_path / "cache")[1]["theirs"]
        for name in ("clean", "no-op", "invert")
    )
    assert np.abs(no_op - clean).mean() < 0.05 < np.abs(invert - clean).mean()


def test_frechet_distance_agrees_with_the_formula_of_fid() -> None:
    random = np.random.default_rng(0)
    one = random.normal(size=(400, 6)) @ random.normal(size=(6, 6))
    other = random.normal(size=(300, 6)) @ random.normal(size=(6, 6)) + 1
    a, b = np.cov(one.T), np.cov(other.T)
    expected = np.square(one.mean(0) - other.mean(0)).sum() + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet(one, other) == pytest.approx(expected)
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)
