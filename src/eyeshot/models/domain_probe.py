"""The train-against-test classifier: a cross-fitted linear probe that separates two sets of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.models.linear_probe import fit_head

FOLDS = 5


def domain_classifier(
    features: NDArray[np.generic],
    in_target: NDArray[np.bool_],
    fold: NDArray[np.integer],
    *,
    balanced: bool = False,
    penalty: float = 1.0,
    tolerance: float,
) -> NDArray[np.float64]:
    """Out-of-fold logits of "from the target": each row is scored by a probe fitted on the other folds.

    Args:
        features: (n, D), of both sets together.
        in_target: bool (n,), True for rows of the target.
        fold: int (n,), the fold of each row, as from `domain_folds`; duplicates must share a fold.
        balanced: give both sets the same total weight, whatever their sizes.
        penalty, tolerance: see `fit_head`.

    Returns:
        float64 (n,).

    Raises:
        ModelError: some features are not finite.
    """
    logits = np.zeros(len(features))
    for number in np.unique(fold):
        held_out = fold == number
        fitted_target = in_target[~held_out]
        weights = np.where(fitted_target, 1 / fitted_target.sum(), 1 / (~fitted_target).sum())
        head = fit_head(
            features[~held_out], fitted_target.astype(np.int64), class_count=2, penalty=penalty, tolerance=tolerance,
            sample_weights=weights if balanced else None,
        )  # fmt: skip
        values = np.asarray(features[held_out], np.float32)
        logits[held_out] = values @ (head.weight[1] - head.weight[0]) + (head.bias[1] - head.bias[0])
    return logits


def domain_folds(
    in_target: NDArray[np.bool_], groups: NDArray[np.int64], *, folds: int = FOLDS, seed: int = 0
) -> NDArray[np.int64]:
    """Assign each row to a fold; a group stays in one fold, and both sets are spread evenly.

    Args:
        in_target: bool (n,)
        groups: int64 (n,), equal for duplicates, within a set and between the sets.
        folds: number of folds; each set needs at least as many rows.
        seed: seed of the assignment.

    Returns:
        int64 (n,), 0 to `folds` - 1.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    fold = np.empty(len(in_target), np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(in_target, in_target, groups)):
        fold[held_out] = number
    return fold
