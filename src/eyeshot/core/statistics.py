"""Every interval and correlation of eyeshot, each recipe once. All intervals are of 95 %."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NORMAL_95 = 1.959964
"""97.5 % point of the normal distribution: half a 95 % interval, in standard errors."""
HALVES = 100
NORMAL_DRAWS = 4000
ROUNDING = 1e-12
"""Differences up to this value are treated as 0: they are rounding errors of floating-point sums."""
FEWEST_RANKED = 4
"""Pairs below which a rank correlation says nothing: the variance below has n - 3 under it."""


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Interval of the share `hits / count` (Wilson, J. Am. Stat. Assoc. 22, 1927, p. 209); 0 to 1 of no answers."""
    if count == 0:
        return 0.0, 1.0
    z = NORMAL_95
    share = hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    # Rounding may put the ends of 0 of n and n of n a hair inside.
    return 0.0 if hits == 0 else middle - half, 1.0 if hits == count else middle + half


def paired_difference(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[float, tuple[float, float]]:
    """Share of right answers of `first` less that of `second` on the same n images, and its interval.

    The variance is that of the paired differences: McNemar, Psychometrika 12 (1947), p. 153.

    Args:
        first, second: bool (n,), which answers are right; n at least 2.
    """
    difference = first.astype(np.float64) - second
    mean = float(difference.mean())
    half_width = NORMAL_95 * float(difference.std(ddof=1)) / math.sqrt(len(difference))
    return mean, (mean - half_width, mean + half_width)


def cluster_mean(values: NDArray[np.floating], clusters: NDArray[np.int64]) -> tuple[float, float]:
    """Mean of values, and half its interval where those of one cluster go together.

    Linearisation of a ratio: Cochran, "Sampling Techniques" (1977), section 2.11.

    Args:
        values: float (n,).
        clusters: int64 (n,), equal for values that are not independent.

    Returns:
        the mean, and half the interval; infinite where there is one cluster.
    """
    mean = float(values.mean())
    _, which = np.unique(clusters, return_inverse=True)
    sums = np.bincount(which, weights=values - mean)
    count = len(sums)
    if count < 2:
        return mean, float("inf")
    return mean, float(NORMAL_95 * np.sqrt(np.square(sums).sum() * count / (count - 1)) / len(values))


def group_of_the_best(
    right: NDArray[np.bool_], clusters: NDArray[np.int64], *, seed: int = 0, draws: int = 2000
) -> NDArray[np.bool_]:
    """Which of K classifiers cannot be told apart from the best, although the best was picked among all K.

    A classifier is left out if some other is better by more than chance makes the largest of its K - 1 standardised
    differences: multiple comparisons with the best (Hsu, Annals of Statistics 9, 1981, p. 1026), so the truly best one
    stays in with 95 %. The distribution of the largest comes from Gaussian multipliers on the clusters (Chernozhukov,
    Chetverikov and Kato, Annals of Statistics 41, 2013, p. 2786), which keeps the correlation between classifiers. One
    imagined image in favour of each side keeps the variance of few differing images from being too small.

    Args:
        right: bool (K, n), which answers of each classifier are right, on the same n images.
        clusters: int64 (n,), equal for images that are not independent, as duplicates.
        seed, draws: of the multipliers.

    Returns:
        bool (K,); True at least for the most accurate.
    """
    count, images = right.shape
    _, which = np.unique(clusters, return_inverse=True)
    values = right.astype(np.float64)
    means = values.mean(axis=1)
    sums = np.stack([np.bincount(which, weights=row - mean) for row, mean in zip(values, means, strict=True)])
    random = np.random.default_rng([seed, 81])
    drawn = np.concatenate([
        sums @ random.standard_normal((sums.shape[1], part)) for part in _parts(draws, 100)
    ], axis=1)  # fmt: skip
    together = np.zeros(count, bool)
    for number in range(count):
        differences = means - means[number]
        squares = np.square(sums - sums[number]).sum(axis=1)
        spread = np.sqrt(np.maximum(squares, np.finfo(np.float64).tiny))[:, None]
        largest = np.delete((drawn - drawn[number]) / spread, number, axis=0).max(axis=0, initial=0.0)
        statistic = np.delete(images * differences / np.sqrt(squares + 1.0), number).max(initial=0.0)
        together[number] = statistic <= np.quantile(largest, 0.95)
    return np.asarray(together | (means == means.max()))


def _parts(total: int, size: int) -> list[int]:
    return [min(size, total - start) for start in range(0, total, size)]


def student_mean(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean of a few independent values (n,), and half its interval by Student's t; infinite for a single value."""
    from scipy import stats

    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("inf")
    return mean, float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))


def auc_half_width(area: float, first_count: int, second_count: int) -> float:
    """Half the interval of an area under the ROC curve: Hanley and McNeil, Radiology 143 (1982), p. 29, equation 2.

    Args:
        area: from 0 to 1.
        first_count, second_count: images of the two sets that are separated.
    """
    both_higher, both_lower = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area) + (first_count - 1) * (both_higher - area**2) + (second_count - 1) * (both_lower - area**2)
    )
    return float(NORMAL_95 * np.sqrt(max(0.0, variance) / (first_count * second_count)))


