"""Which classes are recognised worst, which pairs are confused, and which errors runs have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError
from eyeshot.predictions.table import Predictions

Counts = NDArray[np.int64]


class SharedErrors(NamedTuple):
    """How n labelled images are judged by R aligned runs.

    Attributes:
        wrong: bool (R, n).
        by_all: int64, rows that all runs have wrong.
        alone: for each run, int64, rows that it alone has wrong.
        agreed: int64 (n,), the class that all runs name; -1 where they disagree.
        expected: how many images all runs would have wrong if their errors had nothing to do with each other.
    """

    wrong: NDArray[np.bool_]
    by_all: NDArray[np.int64]
    alone: tuple[NDArray[np.int64], ...]
    agreed: NDArray[np.int64]
    expected: float


def labelled_only(predictions: Predictions) -> Predictions:
    """The images that have a label.

    Raises:
        InputError: no image has one.
    """
    labels = predictions.labels
    name = repr(predictions.run or "the given file")
    if labels is None or not (labels >= 0).any():
        raise InputError(
            f"Errors can be found only on images with labels, but {name} has none for its {len(predictions)} images. "
            "Add a column of labels to the file, or give a run of eyeshot train."
        )
    rows = np.flatnonzero(labels >= 0)
    if len(rows) == len(predictions):
        return predictions
    ids = tuple(predictions.ids[row] for row in rows)
    return replace(predictions, ids=ids, probabilities=predictions.probabilities[rows], labels=labels[rows])


def confusion(predictions: Predictions) -> Counts:
    """int64 (C, C): how many images of the class of each row are predicted as the class of each column."""
    assert predictions.labels is not None
    count = len(predictions.classes)
    chosen = predictions.probabilities.argmax(1)
    cells = predictions.labels * count + chosen
    return np.bincount(cells, minlength=count * count).reshape(count, count).astype(np.int64)


def confused_pairs(counts: Counts) -> list[tuple[int, int]]:
    """Pairs of classes with errors between them, the most errors first, either way.

    Args:
        counts: int64 (C, C), of `confusion`.

    Returns:
        pairs of class numbers; of the first class more images are taken for the second than the other way round.
    """
    both = np.triu(counts + counts.T, 1)
    first, second = np.nonzero(both)
    order = np.lexsort((second, first, -both[first, second]))
    pairs = []
    for one, other in zip(first[order].tolist(), second[order].tolist(), strict=True):
        pairs.append((one, other) if counts[one, other] >= counts[other, one] else (other, one))
    return pairs


def shared_errors(runs: Sequence[Predictions]) -> SharedErrors:
    """Errors of runs on the same images, of which every image has a label."""
    labels = runs[0].labels
    assert labels is not None
    chosen = np.stack([run.probabilities.argmax(1) for run in runs])
    wrong = chosen != labels
    count = wrong.sum(0)
    return SharedErrors(
        wrong=wrong,
        by_all=np.flatnonzero(count == len(runs)),
        alone=tuple(np.flatnonzero(each & (count == 1)) for each in wrong),
        agreed=np.where((chosen == chosen[0]).all(0), chosen[0], -1),
        expected=float(wrong.mean(1).prod() * wrong.shape[1]),
    )


def label_suspects(runs: Sequence[Predictions], shared: SharedErrors) -> NDArray[np.int64]:
    """Rows whose label all runs contradict with the same class, the surest first.

    The order is by the mean probability of that class less that of the label: normalised margin, Northcutt, Jiang and
    Chuang, JAIR 70 (2021), section 3.2. Fewer than two runs give no suspects: an error of a single run says nothing
    about the label.
    """
    labels = runs[0].labels
    if len(runs) < 2 or labels is None:
        return np.zeros(0, np.int64)
    rows = shared.by_all[shared.agreed[shared.by_all] >= 0]
    mean = np.mean([np.asarray(run.probabilities[rows], np.float64) for run in runs], axis=0)
    place = np.arange(len(rows))
    margin = mean[place, shared.agreed[rows]] - mean[place, labels[rows]]
    return np.asarray(rows[np.argsort(-margin, kind="stable")], np.int64)
