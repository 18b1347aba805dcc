"""Brings predictions of several runs to the same images and classes, in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError, listing, plural
from eyeshot.predictions.image_ids import match_ids
from eyeshot.predictions.table import Predictions


def align(predictions: Sequence[Predictions]) -> list[Predictions]:
    """The predictions with images and classes in the order of the first; rows are copied only where the order differs.

    Labels that one lacks (a file of the user's own) are taken from another.

    Raises:
        InputError: none were given, or they are of other images or classes, or disagree on a label.
    """
    if not predictions:
        raise InputError("At least one run is needed, got none.")
    first = predictions[0]
    aligned = [first, *(_like(first, other) for other in predictions[1:])]
    labels = _common_labels(aligned)
    return [replace(each, labels=labels) for each in aligned]


def join_folds(parts: Sequence[Predictions], *, run: str) -> Predictions:
    """One table from runs that validated on different folds: what they predict out of fold.

    Raises:
        InputError: an image is in several parts, or the classes differ.
    """
    if len(parts) == 1:
        return replace(parts[0], run=run)
    first = parts[0]
    columns = [_columns(first, part) for part in parts]
    ids = [image for part in parts for image in part.ids]
    repeated = len(ids) - len(set(ids))
    if repeated:
        raise InputError(
            f"Runs of different folds must validate on different images, but {repeated} "
            f"{plural(repeated, 'image')} of {run!r} {plural(repeated, 'is', 'are')} in several folds."
        )
    chosen = [part.probabilities[:, order] for part, order in zip(parts, columns, strict=True)]
    labels = None
    if all(part.labels is not None for part in parts):
        numbers = [np.argsort(order) for order in columns]
        labels = np.concatenate([_renumbered(part.labels, number) for part, number in zip(parts, numbers, strict=True)])
    return Predictions(tuple(ids), np.concatenate(chosen), first.classes, labels, run=run, split=first.split)


def check_probabilities(probabilities: NDArray[np.floating[Any]], *, name: str) -> None:
    """Refuse what cannot be probabilities (n, C).

    Raises:
        InputError: values are not finite, are scores before softmax, or do not sum to 1.
    """
    for start in range(0, len(probabilities), 10_000):
        block = np.asarray(probabilities[start : start + 10_000], np.float32)
        if not np.isfinite(block).all():
            bad = int((~np.isfinite(block)).any(1).sum())
            raise InputError(
                f"Probabilities must be finite, but {bad} rows of {name!r} hold NaN or infinite values. Leave it out, "
                "or make it again: a training that diverged gives such values."
            )
        if block.size and (block.min() < -1e-3 or block.max() > 1 + 1e-2):
            raise InputError(
                f"Probabilities must lie between 0 and 1, got {block.min():.3g} to {block.max():.3g} in {name!r}: "
                "these look like scores before softmax. Convert them with --logits."
            )
        sums = block.sum(1)
        if block.size and np.abs(sums - 1).max() > 2e-2:
            raise InputError(
                f"The probabilities of an image must sum to 1, got {sums.min():.3g} to {sums.max():.3g} in {name!r}. "
                "Divide each row by its sum, or, if these are scores before softmax, convert them with --logits."
            )


def with_columns_of(first: Predictions, other: Predictions) -> Predictions:
    """`other` with its classes in the order of `first`; the images stay.

    Raises:
        InputError: the classes differ.
    """
    order = _columns(first, other)
    if order.tolist() == list(range(len(order))):
        return other
    labels = None if other.labels is None else _renumbered(other.labels, np.argsort(order))
    return replace(other, classes=first.classes, probabilities=np.asarray(other.probabilities)[:, order], labels=labels)


def _like(first: Predictions, other: Predictions) -> Predictions:
    changed = with_columns_of(first, other)
    if changed.ids == first.ids:
        return changed
    if len(changed) != len(first):
        shared = len(set(changed.ids) & set(first.ids))
        raise InputError(
            f"Runs can be compared on the same images only, but {_name(first)} has predictions of {len(first)} images "
            f"and {_name(other)} of {len(other)}; {shared} are in both. Train them with the same split, or predict the "
            "same folder: eyeshot predict RUN --data DIR."
        )
    try:
        rows, _ = match_ids(first.ids, changed.ids, what=f"image ids of {_name(first)}")
    except InputError as error:
        raise InputError(
            f"Runs can be compared on the same images only, but those of {_name(first)} and {_name(other)} differ. "
            f"{error}"
        ) from error
    labels = None if changed.labels is None else changed.labels[rows]
    return replace(changed, ids=first.ids, probabilities=changed.probabilities[rows], labels=labels)


def _columns(first: Predictions, other: Predictions) -> NDArray[np.int64]:
    """int64 (C,): the columns of `other` in the order of the classes of `first`."""
    if set(first.classes) != set(other.classes) or len(first.classes) != len(other.classes):
        only = sorted(set(first.classes) ^ set(other.classes))
        raise InputError(
            f"Runs must have the same classes, but {_name(first)} and {_name(other)} differ in {len(only)}: "
            f"{listing(only)}."
        )
    place = {name: position for position, name in enumerate(other.classes)}
    return np.array([place[name] for name in first.classes], np.int64)


def _renumbered(labels: NDArray[np.int64] | None, number: NDArray[np.int64]) -> NDArray[np.int64]:
    assert labels is not None
    return np.where(labels < 0, -1, number[labels]).astype(np.int64)


def _common_labels(aligned: Sequence[Predictions]) -> NDArray[np.int64] | None:
    labels: NDArray[np.int64] | None = None
    owner = aligned[0]
    for one in aligned:
        if one.labels is None:
            continue
        if labels is None:
            labels, owner = one.labels, one
            continue
        both = (labels >= 0) & (one.labels >= 0)
        differing = int((labels[both] != one.labels[both]).sum())
        if differing:
            raise InputError(
                f"Runs must agree on the labels, but {_name(owner)} and {_name(one)} have different labels for "
                f"{differing} of {len(labels)} images: they were trained with different decisions. Train one again."
            )
        labels = np.where(labels >= 0, labels, one.labels)
    return labels


def _name(predictions: Predictions) -> str:
    return repr(predictions.run or "the given file")