def spearman(first: NDArray[np.floating], second: NDArray[np.floating]) -> float | None:
    """Rank correlation of n pairs; None with fewer than two, or where one of the two does not vary."""
    from scipy import stats

    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(stats.spearmanr(first, second).statistic)


def fisher_interval(correlation: float, count: int) -> tuple[float, float]:
    """Interval of a Spearman correlation strictly between -1 and 1, of at least four pairs, by Fisher's z.

    Variance (1 + r² / 2) / (n - 3): Bonett and Wright, Psychometrika 65 (2000), p. 24.
    """
    half_width = NORMAL_95 * math.sqrt((1 + correlation**2 / 2) / (count - 3))
    return math.tanh(math.atanh(correlation) - half_width), math.tanh(math.atanh(correlation) + half_width)


def spearman_interval(correlation: float, count: int) -> tuple[float, float]:
    """Interval of any Spearman correlation of n pairs; -1 to 1 with fewer than four.

    If all ranks agree, Fisher's z is infinite and the interval would be a point, for four candidates as for forty. The
    interval is then that of the correlation half a step below 1; a step is a swap of two neighbours.
    """
    if count < FEWEST_RANKED:
        return -1.0, 1.0
    most = 1 - 6 / (count * (count**2 - 1))
    low, high = fisher_interval(min(max(correlation, -most), most), count)
    return min(low, correlation), max(high, correlation)


@dataclass(frozen=True, eq=False)
class HalfSamples:
    """Membership of points in B halves, drawn without replacement, the same for all candidates.

    Halves, unlike a bootstrap, repeat no point: a repeated target point has radius 0, which breaks neighbour counts.
    Over half-samples of n points the spread of a statistic estimates its standard error on all n: the delete-d
    jackknife of Shao and Wu, "A general theory for jackknife variance estimation", Annals of Statistics 17 (1989),
    p. 1177, whose factor (n - d) / d is 1 for d = n / 2.

    Attributes:
        target: bool (B, M)
        sources: bool (B, n)
    """

    target: NDArray[np.bool_]
    sources: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.target)

    def with_more_sources(self, count: int, *, seed: int) -> HalfSamples:
        """The same halves with `count` further sources appended."""
        more = _halves(len(self), count, np.random.default_rng([seed, count]))
        return HalfSamples(self.target, np.concatenate([self.sources, more], axis=1))


def draw_half_samples(target_count: int, source_count: int, *, seed: int, count: int = HALVES) -> HalfSamples:
    """Draw B = `count` halves of `target_count` target images and `source_count` source images."""
    random = np.random.default_rng([seed, 1])
    return HalfSamples(_halves(count, target_count, random), _halves(count, source_count, random))


def half_sample_error(over_halves: NDArray[np.floating]) -> float:
    """Standard error of a statistic on all points from its values on the halves (B,)."""
    return float(np.std(over_halves, ddof=1))


def half_sample_interval(estimate: float, over_halves: NDArray[np.floating]) -> tuple[float, float]:
    """The estimate on all points plus and minus 1.96 standard errors, from its values on the halves (B,)."""
    half_width = NORMAL_95 * half_sample_error(over_halves)
    return estimate - half_width, estimate + half_width


def half_means(values: NDArray[np.float64], halves: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean of values (n,) over each half-sample (B, n)."""
    means: NDArray[np.float64] = halves.astype(np.float64) @ values / halves.sum(axis=1)
    return means


def tied_with_best(
    values: NDArray[np.float64], over_halves: NDArray[np.float64], *, least: float = 0.0
) -> NDArray[np.bool_]:
    """Which candidates may be the best: Hsu's multiple comparisons with the best.

    Hsu, "Multiple Comparisons", Chapman and Hall 1996, chapter 4: candidate i may be the best unless some j leads
    by more than d_i standard errors of their paired difference; see `critical_value` for d_i.

    Args:
        values: (K,), larger is better.
        over_halves: (B, K), the values on the half-samples, paired.
        least: the smallest difference that counts.

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
        behind = values[others] - values[i]
        tied[i] = bool(((behind <= critical_value(scaled) * error + ROUNDING) | (behind < least - ROUNDING)).all())
    tied[int(values.argmax())] = True
    return tied


def critical_value(scaled: NDArray[np.float64]) -> float:
    """95 % quantile of the largest of m normal variables that are correlated like these columns over the half-samples.

    Drawn by the Gaussian multiplier bootstrap: Chernozhukov, Chetverikov and Kato, Annals of Statistics 41 (2013),
    p. 2786. The largest column of the half-samples themselves would not work: a candidate that covers single images
    has rare, huge standardised values, which made every other candidate tie with clean.

    Args:
        scaled: (B, m), centred, with standard deviation 1 (or 0 for a column that never differs).
    """
    normal = np.random.default_rng(0).standard_normal((NORMAL_DRAWS, len(scaled)))
    largest = (normal @ scaled / np.sqrt(len(scaled) - 1)).max(axis=1)
    return max(0.0, float(np.quantile(largest, 0.95)))


def _halves(count: int, size: int, random: np.random.Generator) -> NDArray[np.bool_]:
    order = random.permuted(np.tile(np.arange(size), (count, 1)), axis=1)
    chosen = np.zeros((count, size), bool)
    np.put_along_axis(chosen, order[:, : size // 2], True, axis=1)
    return chosen
