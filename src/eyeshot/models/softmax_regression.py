"""Multinomial logistic regression on many classes, in few passes over the features.

It has the minimum of `fit_head`, which stands beside it: that one is exact to any tolerance, takes soft labels and row
weights, and is as fast for few classes. This one is for folds of hundreds of classes, where a pass costs a second:
products are in float32, and four things save passes, of two large products each.

- The Hessian of a class is near kappa times the covariance of the features plus the ridge, kappa the mean of p (1 - p).
  Its inverse starts every direction of L-BFGS (Liu and Nocedal, Mathematical Programming 45, 1989). Kappa follows the
  fit: it falls a hundredfold while the answers become sure.
- Scores are linear in the weights, so the loss along a direction costs no product. The step and the scale of the
  weights so far are both found by Newton's method, in two dimensions.
- The first step costs less than one pass and reaches what three of L-BFGS do. Its direction is that of ridge
  regression, with the biases of linear discriminants, and with the kappa that the fit has at its end: kappa decides how
  much of the ridge counts, and that of the start, 1 / C, is far too large. The gradient at zero is in the class means.
- It ends by the expected decrease of the loss, as a share of it or in nats. With many classes each entry of the
  gradient is small long before the fit is good.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Values = NDArray[np.float32]

DECREMENT = 5e-4
PAIRS = 10
STEPS = 200
SEARCH_STEPS = 8
SEARCH_ROWS = 4096
"""Rows that set the length of a step; all rows only where that step does not lower the loss."""
FIRST_ROWS = 1024
"""Rows that set the scale of the first step, within a tenth."""
FIRST_ROUNDS = 2
"""Times that kappa follows the first step before it is made."""
SHORTEST = 1e-6
"""Where features know nothing of the classes, no step lowers the loss."""
NEAR = 1e-3
"""Expected decrease, as a share of the loss, below which the step of L-BFGS itself is right nearly always."""
BLOCK = 1 << 18
"""Scores that are worked on at once: they stay in the caches of the processor."""
TINY = 1e-12
PASSES = 16
"""The directions may cost as much as this many products of a pass."""
COVARIANCE_PASSES = 2
"""And the covariance as this many. From four rows a direction it is a quarter too uneven, which costs two steps."""


class Curvature:
    """The inverse of kappa times the covariance plus a ridge, from the principal directions of the features.

    Where all of them would cost more than the fit itself, some come from some of the rows, and the variance of the
    directions that are left out is taken to be even. It speeds the search up and does not move the minimum, so
    features that are nearly the same, as of other folds, can share it.

    Args:
        values: float32 (n, D), centred and scaled.
        class_count: C.
    """

    def __init__(self, values: Values, class_count: int) -> None:
        count, width = values.shape
        affordable = int((PASSES * 4.0 * count * width * class_count / 10) ** (1 / 3))
        size = min(max(affordable, 64), count, width)
        enough = min(count, max(4 * width, COVARIANCE_PASSES * 2 * count * class_count // width))
        rows = np.linspace(0, count - 1, enough if size == width else size).astype(np.int64)
        some = values[rows]
        self.rest = 0.0
        self.complete = size == width
        if self.complete:
            variances, directions = np.linalg.eigh(some.T @ some / len(some))
        else:
            variances, sides = np.linalg.eigh(some @ some.T / size)
            # Of as many rows as directions the small variances are too small, so they count as the rest.
            left, variances, sides = variances[: size // 2], variances[size // 2 :], sides[:, size // 2 :]
            directions = some.T @ (sides / np.sqrt(np.maximum(variances * size, TINY)))
            self.rest = max(0.0, float(left.sum())) / max(1, width - len(variances))
        self.variances = np.maximum(variances, 0)
        self.directions = np.ascontiguousarray(directions, np.float32)

    def inverse_times(self, gradient: Values, kappa: float, ridge: float) -> Values:
        """The inverse times a gradient (C, D + 1), whose last column is that of the biases."""
        result = np.empty_like(gradient)
        factors = 1 / (kappa * self.variances + ridge)
        outside = 1 / (kappa * self.rest + ridge)
        if not self.complete:
            factors = factors - outside
        inner = (gradient[:, :-1] @ self.directions) * factors.astype(np.float32)
        result[:, :-1] = inner @ self.directions.T
        if not self.complete:
            result[:, :-1] += np.float32(outside) * gradient[:, :-1]
        result[:, -1] = gradient[:, -1] / kappa
        return result


def minimise(
    values: Values,
    labels: NDArray[np.int64],
    class_count: int,
    *,
    ridge: float,
    curvature: Curvature,
    start: Values | None = None,
    decrement: float = DECREMENT,
    least_decrease: float = 0.0,
    steps: int = STEPS,
) -> tuple[Values, float]:
    """Weights of the smallest mean cross entropy plus ridge / 2 times the squared weights; biases are free.

    Args:
        values: float32 (n, D), centred and scaled.
        labels: int64 (n,), class numbers.
        class_count: C.
        ridge: above 0.
        curvature: of these features, or of nearly the same.
        start: (C, D + 1), weights to start from.
        decrement: ends where a step should lower the loss by less than this share of it.
        least_decrease: or by less than this, in nats.
        steps: at most as many steps.

    Returns:
        float32 (C, D + 1), the last column the biases; and the loss.
    """
    count = len(values)
    if start is None:
        weights, scores = _first_step(values, labels, class_count, ridge, curvature)
    else:
        weights = start
        scores = values @ weights[:, :-1].T
        scores += weights[:, -1]
    loss, gradient, kappa = _gradient(values, labels, scores, weights, ridge)
    history: list[tuple[Values, Values, float]] = []
    few = np.linspace(0, count - 1, min(count, SEARCH_ROWS)).astype(np.int64)
    every = np.arange(count)
    for _ in range(steps if start is not None else steps - 1):
        direction = -_two_loops(gradient, history, curvature, kappa, ridge)
        decrease = -0.5 * float(np.vdot(gradient, direction))
        if decrease <= max(decrement * loss, least_decrease):
            break
        change = values @ direction[:, :-1].T
        change += direction[:, -1]
        for rows in (None, few, every) if decrease < NEAR * loss else (few, every):
            scale, step = 1.0, 1.0
            if rows is not None:
                scale, step = _search(scores[rows], change[rows], labels[rows], weights, direction, ridge)
            moved = np.float32(scale) * weights + np.float32(step) * direction
            moved_scores = np.float32(step) * change
            moved_scores += scores if scale == 1.0 else np.float32(scale) * scores
            new_loss, new_gradient, new_kappa = _gradient(values, labels, moved_scores, moved, ridge)
            if new_loss < loss:
                break
        else:  # rounding is all that is left
            break
        difference, turn = moved - weights, new_gradient - gradient
        product = float(np.vdot(difference, turn))
        if product > 0:
            history = [*history[1 - PAIRS :], (difference, turn, 1 / product)]
        weights, scores, loss, gradient, kappa = moved, moved_scores, new_loss, new_gradient, new_kappa
    return weights, loss


def _gradient(
    values: Values, labels: NDArray[np.int64], scores: Values, weights: Values, ridge: float
) -> tuple[float, Values, float]:
    """The loss, its gradient (C, D + 1), and the mean of p (1 - p) over rows and classes."""
    count, classes = scores.shape
    gradient = np.zeros(weights.shape, np.float32)
    loss, squares = 0.0, 0.0
    height = max(1, BLOCK // classes)
    for begin in range(0, count, height):
        part = slice(begin, begin + height)
        expected = scores[part] - scores[part].max(axis=1, keepdims=True)
        rows = np.arange(len(expected)), labels[part]
        label = expected[rows]
        np.exp(expected, out=expected)
        total = expected.sum(axis=1, keepdims=True)
        loss += float((np.log(total[:, 0]) - label).sum(dtype=np.float64))
        expected /= total
        squares += float(np.vdot(expected, expected))
        expected[rows] -= 1
        gradient[:, :-1] += expected.T @ values[part]
        gradient[:, -1] += expected.sum(axis=0)
    gradient /= np.float32(count)
    gradient[:, :-1] += np.float32(ridge) * weights[:, :-1]
    penalty = 0.5 * ridge * float(np.vdot(weights[:, :-1], weights[:, :-1]))
    return loss / count + penalty, gradient, max((1 - squares / count) / classes, TINY)


def _two_loops(
    gradient: Values,
    history: list[tuple[Values, Values, float]],
    curvature: Curvature,
    kappa: float,
    ridge: float,
) -> Values:
    """The inverse Hessian, as the last steps show it, times the gradient: Nocedal's recursion."""
    result = gradient.copy()
    shares = []
    for difference, turn, factor in reversed(history):
        shares.append(factor * float(np.vdot(difference, result)))
        result -= np.float32(shares[-1]) * turn
    result = curvature.inverse_times(result, kappa, ridge)
    if history:
        _, turn, factor = history[-1]
        result *= np.float32(1 / (factor * float(np.vdot(turn, curvature.inverse_times(turn, kappa, ridge)))))
    for (difference, turn, factor), share in zip(history, reversed(shares), strict=True):
        result += np.float32(share - factor * float(np.vdot(turn, result))) * difference
    return result


