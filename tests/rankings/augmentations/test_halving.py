from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyeshot.core.errors import InputError
from eyeshot.rankings.augmentations.halving import (
    FEWEST_LEFT,
    LEAST_STEPS,
    RESERVE,
    Costs,
    least_budget,
    plan_halving,
    steps_within,
    survivors,
)

lists = st.lists(st.integers(1, 60), min_size=1, max_size=2)
costs = st.builds(Costs, st.floats(1e-3, 3), st.floats(1e-3, 20), st.floats(0, 1))


def seconds_of(plan, one: Costs) -> float:
    step_s = one.step_s + one.views_s
    rounds = sum(plan.starts * (1 + each.candidates) * (each.steps * step_s + one.read_s) for each in plan.rounds)
    return rounds + plan.starts * plan.start_steps * one.step_s


@given(lists, st.floats(1, 1e5), costs)
def test_a_plan_fits_into_the_budget_or_the_least_budget_is_told(counts, budget_s, one):
    if budget_s < least_budget(counts, one) * 0.999:
        with pytest.raises(InputError, match=f"about {math.ceil(least_budget(counts, one))} s here, got"):
            plan_halving(counts, budget_s, one)
        return
    plan = plan_halving(counts, budget_s * 1.002, one)
    # One start of one step may be more than its share where hardly anything fits.
    slack = plan.starts * one.step_s
    assert seconds_of(plan, one) <= budget_s * 1.002 * (1 - RESERVE) + slack
    assert plan.rounds[0].candidates == sum(counts)
    assert all(each.steps >= 1 for each in plan.rounds)


@given(lists, costs)
def test_the_least_budget_is_enough_and_says_the_truth(counts, one):
    plan = plan_halving(counts, least_budget(counts, one) * 1.01, one)
    assert plan.rounds[0].steps >= 1


@given(lists, st.floats(1, 1e5), costs)
def test_later_rounds_have_fewer_candidates_and_no_fewer_steps(counts, budget_s, one):
    try:
        rounds = plan_halving(counts, budget_s, one).rounds
    except InputError:
        return
    for before, after in itertools.pairwise(rounds):
        assert after.candidates < before.candidates
        assert after.steps >= before.steps
    if len(rounds) > 1:
        assert min(each.steps for each in rounds) >= LEAST_STEPS


def test_more_budget_never_buys_less():
    one = Costs(0.1, 0.5)
    bought = []
    for budget_s in (90, 180, 600, 1200, 3600):
        plan = plan_halving([40, 10], budget_s, one)
        bought.append(plan.starts * sum(each.steps for each in plan.rounds))
    assert bought == sorted(bought)
    assert bought[-1] > 10 * bought[0]


@given(st.integers(0, 200))
def test_the_better_half_goes_on_but_four_stay(count):
    names = [str(number) for number in range(count)]
    left = survivors(names)
    assert left == names[: len(left)]
    assert len(left) == (count if count <= FEWEST_LEFT else max(FEWEST_LEFT, math.ceil(count / 2)))


def test_steps_within_a_share_pay_for_reading():
    # 10 candidates and clean from 2 starts: 22 runs of 4 s; a reading takes 1 s, a step with its views 0.3 s.
    assert steps_within(88.1, 10, 2, Costs(0.2, 1.0, 0.1)) == 10


def test_no_steps_where_not_even_the_reading_fits():
    assert steps_within(1.0, 10, 1, Costs(0.1, 5.0)) < 1


def test_too_small_a_budget_names_the_rule_the_value_and_the_way_out():
    with pytest.raises(InputError, match=r"--budget must be enough for one step of each of 40 candidates") as caught:
        plan_halving([30, 10], 5, Costs(0.5, 1.0))
    assert "got 5 s" in str(caught.value)
    assert "--budget 0" in str(caught.value)
