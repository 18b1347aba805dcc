"""Which of several recipes is better on the same images, and whether the difference is more than noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import stats

from eyeshot.core import InputError
from eyeshot.predictions.table import Accuracy

Verdict = Literal["better", "worse", "not distinguishable"]
LEVEL = 0.05
POWER = 0.8
GUESS = 2.5
GUESS_FREEDOM = 8
"""The guess about the variance between seeds, in units of luck, and what it is worth in degrees of freedom.

Real trainings scatter more: fitted as in Smyth (see `paired_gain`), the 375 recipes of
`benchmarks/augmentation_truth/tables` on images like those of training give 3 degrees of freedom around 0.36 of the
binomial variance, near that of luck (`python -m benchmarks.verdict_rates`). So few would demand so much of the small p
that many comparisons allow that gains of 10 points would be missed; 8 around 2.5 have about the same upper tenth, which
is where false verdicts come from.
"""
MOST_IMAGES, MOST_SEEDS = 10_000_000, 1000


class Difference(BaseModel):
    """Accuracy of a member less that of the reference, on the same images.

    Attributes:
        value: a share.
        low, high: its 95 % interval, of this comparison alone.
        only_here, only_reference: images that only this member, only the reference gets right; null with several seeds.
        p: probability of a difference as large where there is none, over other images and other seeds (`paired_gain`).
        p_adjusted: p after allowance for all comparisons (Holm).
        verdict: better or worse where `p_adjusted` is below 0.05.
        images_needed: images that would tell the two apart in 4 of 5 cases if the difference is as measured; null where
            no number of images would.
        seeds_needed: the same for seeds of each, with these images; null where no number would.
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


def mean_accuracy(right: NDArray[np.bool_], between_seeds: float, freedom: float) -> Accuracy:
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


