"""The best third of each group goes on, the same ones whatever the order in which results come."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eyeshot.sweep.search.promotion import FAILED, agreements, promoted, promoted_count, random_trials

RUNGS = st.lists(
    st.tuples(st.sampled_from(["light", "medium", "strong"]), st.integers(0, 6) | st.just(None)),
    min_size=1,
    max_size=25,
)


def third(groups: dict[int, str], values: dict[int, tuple[float, ...]], group: str) -> list[int]:
    """The definition, by sorting: the best third of a group, rounded up, without those that failed."""
    members = sorted((n for n in groups if groups[n] == group), key=lambda n: (-values[n][0], n))
    return [n for n in members[: math.ceil(len(members) / 3)] if values[n][0] > FAILED]


@given(rung=RUNGS, data=st.data())
def test_the_same_trials_go_on_whatever_the_order_of_results(rung: list[tuple[str, int | None]], data: Any) -> None:
    groups = {number: group for number, (group, _) in enumerate(rung)}
    values = {n: ((FAILED if value is None else float(value)),) for n, (_, value) in enumerate(rung)}
    expected = {n for group in set(groups.values()) for n in third(groups, values, group)}
    known: dict[int, tuple[float, ...]] = {}
    sure: set[int] = set()
    for number in data.draw(st.permutations(list(groups))):
        known[number] = values[number]
        now = set(promoted(groups, known))
        assert sure <= now <= expected  # nobody is promoted too early, nobody is taken back
        sure = now
    assert sure == expected


@given(rung=RUNGS)
def test_a_free_worker_waits_for_none_but_those_that_could_change_the_outcome(
    rung: list[tuple[str, int | None]],
) -> None:
    """Of a group whose missing results cannot matter any more, all that go on are known."""
    groups = dict.fromkeys(range(len(rung)), "light")
    values = {number: (float(-number),) for number in groups}
    quota = promoted_count(len(groups))
    for missing in range(len(groups)):
        known = {number: value for number, value in values.items() if number < len(groups) - missing}
        assert len(promoted(groups, known)) == max(0, quota - missing)


@given(
    ends=st.lists(st.integers(100, 900), min_size=9, max_size=40, unique=True), rate=st.floats(0.2, 2.0),
    factor=st.sampled_from([1, 3]),
)  # fmt: skip
def test_on_curves_that_do_not_cross_the_best_of_all_comes_to_the_end(
    ends: list[int], rate: float, factor: int
) -> None:
    alive, epochs = list(range(len(ends))), 1
    while len(alive) > 1:
        values = {n: (ends[n] * (1 - math.exp(-rate * epochs)),) for n in alive}
        left = promoted(dict.fromkeys(alive, ""), values)
        assert len(left) == math.ceil(len(alive) / 3)
        alive, epochs = left, epochs * factor
        if len(alive) == math.ceil(len(alive) / 3):
            break
    assert ends.index(max(ends)) in alive


@given(slow=st.integers(1, 8), fast=st.integers(8, 30))
def test_slow_starters_of_a_group_of_their_own_are_not_thrown_out_by_fast_ones(slow: int, fast: int) -> None:
    """Strong augmentation starts low and ends high: among its like its best goes on, though all others are ahead."""
    groups = {n: "strong" if n < slow else "light" for n in range(slow + fast)}
    early = {n: (0.3 + n / 1000 if n < slow else 0.6 + n / 1000,) for n in groups}
    assert slow - 1 in promoted(groups, early)
    assert slow - 1 not in promoted(dict.fromkeys(groups, ""), early)


def test_with_a_number_so_many_of_each_group_go_on() -> None:
    groups = {n: "strong" if n < 5 else "light" for n in range(12)}
    values = {n: (float(n),) for n in groups}
    assert promoted(groups, values, most=2) == [11, 10, 4, 3]


def test_of_equal_accuracy_the_smaller_loss_goes_on_and_then_the_earlier_trial() -> None:
    groups = dict.fromkeys(range(4), "")
    assert promoted(groups, {0: (0.5, -2.0), 1: (0.5, -1.0), 2: (0.5, -1.0), 3: (0.4, -0.1)}) == [1, 2]


@given(count=st.integers(0, 300), seed=st.integers(0, 5))
def test_random_trials_are_few_the_same_every_time_and_never_the_base(count: int, seed: int) -> None:
    chosen = random_trials(range(count), seed=seed, left_out=[0])
    assert chosen == random_trials(range(count), seed=seed, left_out=[0])
    assert (len(chosen) >= 1) is (count >= 9)
    assert len(chosen) <= 4
    assert set(chosen) <= set(range(1, count))


def test_the_agreement_of_rungs_is_spearmans_correlation_of_those_that_came_to_both() -> None:
    random = np.random.default_rng(0)
    first = {n: float(value) for n, value in enumerate(random.normal(size=30))}
    last = {n: first[n] + float(random.normal()) for n in range(0, 30, 3)}
    (own,) = agreements({"probe": first, "full": last}, "full")
    expected = stats.spearmanr([first[n] for n in last], list(last.values())).statistic
    assert own.correlation == pytest.approx(expected)
    assert own.n == 10
    assert own.low < expected < own.high
    (unknown,) = agreements({"probe": first, "full": {}}, "full")
    assert (unknown.correlation, unknown.n) == (None, 0)
