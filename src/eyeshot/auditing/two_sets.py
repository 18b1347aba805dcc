"""A linear head that tells two sets of images apart, asked only about images it was not fitted on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.models import fit_head


def cross_fitted(
    features: NDArray[np.generic],
    in_second: NDArray[np.bool_],
    fold: NDArray[np.integer],
    *,
    balanced: bool = False,
    penalty: float = 1.0,
    tolerance: float,
) -> NDArray[np.float64]:
    """Logits of "from the second set", float64 (n,), each from a head fitted on the other folds.

    Args:
        features: (n, D).
        in_second: bool (n,)
        fold: int (n,), the fold of each image.
        balanced: both sets weigh the same in a fit, however many images they have.
        penalty, tolerance: as of `fit_head`.

    Raises:
        ModelError: features that are not finite.
    """
    logits = np.zeros(len(features))
    for number in np.unique(fold):
        held = fold == number
        fitted = in_second[~held]
        head = fit_head(
            features[~held], fitted.astype(np.int64), class_count=2, penalty=penalty, tolerance=tolerance,
            sample_weights=np.where(fitted, 1 / fitted.sum(), 1 / (~fitted).sum()) if balanced else None,
        )  # fmt: skip
        own = np.asarray(features[held], np.float32)
        logits[held] = own @ (head.weight[1] - head.weight[0]) + (head.bias[1] - head.bias[0])
    return logits
