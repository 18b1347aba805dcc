"""What a worker of a sweep keeps from one trial to the next."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eyeshot.core import Workspace
from eyeshot.data import DataConfig
from eyeshot.sweep.search import work as module
from eyeshot.sweep.search.work import SearchWork, Work

MODELS = ("a", "b", "c", "d", "e")
FEATURES = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)


class Reading(SearchWork):
    """Says whose features it reads."""

    def __init__(self, root: Path) -> None:
        workspace = Workspace(root / "eyeshot-out", root / "cache")
        super().__init__(DataConfig(train=root), workspace, models={}, seed=0, command="", settings={})
        self.read: list[str] = []

    @property
    def dataset(self) -> Any:
        """Twenty of forty images train."""
        return SimpleNamespace(train_rows=np.arange(20), classes=("cat", "dog"))

    def _read_features(self, item: Work, over: Any) -> Any:
        self.read.append(str(item.config["model"]))
        return FEATURES


def ask(worker: Reading, *models: str) -> None:
    for model in models:
        features, curvature = worker._features_of(Work("probe", 0, {"model": model}, 1.0), lambda: False)
        assert features is FEATURES
        assert curvature.directions.shape[0] == FEATURES.shape[1]


def test_features_of_all_models_that_fit_are_read_once(tmp_path: Path) -> None:
    worker = Reading(tmp_path)
    ask(worker, *MODELS, *MODELS)
    assert worker.read == list(MODELS)


def test_where_memory_holds_few_features_those_asked_for_last_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_FEATURE_BYTES", int(2.5 * (FEATURES.nbytes + 8 * 8 * 4)))
    worker = Reading(tmp_path)
    ask(worker, "a", "b", "a", "c", "a", "b")
    assert worker.read == ["a", "b", "c", "b"]
    monkeypatch.setattr(module, "KEPT_FEATURE_BYTES", 1)
    ask(worker, "d", "d", "b", "d")
    assert worker.read[4:] == ["d", "b", "d"]
