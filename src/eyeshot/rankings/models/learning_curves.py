"""Learning curves: the error over the number of training images, and what twice the images would bring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError, Progress, points
from eyeshot.models import fit_many_classes
from eyeshot.rankings.models.report import CurvePoint, Interval, LearningCurve

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
DRAWS = 3
"""Subsets of each size below all images; their spread is part of the interval."""
BOOTSTRAPS = 400
EXPONENTS = np.geomspace(0.05, 1.5, 40)
"""Of deep networks 0.07 to 0.35 were measured (Hestness et al. 2017, "Deep Learning Scaling is Predictable,
Empirically"); a model that is right in form ends at 1. Beyond 1.5 four sizes cannot tell exponents apart."""
LITTLE = 0.01
"""A point: where the whole interval lies within it, more images change little."""
FEWEST_IMAGES = 2
"""Training images in the smallest subset."""

Answer = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
"""Trains on some rows and says which judged images are answered right: int64 (m,) -> bool (n,)."""


class Curve(NamedTuple):
    """A learning curve and the numbers behind its interval.

    Attributes:
        record: for `models.json`.
        gains: float64 (B,), what twice the images bring, in each bootstrap sample of `bootstrap_weights`.
    """

    record: LearningCurve
    gains: NDArray[np.float64]


def nested_subsets(
    labels: NDArray[np.int64], rows: NDArray[np.int64], shares: Sequence[float], *, seed: int
) -> list[NDArray[np.int64]]:
    """Subsets of the training rows, each within the next larger one, with each class in proportion.

    The first image of each class comes before all others, so that no class is missing while there is room for it.

    Args:
        labels: int64 (N,).
        rows: int64 (m,), all training rows.
        shares: of `rows`, rising, at most 1.
        seed: of the order within a class.

    Returns:
        ascending rows, one array a share.
    """
    random = np.random.default_rng([seed, 31])
    place = np.empty(len(rows))
    for label in np.unique(labels[rows]):
        members = random.permutation(np.flatnonzero(labels[rows] == label))
        # The divisor method of Sainte-Laguë, as in `sample_rows`.
        place[members] = (2.0 * np.arange(len(members)) + 1.0) / len(members)
        place[members[0]] = -1.0
    order = np.lexsort((random.permutation(len(rows)), place))
    return [np.sort(rows[order[: max(1, round(share * len(rows)))]]) for share in shares]


def learning_curve(
    answer: Answer,
    labels: NDArray[np.int64],
    train_rows: NDArray[np.int64],
    clusters: NDArray[np.int64],
    *,
    how: str,
    seed: int,
    shares: Sequence[float] = SHARES,
    draws: int = DRAWS,
    progress: Progress,
) -> Curve:
    """Train on an eighth, a quarter, half and all of the training images, always judged on the same images.

    Fits error(n) = a + b n^-c, a at least 0, by least squares (Cortes et al. 1993, "Learning curves: asymptotic values
    and rate of convergence"). The interval is that of a bootstrap over judged images (duplicates together) and draws;
    it holds for these training images and, beyond them, as far as the curve goes on as it did.

    Args:
        answer: trains and judges; called once for all images and `draws` times for each smaller share.
        labels: int64 (N,), that `train_rows` point into.
        train_rows: int64, all training rows.
        clusters: int64 (n,), of the n judged images, equal for duplicates.
        how: what `answer` trains, in words.
        seed: of the subsets and the bootstrap.
        shares: rising, the last is 1.
        draws: subsets of each smaller share.
        progress: called with the images that were trained on, of those of all trainings.

    Raises:
        InputError: too few training images for the smallest share.
    """
    smallest = round(shares[0] * len(train_rows))
    if smallest < max(FEWEST_IMAGES, 1):
        raise InputError(
            f"A learning curve needs at least {FEWEST_IMAGES} images in its smallest part, got {smallest} of "
            f"{len(train_rows)}."
        )
    subsets = [nested_subsets(labels, train_rows, shares, seed=seed + 1000 * draw) for draw in range(draws)]
    # A training takes as long as it has images.
    total = sum(len(part) for parts in subsets for part in parts[:-1]) + len(train_rows)
    done = 0
    wrong: list[NDArray[np.bool_]] = []
    for number in range(len(shares)):
        answers = []
        for draw in range(draws if shares[number] < 1 else 1):
            progress(done, total, f"{len(subsets[draw][number])} images")
            answers.append(~answer(subsets[draw][number]))
            done += len(subsets[draw][number])
        wrong.append(np.stack(answers))
    progress(total, total)
    counts = np.array([len(part) for part in subsets[0]], np.float64)
    return _fitted(counts, wrong, clusters, how=how, seed=seed)


def probe_answer(
    features: NDArray[np.generic],
    labels: NDArray[np.int64],
    judged: NDArray[np.int64],
    *,
    class_count: int,
    penalty: float,
) -> Answer:
    """An `Answer` of linear probes on cached features.

    The penalty stays that of all images: it is the precision of a prior on the weights, whatever the number of images.

    Args:
        features: (N, D).
        labels: int64 (N,).
        judged: int64 (n,), rows that are judged.
        class_count: C.
        penalty: of the probe on all images.
    """

    def answer(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        head = fit_many_classes(features[rows], labels[rows], class_count=class_count, penalty=penalty)
        return np.asarray(head.predict(features[judged]) == labels[judged])

    return answer


def bootstrap_weights(clusters: NDArray[np.int64], *, seed: int) -> NDArray[np.float64]:
    """How often each of n images counts in B bootstrap samples of clusters: float64 (B, n). The same for all models."""
    _, which = np.unique(clusters, return_inverse=True)
    count = int(which.max()) + 1
    times = np.random.default_rng([seed, 32]).multinomial(count, np.full(count, 1 / count), size=BOOTSTRAPS)
    return times[:, which].astype(np.float64)


def fit_power_law(
    counts: NDArray[np.float64], errors: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """a, b and c of error(n) = a + b n^-c with the least squared residuals, for many curves at once.

    a is at least 0. b may be negative: a curve that rises must be able to say so.

    Args:
        counts: float64 (s,), numbers of training images.
        errors: float64 (s, B), one curve a column.

    Returns:
        three arrays float64 (B,).
    """
    least = np.full(errors.shape[1], np.inf)
    best = np.zeros((3, errors.shape[1]))
    for exponent in EXPONENTS:
        powers = counts**-exponent
        spread = powers - powers.mean()
        slope = spread @ errors / (spread @ spread)
        level = errors.mean(0) - slope * powers.mean()
        through_zero = powers @ errors / (powers @ powers)
        slope, level = np.where(level < 0, through_zero, slope), np.maximum(level, 0.0)
        residual = np.square(errors - level - slope * powers[:, None]).sum(0)
        better = residual < least
        best[:, better] = np.stack([level, slope, np.full_like(slope, exponent)])[:, better]
        least = np.minimum(least, residual)
    return best[0], best[1], best[2]


def _fitted(
    counts: NDArray[np.float64],
    wrong: Sequence[NDArray[np.bool_]],
    clusters: NDArray[np.int64],
    *,
    how: str,
    seed: int,
) -> Curve:
    """The fit of a curve and its bootstrap, from which images each training answered wrong, bool (draws, n) a size."""
    weights = bootstrap_weights(clusters, seed=seed)
    weights /= weights.sum(axis=1, keepdims=True)
    random = np.random.default_rng([seed, 33])
    sampled = np.empty((len(counts), len(weights)))
    for number, answers in enumerate(wrong):
        each = answers @ weights.T  # (draws, B)
        picked = random.integers(len(answers), size=(len(answers), len(weights)))
        sampled[number] = np.take_along_axis(each, picked, axis=0).mean(0)
    measured = np.array([answers.mean() for answers in wrong])
    fit = fit_power_law(counts, measured[:, None])
    gains = _gain(counts[-1], fit_power_law(counts, sampled))
    gain = float(_gain(counts[-1], fit)[0])
    # Rounded, because a flat curve leaves 1e-17 where there is nothing.
    low, high = (round(float(value), 9) for value in np.quantile(gains, (0.025, 0.975)))
    ends = np.quantile(sampled, (0.025, 0.975), axis=1)
    record = LearningCurve(
        how=how,
        points=[
            CurvePoint(images=int(count), draws=len(answers), error=float(error), low=float(bottom), high=float(top))
            for count, answers, error, bottom, top in zip(counts, wrong, measured, *ends, strict=True)
        ],
        asymptote=float(fit[0][0]),
        factor=float(fit[1][0]),
        exponent=float(fit[2][0]),
        gain=gain,
        gain_interval=(low, high),
        judged=len(clusters),
        words=_words(int(counts[-1]), gain, (low, high)),
    )
    return Curve(record, gains)


def _gain(count: float, fit: tuple[NDArray[np.float64], ...]) -> NDArray[np.float64]:
    """Error at `count` images less that at twice as many, both of the fit."""
    _, factor, exponent = fit
    return np.asarray(factor * (count**-exponent - (2 * count) ** -exponent))


def _words(count: int, gain: float, interval: Interval) -> str:
    low, high = interval
    measured = f"{points(gain)} ({100 * low:.1f} to {100 * high:.1f})"
    if low > 0:
        return f"Twice the {count:,} training images would bring about {measured}."
    if max(abs(low), abs(high)) < LITTLE:
        return f"Twice the {count:,} training images would change little: {measured}."
    return f"What twice the {count:,} training images would bring cannot be told: {measured}."
