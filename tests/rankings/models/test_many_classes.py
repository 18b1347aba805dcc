"""500 classes with 30 images each go through rung 1, on made features."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from made_models import made_model

from eyeshot.core import SILENT
from eyeshot.data import DataConfig, Dataset, ImageTable
from eyeshot.rankings.models import probe
from eyeshot.rankings.models.data import RankingData

CLASSES, EACH, FEATURES = 500, 30, 12
LOST = 123
"""A class whose images lie where those of another do."""


def made_data(folds: int) -> RankingData:
    count = CLASSES * EACH
    names = [f"class {number:03}" for number in range(CLASSES)]
    numbers = [str(row) for row in range(count)]
    frame = pl.DataFrame({"id": numbers, "path": numbers, "content": numbers, "label": np.repeat(names, EACH)})
    rows = np.arange(count)
    own = rows % folds  # each class in proportion
    parts = [(rows[own != fold], rows[own == fold]) for fold in range(folds)]
    images = ImageTable(frame, tuple(names))
    dataset = Dataset(DataConfig(train=Path("made")), images, rows, rows[:0], rows, None, (), ())
    return RankingData(dataset, parts, rows, None, "made", [])


def test_five_hundred_classes_of_thirty_images_are_judged_nearly_as_well_as_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Around centres with the same spread in all directions nothing is better than the nearest true centre."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(CLASSES, FEATURES))
    centres[LOST] = centres[LOST + 1]
    labels = np.repeat(np.arange(CLASSES), EACH)
    features = (centres[labels] + random.normal(0, 0.4, (len(labels), FEATURES))).astype(np.float32)
    distances = np.square(centres).sum(1) - 2 * features @ centres.T
    best = (distances.argmin(1) == labels).mean()
    monkeypatch.setattr(probe, "FeatureBank", lambda *_, **__: None)
    monkeypatch.setattr(probe, "clean_features", lambda bank, table, **_: (np.arange(len(table)), features))
    monkeypatch.setattr(probe, "measure_cost", lambda *_, **__: made_model("made").cost)
    backbone: Any = SimpleNamespace(feature_count=FEATURES)
    record = probe.run_probe(
        made_data(folds=2), backbone, cache=tmp_path, device="cpu", batch_size=64, workers=1, seed=0, progress=SILENT
    )
    right = np.asarray(record.predicted) == labels
    assert record.probe.accuracy.n == len(labels)
    assert record.probe.accuracy.value == right.mean()
    assert best - 0.1 < right.mean() <= best + 0.01
    assert best < 0.99
    worst = record.probe.worst_classes
    assert {lost.name for lost in worst[:2]} == {f"class {LOST}", f"class {LOST + 1}"}
    assert all(lost.accuracy.n == EACH for lost in worst)
