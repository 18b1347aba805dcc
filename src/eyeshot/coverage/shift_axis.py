"""A linear view along the direction that best tells clean training from the target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

FOLDS = 5
STRENGTH = 0.1  # of the penalty's inverse, as where the shift is measured


def shift_axis(
    points: NDArray[np.float32],
    cloud: NDArray[np.str_],
    ids: Sequence[str],
    *,
    scales: NDArray[np.float32],
    seed: int,
) -> NDArray[np.float32]:
    """Place points by how much they look like target, and by the most that varies besides.

    Across lies the direction of a logistic regression between clean training and target, cross-fitted: no direction
    is asked about points that it was fitted on. A view is placed by the fold that holds its source, other clouds by
    the mean over folds. Fitted and asked about the same points, a direction in many dimensions tells any two sets
    apart. Upwards lies the first principal component of what is left without that direction. Both are lengths in the
    reference space.

    Args:
        points: float32 (P, d) in the reference space.
        cloud: (P,) name of each point's cloud.
        ids: P ids of images; a view carries that of its source.
        scales: float32 (d,), undo the whitening, for the principal component.
        seed: deals images to folds.

    Returns:
        float32 (P, 2); the target lies to the right.

    Raises:
        ValueError: there are not two points each of training and target.
    """
    chosen = np.flatnonzero((cloud == "train") | (cloud == "target"))
    is_target = cloud[chosen] == "target"
    fewest = int(min(is_target.sum(), (~is_target).sum()))
    if fewest < 2:
        raise ValueError(f"training and target must have at least 2 points each, got {fewest}")
    folds = StratifiedKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    directions, offsets = [], []
    fold_of = np.full(len(points), -1)
    for number, (fitted, asked) in enumerate(folds.split(chosen, is_target)):
        direction, offset = _tell_apart(points[chosen[fitted]], is_target[fitted])
        directions.append(direction)
        offsets.append(offset)
        fold_of[chosen[asked]] = number
    fold_of_source = {ids[row]: fold_of[row] for row in np.flatnonzero(cloud == "train").tolist()}
    for row in np.flatnonzero(fold_of < 0).tolist():
        fold_of[row] = fold_of_source.get(ids[row], -1)
    by_fold = points @ np.stack(directions, axis=1) + np.array(offsets)
    x = np.where(fold_of >= 0, by_fold[np.arange(len(points)), fold_of], by_fold.mean(axis=1))
    return np.stack([x, _most_that_is_left(points, np.mean(directions, axis=0), scales)], axis=1).astype(np.float32)


def _tell_apart(points: NDArray[np.float32], is_target: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Unit normal of the plane between the two sets, and its offset: distances to the plane compare over folds."""
    scaler = StandardScaler().fit(points)
    model = LogisticRegression(C=STRENGTH, max_iter=500).fit(scaler.transform(points), is_target)
    direction = model.coef_[0] / scaler.scale_
    length = float(np.linalg.norm(direction)) or 1.0
    offset = float(model.intercept_[0] - direction @ scaler.mean_)
    return direction / length, offset / length


def _most_that_is_left(
    points: NDArray[np.float32], direction: NDArray[np.float64], scales: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Places along the first principal component (whitening undone) of the points without `direction`."""
    length = float(np.linalg.norm(direction)) or 1.0
    direction = direction / length
    left = points - np.outer(points @ direction, direction)
    component = PCA(n_components=1, svd_solver="full").fit(left * scales).components_[0] * scales
    placed: NDArray[np.float64] = left @ (component / (float(np.linalg.norm(component)) or 1.0))
    return placed
