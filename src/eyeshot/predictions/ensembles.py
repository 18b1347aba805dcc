"""Ways to combine the probabilities of several runs, and what each is worth on images that it was not fitted on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

METHODS: dict[str, str] = {
    "soft": "mean of the probabilities",
    "hard": "majority of the most probable classes; of equally many votes, the mean decides",
    "geometric": "geometric mean of the probabilities",
    "rank": "sum of ranks: a member gives 10 points to its first class, 9 to its second and so on (Borda)",
    "per-class": "mean weighted by how well a member finds each class (F1, drawn towards its accuracy)",
    "greedy": "members added one by one, also repeatedly, while they are right more often together (Caruana 2004)",
    "stacking": "logistic regression on the probabilities of all members",
}
SOUPS: dict[str, str] = {
    "uniform-soup": "one network with the mean weights of all members",
    "greedy-soup": "one network with mean weights; a member joins if the network does not get worse (Wortsman 2022)",
}
FITTED = ("per-class", "greedy", "stacking")
FOLDS = 5
FEWEST_IMAGES = 4 * FOLDS
RANKED = 10
"""Ranks behind the tenth are those of probabilities near 0: noise, and ties in float16."""
SMALLEST = 2.0**-24
"""The smallest float16 above 0: below it a logarithm would let one member forbid a class."""
PRIOR_IMAGES = 10
"""A class's F1 of a member is that of its images and of so many more, on which it is as good as on all classes."""
MOST_COEFFICIENTS = 200_000
BLOCK_BYTES = 64 << 20

Members = Sequence[NDArray[np.float16]]


class Combination(BaseModel):
    """How the probabilities of M members become those of the ensemble.

    Attributes:
        method: a name of `METHODS` or `SOUPS`.
        weights: (M,), sum 1; 0 for members that are not used.
        class_weights: (M, C) of "per-class", else none.
        coefficients, intercepts: (C, features) and (C,) of "stacking", else none; the features are the probabilities of
            the members, one after the other, without those of the first class where there are two.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    weights: tuple[float, ...]
    class_weights: tuple[tuple[float, ...], ...] = ()
    coefficients: tuple[tuple[float, ...], ...] = ()
    intercepts: tuple[float, ...] = ()

    def only_used(self) -> Combination:
        """The same without the members whose weight is 0."""
        return self.model_copy(update={"weights": tuple(weight for weight in self.weights if weight)})


def combine(combination: Combination, members: Members, rows: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """Probabilities of the ensemble: float32 (n, C); with `rows` only of these images, in blocks of images."""
    chosen = np.arange(len(members[0])) if rows is None else rows
    combined = np.empty((len(chosen), members[0].shape[1]), np.float32)
    step = max(16, BLOCK_BYTES // (2 * len(members) * members[0].shape[1]))
    for start in range(0, len(chosen), step):
        block = chosen[start : start + step]
        combined[start : start + step] = _combine_block(combination, [each[block] for each in members])
    return combined


def fit_per_class(members: Members, labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> Combination:
    """Weights of members for each class: F1, drawn towards the member's accuracy where a class has few images.

    Args:
        members: M arrays (n, C); only their shape is used.
        labels: int64 (n,).
        predicted: int64 (M, n), most probable classes.
    """
    class_count = members[0].shape[1]
    per_class = np.bincount(labels, minlength=class_count)
    weights = []
    for own in predicted:
        right = own == labels
        hits = np.bincount(labels[right], minlength=class_count)
        guesses = np.bincount(own, minlength=class_count)
        prior = PRIOR_IMAGES * float(right.mean())
        weights.append((2 * hits + prior) / (per_class + guesses + PRIOR_IMAGES))
    table = np.array(weights)
    return Combination(
        method="per-class", weights=_even(len(members)), class_weights=tuple(map(tuple, table.round(6).tolist()))
    )


def fit_stacking(members: Members, labels: NDArray[np.int64], rows: NDArray[np.int64]) -> Combination:
    """Logistic regression (L2, C = 1) on the probabilities of all members, as scikit-learn's StackingClassifier does.

    Wolpert, Neural Networks 5 (1992), p. 241.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    class_count = members[0].shape[1]
    model = LogisticRegression(max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(_features([each[rows] for each in members]), labels[rows])
    coefficients = np.zeros((class_count, model.coef_.shape[1]))
    intercepts = np.full(class_count, -np.inf)
    if len(model.classes_) == 2:  # scikit-learn keeps the scores of the second class alone
        first, second = model.classes_
        coefficients[second], intercepts[first], intercepts[second] = model.coef_[0], 0.0, model.intercept_[0]
    else:
        coefficients[model.classes_], intercepts[model.classes_] = model.coef_, model.intercept_
    # A class without an image to fit on gets the smallest probability that is stored, not "-Infinity" in JSON.
    intercepts = np.where(np.isfinite(intercepts), intercepts, -1e3)
    return Combination(
        method="stacking", weights=_even(len(members)), coefficients=tuple(map(tuple, coefficients.tolist())),
        intercepts=tuple(intercepts.tolist()),
    )  # fmt: skip


def _even(count: int) -> tuple[float, ...]:
    return (1 / count,) * count


def _features(members: Sequence[NDArray[np.floating[Any]]]) -> NDArray[np.float64]:
    first = 1 if members[0].shape[1] == 2 else 0
    return np.concatenate([each[:, first:] for each in members], axis=1).astype(np.float64)


def _combine_block(combination: Combination, members: Members) -> NDArray[np.floating[Any]]:
    method, total = combination.method, np.zeros(members[0].shape)
    if method == "stacking":
        scores = _features(members) @ np.array(combination.coefficients).T + np.array(combination.intercepts)
        return _normalised(np.exp(scores - scores.max(1, keepdims=True)))
    if method == "hard":
        for each in members:
            total[np.arange(len(total)), each.argmax(1)] += 1
            total += each.astype(np.float64) / (2 * len(members))
        return _normalised(total)
    if method == "geometric":
        for each in members:
            total += np.log(np.maximum(each, SMALLEST, dtype=np.float64))
        return _normalised(np.exp((total - total.max(1, keepdims=True)) / len(members)))
    if method == "rank":
        for each in members:
            total += _points(each)
        return _normalised(total)
    weights = np.array(combination.class_weights) if method == "per-class" else np.array(combination.weights)
    for each, weight in zip(members, weights, strict=True):
        if np.any(weight):
            total += each * weight
    return _normalised(total)


def _points(probabilities: NDArray[np.float16]) -> NDArray[np.int64]:
    """int64 (n, C): 10 for the most probable class of an image, 9 for the second; as many for equal probabilities."""
    most = min(RANKED, probabilities.shape[1])
    top = -np.sort(-np.partition(probabilities, -most, axis=1)[:, -most:], axis=1)
    points = np.zeros(probabilities.shape, np.int64)
    for place in range(most):
        points += probabilities >= top[:, place : place + 1]
    return points


def _normalised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = values.sum(1, keepdims=True)
    even = np.full_like(values, 1 / values.shape[1])
    return np.asarray(np.divide(values, sums, out=even, where=sums > 0))
