"""The figures of the judge: reliability of a table, rank correlations with intervals, regret, hits and signs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from eyeshot.core import fisher_interval, student_mean
from eyeshot.core import spearman as rank_correlation

Array = NDArray[np.float64]
LEAST_RELIABILITY = 0.5
"""Reliability; below it nothing is corrected for noise, and a table with eight seeds is too noisy to judge."""


class Estimate(NamedTuple):
    """A value with its 95 % interval; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


def reliability(accuracy: Array) -> float | None:
    """Intraclass correlation of the mean over seeds, for consistency: ICC(C,k) of McGraw and Wong (1996), case 3.

    Candidates of a seed share their start and order of images, so the mean of a seed is no error of the ranking.

    Args:
        accuracy: float64 (K, S), candidates by seeds.

    Returns:
        the share of the variance of the means that is not noise, at most 1 and below 0 if noise exceeds chance; None
        with fewer than two seeds or candidates, or if nothing varies.
    """
    count, seeds = accuracy.shape
    if count < 2 or seeds < 2:
        return None
    between = seeds * np.square(accuracy.mean(1) - accuracy.mean()).sum() / (count - 1)
    residual = accuracy - accuracy.mean(1, keepdims=True) - accuracy.mean(0, keepdims=True) + accuracy.mean()
    error = np.square(residual).sum() / ((count - 1) * (seeds - 1))
    return None if between <= 0 else float((between - error) / between)


def spearman(score: Array, truth: Array) -> Estimate:
    """Rank correlation over candidates, with the interval of Bonett and Wright (2000); needs four candidates.

    Not defined if either does not vary.
    """
    value = rank_correlation(score, truth) if len(score) >= 4 else None
    if value is None:
        return Estimate(None)
    return Estimate(value, value, value) if abs(value) >= 1 else Estimate(value, *fisher_interval(value, len(score)))


def corrected(correlation: float | None, table_reliability: float | None) -> float | None:
    """The correlation with a truth without noise (Spearman 1904); None if the noise is too large.

    Not limited to 1: a larger estimate shows that the reliability was underestimated.
    """
    if correlation is None or table_reliability is None or table_reliability < LEAST_RELIABILITY:
        return None
    return correlation / math.sqrt(table_reliability)


def kendall(score: Array, truth: Array) -> float | None:
    """Kendall's tau-b over candidates; None if either does not vary."""
    if len(score) < 2 or np.ptp(score) == 0 or np.ptp(truth) == 0:
        return None
    return float(stats.kendalltau(score, truth).statistic)


def regret(first: int, accuracy: Array) -> float:
    """Points of accuracy that are lost by training with candidate `first` instead of the best.

    The best is chosen on all seeds but one, and both are evaluated on the remaining seed, each seed in turn; otherwise
    the best of many noisy means would look better than it is. May be below 0 by chance. With a single seed the best is
    chosen and evaluated on the same seed.

    Args:
        first: number of the candidate.
        accuracy: float64 (K, S), shares.
    """
    seeds = accuracy.shape[1]
    if seeds == 1:
        return float(100 * (accuracy.max() - accuracy[first, 0]))
    losses = []
    for seed in range(seeds):
        best = int(np.delete(accuracy, seed, 1).mean(1).argmax())
        losses.append(accuracy[best, seed] - accuracy[first, seed])
    return float(100 * np.mean(losses))


def best_first(score: Array) -> int:
    """The candidate with the largest score; of equal candidates the first in the catalogue."""
    return int(np.argmax(score))


def top_three_hit(score: Array, truth: Array) -> bool:
    """Whether any of the three truly best candidates is among the three with the largest scores."""
    chosen = np.argsort(-score, kind="stable")[:3]
    return bool(set(chosen.tolist()) & set(np.argsort(-truth, kind="stable")[:3].tolist()))


class Signs(NamedTuple):
    """Share of right signs, and the number of candidates."""

    share: float | None
    n: int


def signs(score: Array, accuracy: Array, clean: int) -> Signs:
    """How often a score is right about whether a candidate is better or worse than clean.

    Only candidates count whose paired difference to clean exceeds two standard errors, so that their sign is known;
    with fewer than two seeds all that differ. A score that says "the same" is wrong.

    Args:
        score: float64 (K,)
        accuracy: float64 (K, S)
        clean: number of clean.
    """
    difference = accuracy - accuracy[clean]
    mean = difference.mean(1)
    error = np.zeros(len(mean))
    if accuracy.shape[1] > 1:
        error = difference.std(1, ddof=1) / math.sqrt(accuracy.shape[1])
    known = (np.abs(mean) > 2 * error) & (mean != 0) & np.isfinite(score) & np.isfinite(score[clean])
    if not known.any():
        return Signs(None, 0)
    right = np.sign(score - score[clean])[known] == np.sign(mean)[known]
    return Signs(float(right.mean()), int(known.sum()))


def pooled(values: Sequence[float | None], clusters: Sequence[str]) -> Estimate:
    """Mean over tasks with equal weights of the clusters (sources), with Student's interval over the clusters' means.

    Tasks of a source share images and trainings, so only sources are independent. With three sources the interval is
    wide, as it should be; with a single source there is none.
    """
    groups: dict[str, list[float]] = defaultdict(list)
    for value, cluster in zip(values, clusters, strict=True):
        if value is not None:
            groups[cluster].append(value)
    means = np.array([np.mean(group) for group in groups.values()])
    if not len(means):
        return Estimate(None)
    middle, half = student_mean(means)
    return Estimate(middle) if len(means) == 1 else Estimate(middle, middle - half, middle + half)


def chance_of_hit(count: int) -> float:
    """Probability that three random candidates contain one of the three best of `count`."""
    return 1.0 if count < 6 else 1 - math.comb(count - 3, 3) / math.comb(count, 3)