def _search(
    scores: Values, change: Values, labels: NDArray[np.int64], weights: Values, direction: Values, ridge: float
) -> tuple[float, float]:
    """The factors of the weights so far and of the direction that make the loss on these rows smallest."""
    sides = [weights[:, :-1], direction[:, :-1]]
    squares = ridge * np.array([[float(np.vdot(one, other)) for one in sides] for other in sides])

    def measure(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        loss, slope, bend = _along(scores, change, labels, point)
        return loss + 0.5 * float(point @ squares @ point), slope + squares @ point, bend + squares

    point = np.array([1.0, 0.0])
    loss, slope, bend = measure(point)
    first = loss
    for _ in range(SEARCH_STEPS):
        move = -np.linalg.lstsq(bend, slope, rcond=1e-10)[0]
        expected = -0.5 * float(slope @ move)
        if expected <= max(1e-3 * (first - loss), 1e-6 * loss):
            break
        part = 1.0
        while part > 1e-3 and (there := measure(point + part * move))[0] >= loss:
            part *= 0.4
        if there[0] >= loss:
            break
        point = point + part * move
        loss, slope, bend = there
    return (float(point[0]), float(point[1])) if point[1] else (1.0, 1.0)


def _first_step(
    values: Values, labels: NDArray[np.int64], class_count: int, ridge: float, curvature: Curvature
) -> tuple[Values, Values]:
    """Weights (C, D + 1) after the step from zero, and the scores (n, C) that they give.

    The direction is that of ridge regression. How much its ridge counts is decided by kappa, and kappa falls on the
    way, so the direction is made again with that of its own end. The bias of a class of a linear discriminant is minus
    half its weights times its mean (Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2009,
    section 4.3); without it classes far from the middle win too often.
    """
    count = len(values)
    gradient, centres = _zero_gradient(values, labels, class_count)
    some = np.linspace(0, count - 1, min(count, FIRST_ROWS)).astype(np.int64)
    rows, row_labels = values[some], labels[some]
    kappa, step = 1 / class_count, 1.0
    for number in range(FIRST_ROUNDS + 1):
        direction = -curvature.inverse_times(gradient, kappa, ridge)
        direction[:, -1] -= 0.5 * np.einsum("cd,cd->c", direction[:, :-1], centres)
        change = rows @ direction[:, :-1].T + direction[:, -1]
        squares = ridge * float(np.vdot(direction[:, :-1], direction[:, :-1]))
        step = _first_length(partial(_slope, change, row_labels, squares), step)
        if number < FIRST_ROUNDS:
            kappa = _kappa(np.float32(step) * change)
    weights = np.float32(step) * direction
    scores = values @ weights[:, :-1].T
    scores += weights[:, -1]
    return weights, scores


def _zero_gradient(values: Values, labels: NDArray[np.int64], class_count: int) -> tuple[Values, Values]:
    """The gradient (C, D + 1) where all weights are zero, which takes no product, and the class means (C, D)."""
    count, width = values.shape
    members = csr_matrix((np.ones(count, np.float32), (labels, np.arange(count))), (class_count, count))
    sums = np.empty((class_count, width + 1), np.float32)
    sums[:, :-1] = members @ values
    sums[:, -1] = np.bincount(labels, minlength=class_count)
    gradient: Values = (sums.sum(axis=0) / class_count - sums) / np.float32(count)
    centres = np.asarray(sums[:, :-1] / np.maximum(sums[:, -1:], 1), np.float32)
    return gradient, centres


def _slope(change: Values, labels: NDArray[np.int64], squares: float, step: float) -> float:
    """The slope of the loss at a step along `change`, from scores of zero."""
    mixed = _softmax(np.float32(step) * change)
    of_labels = float(change[np.arange(len(change)), labels].sum(dtype=np.float64))
    return float((float(np.vdot(mixed, change)) - of_labels) / len(change) + step * squares)


def _kappa(scores: Values) -> float:
    """The mean of p (1 - p) over rows and classes."""
    shares = _softmax(scores)
    return max((1 - float(np.vdot(shares, shares)) / len(shares)) / int(shares.shape[1]), TINY)


def _softmax(scores: Values) -> Values:
    shares: Values = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _first_length(slope_at: Callable[[float], float], step: float) -> float:
    """The step where the slope changes its sign, to within a tenth; Newton's from zero overshoots it by far."""
    low, high = 0.0, step
    while slope_at(high) < 0:
        low, high = high, 4 * high
    while high > max(1.1 * low, SHORTEST):
        middle = math.sqrt(low * high) if low else high / 4
        low, high = (middle, high) if slope_at(middle) < 0 else (low, middle)
    return high


def _along(
    scores: Values, change: Values, labels: NDArray[np.int64], point: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Mean loss, slope (2,) and curvature (2, 2) of point[0] * scores + point[1] * change."""
    count, classes = scores.shape
    loss, slope, bend = 0.0, np.zeros(2), np.zeros((2, 2))
    height = max(1, BLOCK // classes)
    for begin in range(0, count, height):
        both: list[Any] = [scores[begin : begin + height], change[begin : begin + height]]
        rows = np.arange(len(both[0])), labels[begin : begin + height]
        mixed = np.float32(point[0]) * both[0] + np.float32(point[1]) * both[1]
        mixed -= mixed.max(axis=1, keepdims=True)
        label = mixed[rows]
        np.exp(mixed, out=mixed)
        total = mixed.sum(axis=1, keepdims=True)
        loss += float((np.log(total[:, 0]) - label).sum(dtype=np.float64))
        mixed /= total
        weighted = [mixed * side for side in both]
        means = [side.sum(axis=1) for side in weighted]
        for one in range(2):
            slope[one] += float((means[one] - both[one][rows]).sum(dtype=np.float64))
            for other in range(one + 1):
                bend[one, other] += float(np.vdot(weighted[one], both[other]) - np.vdot(means[one], means[other]))
    bend[0, 1] = bend[1, 0]
    return loss / count, slope / count, bend / count
