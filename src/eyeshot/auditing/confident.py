"""Confident learning: which labels do out-of-fold probabilities speak against?

Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", Journal of Artificial
Intelligence Research 70 (2021), section 3.1: thresholds, the confident joint, and its calibration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST = 1e-6  # of a probability in units of its threshold: what lies below is noise of the fit


@dataclass(frozen=True, eq=False)
class Confident:
    """What probabilities say about n labels of C classes.

    Attributes:
        thresholds: float64 (C,), mean probability of a class over the images that carry its label; infinite for a
            class that none carries.
        proposed: int64 (n,), of the classes whose probability reaches its threshold the most probable; the given label
            where none does.
        quality: float64 (n,), logarithm of the probability of the given label over that of the best other class, each
            in units of its threshold: below 0, another class fits better. This orders the images, the worst first.
        joint: int64 (C, C), images by given label and proposed class, without those where no class reaches its
            threshold.
        noise: estimated share of wrong labels; None where the probabilities are sure of nothing.
    """

    thresholds: NDArray[np.float64]
    proposed: NDArray[np.int64]
    quality: NDArray[np.float64]
    joint: NDArray[np.int64]
    noise: float | None

    def order(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions of the images whose label is spoken against, the clearest first."""
        against = np.flatnonzero(self.proposed != labels)
        return against[np.argsort(self.quality[against], kind="stable")]


def confident(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> Confident:
    """Apply confident learning.

    Args:
        labels: int64 (n,), 0 to C - 1.
        probabilities: (n, C), of models that were not fitted on the image; rows sum to 1.
    """
    chances = np.asarray(probabilities, np.float64)
    rows, count = np.arange(len(chances)), chances.shape[1]
    carried = np.bincount(labels, minlength=count)
    own = np.bincount(labels, weights=chances[rows, labels], minlength=count)
    thresholds = np.where(carried > 0, own / np.maximum(carried, 1), np.inf)
    reaches = chances >= thresholds - 1e-9  # a mean of equal numbers is not always that number
    sure = reaches.any(axis=1)
    best = np.where(reaches, chances, -1.0).argmax(axis=1)
    proposed = np.where(sure, best, labels).astype(np.int64)
    # In units of the thresholds, or images of classes that a model is never sure of would all come first.
    fits = chances / thresholds
    given = fits[rows, labels]
    fits[rows, labels] = 0
    quality = np.log(given + LEAST) - np.log(fits.max(axis=1, initial=0) + LEAST)
    joint = np.zeros((count, count), np.int64)
    np.add.at(joint, (labels[sure], proposed[sure]), 1)
    return Confident(thresholds, proposed, quality, joint, _noise(joint, carried))


def _noise(joint: NDArray[np.int64], carried: NDArray[np.int64]) -> float | None:
    """Share off the diagonal, each row of the joint brought to the number of images that carry its label."""
    known = joint.sum(axis=1) > 0
    if not known.any():
        return None
    shares = joint[known] / joint[known].sum(axis=1, keepdims=True)
    calibrated = shares * carried[known, None]
    right = calibrated[np.arange(int(known.sum())), np.flatnonzero(known)].sum()
    return float(1 - right / carried[known].sum())
