"""Who is first, and who cannot be told from the first.

Provisional until the truth tables exist: the score is reach, what does not beat the no-op ties with clean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import half_sample_error

CONFIDENCE = 0.95
NORMAL_DRAWS = 4000


@dataclass(frozen=True, eq=False)
class Ranking:
    """Order of K candidates by their gains over the no-op.

    Attributes:
        order: int64 (K,), positions from first to last.
        tie_group: int64 (K,); 1 holds those that cannot be told from the best.
        beats: bool (K,), better than the no-op beyond noise, for all candidates at once.
        clean_group: the tie group that clean belongs to.
    """

    order: NDArray[np.int64]
    tie_group: NDArray[np.int64]
    beats: NDArray[np.bool_]
    clean_group: int


def rank_gains(gains: NDArray[np.float64], over_halves: NDArray[np.float64]) -> Ranking:
    """Rank candidates with clean, whose gain is 0, as one more competitor.

    Args:
        gains: (K,), over the no-op with as many draws; larger is better.
        over_halves: (B, K), the same on the half-samples, paired.
    """
    count = len(gains)
    if count == 0:
        empty = np.empty(0, np.int64)
        return Ranking(empty, empty, np.empty(0, bool), 1)
    beats = better_than_zero(gains, over_halves)
    everyone = np.append(gains, 0.0)
    halves = np.column_stack([over_halves, np.zeros(len(over_halves))])
    groups = np.zeros(count + 1, np.int64)
    number = 1
    while (groups == 0).any():
        left = np.flatnonzero(groups == 0)
        tied = tied_with_best(everyone[left], halves[:, left])
        if number == 1 and beats.any():
            tied &= left != count  # the no-op was beaten, so clean is not among the best
        groups[left[tied]] = number
        number += 1
    order = np.argsort(-gains, kind="stable")
    return Ranking(order.astype(np.int64), groups[:count], beats, int(groups[count]))


def tied_with_best(values: NDArray[np.float64], over_halves: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which candidates may be the best: Hsu's multiple comparisons with the best.

    Hsu, "Multiple Comparisons", Chapman and Hall 1996, chapter 4: candidate i may be the best unless some j leads
    by more than d_i standard errors of their paired difference; see `critical_value` for d_i.

    Args:
        values: (K,)
        over_halves: (B, K), paired.

    Returns:
        bool (K,); the largest value is always True.
    """
    count = len(values)
    centred = over_halves - over_halves.mean(axis=0)
    tied = np.ones(count, bool)
    for i in range(count):
        others = np.flatnonzero(np.arange(count) != i)
        if not len(others):
            break
        difference = centred[:, [i]] - centred[:, others]
        error = difference.std(axis=0, ddof=1)
        certain = error < 1e-12
        scaled = difference / np.where(certain, 1.0, error)
        scaled[:, certain] = 0.0
        tied[i] = bool((values[i] - values[others] + critical_value(scaled) * error >= -1e-12).all())
    tied[int(values.argmax())] = True
    return tied


def better_than_zero(gains: NDArray[np.float64], over_halves: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which gains are above 0 for all candidates at once: Dunnett's comparison with a control, over half-samples."""
    errors = np.array([half_sample_error(over_halves[:, column]) for column in range(len(gains))])
    centred = over_halves - over_halves.mean(axis=0)
    scaled = centred / np.where(errors < 1e-12, 1.0, errors)
    return gains > critical_value(scaled) * errors + 1e-12


def critical_value(scaled: NDArray[np.float64]) -> float:
    """95 % quantile of the largest of m normal variables, correlated as these columns are over the half-samples.

    Drawn by the Gaussian multiplier bootstrap: Chernozhukov, Chetverikov and Kato, Annals of Statistics 41 (2013),
    p. 2786. The largest column of the half-samples themselves would not do: a candidate that reaches single images
    has rare, huge standardised values, which made every other candidate tie with clean.

    Args:
        scaled: (B, m), centred, with standard deviation 1 (or 0 for what never differs).
    """
    normal = np.random.default_rng(0).standard_normal((NORMAL_DRAWS, len(scaled)))
    largest = (normal @ scaled / np.sqrt(len(scaled) - 1)).max(axis=1)
    return max(0.0, float(np.quantile(largest, CONFIDENCE)))
