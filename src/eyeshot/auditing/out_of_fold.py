"""Class probabilities of images that the head has not seen, copy groups whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.leakage import TOLERANCE
from eyeshot.core import SILENT, Progress
from eyeshot.images import ALWAYS_TRAIN, ImageTable, make_folds
from eyeshot.models import Head, fit_head

FOLDS = 5
# Strongest first. With the usual penalty of 1 a head learns wrong labels by heart: `benchmarks/label_issues.py`.
PENALTIES = (10_000.0, 3_000.0, 1_000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
MOST_CHOOSING = 4_000  # images by which the penalty is chosen, or 20 a class
SMALLEST = 1e-12

Values = NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Probabilities of a head for images it was not fitted on.

    Attributes:
        probabilities: float32 (N, C), rows sum to 1; zeros where not judged.
        judged: bool (N,): False for images of classes with under five different images, which train in every fold.
        penalty: ridge of the head that was chosen.
    """

    probabilities: NDArray[np.float32]
    judged: NDArray[np.bool_]
    penalty: float


def out_of_fold(
    table: ImageTable,
    features: Values,
    groups: NDArray[np.int64],
    *,
    seed: int = 0,
    progress: Progress = SILENT,
) -> OutOfFold:
    """Probabilities of a linear head (multinomial logistic regression), five-fold cross-fitted.

    The penalty is the strongest one whose log loss on held-out images is within one standard error of the least (the
    one-standard-error rule of Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984,
    section 3.4.3): given labels that are wrong make weak penalties seem better than they are.

    Args:
        table: N labelled images.
        features: (N, D).
        groups: int64 (N,), equal for copies, which are never fitted and judged at once.
        seed: of the folds.
        progress: called with (heads fitted, heads in all).

    Raises:
        InputError: copies under several labels tie a whole class into one fold.
    """
    fold = make_folds(table, groups, folds=FOLDS, seed=seed, small=True)
    judged = fold != ALWAYS_TRAIN
    count = len(table.classes)
    most = max(MOST_CHOOSING, 20 * count)
    chosen = np.arange(len(table))
    if len(table) > most:
        chosen = np.sort(np.random.default_rng([seed, 14]).choice(len(table), most, replace=False))
    penalty, found = _choose(features[chosen], table.labels[chosen], fold[chosen], count, progress)
    if len(chosen) < len(table):
        found = _fit_all(features, table.labels, fold, count, penalty, {})
    progress(1, 1)
    return OutOfFold(found, judged, penalty)


def _choose(
    features: Values,
    labels: NDArray[np.int64],
    fold: NDArray[np.int64],
    count: int,
    progress: Progress,
) -> tuple[float, NDArray[np.float32]]:
    held = np.flatnonzero(fold != ALWAYS_TRAIN)
    heads: dict[int, Head] = {}
    tried: list[tuple[float, float, float, NDArray[np.float32]]] = []
    for number, penalty in enumerate(PENALTIES):
        found = _fit_all(features, labels, fold, count, penalty, heads)
        losses = -np.log(np.maximum(found[held, labels[held]], SMALLEST))
        error = float(losses.std()) / max(1.0, float(np.sqrt(len(losses))))
        loss = float(losses.mean()) if len(losses) else 0.0
        tried.append((loss, error, penalty, found))
        progress(number + 1, len(PENALTIES))
        if loss > min(tried, key=lambda one: one[0])[0]:  # weaker ones only lose more
            break
    least, error, *_ = min(tried, key=lambda one: one[0])
    return next((penalty, found) for loss, _, penalty, found in tried if loss <= least + error)


def _fit_all(
    features: Values,
    labels: NDArray[np.int64],
    fold: NDArray[np.int64],
    count: int,
    penalty: float,
    heads: dict[int, Head],
) -> NDArray[np.float32]:
    """Probabilities of each fold by the head of the others; `heads` are where to begin, and replaced."""
    found = np.zeros((len(labels), count), np.float32)
    for number in range(FOLDS):
        held = fold == number
        if held.any() and not held.all():
            heads[number] = fit_head(
                features[~held], labels[~held], class_count=count, penalty=penalty, tolerance=TOLERANCE,
                start=heads.get(number),
            )  # fmt: skip
            found[held] = heads[number].predict_proba(features[held])
    return found
