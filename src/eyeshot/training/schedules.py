"""Learning rate schedules: functions of the step alone."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]
"""Learning rate of a step; steps count from 0 over the whole run."""


def warm_up_cosine(peak: float, steps: int, *, warm_up_share: float, first: int = 0) -> Schedule:
    """Linear warm-up to the peak, then half a cosine down to nearly zero (Loshchilov and Hutter 2017).

    Args:
        peak: the highest learning rate.
        steps: how many steps the whole curve takes; after them the learning rate is 0.
        warm_up_share: share of `steps` until the peak.
        first: number of the step at which the curve begins, where the run did others before.
    """
    rising = warm_up_share * steps

    def learning_rate(step: int) -> float:
        place = min(step - first, steps)
        if place < rising:
            return peak * (place + 1) / (math.floor(rising) + 1)
        return peak * 0.5 * (1 + math.cos(math.pi * (place - rising) / (steps - rising)))

    return learning_rate
