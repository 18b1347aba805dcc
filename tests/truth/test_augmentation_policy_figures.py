"""The published figures of composed policies follow from the committed trainings."""

from __future__ import annotations

import json

import pytest
from benchmarks.augmentation_policy import (
    COLUMNS,
    FILE,
    FIRST_ATTEMPT,
    POLICIES,
    POLICY,
    SINGLE,
    TASKS,
    arms_of,
    figures,
    read_composed,
    read_rows,
    trainings,
)


def test_the_kept_figures_are_those_of_the_rows() -> None:
    kept = json.loads(FILE.with_suffix(".json").read_text("utf-8"))["tasks"]
    made = json.loads(json.dumps(figures(read_composed(), read_rows())))
    assert [entry["task"] for entry in made] == [task.name for task in TASKS]
    for entry, other in zip(kept, made, strict=True):
        assert entry["seeds"] == other["seeds"]
        assert entry["augmentations"] == other["augmentations"]
        assert entry["accuracy"] == pytest.approx(other["accuracy"])
        for arm, lead in other["lead"].items():
            assert entry["lead"][arm] == pytest.approx(lead)


@pytest.mark.parametrize("file", [POLICIES, FIRST_ATTEMPT])
def test_every_policy_is_one_that_can_be_read_and_was_trained(file) -> None:
    trained = {row["augmentations"] for row in read_rows()}
    for entry in read_composed(file).values():
        assert "+".join(entry["policy"]) in trained
        assert entry["record"]["n_judged"] + 1 >= entry["record"]["n_chosen_on"]


def test_leads_are_paired_and_only_seeds_that_all_arms_have_count() -> None:
    task = TASKS[0]
    composed = {task.name: {"policy": ["grey@0.5"], "first": "invert"}}
    arms = arms_of(composed[task.name])
    rows = []
    for seed, accuracy in enumerate((0.5, 0.6, 0.9)):
        for arm, names in arms.items():
            if seed == 2 and arm == SINGLE:
                continue
            value = accuracy + (0.1 if arm == POLICY else 0.02 * seed)
            row = (task.source, task.model, "+".join(names), seed, task.target, 100, value, 0.9, 1.0, "CPU")
            rows.append(dict(zip(COLUMNS, row, strict=True)))
    (entry,) = figures(composed, rows)
    assert entry["seeds"] == [0, 1]
    assert entry["accuracy"][POLICY] == pytest.approx(0.65)
    assert entry["lead"][SINGLE][0] == pytest.approx(0.09)
    assert POLICY not in entry["lead"]


def test_a_seed_is_trained_whole_before_the_next_and_nothing_twice() -> None:
    composed = {task.name: {"policy": ["clean"], "first": "invert"} for task in TASKS}
    planned = list(trainings(composed, 3))
    assert len(set(planned)) == len(planned)
    assert [seed for *_, seed in planned] == sorted(seed for *_, seed in planned)
