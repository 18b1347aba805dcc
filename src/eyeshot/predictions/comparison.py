"""Which of several recipes is better on the same images, and whether the difference is more than noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import stats

from eyeshot.core import InputError, paired_difference
from eyeshot.predictions.table import Accuracy

Verdict = Literal["better", "worse", "not distinguishable"]
LEVEL = 0.05
POWER = 0.8


class Difference(BaseModel):
    """Accuracy of a member less that of the reference, on the same images.

    Attributes:
        value: a share.
        low, high: its 95 % interval, of this comparison alone.
        only_here, only_reference: images that only this member, only the reference gets right; null with several seeds.
        p: probability of a difference as large where there is none. Exact McNemar for two runs; Student's t over images
            and seeds where some member has several seeds.
        p_adjusted: p after allowance for all comparisons (Holm).
        verdict: better or worse where `p_adjusted` is below 0.05.
        images_needed: images that would tell the two apart in 4 of 5 cases if the difference is as measured; null where
            no number of images would.
        seeds_needed: the same for seeds of each, with these images; null where no number would, or the seeds' spread is
            not known.
    """

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float
    only_here: int | None = None
    only_reference: int | None = None
    p: float
    p_adjusted: float
    verdict: Verdict
    images_needed: int | None = None
    seeds_needed: int | None = None


class _Pair(NamedTuple):
    """A paired difference: its variance from images (a mean over n) and from seeds, and its p."""

    difference: float
    half_width: float
    image_variance: float
    p: float


def mcnemar_p(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Exact two-sided p of McNemar's test: the images that one of two runs alone gets right, against a fair coin.

    McNemar, Psychometrika 12 (1947), p. 153; the exact form is the binomial sign test.

    Args:
        first, second: bool (n,), which answers are right on the same images.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """p values with allowance for as many comparisons: Holm, Scandinavian Journal of Statistics 6 (1979), p. 65."""
    order = np.argsort(values, kind="stable")
    steps = np.asarray(values, np.float64)[order] * (len(values) - np.arange(len(values)))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return [float(value) for value in adjusted]


def seed_variance(members: Sequence[NDArray[np.bool_]]) -> tuple[float, int]:
    """Variance of accuracy between seeds, pooled over the members that have several, and its degrees of freedom.

    Args:
        members: bool (seeds, n) each, which answers are right.

    Returns:
        0 and 0 where no member has several seeds.
    """
    replicated = [right.mean(1) for right in members if len(right) > 1]
    freedom = sum(len(accuracies) - 1 for accuracies in replicated)
    if not freedom:
        return 0.0, 0
    return float(sum(accuracies.var() * len(accuracies) for accuracies in replicated) / freedom), freedom


def mean_accuracy(right: NDArray[np.bool_], between_seeds: float, freedom: int) -> Accuracy:
    """Accuracy of a member: its seeds' mean, with an interval over images and, where it is known, seeds.

    Args:
        right: bool (seeds, n).
        between_seeds, freedom: as of `seed_variance`.
    """
    seeds, count = right.shape
    if not freedom:
        return Accuracy.of_counts(int(right[0].sum()), count)
    each = right.mean(0)
    value = float(each.mean())
    if count < 2:
        return Accuracy(n=count, value=value, low=0.0, high=1.0)
    half = _half_width(float(each.var(ddof=1)) / count, count - 1, between_seeds / seeds, freedom)
    return Accuracy(n=count, value=value, low=max(0.0, value - half), high=min(1.0, value + half))


def compare_members(
    members: Sequence[NDArray[np.bool_]], *, reference: int | None = None
) -> tuple[int, list[Difference | None]]:
    """Differences of all members from one of them.

    Without seeds a difference is tested over images alone. As soon as a member has several seeds, the spread between
    seeds, taken to be the same for all members, is part of each interval and test.

    Args:
        members: bool (seeds, n) each, which answers are right, on the same n images.
        reference: position of the member that the others are compared with. None: the most accurate. As it is then
            chosen by the same images, the allowance is for all pairs of members.

    Returns:
        the reference, and one difference a member, None for the reference itself.

    Raises:
        InputError: fewer than two images.
    """
    if members[0].shape[1] < 2:
        raise InputError(f"Runs are compared on at least two images with labels, got {members[0].shape[1]}.")
    between_seeds, freedom = seed_variance(members)
    chosen = int(np.argmax([right.mean() for right in members])) if reference is None else reference
    pairs = {}
    for first, second in combinations(range(len(members)), 2):
        if reference is None or chosen in (first, second):
            pairs[first, second] = _pair(members[first], members[second], between_seeds, freedom)
    adjusted = dict(zip(pairs, holm([pair.p for pair in pairs.values()]), strict=True))
    differences: list[Difference | None] = []
    for number, right in enumerate(members):
        if number == chosen:
            differences.append(None)
            continue
        key = (min(number, chosen), max(number, chosen))
        pair, p_adjusted = pairs[key], adjusted[key]
        value = pair.difference if key[0] == number else -pair.difference
        other = members[chosen]
        single = not freedom
        verdict: Verdict = "not distinguishable"
        if p_adjusted < LEVEL:
            verdict = "better" if value > 0 else "worse"
        images, seeds = _needed(pair, right.shape[1], (len(right), len(other)), between_seeds, freedom, len(pairs))
        differences.append(
            Difference(
                value=value,
                low=value - pair.half_width,
                high=value + pair.half_width,
                only_here=int((right[0] & ~other[0]).sum()) if single else None,
                only_reference=int((other[0] & ~right[0]).sum()) if single else None,
                p=pair.p,
                p_adjusted=p_adjusted,
                verdict=verdict,
                images_needed=images if verdict == "not distinguishable" else None,
                seeds_needed=seeds if verdict == "not distinguishable" else None,
            )
        )
    return chosen, differences


def _pair(first: NDArray[np.bool_], second: NDArray[np.bool_], between_seeds: float, freedom: int) -> _Pair:
    count = first.shape[1]
    each = first.mean(0) - second.mean(0)
    from_images = float(each.var(ddof=1)) / count
    if not freedom:
        value, (low, high) = paired_difference(first[0], second[0])
        return _Pair(value, (high - low) / 2, from_images, mcnemar_p(first[0], second[0]))
    from_seeds = between_seeds * (1 / len(first) + 1 / len(second))
    value = float(each.mean())
    half = _half_width(from_images, count - 1, from_seeds, freedom)
    error = math.sqrt(from_images + from_seeds)
    if not error:
        return _Pair(value, half, from_images, float(value == 0))
    p = 2 * stats.t.sf(abs(value) / error, _freedom(from_images, count - 1, from_seeds, freedom))
    return _Pair(value, half, from_images, float(p))


def _freedom(from_images: float, image_freedom: int, from_seeds: float, seed_freedom: int) -> float:
    """Degrees of freedom of a sum of two variances: Satterthwaite, Biometrics Bulletin 2 (1946), p. 110."""
    return (from_images + from_seeds) ** 2 / (from_images**2 / image_freedom + from_seeds**2 / seed_freedom)


def _half_width(from_images: float, image_freedom: int, from_seeds: float, seed_freedom: int) -> float:
    if not from_images + from_seeds:
        return 0.0
    quantile = stats.t.ppf(1 - LEVEL / 2, _freedom(from_images, image_freedom, from_seeds, seed_freedom))
    return float(quantile * math.sqrt(from_images + from_seeds))


def _needed(
    pair: _Pair, count: int, seeds: tuple[int, int], between_seeds: float, freedom: int, comparisons: int
) -> tuple[int | None, int | None]:
    """Images with these seeds, and seeds of each with these images, that find the measured difference at 80 % power.

    The usual normal sample size, z = z(1 - level / 2) + z(power), at the level of the strictest comparison.
    """
    if not pair.difference:
        return None, None
    z = stats.norm.ppf(1 - LEVEL / 2 / comparisons) + stats.norm.ppf(POWER)
    allowed = (pair.difference / z) ** 2
    left_for_images = allowed - between_seeds * (1 / seeds[0] + 1 / seeds[1])
    left_for_seeds = allowed - pair.image_variance
    images = math.ceil(pair.image_variance * count / left_for_images) if left_for_images > 0 else None
    more_seeds = math.ceil(2 * between_seeds / left_for_seeds) if freedom and left_for_seeds > 0 else None
    return images, more_seeds
