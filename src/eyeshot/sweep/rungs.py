"""How a budget of seconds is spread over rungs of equal time, from each of which the better half goes on.

Successive halving: Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", AISTATS 2016, algorithm 1. Here a trial that goes on is trained further, not again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from eyeshot.sweep.budget import RESERVE, Costs

FEWEST_LEFT = 4
LEAST_STEPS = 8
"""Steps of a rung below which there are fewer rungs, then fewer seeds: a learning rate must rise and fall."""
SEEDS = 2
MOST_STEPS = 2000


@dataclass(frozen=True)
class SweepPlan:
    """All rungs.

    Attributes:
        seeds: starting states and orders of images that every trial is trained from.
        start_steps: steps of the reference trial that all trials begin from.
        rungs: (trials, steps from each seed) of each rung, the reference trial not counted; empty where the budget
            holds not one step of every trial.
    """

    seeds: int
    start_steps: int
    rungs: tuple[tuple[int, int], ...]


def plan_rungs(groups: Sequence[int], budget_s: float, costs: Costs) -> SweepPlan:
    """Spread the budget over rungs of equal time.

    As many rungs as it takes to come down to four trials of each group, but no rung of fewer than 8 steps: then
    there are fewer rungs, then one seed in the place of two, then fewer steps, then no rung at all.

    Args:
        groups: how many trials there are in each group that is halved on its own.
        budget_s: seconds for all.
        costs: on this machine.
    """
    entering = _entering(groups)
    usable = budget_s * (1 - RESERVE)
    for seeds, least in ((SEEDS, LEAST_STEPS), (1, LEAST_STEPS), (1, 1)):
        for count in range(len(entering) if least > 1 else 1, 0, -1):
            # The starts count as one more rung.
            share = usable / (count + 1)
            steps = [steps_within(share, trials, seeds, costs) for trials in entering[:count]]
            if min(steps) >= least:
                start_steps = int(share / (seeds * costs.step_s))
                rungs = tuple(zip(entering[:count], steps, strict=True))
                return SweepPlan(seeds, min(max(start_steps, 1), 4 * steps[0]), rungs)
    return SweepPlan(1, 0, ())


def budget_for(groups: Sequence[int], costs: Costs, *, steps: int = LEAST_STEPS, seeds: int = SEEDS) -> float:
    """Seconds that one rung of so many steps from so many seeds takes, and its start."""
    each = steps * (costs.step_s + costs.extra_s) + costs.evaluate_s
    return 2 * (1 + sum(groups)) * seeds * each / (1 - RESERVE)


def promote(order: Sequence[str]) -> list[str]:
    """The better half, rounded up, of trials in order from first to last; four and fewer all go on."""
    if len(order) <= FEWEST_LEFT:
        return list(order)
    return list(order[: max(FEWEST_LEFT, math.ceil(len(order) / 2))])


def promoted_count(count: int) -> int:
    """How many of `count` trials `promote` leaves."""
    return count if count <= FEWEST_LEFT else max(FEWEST_LEFT, math.ceil(count / 2))


def steps_within(share_s: float, trials: int, seeds: int, costs: Costs) -> int:
    """Steps of each of so many trials, and of the reference, from each seed that fit into a share of the budget."""
    each = share_s / ((trials + 1) * seeds)
    return min(MOST_STEPS, int((each - costs.evaluate_s) / (costs.step_s + costs.extra_s)))


def _entering(groups: Sequence[int]) -> list[int]:
    """Trials in each rung, until halving changes nothing more."""
    left = list(groups)
    entering = [sum(left)]
    while True:
        left = [promoted_count(count) for count in left]
        if sum(left) == entering[-1]:
            return entering
        entering.append(sum(left))
