"""Who goes on to the next rung: the best third of each group, the random ones, and nobody too early.

A rung is over for a trial as soon as no result still to come can change its fate. So workers that are free begin the
next rung early, and yet the same trials go on whatever the order in which results come: a sweep on eight machines, or
one that was killed and continued, promotes the trials of a sweep on one.

Successive halving: Jamieson and Talwalkar, AISTATS 2016. The factor of three is that of Li et al., "Hyperband", JMLR 18
(2018), section 3.6. Promotion beside what is still running: Li et al., "A system for massively parallel hyperparameter
tuning", MLSys 2020, without its promotions on early results.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from eyeshot.core import spearman, spearman_interval

FACTOR = 3
FAILED = -math.inf
"""The value of a trial that failed: it takes its place in the rung and nobody is behind it."""
RANDOM_SHARE = 0.05
MOST_RANDOM = 4


class Agreement(NamedTuple):
    """How well the values of a rung order trials as the end does: Spearman's correlation over n trials, 95 %."""

    rung: str
    n: int
    correlation: float | None
    low: float
    high: float


def promoted_count(count: int, most: int | None = None) -> int:
    """How many of `count` trials of a group go on: a third, rounded up; `most` where that is given."""
    return min(count, math.ceil(count / FACTOR) if most is None else most)


def promoted(
    groups: Mapping[int, str], values: Mapping[int, tuple[float, ...]], *, most: int | None = None
) -> list[int]:
    """Trials of a rung that go on whatever the results still to come are, the best first.

    Args:
        groups: group of each trial that takes part in the rung, by number.
        values: what each result so far is ranked by, higher is better; of equal ones the lower number is first.
        most: in each group so many go on; None: a third.
    """
    sure: list[int] = []
    for group in dict.fromkeys(groups.values()):
        members = [number for number, own in groups.items() if own == group]
        done = sorted((number for number in members if number in values), key=lambda n: (*_down(values[n]), n))
        pending = len(members) - len(done)
        left = promoted_count(len(members), most) - pending
        sure += [number for number in done[: max(0, left)] if values[number][0] > FAILED]
    return sorted(sure, key=lambda number: (*_down(values[number]), number))


def random_trials(numbers: Sequence[int], *, seed: int, left_out: Collection[int] = ()) -> list[int]:
    """Trials that go through all rungs whatever they come to, so that rungs can be compared with the end.

    They are drawn before there is any result: one of 20, at least one where there are nine trials or more, and at most
    four.
    """
    free = [number for number in sorted(numbers) if number not in left_out]
    if len(numbers) < FACTOR**2 or not free:
        return []
    count = min(MOST_RANDOM, len(free), max(1, round(RANDOM_SHARE * len(numbers))))
    return sorted(np.random.default_rng([seed, 27]).choice(free, count, replace=False).tolist())


def agreements(values: Mapping[str, Mapping[int, float]], last: str) -> list[Agreement]:
    """For each rung before the last: how well it ordered the trials that came to the end.

    Those that were promoted for their values are alike in them, so the correlation is lower than among all trials; the
    random ones are there to widen it.

    Args:
        values: by rung and by number of the trial.
        last: the rung that is the end.
    """
    found = []
    for rung, own in values.items():
        if rung == last:
            continue
        both = [number for number in own if number in values.get(last, {}) and own[number] > FAILED]
        pairs = np.array([(own[number], values[last][number]) for number in both if values[last][number] > FAILED])
        pairs = pairs.reshape(-1, 2)
        correlation = spearman(pairs[:, 0], pairs[:, 1])
        low, high = (-1.0, 1.0) if correlation is None else spearman_interval(correlation, len(pairs))
        found.append(Agreement(rung, len(pairs), correlation, low, high))
    return found


def _down(value: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(-part for part in value)
