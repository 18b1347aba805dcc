"""Values with intervals on one axis, placed in percent of its width, for HTML and SVG alike."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A horizontal axis from `low` to `high` with round ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Position of `value` in percent of the width, kept inside of it."""
        return round(min(100.0, max(0.0, 100 * (value - self.low) / (self.high - self.low))), 3)

    def bar(self, interval: tuple[float, float]) -> tuple[float, float]:
        """Left end and width of an interval in percent."""
        left, right = self.place(interval[0]), self.place(interval[1])
        return left, round(right - left, 3)


def round_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that cuts `span` into at most `most` parts."""
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= rough * (1 - 1e-9))


def make_axis(values: Iterable[float], *, ticks: int = 5, least_span: float = 1e-3) -> Axis:
    """An axis with round ends that holds zero and all finite `values`."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min([0.0, *finite]), max([0.0, *finite])
    if high - low < least_span:
        high = low + least_span
    margin = 0.03 * (high - low)
    low, high = (low - margin if low < 0 else 0.0), (high + margin if high > 0 else 0.0)
    step = round_step(high - low, ticks)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # Room to the left of a zero at the very edge, so that its line and dots are not cut in half.
    return Axis(low=min(low, -margin), high=high, ticks=tuple(round(n * step, 12) for n in range(first, last + 1)))
