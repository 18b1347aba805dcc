"""One ranking of all: reach, cover after the run and validation, mixed by the measured shift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from eyeshot.coverage.half_samples import interval, standard_error
from eyeshot.coverage.report import Shift
from eyeshot.coverage.words import percent

MAD_TO_SD = 1.4826
UNKNOWN_WEIGHT = 0.5


@dataclass(frozen=True, eq=False)
class Gains:
    """One part for K candidates: gains over clean, 0 being clean itself; larger is better.

    Attributes:
        values: float64 (K,), NaN where it was not measured.
        over_halves: float64 (B, K), the same on half-samples, paired; NaN where it was not measured.
        resolution: the smallest difference that the part can show: that of a single image.
        group: int64 (K,), candidates that were measured alike; each group has a spread of its own.
    """

    values: NDArray[np.float64]
    over_halves: NDArray[np.float64]
    resolution: float
    group: NDArray[np.int64] | None = None

    def take(self, chosen: NDArray[np.bool_]) -> Gains:
        """Some of the candidates."""
        group = None if self.group is None else self.group[chosen]
        return Gains(self.values[chosen], self.over_halves[:, chosen], self.resolution, group)

    def of(self, number: int) -> tuple[float, tuple[float, float]]:
        """The gain of one candidate, with its 95 % interval."""
        value = float(self.values[number])
        return value, interval(value, self.over_halves[:, number])


@dataclass(frozen=True, eq=False)
class Mixed:
    """The parts standardised, and their weighted sum.

    Attributes:
        combined: float64 (K,)
        over_halves: float64 (B, K)
        standardised: by part, float64 (K,)
        spreads: by part, the robust spread (of the group with the largest number: whole networks before heads).
    """

    combined: NDArray[np.float64]
    over_halves: NDArray[np.float64]
    standardised: dict[str, NDArray[np.float64]]
    spreads: dict[str, float]


def robust_spread(values: NDArray[np.float64], errors: NDArray[np.float64], resolution: float) -> float:
    """Median absolute deviation times 1.4826, at least the median standard error and what one image makes.

    Half of the candidates do next to nothing, so the spread is that of the crowd and a clear gain is many spreads.
    A standard deviation grows with the clear gain itself, and ranks throw its size away: both let a crowd of small
    differences in another part outvote it. Where most gains are exactly 0 the noise is the unit.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return resolution
    spread = MAD_TO_SD * float(np.median(np.abs(known - np.median(known))))
    noise = float(np.median(errors[np.isfinite(errors)])) if np.isfinite(errors).any() else 0.0
    return max(spread, noise, resolution)


def mix(parts: Mapping[str, Gains], weights: Mapping[str, float]) -> Mixed:
    """Weighted sum of standardised gains; what was not measured counts as clean.

    Args:
        parts: gains of the same K candidates.
        weights: one for each part.
    """
    standardised: dict[str, NDArray[np.float64]] = {}
    spreads: dict[str, float] = {}
    count = len(next(iter(parts.values())).values)
    combined = np.zeros(count)
    over_halves = np.zeros(next(iter(parts.values())).over_halves.shape)
    for name, part in parts.items():
        errors = np.array([standard_error(part.over_halves[:, number]) for number in range(len(part.values))])
        group = np.zeros(len(part.values), np.int64) if part.group is None else part.group
        units = np.ones(len(part.values))
        for one in np.unique(group):
            units[group == one] = robust_spread(part.values[group == one], errors[group == one], part.resolution)
        spreads[name] = float(units[group.argmax()]) if len(units) else part.resolution
        standardised[name] = np.nan_to_num(part.values / units)
        combined = combined + weights[name] * standardised[name]
        over_halves = over_halves + weights[name] * np.nan_to_num(part.over_halves / units)
    return Mixed(combined, over_halves, standardised, spreads)


def shift_weight(shift: Shift, *, target_is_validation: bool) -> tuple[float, str]:
    """Weight of reach and cover after the run against validation, with the reason."""
    if target_is_validation:
        return 0.0, "The target is the validation images themselves, so validation of the short runs ranks alone."
    if shift.weight is None:
        return UNKNOWN_WEIGHT, (
            "Clean training covers not even held-out training images, so the shift is unknown: cover and validation "
            "count alike."
        )
    return shift.weight, (
        f"Clean training covers {percent(shift.target_coverage)} of the target where it covers "
        f"{percent(shift.held_out_coverage)} of held-out training images: cover counts {percent(shift.weight)}, "
        f"validation {percent(1 - shift.weight)}."
    )


def ranks(values: NDArray[np.float64]) -> list[int | None]:
    """Place of each value, 1 is the largest, equal ones share the better place; None where it is NaN."""
    found = np.full(len(values), 0)
    known = np.isfinite(values)
    found[known] = rankdata(-values[known], method="min")
    return [int(place) or None for place in found]


def order_by(names: Sequence[str], values: NDArray[np.float64]) -> list[str]:
    """Names from the largest value to the least; NaN last."""
    return [names[number] for number in np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")]


def agreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Spearman correlation of two parts; None where one of them does not vary."""
    known = np.isfinite(one) & np.isfinite(other)
    one, other = one[known], other[known]
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(spearmanr(one, other).statistic)
