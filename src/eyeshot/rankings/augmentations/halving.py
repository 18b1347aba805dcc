"""How a budget of seconds is spread over short runs: rounds of equal time, the better half goes on.

Successive halving: Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", AISTATS 2016, algorithm 1. Here a candidate that goes on is trained further, not again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from eyeshot.core import InputError

RESERVE = 0.04
"""Share of the budget that no step may begin in: for the last reading and for the ranking."""
FEWEST_LEFT = 4
LEAST_STEPS = 8
"""Steps of a round below which there are fewer rounds, then fewer starts: a learning rate must rise and fall."""
STARTS = 2
MOST_STEPS = 2000


@dataclass(frozen=True)
class Costs:
    """Seconds on this machine.

    Attributes:
        step_s: of one step of training on clean images.
        read_s: of reading one trained candidate: validation, target and training images through the model.
        views_s: of the augmented views for one step, mean over candidates.
    """

    step_s: float
    read_s: float
    views_s: float = 0.0


@dataclass(frozen=True)
class RoundPlan:
    """One round: how many candidates enter, and how many steps each of them does from each start."""

    candidates: int
    steps: int


@dataclass(frozen=True)
class HalvingPlan:
    """All rounds.

    Attributes:
        starts: states and orders of images that every candidate is trained from.
        start_steps: steps on clean images that make a start.
        rounds: candidates and steps, clean not counted.
    """

    starts: int
    start_steps: int
    rounds: tuple[RoundPlan, ...]


def plan_halving(lists: Sequence[int], budget_s: float, costs: Costs) -> HalvingPlan:
    """Spread the budget over rounds of equal time.

    As many rounds as it takes to come down to four candidates of each list, but no round of fewer than 8 steps:
    then there are fewer rounds, then one start in the place of two, then fewer steps.

    Args:
        lists: how many candidates there are in each list that is halved on its own (ranked, harder).
        budget_s: seconds for all.
        costs: on this machine.

    Raises:
        InputError: not one step of every candidate fits; the least budget is told.
    """
    entering = _entering(lists)
    usable = budget_s * (1 - RESERVE)
    for starts, least in ((STARTS, LEAST_STEPS), (1, LEAST_STEPS), (1, 1)):
        for count in range(len(entering) if least > 1 else 1, 0, -1):
            # The starts count as one more round.
            share = usable / (count + 1)
            steps = [steps_within(share, candidates, starts, costs) for candidates in entering[:count]]
            if min(steps) >= least:
                rounds = tuple(map(RoundPlan, entering[:count], steps))
                begun = int(share / (starts * costs.step_s))
                return HalvingPlan(starts, min(max(begun, 1), 4 * steps[0]), rounds)
    raise too_small(budget_s, lists, costs)


def too_small(budget_s: float, lists: Sequence[int], costs: Costs) -> InputError:
    """The error for a budget that holds not one step of every candidate."""
    least = least_budget(lists, costs)
    return InputError(
        f"--budget must be enough for one step of each of {sum(lists)} candidates and of clean: about "
        f"{math.ceil(least)} s here, got {budget_s:g} s. Give --budget {math.ceil(10 * least / 60)}m, fewer "
        "--candidates, or --budget 0 for no short runs."
    )


def least_budget(lists: Sequence[int], costs: Costs) -> float:
    """Seconds that one round of one step from one start takes, and its start."""
    return 2 * (1 + sum(lists)) * (costs.step_s + costs.views_s + costs.read_s) / (1 - RESERVE)


def survivors(order: Sequence[str]) -> list[str]:
    """The better half, rounded up, of candidates in order from first to last; four and fewer all go on."""
    if len(order) <= FEWEST_LEFT:
        return list(order)
    return list(order[: max(FEWEST_LEFT, math.ceil(len(order) / 2))])


def _entering(lists: Sequence[int]) -> list[int]:
    """Candidates in each round, until halving changes nothing more."""
    left = list(lists)
    found = [sum(left)]
    while True:
        left = [len(survivors([""] * count)) for count in left]
        if sum(left) == found[-1]:
            return found
        found.append(sum(left))


def steps_within(share_s: float, candidates: int, starts: int, costs: Costs) -> int:
    """Steps of each of so many candidates, and of clean, from each start that fit into a share of the budget."""
    each = share_s / ((candidates + 1) * starts)
    return min(MOST_STEPS, int((each - costs.read_s) / (costs.step_s + costs.views_s)))
