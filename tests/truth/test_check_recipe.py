"""Is a recipe trained far enough? The comparison of once and twice as many epochs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks import common
from benchmarks.augmentation_truth import check_recipe as module
from benchmarks.augmentation_truth.check_recipe import check_recipe, compare
from benchmarks.augmentation_truth.recipes import MODELS

from eyeshot.core.errors import InputError


def test_the_error_is_that_of_paired_differences() -> None:
    found = compare([0.5, 0.6, 0.7], [0.51, 0.63, 0.72])
    assert found["change"] == pytest.approx(0.02)
    # Differences 0.01, 0.03, 0.02: standard deviation 0.01.
    assert found["standard_error"] == pytest.approx(0.01 / 3**0.5)
    assert found["standard_deviation"] == pytest.approx(0.1)


def test_a_head_on_frozen_features_has_no_epochs_to_double(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no epochs"):
        check_recipe("digits", "squeezenet-head", seeds=2, work=tmp_path, say=print)


@pytest.mark.slow
def test_a_recipe_of_two_epochs_is_not_trained_far_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setitem(module.MODELS, "small-vit", replace(MODELS["small-vit"], epochs=2))
    found = check_recipe("digits", "small-vit", seeds=2, work=tmp_path, say=lambda text: None)
    assert not found["far_enough"]
    assert found["targets"]["own"]["change"] > 0
    assert json.loads((tmp_path / "truth_recipe_digits_small_vit.json").read_text())["epochs"] == 2
