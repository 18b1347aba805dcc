"""Rankings for several models in a row: of one geometry, they share augmented samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_run import SETTINGS, World, numbers

from eyeshot.core import CallbackProgress
from eyeshot.models import feature_bank
from eyeshot.rankings import AugmentationRanking, Plan, estimate, prepare, ranking_settings, run_ranking

NETS = """
import torch
from torch import nn

def make(seed, features):
    torch.manual_seed(seed)
    layers = nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, features, 3, 2, 1), nn.ReLU()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, 4))

def one():
    return make(1, 16)

def two():
    return make(2, 24)

def three():
    return make(3, 12)
"""
FIXED = {"from_scratch": False, "mean": (0.5,) * 3, "std": (0.5,) * 3}


@pytest.fixture(autouse=True)
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fixed_nets.py").write_text(NETS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many samples were made for features, by call."""
    counts: list[int] = []
    usual = feature_bank.make_samples

    def counted(augmentations: Any, pool: Any, rows: Any, **options: Any) -> Any:
        counts.append(len(rows))
        return usual(augmentations, pool, rows, **options)

    monkeypatch.setattr(feature_bank, "make_samples", counted)
    return counts


def plans(world: World, cache: Path, *names: str, **changes: Any) -> list[Plan]:
    options = {**SETTINGS, "test": world.test, **FIXED, **changes}
    made = []
    for name in names:
        folder, settings = ranking_settings(world.train, **(options | {"model": f"fixed_nets:{name}"}))
        made.append(prepare(folder, settings, cache=cache))
    return made


def in_a_row(planned: list[Plan], **options: Any) -> list[AugmentationRanking]:
    return [run_ranking(plan, later=planned[number + 1 :], **options) for number, plan in enumerate(planned)]


def test_each_sample_is_made_once_and_each_model_gets_what_it_gets_alone(world: World, tmp_path: Path, made: list[int]):
    names = "one", "two", "three"
    together = in_a_row(plans(world, tmp_path / "together", *names))
    samples = sum(made)
    assert [result.report.seconds["augment"] == 0 for result in together] == [False, True, True]
    assert ["other models" in result.report.seconds for result in together] == [True, False, False]
    for name, found in zip(names, together, strict=True):
        (alone,) = in_a_row(plans(world, tmp_path / name, name))
        assert numbers(alone) == numbers(found)
        assert "other models" not in alone.report.seconds
    assert sum(made) == 4 * samples
    again = in_a_row(plans(world, tmp_path / "together", *names))
    assert sum(made) == 4 * samples
    assert [numbers(result) for result in again] == [numbers(result) for result in together]
    assert all("other models" not in result.report.seconds for result in again)


class Stop(Exception):
    pass


def test_a_run_that_breaks_off_leaves_both_models_what_was_made(world: World, tmp_path: Path, made: list[int]):
    planned = plans(world, tmp_path / "cache", "one", "two")

    def broken(done: int, total: int, what: str) -> None:
        if what.startswith("measuring") and done == 3:
            raise Stop

    with pytest.raises(Stop):
        in_a_row(planned, progress=CallbackProgress(broken))
    before = sum(made)
    assert before
    found = in_a_row(plans(world, tmp_path / "cache", "one", "two"))
    whole = sum(made)
    assert [numbers(result) for result in found] == [
        numbers(run_ranking(plan)) for name in ("one", "two") for plan in plans(world, tmp_path / name, name)
    ]
    assert sum(made) == 3 * whole  # the broken and the continued run together made each sample once


@pytest.mark.parametrize("change", [{"size": 24}, {"fit": "pad"}, {"seed": 1}, {"from_scratch": True}])
def test_plans_with_other_images_or_untrained_weights_share_nothing(world: World, tmp_path: Path, change: dict):
    (plan,) = plans(world, tmp_path / "cache", "one")
    (same,) = plans(world, tmp_path / "cache", "two")
    (other,) = plans(world, tmp_path / "cache", "two", **change)
    assert plan.makes_samples_for(same)
    assert not plan.makes_samples_for(other)
    assert not other.makes_samples_for(same)


def test_padded_images_are_the_same_for_models_of_any_crop(world: World, tmp_path: Path):
    for fit, shared in (("pad", True), ("crop", False)):
        plan, other = plans(world, tmp_path / "cache", "one", "two", fit=fit)
        geometry = replace(other.backbone.geometry, crop_share=0.875)
        other = replace(other, backbone=replace(other.backbone, geometry=geometry))
        assert plan.makes_samples_for(other) == shared


def test_the_estimate_of_a_later_plan_is_without_samples(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    one, two = plans(world, tmp_path / "cache", "one", "two")
    alone = estimate(two)

    def refuse(*arguments: Any, **options: Any) -> None:
        raise Stop

    monkeypatch.setattr("eyeshot.rankings.augmentations.plan.make_samples", refuse)
    with pytest.raises(Stop):
        estimate(two)
    after = estimate(two, earlier=[one])
    assert "augment 0 s" in after.words
    assert (after.memory_bytes, after.disk_bytes) == (alone.memory_bytes, alone.disk_bytes)
