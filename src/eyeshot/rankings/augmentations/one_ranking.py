"""One ranking of all: reach, cover after the run and validation, mixed by the measured shift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from eyeshot.core import half_sample_error, half_sample_interval, percent, spearman
from eyeshot.rankings.augmentations.report import Shift
from eyeshot.rankings.augmentations.shift import LEAST_REACHED

MAD_TO_SD = 1.4826
UNKNOWN_WEIGHT = 0.5


@dataclass(frozen=True, eq=False)
class Gains:
    """One part for K candidates: gains over clean, 0 being clean itself; larger is better.

    Attributes:
        values: float64 (K,), NaN where it was not measured.
        over_halves: float64 (B, K), the same on half-samples, paired; NaN where it was not measured.
        resolution: the smallest difference that the part can show: that of a single image.
        is_share: whether it is a share of images, to be compared with other shares as it is.
    """

    values: NDArray[np.float64]
    over_halves: NDArray[np.float64]
    resolution: float
    is_share: bool = True

    def take(self, chosen: NDArray[np.bool_]) -> Gains:
        """Some of the candidates."""
        return Gains(self.values[chosen], self.over_halves[:, chosen], self.resolution, self.is_share)

    def of(self, number: int) -> tuple[float, tuple[float, float]]:
        """The gain of one candidate, with its 95 % interval."""
        value = float(self.values[number])
        return value, half_sample_interval(value, self.over_halves[:, number])


@dataclass(frozen=True, eq=False)
class Mixed:
    """The parts standardised, and the weighted sum of their terms.

    Attributes:
        combined: float64 (K,)
        over_halves: float64 (B, K)
        standardised: by part, float64 (K,)
        terms: float64 (K,) each, without their weights, in the order in which they were given.
        spreads: by part, the unit of its standardised gains.
    """

    combined: NDArray[np.float64]
    over_halves: NDArray[np.float64]
    standardised: dict[str, NDArray[np.float64]]
    terms: list[NDArray[np.float64]]
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


def units(parts: Mapping[str, Gains]) -> dict[str, float]:
    """What 1 of each part's standardised gains is: its robust spread, and for shares the widest spread of them all.

    A part in which all candidates are nearly alike, such as validation where nearly all is right, would else be blown
    up until its noise outvotes a gain of twenty points in another.
    """
    found = {}
    for name, part in parts.items():
        errors = np.array([half_sample_error(part.over_halves[:, number]) for number in range(len(part.values))])
        found[name] = robust_spread(part.values, errors, part.resolution)
    widest = max((found[name] for name, part in parts.items() if part.is_share), default=0.0)
    return {name: widest if part.is_share else found[name] for name, part in parts.items()}


def mix(parts: Mapping[str, Gains], terms: Sequence[tuple[float, Sequence[str]]]) -> Mixed:
    """Weighted sum of terms, each the largest of the standardised gains of its parts.

    Args:
        parts: gains of the same K candidates.
        terms: weight and names of parts. Of parts that were not measured the others count; without any, it is clean's.
    """
    spreads = units(parts)
    in_units = {name: (part.values / spreads[name], part.over_halves / spreads[name]) for name, part in parts.items()}
    count, halves = next(iter(parts.values())).over_halves.shape[::-1]
    everyone = np.arange(count)
    combined, over_halves, found = np.zeros(count), np.zeros((halves, count)), []
    for weight, names in terms:
        values = np.stack([in_units[name][0] for name in names])
        # Which part speaks for a candidate is settled on all images, so that its interval is that of this part.
        chosen = np.nan_to_num(values, nan=-np.inf).argmax(axis=0)
        over = np.stack([in_units[name][1] for name in names])
        found.append(np.nan_to_num(values[chosen, everyone]))
        combined = combined + weight * found[-1]
        over_halves = over_halves + weight * np.nan_to_num(over[chosen, :, everyone].T)
    standardised = {name: np.nan_to_num(values) for name, (values, _) in in_units.items()}
    return Mixed(combined, over_halves, standardised, found, spreads)


def shift_weight(shift: Shift, *, target_is_validation: bool) -> tuple[float, str]:
    """Weight of reach and cover after the run against validation, with the reason."""
    if target_is_validation:
        return 0.0, "The target is the validation images themselves, so validation of the short runs ranks alone."
    if shift.weight is None:
        return UNKNOWN_WEIGHT, (
            "Clean training covers not even held-out training images, so the shift is unknown: cover and validation "
            "count alike."
        )
    counts = f"cover counts {percent(shift.weight)}, validation {percent(1 - shift.weight)}."
    if shift.held_out_reached is None or shift.held_out_reached < LEAST_REACHED:
        return shift.weight, (
            f"Clean training covers {percent(shift.target_coverage)} of the target where it covers "
            f"{percent(shift.held_out_coverage)} of held-out training images, whose neighbours hardly ever agree on a "
            f"class: {counts}"
        )
    return shift.weight, (
        f"Clean training reaches {percent(shift.target_reached)} of the target, with neighbours that agree on a class, "
        f"where it reaches {percent(shift.held_out_reached)} of held-out training images: {counts}"
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
    return None if len(one) < 3 else spearman(one, other)
