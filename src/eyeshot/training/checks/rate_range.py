"""Learning-rate range test: the loss over a few steps whose learning rate rises exponentially."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import SILENT, InputError, ModelError, Progress
from eyeshot.training.loop import TrainingRun

LOWEST, HIGHEST = 1e-6, 0.1
"""AdamW fine-tunes well between 1e-5 and 1e-3, SGD between 1e-3 and 0.1; a decade of room below."""
STEPS = 48
FEWEST_STEPS = 12
MEMORY = 0.8
"""Weight of the past in the smoothed loss: about the last five batches. fastai's 0.98 is for hundreds of steps."""
NOISE = 5.0
"""A change of the smoothed loss counts from so many of its standard errors: it is taken from the smallest value so far,
which lies below the mean already."""
LEAST_CHANGE = 0.05
"""And from this share of log C, the loss of guessing: near a loss of zero the noise alone is too small a measure."""
AT_ONCE = 4
"""Steps: a loss that is up before them was never tested at a rate that works."""
BELOW_DIVERGENCE = 10.0
"""The chosen rate is the divergence point divided by this, as fastai divides the rate of the smallest loss (Howard and
Gugger 2020, "fastai: A Layered API for Deep Learning", `Learner.lr_find`). The smallest loss itself cannot be used: a
head that was fitted first starts at the smallest loss, so the curve is flat until it rises."""


class RangeTest(NamedTuple):
    """The curve of a range test, and the learning rate chosen from it.

    Attributes:
        rates: float64 (n,), rising; shorter than planned where the loss diverged.
        losses: float64 (n,), mean loss of each batch before the step at that rate.
        smoothed: float64 (n,), the moving average that the choice is made from.
        divergence: the rate from which on the loss is clearly above its start; None: it never was.
        rate: the chosen peak of a schedule; None if the curve does not tell.
        reason: why, in a sentence.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    divergence: float | None
    rate: float | None
    reason: str


def range_test(
    run: TrainingRun,
    *,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    steps: int = STEPS,
    progress: Progress | None = None,
) -> RangeTest:
    """Train a few steps at exponentially rising learning rates, and put the run back into its state.

    Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3. The batches are those that the
    run would train on next, so the same run gives the same curve.

    Args:
        run: any run, begun or not; afterwards it continues as if nothing had happened.
        lowest, highest: first and last learning rate.
        steps: planned steps; the test ends earlier where the loss diverges.
        progress: called with the steps done, of `steps`.

    Raises:
        InputError: too few steps, or rates that do not rise.
    """
    if steps < FEWEST_STEPS:
        raise InputError(f"A range test needs at least {FEWEST_STEPS} steps, got {steps}.")
    if not 0 < lowest < highest:
        raise InputError(f"The rates of a range test must rise from above 0, got {lowest:g} to {highest:g}.")
    progress = progress or SILENT
    rates = np.geomspace(lowest, highest, steps)
    class_count = run.model.head.out_features
    state, first, losses = run.state_dict(), run.step, []
    try:
        for number in range(steps):
            try:
                loss = run.advance(first + number + 1, schedule=lambda step: float(rates[step - first])).loss
            except ModelError:  # loss or weights are not finite
                losses.append(math.inf)
                break
            losses.append(loss)
            progress(number + 1, steps, f"range test, loss {loss:.2f}")
            if loss > losses[0] + 3 * math.log(max(2, class_count)):
                break
    finally:
        run.load_state_dict(state)
    return choose_rate(rates[: len(losses)], np.array(losses), class_count=class_count)


def choose_rate(rates: NDArray[np.float64], losses: NDArray[np.float64], *, class_count: int) -> RangeTest:
    """The learning rate that the curve of a range test speaks for.

    A tenth of the rate from which on the smoothed loss stays clearly above its smallest value so far. Where it never
    does: the rate at which it fell most steeply. Where it did neither: none.

    Args:
        rates: float64 (n,), rising exponentially.
        losses: float64 (n,); infinite or NaN where the loss was not finite.
        class_count: C.
    """
    guessing = math.log(max(2, class_count))
    # One exploded batch must not decide the average of the next five.
    capped = np.minimum(np.where(np.isfinite(losses), losses, np.inf), losses[0] + 3 * guessing)
    if not math.isfinite(losses[0]):
        return RangeTest(
            rates, losses, losses, float(rates[0]), None, f"The first loss is {losses[0]}: nothing trains."
        )
    smoothed = _smoothed(capped)
    lowest_so_far = np.minimum.accumulate(smoothed)
    change = max(NOISE * _noise(capped), LEAST_CHANGE * guessing)
    rises_at = int(np.flatnonzero(smoothed <= lowest_so_far + change)[-1]) + 1
    # A true divergence goes on rising; a small rise at the end is noise.
    if rises_at < len(rates) and smoothed[-1] < lowest_so_far[-1] + 2 * change:
        rises_at = len(rates)
    if rises_at < min(AT_ONCE, len(rates)):
        words = f"The loss rises from the lowest rate tested ({rates[0]:.1e}) on: no rate was found that trains."
        return RangeTest(rates, losses, smoothed, float(rates[rises_at]), None, words)
    if rises_at < len(rates):
        divergence = float(rates[rises_at])
        words = f"The loss rises for good from {divergence:.1e} on; the rate is that divided by {BELOW_DIVERGENCE:g}."
        return RangeTest(rates, losses, smoothed, divergence, divergence / BELOW_DIVERGENCE, words)
    quarter = max(AT_ONCE, len(rates) // 4)
    if capped[:quarter].mean() - capped[-quarter:].mean() > change:
        steepest = float(rates[int(np.argmin(np.gradient(smoothed[AT_ONCE:]))) + AT_ONCE])
        words = f"The loss falls up to the highest rate tested ({rates[-1]:.1e}), and most steeply at {steepest:.1e}."
        return RangeTest(rates, losses, smoothed, None, steepest, words)
    words = f"The loss neither falls nor rises by more than its noise up to {rates[-1]:.1e}: the test chooses no rate."
    return RangeTest(rates, losses, smoothed, None, None, words)


def _smoothed(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exponential moving average, corrected for its start at zero (Kingma and Ba 2015, section 3)."""
    smoothed, average = np.empty_like(losses), 0.0
    for number, loss in enumerate(losses):
        average = MEMORY * average + (1 - MEMORY) * float(loss)
        smoothed[number] = average / (1 - MEMORY ** (number + 1))
    return smoothed


def _noise(losses: NDArray[np.float64]) -> float:
    """Standard error of the smoothed loss, from the differences of neighbours, of which the few of a divergence do
    not move the median. An exponential average has (1 - m) / (1 + m) of the variance of its values."""
    steps = np.abs(np.diff(losses))
    spread = 1.4826 * float(np.median(steps)) / math.sqrt(2) if len(steps) else 0.0
    return spread * math.sqrt((1 - MEMORY) / (1 + MEMORY))
