"""Learning rate schedules: functions of the step, and of the losses so far where the schedule waits for a plateau."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from eyeshot.training.config import TrainConfig

Schedule = Callable[[int], float]
"""Learning rate of a step; steps count from 0 over the whole run."""

ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1 / 25e4
"""Of the peak, as in torch.optim.lr_scheduler.OneCycleLR."""
STEP_FACTOR, STEP_ENDS = 0.1, (1 / 3, 2 / 3)
DECAY_SHARE = 0.2
PLATEAU_FACTOR, PLATEAU_PATIENCE, PLATEAU_GAIN = 0.1, 5, 1e-4
"""A tenth after more than 5 epochs whose loss is not below 0.9999 of the best one."""


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


def make_schedule(
    config: TrainConfig, total_steps: int, *, first: int = 0, epoch_losses: Sequence[float] = ()
) -> Schedule:
    """The schedule that a run's settings name.

    Args:
        config: schedule, learning rate (its peak) and share of warm-up.
        total_steps: how many steps the whole curve takes.
        first: number of the step at which it begins, where the run did others before.
        epoch_losses: mean training losses of the finished epochs, read at every step: give `TrainingRun.epoch_losses`
            itself, which grows. Only "plateau" looks at them.
    """
    peak, share = config.learning_rate, config.warm_up_share
    if config.schedule == "cosine":
        return warm_up_cosine(peak, total_steps, warm_up_share=share, first=first)
    if config.schedule == "one-cycle":
        return _one_cycle(peak, total_steps, share, first)
    rising = share * total_steps

    def learning_rate(step: int) -> float:
        place = min(step - first, total_steps)
        if place < rising:
            return peak * (place + 1) / (math.floor(rising) + 1)
        if config.schedule == "plateau":
            return peak * plateau_factor(epoch_losses)
        return peak * _share_of_peak(config.schedule, place / total_steps)

    return learning_rate


def _share_of_peak(schedule: str, done: float) -> float:
    """After the warm-up, when a share `done` of all steps is done."""
    if schedule == "step":
        return float(STEP_FACTOR ** sum(done >= end for end in STEP_ENDS))
    if schedule == "wsd":
        falling = (done - (1 - DECAY_SHARE)) / DECAY_SHARE
        return 1 - math.sqrt(min(falling, 1.0)) if falling > 0 else 1.0
    return 1.0


def _one_cycle(peak: float, steps: int, share: float, first: int) -> Schedule:
    """Half a cosine up and another down (Smith and Topin 2018); torch's OneCycleLR with `pct_start` = `share`."""
    top, last = max(share * steps - 1, 0.0), max(steps - 1, 1)

    def learning_rate(step: int) -> float:
        place = min(step - first, last)
        if place < top:
            low, done = ONE_CYCLE_START, place / top
            return peak * (low + (1 - low) * 0.5 * (1 - math.cos(math.pi * done)))
        low, done = ONE_CYCLE_END, (place - top) / max(last - top, 1e-9)
        return peak * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))

    return learning_rate


def plateau_factor(losses: Sequence[float]) -> float:
    """Share of the peak after epochs with these losses, as torch's ReduceLROnPlateau counts."""
    factor, best, waited = 1.0, math.inf, 0
    for loss in losses:
        if loss < best * (1 - PLATEAU_GAIN):
            best, waited = loss, 0
        else:
            waited += 1
        if waited > PLATEAU_PATIENCE:
            factor, waited = factor * PLATEAU_FACTOR, 0
    return factor
