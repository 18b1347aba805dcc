"""The one space in which all candidates of a model are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage

DIMENSIONS = 64


@dataclass(frozen=True, eq=False)
class ReferenceSpace:
    """Centring, projection to principal components and whitening, fitted once on clean images.

    Attributes:
        centre: float64 (D,)
        directions: float64 (D, d), principal directions divided by their shrunk standard deviations.
        scales: float32 (d,), those standard deviations: times them, whitening is undone.
        shrinkage: share of the mean variance mixed into every variance, 0-1.
    """

    centre: NDArray[np.float64]
    directions: NDArray[np.float64]
    scales: NDArray[np.float32]
    shrinkage: float

    def transform(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """`features` (n, D) -> float32 (n, d)."""
        moved = (np.asarray(features, np.float64) - self.centre) @ self.directions
        return moved.astype(np.float32)


def fit_reference_space(
    train: NDArray[np.floating],
    target: NDArray[np.floating],
    *,
    seed: int,
    dimensions: int = DIMENSIONS,
) -> ReferenceSpace:
    """Fit on equal numbers of clean training and target images, never on augmented ones.

    The shrinkage is that of Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices", J. Multivariate Analysis 88 (2004): without it, directions of almost no variance would be blown up
    by the whitening. Costs O(n D min(n, D)).

    Args:
        train: (n, D) features of clean training images.
        target: (M, D) features of the target.
        seed: chooses which images make the numbers equal.
        dimensions: d, at most; fewer where there are fewer images or features.
    """
    random = np.random.default_rng(seed)
    count = min(len(train), len(target))
    rows = np.concatenate(
        [
            np.asarray(cloud, np.float64)[np.sort(random.choice(len(cloud), count, replace=False))]
            for cloud in (train, target)
        ]
    )
    centre = rows.mean(axis=0)
    rows = rows - centre
    shrinkage = float(ledoit_wolf_shrinkage(rows, assume_centered=True))
    _, singular, directions = np.linalg.svd(rows, full_matrices=False)
    variances = singular**2 / len(rows)
    mean_variance = variances.sum() / rows.shape[1]
    kept = min(dimensions, int((variances > 1e-12 * max(variances[0], 1e-30)).sum()))
    shrunk = (1 - shrinkage) * variances[:kept] + shrinkage * mean_variance
    chosen = directions[:kept]
    # A singular vector's sign is arbitrary: the largest entry is made positive, so that maps repeat.
    signs = np.sign(chosen[np.arange(kept), np.abs(chosen).argmax(axis=1)])
    scales = np.sqrt(shrunk)
    return ReferenceSpace(centre, (chosen * signs[:, None]).T / scales, scales.astype(np.float32), shrinkage)