def luck_variance(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Variance of one accuracy by luck on single images, from the images on which runs of both disagree.

    A real difference adds to it, so that it is rather too large.

    Args:
        first, second: bool (seeds, n) each.
    """
    one, other = first.mean(0), second.mean(0)
    share = float((one * (1 - other) + other * (1 - one)).mean())
    return share / 2 / int(first.shape[1])


def gain_of(difference: float, p: float, allowed: float = LEVEL) -> Verdict:
    """Better or worse where p is at most the allowed one."""
    if p > allowed or difference == 0:
        return "not distinguishable"
    return "better" if difference > 0 else "worse"


def paired_gain(
    child: NDArray[np.bool_], parent: NDArray[np.bool_], *, noise: tuple[float, float] | None = None
) -> Difference:
    """Accuracy of the child less that of the parent on the same images, with interval and p over images and seeds.

    The one rule of the ledger, `compare` and the rankings. Two runs of one recipe differ by luck, image by image, and
    because a seed may be better or worse on all images. The luck is part of the variance over images. Its variance in
    one accuracy is known from the images on which child and parent disagree, for two runs of one recipe half of their
    share over n. The rest of the variance between seeds is added.

    That variance is pooled from what was measured and a guess, as variances of few replicates are (Smyth, Statistical
    Applications in Genetics and Molecular Biology 3 (2004), article 3, section 4): 2.5 times the variance of luck,
    worth 8 degrees of freedom. The guess may add to what was measured but never take from it: a seed's shift does not
    fall with the number of images as luck does, so that the guess can be far too small. Degrees of freedom are those
    of sums of variances (Satterthwaite, Biometrics Bulletin 2 (1946), p. 110), of guess and measurement and of images
    and seeds: where the measurement is far above the guess, they are the measurement's.
    For one seed of each, p is at least that of McNemar's exact test: t is too sure of itself where few images differ.

    Args:
        child, parent: bool (seeds, n) each.
        noise: variance of accuracy between seeds of one recipe on as many images, measured, and its degrees of
            freedom; None: not measured.

    Raises:
        InputError: fewer than two images.
    """
    count = child.shape[1]
    if count < 2:
        raise InputError(f"Runs are compared on at least two images with labels, got {count}.")
    each = child.mean(0) - parent.mean(0)
    value, from_images = float(each.mean()), float(each.var(ddof=1)) / count
    weight = 1 / len(child) + 1 / len(parent)
    variance, freedom = difference_variance(from_images, luck_variance(child, parent), weight, count, noise)
    p, half = float(value == 0), 0.0
    if variance:
        p = float(2 * stats.t.sf(abs(value) / math.sqrt(variance), freedom))
        half = float(stats.t.ppf(1 - LEVEL / 2, freedom) * math.sqrt(variance))
    single = len(child) == len(parent) == 1
    if single:
        p = max(p, mcnemar_p(child[0], parent[0]))
    return Difference(
        value=value, low=value - half, high=value + half,
        only_here=int((child[0] & ~parent[0]).sum()) if single else None,
        only_reference=int((parent[0] & ~child[0]).sum()) if single else None,
        p=p, p_adjusted=p, verdict=gain_of(value, p),
    )  # fmt: skip


def compare_members(
    members: Sequence[NDArray[np.bool_]],
    *,
    reference: int | None = None,
    noise: Callable[[int, int], tuple[float, float]] | None = None,
) -> tuple[int, list[Difference | None]]:
    """Differences of all members from one of them, each by the rule of `paired_gain`.

    Args:
        members: bool (seeds, n) each, which answers are right, on the same n images.
        reference: position of the member that the others are compared with. None: the most accurate. As it is then
            chosen by the same images, the allowance is for all pairs of members.
        noise: variance between seeds and its degrees of freedom for two members, by their positions; None: that of the
            members themselves, taken to be the same for all.

    Returns:
        the reference, and one difference a member, None for the reference itself.

    Raises:
        InputError: fewer than two images.
    """
    own = seed_variance(members)
    chosen = int(np.argmax([right.mean() for right in members])) if reference is None else reference
    pairs = {}
    for pair in combinations(range(len(members)), 2):
        if reference is None or chosen in pair:
            # The reference comes second.
            first, second = pair if pair[1] == chosen else pair[::-1] if pair[0] == chosen else pair
            of_pair = own if noise is None else noise(first, second)
            pairs[first, second] = paired_gain(members[first], members[second], noise=of_pair), of_pair
    adjusted = dict(zip(pairs, holm([difference.p for difference, _ in pairs.values()]), strict=True))
    differences: list[Difference | None] = []
    for number, right in enumerate(members):
        if number == chosen:
            differences.append(None)
            continue
        difference, of_pair = pairs[number, chosen]
        p = adjusted[number, chosen]
        verdict = gain_of(difference.value, p)
        images = seeds = None
        if verdict == "not distinguishable":
            images, seeds = _needed(difference.value, right, members[chosen], of_pair, len(pairs))
        differences.append(
            difference.model_copy(
                update={"p_adjusted": p, "verdict": verdict, "images_needed": images, "seeds_needed": seeds}
            )
        )
    return chosen, differences


def difference_variance(
    from_images: float, luck: float, weight: float, count: int, noise: tuple[float, float] | None
) -> tuple[float, float]:
    """Variance of a paired difference and its degrees of freedom, as `paired_gain` says.

    Args:
        from_images: variance of the mean over images.
        luck: of `luck_variance`.
        weight: of one seed's variance: 1 / seeds of one side + 1 / seeds of the other.
        count: images.
        noise: measured.
    """
    measured, freedom = noise or (0.0, 0.0)
    total = GUESS_FREEDOM + freedom
    guessed, told = GUESS_FREEDOM * GUESS * luck / total, freedom * measured / total
    between = max(guessed + told, measured if freedom else 0.0)
    variance = from_images + weight * max(0.0, between - luck)
    if not variance or not guessed + told:
        return variance, float(count - 1)
    unsure = guessed**2 / GUESS_FREEDOM + (told**2 / freedom if freedom else 0.0)  # of their sum
    of_seeds = (weight * between) ** 2 * unsure / (guessed + told) ** 2
    return variance, variance**2 / (from_images**2 / (count - 1) + of_seeds)


def _half_width(from_images: float, image_freedom: int, from_seeds: float, seed_freedom: float) -> float:
    if not from_images + from_seeds:
        return 0.0
    freedom = (from_images + from_seeds) ** 2 / (from_images**2 / image_freedom + from_seeds**2 / seed_freedom)
    return float(stats.t.ppf(1 - LEVEL / 2, freedom) * math.sqrt(from_images + from_seeds))


def _needed(
    difference: float, first: NDArray[np.bool_], second: NDArray[np.bool_], noise: tuple[float, float], comparisons: int
) -> tuple[int | None, int | None]:
    """Images with these seeds, and seeds of each with these images, that find the measured difference at 80 % power.

    The usual sample size, t(1 - level / 2) + t(power) standard errors, at the level of the strictest comparison. More
    seeds also measure the noise between them.
    """
    if not difference:
        return None, None
    count, weight = first.shape[1], 1 / len(first) + 1 / len(second)
    from_images = float((first.mean(0) - second.mean(0)).var(ddof=1)) / count
    luck = luck_variance(first, second)
    lasting = max(0.0, from_images - weight * luck)  # what more seeds would not take from the variance over images

    def told(variance: float, freedom: float) -> bool:
        quantiles = stats.t.ppf(1 - LEVEL / 2 / comparisons, freedom) + stats.t.ppf(POWER, freedom)
        return bool(difference**2 >= quantiles**2 * variance)

    def by_images(images: int) -> bool:
        share = count / images
        return told(*difference_variance(from_images * share, luck * share, weight, images, noise))

    def by_seeds(seeds: int) -> bool:
        measured = noise if noise[1] >= 2 * (seeds - 1) else (noise[0] if noise[1] else GUESS * luck, 2 * (seeds - 1))
        return told(*difference_variance(lasting + 2 * luck / seeds, luck, 2 / seeds, count, measured))

    return _least(by_images, count, MOST_IMAGES), _least(by_seeds, max(len(first), len(second)), MOST_SEEDS)


def _least(suffices: Callable[[int], bool], begin: int, most: int) -> int | None:
    """The least number above `begin` that suffices; None where none up to `most` does."""
    low, high = begin, begin + 1
    while not suffices(high):
        low, high = high, 2 * high
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high
