"""A plan fits into its budget, with as many trials as do."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from eyeshot.core import InputError
from eyeshot.sweep.search import planning
from eyeshot.sweep.search.planning import Costs, Level, counts_of, levels_for, make_plan, seconds_of_plan, stages_of
from eyeshot.training import Stage

COSTS = st.builds(
    Costs, once_s=st.floats(0, 50), probe_s=st.floats(0.05, 5), last_stage_s=st.floats(0.1, 20),
    full_s=st.floats(0.2, 60), evaluate_s=st.floats(0.1, 5),
)  # fmt: skip


@given(
    costs=COSTS, left_s=st.floats(5, 50_000), epochs=st.integers(1, 60), workers=st.integers(1, 8),
    groups=st.integers(1, 3), simple=st.booleans(),
)  # fmt: skip
@example(costs=Costs(0.0, 2.0, 1.0, 1.0, 1.0), left_s=5.0, epochs=1, workers=1, groups=1, simple=True)
def test_a_plan_fits_and_one_trial_more_would_not(
    costs: Costs, left_s: float, epochs: int, workers: int, groups: int, simple: bool
) -> None:
    try:
        plan = make_plan(costs, left_s, epochs=epochs, workers=workers, groups=groups, most=100, simple=simple)
    except InputError:
        assert seconds_of_plan([Level("probe")], [1], costs, workers) > left_s
        return
    assert plan.seconds == pytest.approx(seconds_of_plan(plan.levels, plan.counts, costs, workers))
    assert plan.seconds <= left_s + 1e-6
    assert list(plan.counts) == sorted(plan.counts, reverse=True)
    assert plan.counts[0] <= 100
    if not simple and plan.counts[0] < 100:
        more = counts_of(plan.levels, plan.counts[0] + 1, groups=groups, carried=1)
        assert seconds_of_plan(plan.levels, more, costs, workers) > left_s


@given(epochs=st.integers(1, 200), simple=st.booleans())
def test_levels_add_up_to_a_full_training_and_have_names_of_their_own(epochs: int, simple: bool) -> None:
    levels = levels_for(epochs, simple=simple)
    assert sum(level.epochs for level in levels if level.rung == "full") == epochs
    assert len({level.name for level in levels}) == len(levels)
    assert levels[0] == Level("probe")
    assert sum(stage.epochs for stage in stages_of(levels)) == sum(level.epochs for level in levels)


def test_stages_of_levels() -> None:
    assert stages_of(levels_for(9)) == [Stage(1, "last-stage"), Stage(3, "none"), Stage(6, "none")]


def test_a_larger_budget_brings_longer_trainings_before_it_brings_more_than_enough_trials() -> None:
    costs = Costs(0.0, 1.0, 10.0, 30.0, 1.0)
    small, large = (make_plan(costs, seconds, epochs=20) for seconds in (2_000, 50_000))
    assert small.levels[-1].total < 20
    assert "of the wished 20 epochs" in small.words[0]
    assert large.levels[-1].total == 20
    assert large.counts[0] > planning.ENOUGH


def test_a_budget_that_holds_no_training_says_where_it_ends() -> None:
    plan = make_plan(Costs(0.0, 1.0, 500.0, 1500.0, 1.0), 60, epochs=20)
    assert [level.name for level in plan.levels] == ["probe"]
    assert plan.words == ("The budget holds no full training: the sweep ends at the probe.",)


@given(costs=COSTS, left_s=st.floats(100, 10_000))
def test_more_workers_never_hold_fewer_trials(costs: Costs, left_s: float) -> None:
    try:
        counts = [make_plan(costs, left_s, epochs=1, workers=workers, most=200).counts for workers in (1, 2, 4)]
    except InputError:
        assume(False)
    assert len(counts[0]) <= len(counts[2])
