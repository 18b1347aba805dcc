"""One penalty for all folds of a linear probe, and the probabilities of each judged image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import SILENT, ModelError, Progress
from eyeshot.data import Fold
from eyeshot.models.linear_probe import FLAT, Head
from eyeshot.models.softmax_regression import Curvature, Values, minimise

PENALTIES = (3_000.0, 300.0, 30.0, 3.0, 0.3)
"""Strongest first."""
MOST_CHOOSING = 4_000
"""Training images that choose the penalty, or 10 per class if that is more."""
LEAST_DECREASE = 1e-4
"""In nats. A share of the loss alone goes on for dozens of steps where classes lie far apart and the loss is nearly 0;
a log loss on thousands of images is known to a few thousandths at best."""
SMALLEST = 1e-12


def cross_fit(
    features: NDArray[np.generic],
    labels: NDArray[np.int64],
    folds: Sequence[Fold],
    *,
    class_count: int,
    seed: int = 0,
    progress: Progress = SILENT,
) -> tuple[NDArray[np.float32], float]:
    """Class probabilities of the judged images, each from a probe that did not see it.

    The penalty is that of the smallest log loss on images of the first fold, chosen once: the same search in every fold
    would cost as many times more, and one number out of five cannot adapt to the judged images. No fold starts from the
    weights of another, which have seen its judged images.

    Args:
        features: (N, D).
        labels: int64 (N,).
        folds: rows that train and rows that are judged, of each fold.
        class_count: C.
        seed: seed of the sample that chooses the penalty.
        progress: called with (fits done, fits in all).

    Returns:
        float32 (N, C), zeros in rows that no fold judges; and the penalty.

    Raises:
        ModelError: some features are not finite.
    """
    steps = len(PENALTIES) + len(folds)
    penalty, curvature = _choose_penalty(features, labels, folds[0], class_count, seed, progress, steps)
    probabilities = np.zeros((len(labels), class_count), np.float32)
    for number, (train, judged) in enumerate(folds):
        progress(len(PENALTIES) + number, steps)
        head = fit_many_classes(
            features[train], labels[train], class_count=class_count, penalty=penalty, curvature=curvature
        )
        probabilities[judged] = head.predict_proba(features[judged])
    progress(steps, steps)
    return probabilities, penalty


def fit_many_classes(
    features: NDArray[np.generic],
    labels: NDArray[np.int64],
    *,
    class_count: int,
    penalty: float,
    curvature: Curvature | None = None,
) -> Head:
    """The probe of `fit_head` to within a few thousandths of the loss, in few passes: see `softmax_regression`.

    Args:
        features: (n, D).
        labels: int64 (n,), class numbers.
        class_count: C.
        penalty: ridge on the weights, as of `fit_head`.
        curvature: of nearly the same standardised features, to save its computation.

    Raises:
        ModelError: some features are not finite.
    """
    values, mean, scale = _standardised(features)
    known = Curvature(values, class_count) if curvature is None else curvature
    weights, _ = minimise(
        values, labels, class_count, ridge=penalty / len(values), curvature=known,
        least_decrease=LEAST_DECREASE,
    )  # fmt: skip
    return _head(weights, mean, scale)


def probe_curvature(features: NDArray[np.generic], class_count: int) -> Curvature:
    """The curvature of features (n, D), to fit many probes on the same ones: see `fit_many_classes`.

    Raises:
        ModelError: some features are not finite.
    """
    return Curvature(_standardised(features)[0], class_count)


def _standardised(features: NDArray[np.generic]) -> tuple[Values, NDArray[np.float64], NDArray[np.float64]]:
    """Features with mean 0 and spread 1, float32; their mean and spread, infinite for constant features."""
    values = np.array(features, np.float32)
    if not np.isfinite(values).all():
        raise ModelError("A linear probe needs finite features; some are NaN or infinite. Check the model's weights.")
    mean = values.mean(axis=0, dtype=np.float64)
    values -= mean.astype(np.float32)
    spread = np.sqrt(np.einsum("nd,nd->d", values, values, dtype=np.float64) / len(values))
    scale = np.where(spread > FLAT * max(float(spread.max()), np.finfo(np.float64).tiny), spread, np.inf)
    values /= scale.astype(np.float32)
    return values, mean, scale


def _head(weights: Values, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> Head:
    weight = weights[:, :-1] / scale
    return Head(weight.astype(np.float32), (weights[:, -1] - weight @ mean).astype(np.float32))


def _choose_penalty(
    features: NDArray[np.generic],
    labels: NDArray[np.int64],
    fold: Fold,
    class_count: int,
    seed: int,
    progress: Progress,
    steps: int,
) -> tuple[float, Curvature]:
    """The penalty of the smallest log loss on the judged images of a fold, and the curvature of its features."""
    random = np.random.default_rng([seed, 26])
    train, judged = (_some(rows, max(MOST_CHOOSING, 10 * class_count), random) for rows in fold)
    values, mean, scale = _standardised(features[train])
    curvature = Curvature(values, class_count)
    best, least, weights = PENALTIES[0], np.inf, None
    for number, penalty in enumerate(PENALTIES):
        progress(number, steps, "penalty")
        # Weights of a stronger penalty have seen the same images, so they may be the start.
        weights, _ = minimise(
            values, labels[train], class_count, ridge=penalty / len(train), curvature=curvature, start=weights,
            least_decrease=LEAST_DECREASE,
        )  # fmt: skip
        answers = _head(weights, mean, scale).predict_proba(features[judged])
        loss = float(-np.log(np.maximum(answers[np.arange(len(judged)), labels[judged]], SMALLEST)).mean())
        if loss > least:  # weaker penalties only get worse
            break
        best, least = penalty, loss
    return best, curvature


def _some(rows: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    return rows if len(rows) <= count else np.sort(random.choice(rows, count, replace=False))
