"""Folds that judge each image once: those of the project's split, or folds made here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError, Progress, listing, plural
from eyeshot.data.config import DEFAULT_FOLDS, DataConfig
from eyeshot.data.dataset import LEAST_KNOWN, Dataset, load_dataset
from eyeshot.data.split import ALWAYS_TRAIN, make_folds, read_split

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows that train and rows that are judged."""


def load_folds(
    config: DataConfig,
    *,
    folds: int = DEFAULT_FOLDS,
    cache: Path,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[Dataset, list[Fold], list[str]]:
    """The images of a project and the folds that judge a model on them.

    In this order: a `val` folder, or a split with a held-out part and no folds, or a single `fold`, is judged by all
    that trains; a split with folds is judged fold by fold, and what it holds out of all folds takes no part; without a
    split, folds are made here. Duplicates never lie on both sides. An image is not judged by a fold in which its class
    does not train: no classifier could be right.

    Args:
        config: the images.
        folds: number of folds where there is neither a split nor a `val` folder.
        cache, workers, progress: as for `load_dataset`.

    Returns:
        the dataset; for each fold the rows that train and the rows that are judged, both ascending; and what was done,
        in sentences.

    Raises:
        InputError: as `load_dataset`, or no image could be judged.
    """
    by_folds = config.val is None and config.fold is None
    if by_folds and config.split is not None:
        by_folds = read_split(config.split).folds > 0
    if not by_folds:
        dataset = load_dataset(config, cache=cache, workers=workers, progress=progress)
        return dataset, *_judged(dataset, [(dataset.train_rows, dataset.val_rows)])
    everything = config.model_copy(update={"split": None, "val_share": None})
    dataset = load_dataset(everything, cache=cache, workers=workers, progress=progress)
    of_split, notes = _of_split(dataset, config.split) if config.split is not None else ([], [])
    divided = of_split
    if not divided:
        part = make_folds(dataset.images, dataset.groups, folds=folds, seed=config.seed, small=True)
        divided = [(np.flatnonzero(part != fold), np.flatnonzero(part == fold)) for fold in range(folds)]
        notes.append(f"{folds} folds were made here (seed {config.seed}); duplicates share a fold.")
        notes += _always_training(dataset, part)
    rows, more = _judged(dataset, divided)
    return dataset, rows, [*notes, *more]


def folds_of(config: DataConfig) -> list[int]:
    """The folds of the split, the one that validates first; none where something else validates.

    That is a `val` folder, a part that is held out of all folds unless a fold is named, or no split with folds.
    """
    if config.val is not None or config.split is None or not config.split.is_file():
        return []
    split = read_split(config.split)
    first = config.fold if config.fold is not None else None if split.val else 0
    if first is None or not split.folds:
        return []
    return [first, *(fold for fold in range(split.folds) if fold != first)]


def _of_split(dataset: Dataset, file: Path) -> tuple[list[Fold], list[str]]:
    """The folds of a split file; none if it belongs to other images."""
    split = read_split(file)
    parts = split.of(dataset.images)
    known = sum(part is not None for part in parts)
    if known < LEAST_KNOWN * len(parts):
        return [], [f"{file.name} knows {known} of {len(parts)} images and is not used. Make it again: eyeshot split."]
    numbers = np.array([ALWAYS_TRAIN if not isinstance(part, int) else part for part in parts])
    trains = np.array([part not in (None, "val") for part in parts])
    folds = [
        (np.flatnonzero(trains & (numbers != fold)), np.flatnonzero(numbers == fold)) for fold in range(split.folds)
    ]
    held_out, new = sum(part == "val" for part in parts), len(parts) - known
    notes = [f"Split of {file.name}: {split.folds} folds, each judged by what trains on the others."]
    if held_out:
        notes.append(f"{held_out} images that the split holds out of all folds take no part.")
    if new:
        words = f"{plural(new, 'image')} came after the split and {plural(new, 'is', 'are')} not used"
        notes.append(f"{new} {words}. Make it again: eyeshot split.")
    return folds, notes


def _always_training(dataset: Dataset, part: NDArray[np.int64]) -> list[str]:
    always = part == ALWAYS_TRAIN
    if not always.any():
        return []
    small = [dataset.classes[number] for number in np.unique(dataset.images.labels[always])]
    words = f"{plural(len(small), 'class has', 'classes have')} fewer different images than folds ({listing(small)})"
    trains = plural(len(small), "it trains", "they train")
    return [f"{len(small)} {words}: {trains} in every fold and cannot be judged."]


def _judged(dataset: Dataset, folds: Sequence[Fold]) -> tuple[list[Fold], list[str]]:
    """The folds without judged images that have a duplicate or no image of their class in training."""
    labels, groups = dataset.images.labels, dataset.groups
    kept, repeated, foreign = [], 0, []
    for train, val in folds:
        known = np.isin(groups[val], groups[train])
        taught = np.isin(labels[val], labels[train])
        repeated += int(known.sum())
        foreign.append(val[~known & ~taught])
        chosen = val[~known & taught]
        if len(chosen):
            kept.append((train.astype(np.int64), chosen.astype(np.int64)))
    if not kept:
        raise InputError(
            "No image can be judged: each class needs images in training and others in validation. Add images, or "
            "make the split again: eyeshot split."
        )
    notes = []
    if repeated:
        notes.append(
            f"{repeated} {plural(repeated, 'image')} that would be judged {plural(repeated, 'is a', 'are')} "
            f"{plural(repeated, 'duplicate')} of images that train: left out. Make the split again: eyeshot split."
        )
    rows = np.concatenate(foreign)
    if len(rows):
        names = [dataset.classes[number] for number in np.unique(labels[rows])]
        words = f"{plural(len(rows), 'image')} of {listing(names)} {plural(len(rows), 'is', 'are')}"
        notes.append(f"{len(rows)} {words} not judged: the class has no training image in that fold.")
    return kept, notes
