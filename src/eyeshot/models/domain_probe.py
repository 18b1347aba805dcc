"""The train-against-test classifier: a linear probe that tells two sets apart, cross-fitted."""

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
    """Logits of "from the target", float64 (n,), each from a probe fitted on the other folds.

    Args:
        features: (n, D), of both sets together.
        in_target: bool (n,), which rows are from the target.
        fold: int (n,), the fold of each row, as of `domain_folds`; copies must share one.
        balanced: both sets weigh the same in a fit, however many rows they have.
        penalty, tolerance: as of `fit_head`.

    Raises:
        ModelError: features that are not finite.
    """
    logits = np.zeros(len(features))
    for number in np.unique(fold):
        held = fold == number
        fitted = in_target[~held]
        head = fit_head(
            features[~held], fitted.astype(np.int64), class_count=2, penalty=penalty, tolerance=tolerance,
            sample_weights=np.where(fitted, 1 / fitted.sum(), 1 / (~fitted).sum()) if balanced else None,
        )  # fmt: skip
        values = np.asarray(features[held], np.float32)
        logits[held] = values @ (head.weight[1] - head.weight[0]) + (head.bias[1] - head.bias[0])
    return logits


def domain_folds(
    in_target: NDArray[np.bool_], groups: NDArray[np.int64], *, folds: int = FOLDS, seed: int = 0
) -> NDArray[np.int64]:
    """The fold of each row, int64 (n,), 0 to `folds` - 1: groups whole, both sets spread evenly.

    Args:
        in_target: bool (n,)
        groups: int64 (n,), equal for copies, also of a row of either set.
        folds: how many; there must be as many rows of each set.
        seed: another seed, other folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    fold = np.empty(len(in_target), np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(splitter.split(in_target, in_target, groups)):
        fold[held] = number
    return fold
