"""One penalty for all folds of a linear probe, and the probabilities of each judged image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import SILENT, Progress
from eyeshot.data import Fold
from eyeshot.models.linear_probe import COARSE, Head, fit_head

PENALTIES = (3_000.0, 300.0, 30.0, 3.0, 0.3)
"""Strongest first."""
MOST_CHOOSING = 4_000
"""Training images that choose the penalty, or 20 per class if that is more."""
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
    would cost as many times more, and one number out of five cannot adapt to the judged images.

    Args:
        features: (N, D).
        labels: int64 (N,).
        folds: rows that train and rows that are judged, of each fold.
        class_count: C.
        seed: seed of the sample that chooses the penalty.
        progress: called with (fits done, fits in all).

    Returns:
        float32 (N, C), zeros in rows that no fold judges; and the penalty.
    """
    steps = len(PENALTIES) + len(folds)
    penalty = _choose_penalty(features, labels, folds[0], class_count, seed, progress, steps)
    probabilities = np.zeros((len(labels), class_count), np.float32)
    head: Head | None = None
    for number, (train, judged) in enumerate(folds):
        progress(len(PENALTIES) + number, steps)
        head = fit_head(
            features[train], labels[train], class_count=class_count, penalty=penalty, tolerance=COARSE, start=head
        )
        probabilities[judged] = head.predict_proba(features[judged])
    progress(steps, steps)
    return probabilities, penalty


def _choose_penalty(
    features: NDArray[np.generic],
    labels: NDArray[np.int64],
    fold: Fold,
    class_count: int,
    seed: int,
    progress: Progress,
    steps: int,
) -> float:
    random = np.random.default_rng([seed, 26])
    train, judged = (_some(rows, max(MOST_CHOOSING, 20 * class_count), random) for rows in fold)
    best, least, head = PENALTIES[0], np.inf, None
    for number, penalty in enumerate(PENALTIES):
        progress(number, steps, "penalty")
        head = fit_head(
            features[train], labels[train], class_count=class_count, penalty=penalty, tolerance=COARSE, start=head
        )
        known = head.predict_proba(features[judged])[np.arange(len(judged)), labels[judged]]
        loss = float(-np.log(np.maximum(known, SMALLEST)).mean())
        if loss > least:  # weaker penalties only get worse
            break
        best, least = penalty, loss
    return best


def _some(rows: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    return rows if len(rows) <= count else np.sort(random.choice(rows, count, replace=False))
