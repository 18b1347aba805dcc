"""Linear probes: exact multinomial logistic regression on cached features, and out-of-fold probabilities."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any, cast

import numpy as np
import threadpoolctl  # type: ignore[import-untyped]
from numpy.typing import NDArray
from scipy.optimize import minimize

from eyeshot.core import SILENT, InputError, ModelError, Progress
from eyeshot.data import ALWAYS_TRAIN, ImageTable, make_folds

FLAT = 1e-6  # features with a smaller spread, relative to the largest spread, are constant and are left out
STEPS = 500
COARSE = 1e-3  # tolerance of the gradient that is enough for accuracy or log loss
SMALL = 2e7  # multiplications in one product; below this a second thread costs more than it saves


@dataclass(frozen=True, eq=False)
class Head:
    """Class probabilities are softmax(features @ weight.T + bias).

    Attributes:
        weight: float32 (C, D), for raw features; the standardisation is folded in.
        bias: float32 (C,).
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    @property
    def class_count(self) -> int:
        """C."""
        return len(self.bias)

    def predict_proba(self, features: NDArray[np.generic]) -> NDArray[np.float32]:
        """Class probabilities of features (n, D): float32 (n, C), rows sum to 1."""
        scores = np.asarray(features, np.float32) @ self.weight.T + self.bias
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def predict(self, features: NDArray[np.generic]) -> NDArray[np.int64]:
        """Most probable class of features (n, D): int64 (n,)."""
        scores = np.asarray(features, np.float32) @ self.weight.T + self.bias
        return np.asarray(scores.argmax(axis=1), np.int64)


def fit_head(
    features: NDArray[np.generic],
    labels: NDArray[np.generic],
    *,
    class_count: int | None = None,
    sample_weights: NDArray[np.floating] | None = None,
    penalty: float = 1.0,
    tolerance: float = 1e-5,
    start: Head | None = None,
) -> Head:
    """Fit multinomial logistic regression on standardised features.

    Minimises the weighted mean cross entropy plus penalty / (2 n) times the squared weights, as
    LogisticRegression of scikit-learn does with C = 1 / penalty. The minimum is unique and
    the search starts at zero without random numbers, so there is no seed.

    Args:
        features: (n, D), any float type.
        labels: int (n,) class numbers, or float (n, C) soft labels whose rows sum to 1.
        class_count: C if `labels` are numbers; None takes the largest number plus one.
        sample_weights: float (n,), weight of each row; None weighs all rows equally.
        penalty: ridge on the weights, not on the bias.
        tolerance: largest entry of the gradient at the end.
        start: a head fitted on similar features to start from; it saves steps and changes the result only within
            the tolerance.

    Raises:
        InputError: there are no rows, or labels and features do not match.
        ModelError: some features are not finite.
    """
    values = np.asarray(features, np.float64)
    targets = _targets(labels, class_count)
    if not len(values) or len(values) != len(targets):
        raise InputError(f"A linear probe needs as many labels as feature rows, got {len(targets)} and {len(values)}.")
    if not np.isfinite(values).all():
        raise ModelError("A linear probe needs finite features; some are NaN or infinite. Check the model's weights.")
    row_weights = np.ones(len(values)) if sample_weights is None else np.asarray(sample_weights, np.float64)
    if row_weights.shape != (len(values),) or row_weights.min() < 0 or row_weights.sum() <= 0:
        raise InputError("`sample_weights` must hold one weight per row, none negative and not all zero.")
    row_weights = row_weights / row_weights.sum()
    mean = row_weights @ values
    spread = np.sqrt(row_weights @ np.square(values - mean))
    usable = spread > FLAT * max(float(spread.max()), np.finfo(np.float64).tiny)
    scale = np.where(usable, spread, 1.0)
    values = np.where(usable, (values - mean) / scale, 0.0)
    ridge = penalty / len(values)
    count, width = targets.shape[1], values.shape[1]
    # Classes lie along the first axis: sums over classes then run over long rows, which is three times as fast.
    across, target_rows = np.ascontiguousarray(values.T), np.ascontiguousarray(targets.T)
    mass = row_weights * target_rows.sum(axis=0)
    weighted = target_rows * row_weights
    # The constant part of the gradient.
    pull, pull_bias = weighted @ values, weighted.sum(axis=1)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weight, bias = flat[: count * width].reshape(count, width), flat[count * width :]
        scores = weight @ across
        scores += bias[:, None]
        top = scores.max(axis=0)
        fitted = -float(np.vdot(weighted, scores))
        scores -= top
        np.exp(scores, out=scores)
        total = scores.sum(axis=0)
        fitted += float(mass @ (top + np.log(total)))
        scores *= mass / total
        gradient = scores @ values - pull + ridge * weight
        value = fitted + 0.5 * ridge * float(np.vdot(weight, weight))
        return value, np.concatenate([gradient.ravel(), scores.sum(axis=1) - pull_bias])

    begin = np.zeros(count * width + count)
    if start is not None and start.weight.shape == (count, width):
        begin[: count * width] = (start.weight * scale).ravel()
        begin[count * width :] = start.bias + start.weight @ mean
    options = {"maxiter": STEPS, "gtol": tolerance, "ftol": 0.0, "maxcor": 20}
    with _threads(values.size * count):
        minimum = cast(Any, minimize)(loss, begin, jac=True, method="L-BFGS-B", options=options).x
    weight = np.where(usable, minimum[: count * width].reshape(count, width) / scale, 0.0)
    bias = minimum[count * width :] - weight @ mean
    return Head(weight.astype(np.float32), bias.astype(np.float32))


