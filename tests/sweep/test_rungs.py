"""How a budget is spread over rungs, and who goes on."""

from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from eyeshot.sweep import FEWEST_LEFT, LEAST_STEPS, RESERVE, SEEDS, Costs, budget_for, plan_rungs, promote
from eyeshot.sweep.rungs import SweepPlan, promoted_count, steps_within

groups = st.lists(st.integers(1, 60), min_size=1, max_size=2)
costs = st.builds(Costs, st.floats(1e-3, 3), st.floats(1e-3, 20), st.floats(0, 1))


def seconds_of(plan: SweepPlan, costs: Costs) -> float:
    step_s = costs.step_s + costs.extra_s
    rungs = sum(plan.seeds * (1 + trials) * (steps * step_s + costs.evaluate_s) for trials, steps in plan.rungs)
    return rungs + plan.seeds * plan.start_steps * costs.step_s


@given(groups, st.floats(1, 1e5), costs)
def test_a_plan_fits_into_the_budget_or_has_no_rung(counts: list[int], budget_s: float, costs: Costs) -> None:
    if budget_s < budget_for(counts, costs, steps=1, seeds=1) * 0.999:
        assert plan_rungs(counts, budget_s, costs).rungs == ()
        return
    plan = plan_rungs(counts, budget_s * 1.002, costs)
    # One start of one step may be more than its share where hardly anything fits.
    slack = plan.seeds * costs.step_s
    assert seconds_of(plan, costs) <= budget_s * 1.002 * (1 - RESERVE) + slack
    assert plan.rungs[0][0] == sum(counts)
    assert all(steps >= 1 for _, steps in plan.rungs)


@given(groups, costs)
def test_the_least_budget_is_enough_and_says_the_truth(counts: list[int], costs: Costs) -> None:
    plan = plan_rungs(counts, budget_for(counts, costs, steps=1, seeds=1) * 1.01, costs)
    assert plan.rungs[0][1] >= 1


@given(groups, costs)
def test_the_budget_for_all_buys_eight_steps_from_two_seeds(counts: list[int], costs: Costs) -> None:
    plan = plan_rungs(counts, budget_for(counts, costs) * 1.01, costs)
    assert plan.seeds == SEEDS
    assert plan.rungs[0][1] >= LEAST_STEPS


@given(groups, st.floats(1, 1e5), costs)
def test_later_rungs_have_fewer_trials_and_no_fewer_steps(counts: list[int], budget_s: float, costs: Costs) -> None:
    rungs = plan_rungs(counts, budget_s, costs).rungs
    for before, after in itertools.pairwise(rungs):
        assert after[0] < before[0]
        assert after[1] >= before[1]
    if len(rungs) > 1:
        assert min(steps for _, steps in rungs) >= LEAST_STEPS


def test_more_budget_never_buys_less() -> None:
    costs = Costs(0.1, 0.5)
    bought = []
    for budget_s in (90, 180, 600, 1200, 3600):
        plan = plan_rungs([40, 10], budget_s, costs)
        bought.append(plan.seeds * sum(steps for _, steps in plan.rungs))
    assert bought == sorted(bought)
    assert bought[-1] > 10 * bought[0]


@given(st.integers(0, 200))
def test_the_better_half_goes_on_but_four_stay(count: int) -> None:
    names = [str(number) for number in range(count)]
    left = promote(names)
    assert left == names[: len(left)]
    assert len(left) == (count if count <= FEWEST_LEFT else max(FEWEST_LEFT, math.ceil(count / 2)))
    assert len(left) == promoted_count(count)


def test_steps_within_a_share_pay_for_evaluation() -> None:
    # 10 trials and the reference from 2 seeds: 22 runs of 4 s; an evaluation takes 1 s, a step with all it needs 0.3 s.
    assert steps_within(88.1, 10, 2, Costs(0.2, 1.0, 0.1)) == 10


def test_no_steps_where_not_even_the_evaluation_fits() -> None:
    assert steps_within(1.0, 10, 1, Costs(0.1, 5.0)) < 1
