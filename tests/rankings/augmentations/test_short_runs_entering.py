"""Who gets a short run, and what is said where the budget does not hold all; a run is never refused for want of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from counted_clock import counted_clock
from eyeshot.augment import augmentation
from eyeshot.rankings import AugmentationRanking
from eyeshot.rankings.augmentations.report import Candidate
from eyeshot.rankings.augmentations.short_runs import choose_entering, training_lists
from eyeshot.sweep import Costs, budget_for, promote

NAMES = [f"candidate {number}" for number in range(40)]
COSTS = Costs(0.5, 2.0, 0.1)


def backwards(kind: str, names: Sequence[str]) -> list[str]:
    return sorted(names, reverse=True)


def choose(budget_s: float, **changes: Any) -> tuple[dict[str, list[str]], list[str]]:
    usual: dict[str, Any] = {
        "order": backwards, "budget_s": budget_s, "costs": COSTS, "head_stage": False, "size": 224,
        "state_bytes": 1, "free_bytes": 10**12,
    }  # fmt: skip
    return choose_entering({"ranked": NAMES[:30], "regulariser": NAMES[30:]}, **(usual | changes))


def test_the_default_is_in_a_list_of_its_own_that_no_cut_shortens() -> None:
    names = ("mirror", "trivial-augment", "grey", "mixup", "half-turns")
    roles = dict.fromkeys(names, "ranked") | {"mixup": "regulariser", "half-turns": "label-breaking"}
    candidates = [Candidate(name=name, family="", model="net", role=roles[name]) for name in names]
    lists = training_lists(candidates, {name: augmentation(name) for name in names})
    assert {kind: [each.name for each in found] for kind, found in lists.items()} == {
        "ranked": ["mirror", "grey"], "default": ["trivial-augment"], "regulariser": ["mixup"],
    }  # fmt: skip
    many = {"ranked": NAMES, "default": ["trivial-augment"]}
    chosen, _ = choose_entering(
        many, order=backwards, budget_s=80, costs=COSTS, head_stage=False, size=224, state_bytes=1, free_bytes=10**12
    )
    assert len(chosen["ranked"]) < len(NAMES)
    assert chosen["default"] == ["trivial-augment"]
    for _ in range(6):  # what goes on to the next rung
        chosen = {kind: promote(names) for kind, names in chosen.items()}
    assert len(chosen["ranked"]) == 4
    assert chosen["default"] == ["trivial-augment"]


@pytest.mark.parametrize("head_stage", [True, False])
def test_with_enough_time_all_are_trained_first_to_last(head_stage: bool) -> None:
    chosen, notes = choose(budget_for([30, 10], COSTS) * 1.05, head_stage=head_stage)
    assert chosen == {"ranked": sorted(NAMES[:30], reverse=True), "regulariser": sorted(NAMES[30:], reverse=True)}
    assert notes == []


def test_after_linear_probes_the_better_ones_get_eight_steps_from_two_seeds() -> None:
    chosen, (note,) = choose(600, head_stage=True)
    assert {kind: len(names) for kind, names in chosen.items()} == {"ranked": 15, "regulariser": 5}
    assert chosen["ranked"] == sorted(NAMES[:30], reverse=True)[:15]
    # 2 x 41 x 2 x (8 x 0.6 + 2) = 1115 s for all, and a reserve.
    assert note == (
        "Short runs: 20 of 40 candidates, the best 20 by linear probes on features, because --budget 10m has no "
        "time for more; training all of them takes about --budget 20m here, or --budget 5m with --size 112."
    )


def test_without_probes_the_better_ones_by_coverage_get_at_least_a_step() -> None:
    chosen, (note,) = choose(120)
    assert {kind: len(names) for kind, names in chosen.items()} == {"ranked": 15, "regulariser": 5}
    assert "20 of 40 candidates, the best 20 by coverage, because --budget 2m has no time for more" in note


@pytest.mark.parametrize(
    ("head_stage", "words"),
    [(True, "linear probes on features rank alone"), (False, "coverage ranks alone")],
)
def test_a_budget_that_holds_no_step_trains_nobody_and_says_what_would_do(head_stage: bool, words: str) -> None:
    chosen, notes = choose(5, head_stage=head_stage)
    assert chosen == {}
    assert notes == [
        f"Short runs: --budget 5s is too short for any, so {words}; training all of them takes about --budget 20m "
        "here, or --budget 2m with --size 56."
    ]


def test_at_a_small_size_no_smaller_one_is_named() -> None:
    _, (note,) = choose(5, size=32)
    assert note.endswith("training all of them takes about --budget 20m here.")


def test_where_the_disk_is_short_fewer_are_trained() -> None:
    chosen, (note,) = choose(1e6, state_bytes=10**9, free_bytes=100 * 10**9)
    assert {kind: len(names) for kind, names in chosen.items()} == {"ranked": 15, "regulariser": 5}
    assert note == "Short runs: 20 of 40 candidates, the best 20 by coverage, because disk space is short."


def test_a_ranking_with_hardly_any_budget_is_the_ranking_by_coverage_and_says_so(
    rerun: Callable[..., AugmentationRanking], first: AugmentationRanking
) -> None:
    with counted_clock() as calls:
        report = rerun(budget_s=0.5).report
    assert calls == []
    assert [candidate.score for candidate in report.candidates] == [
        candidate.score for candidate in first.report.candidates
    ]
    assert [candidate.rank for candidate in report.candidates] == [
        candidate.rank for candidate in first.report.candidates
    ]
    (note,) = [note for note in report.notes if note.startswith("Short runs: --budget 0.5s is too short for any")]
    assert "so coverage ranks alone; training all of them takes about --budget" in note