def _targets(labels: NDArray[np.generic], class_count: int | None) -> NDArray[np.float64]:
    if labels.ndim == 2:
        return np.asarray(labels, np.float64)
    numbers = np.asarray(labels, np.int64)
    count = class_count or int(numbers.max(initial=-1)) + 1
    if numbers.size and (numbers.min() < 0 or numbers.max() >= count):
        raise InputError(f"`labels` must lie in 0 to {count - 1}, got {numbers.min()} to {numbers.max()}.")
    return np.eye(count)[numbers]


def _threads(multiplications: int) -> AbstractContextManager[object]:
    # On a busy machine two threads waited for each other and took 280 ms for what a single thread does in 12 ms.
    return nullcontext() if multiplications > SMALL else _pools().limit(limits=1, user_api="blas")


@cache
def _pools() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()


FOLDS = 5
# Strongest first. With the usual penalty of 1 a probe memorises wrong labels: `benchmarks/label_issues.py`.
PENALTIES = (10_000.0, 3_000.0, 1_000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
MOST_CHOOSING = 4_000  # images used to choose the penalty, or 20 per class if that is more
SMALLEST = 1e-12

Values = NDArray[np.generic]


def out_of_fold(
    table: ImageTable,
    features: Values,
    groups: NDArray[np.int64],
    *,
    seed: int = 0,
    progress: Progress = SILENT,
) -> tuple[NDArray[np.float32], NDArray[np.bool_], float]:
    """Out-of-fold class probabilities of a linear probe, with five folds.

    The penalty is the strongest whose log loss on held-out images is within one standard error of the smallest (the
    one-standard-error rule of Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984,
    section 3.4.3). Without the rule, wrong labels would favour penalties that are too weak.

    Args:
        table: N labelled images.
        features: (N, D).
        groups: int64 (N,), equal for duplicates, which always share a fold.
        seed: seed of the folds.
        progress: called with (penalties tried, penalties in all).

    Returns:
        probabilities, float32 (N, C), whose rows sum to 1, zeros where not judged; judged, bool (N,), False for images
        of classes with fewer than five different images, which train in every fold; and the chosen penalty.

    Raises:
        InputError: duplicates under several labels force a whole class into one fold.
    """
    fold = make_folds(table, groups, folds=FOLDS, seed=seed, small=True)
    judged = fold != ALWAYS_TRAIN
    count = len(table.classes)
    if not judged.any():
        return np.zeros((len(table), count), np.float32), judged, PENALTIES[0]
    sample_size = max(MOST_CHOOSING, 20 * count)
    sample = np.arange(len(table))
    if len(table) > sample_size:
        sample = np.sort(np.random.default_rng([seed, 14]).choice(len(table), sample_size, replace=False))
        if not judged[sample].any():  # nearly all classes are too small to be judged
            sample = np.union1d(sample, np.flatnonzero(judged)[:sample_size])
    penalty, probabilities = _choose_penalty(features[sample], table.labels[sample], fold[sample], count, progress)
    if len(sample) < len(table):
        probabilities = _fit_folds(features, table.labels, fold, count, penalty, {})
    progress(1, 1)
    return probabilities, judged, penalty


def _choose_penalty(
    features: Values,
    labels: NDArray[np.int64],
    fold: NDArray[np.int64],
    count: int,
    progress: Progress,
) -> tuple[float, NDArray[np.float32]]:
    held_out = np.flatnonzero(fold != ALWAYS_TRAIN)
    heads: dict[int, Head] = {}
    tried: list[tuple[float, float, float, NDArray[np.float32]]] = []
    for number, penalty in enumerate(PENALTIES):
        probabilities = _fit_folds(features, labels, fold, count, penalty, heads)
        losses = -np.log(np.maximum(probabilities[held_out, labels[held_out]], SMALLEST))
        error = float(losses.std()) / max(1.0, float(np.sqrt(len(losses))))
        loss = float(losses.mean()) if len(losses) else 0.0
        tried.append((loss, error, penalty, probabilities))
        progress(number + 1, len(PENALTIES))
        if loss > min(tried, key=itemgetter(0))[0]:  # weaker penalties only get worse
            break
    least, error, *_ = min(tried, key=itemgetter(0))
    return next((penalty, probabilities) for loss, _, penalty, probabilities in tried if loss <= least + error)


def _fit_folds(
    features: Values,
    labels: NDArray[np.int64],
    fold: NDArray[np.int64],
    count: int,
    penalty: float,
    heads: dict[int, Head],
) -> NDArray[np.float32]:
    """Probabilities of each fold from a head fitted on the others; `heads` are starting points and are updated."""
    probabilities = np.zeros((len(labels), count), np.float32)
    for number in range(FOLDS):
        held_out = fold == number
        if held_out.any() and not held_out.all():
            heads[number] = fit_head(
                features[~held_out], labels[~held_out], class_count=count, penalty=penalty, tolerance=COARSE,
                start=heads.get(number),
            )  # fmt: skip
            probabilities[held_out] = heads[number].predict_proba(features[held_out])
    return probabilities
