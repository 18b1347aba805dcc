"""Policies composed from a small ranking: digits, and other digits inverted as the target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_run import World, run

from eyeshot.augment import read_policy
from eyeshot.rankings import POLICY_FILE, POLICY_SCRIPT, AugmentationRanking
from eyeshot.rankings.augmentations import policy
from eyeshot.rankings.augmentations.coverage import CoverageScores
from eyeshot.rankings.augmentations.policy import gain_over
from eyeshot.rankings.augmentations.report import Candidate, ShortRun


@pytest.fixture(scope="module")
def composed(world: World, first: AugmentationRanking, tmp_path_factory: pytest.TempPathFactory) -> AugmentationRanking:
    assert first.policy is None
    assert first.report.policy is None
    return run(world, tmp_path_factory.mktemp("cache-of-policy"), policy=True)


def test_the_operation_that_covers_the_target_is_taken_and_covers_the_half_that_nothing_saw(
    composed: AugmentationRanking, tmp_path: Path
) -> None:
    record = composed.report.policy
    assert record is not None
    assert record.composed
    assert record.operations[0].name == "invert"
    assert (record.operations[0].added or 0) > 0.1
    assert record.covered_before < record.covered_after_interval[0]
    assert abs(record.n_judged - record.n_chosen_on) <= 1
    assert record.words.startswith("The policy is invert")
    assert "mixup" not in [
        own.name for own in record.operations
    ]  # coverage cannot see it, and there were no short runs
    assert all(0.25 <= own.probability <= 0.5 for own in record.operations)
    composed.save(tmp_path)
    assert read_policy(tmp_path / POLICY_FILE) == composed.policy
    assert "class PolicyDataset" in (tmp_path / POLICY_SCRIPT).read_text("utf-8")


def test_the_map_shows_the_target_before_and_after(composed: AugmentationRanking) -> None:
    record = composed.report.policy
    assert record is not None
    assert record.map is not None
    clouds = np.array(record.map["cloud"])
    assert set(clouds) == {"train", "target", "policy"}
    before, after = (
        np.array([value for value in values if value is not None], bool)
        for values in (record.map["covered_before"], record.map["covered_after"])
    )
    assert len(before) == len(after) == (clouds == "target").sum()
    assert after.sum() > before.sum()


def test_a_ranking_without_a_policy_is_the_same_but_for_it(
    composed: AugmentationRanking, first: AugmentationRanking
) -> None:
    leave_out = {"policy", "seconds", "projections", "command"}
    assert composed.report.model_dump(exclude=leave_out) == first.report.model_dump(exclude=leave_out)


def test_without_anything_to_add_the_policy_is_what_is_advised(
    rerun: Callable[..., AugmentationRanking], tmp_path: Path
) -> None:
    """The candidates are a flip, which covers no inverted digit, and the usual default is not among them."""
    result = rerun(candidates=("vertical-flip",), policy=True)
    record = result.report.policy
    assert record is not None
    assert not record.composed
    names = [own.name for own in record.operations]
    assert names == ([] if result.report.advice == "clean" else [result.report.advice])
    assert record.stages == []
    result.save(tmp_path)
    assert [step.operation for step in read_policy(tmp_path / POLICY_FILE)] == names


def reach_of(covered: list[int], distance: list[float]) -> CoverageScores:
    none = np.empty(0)
    agreed = np.zeros(len(covered), np.int64)
    return CoverageScores(np.array(covered, bool), agreed, np.array(distance, np.float32), 0.0, none, none, none)


def test_gains_count_the_chosen_rows_alone() -> None:
    control = reach_of([0, 0, 1, 1], [2.0, 2.0, 1.0, 1.0])
    other = reach_of([1, 0, 0, 1], [1.0, 2.0, 2.0, 1.01])
    every, first_two = np.ones(4, bool), np.array([True, True, False, False])
    assert gain_over(other, control, every, nearer=False) == (0.0, 1, 1)
    assert gain_over(other, control, first_two, nearer=False) == (0.5, 1, 0)
    gain, won, lost = gain_over(other, control, first_two, nearer=True)
    assert gain == pytest.approx(np.log(2) / 2)
    assert (won, lost) == (1, 0)
    assert gain_over(other, control, every, nearer=True)[1:] == (1, 1)  # the fourth has hardly moved


def regulariser(name: str, **changes: object) -> Candidate:
    fields = {
        "stage": "network", "seeds": 2, "steps": 20, "rungs": 1, "log_loss_interval": (0.01, 0.2),
        "half_masked_gain": 0.05,
    }  # fmt: skip
    run = ShortRun.model_validate(fields | changes)
    return Candidate(name=name, family="masking", model="m", role="regulariser", run=run)


def test_masking_comes_in_only_where_short_runs_show_that_it_helps() -> None:
    bad = [
        regulariser("cutout", log_loss_interval=(-0.1, 0.2)),
        regulariser("erasing", half_masked_gain=-0.01),
        regulariser("mixup", steps=2),
        Candidate(name="grid-mask", family="masking", model="m", role="regulariser"),
    ]
    assert policy._regulariser(bad) is None
    found = policy._regulariser([*bad, regulariser("cutmix")])
    assert found is not None
    assert found.name == "cutmix"
