"""Which images train and which validate: the one place where decisions, split, duplicate groups and roles are applied.

The ranking of augmentations, training, full training and the split take a `Dataset`, so for the same arguments and seed
they all see the same images. Nothing depends on the names of the files or on their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from eyeshot.core import SILENT, InputError, Progress, plural
from eyeshot.data.config import DataConfig, check_share
from eyeshot.data.csv_columns import check_columns
from eyeshot.data.decisions import DecisionLog, Decisions
from eyeshot.data.duplicates import find_duplicate_groups
from eyeshot.data.labels_csv import read_csv
from eyeshot.data.listing import Skipped, check_apart, note_links
from eyeshot.data.manifest import compute_manifest
from eyeshot.data.split import Split, hold_out, read_split
from eyeshot.data.table import ImageTable, class_notes, read_images

Rows = NDArray[np.int64]
LEAST_KNOWN = 0.5  # a split that knows a smaller share of the images belongs to another data set and is not used


@dataclass(frozen=True, eq=False)
class Dataset:
    """The images of a project in their roles.

    Attributes:
        config: the configuration that it was loaded with.
        images: N labelled images after decisions, all decodable; images of a `val` folder come last.
        train_rows: int64, ascending, positions in `images` of the training images.
        val_rows: int64, ascending, positions of the validation images; none is a duplicate of a training image.
        groups: int64 (N,), the position of the first image of each image's duplicate group.
        test: the test images; None if there are none. They are not searched for duplicates.
        skipped: files that are not used, with reasons.
        notes: what was done and what was skipped, in sentences to print.
    """

    config: DataConfig
    images: ImageTable
    train_rows: Rows
    val_rows: Rows
    groups: Rows
    test: ImageTable | None
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the C classes, sorted."""
        return self.images.classes


def check_data(config: DataConfig) -> None:
    """Check the arguments before any image is read.

    Raises:
        InputError: a folder, the CSV, one of its columns or the split cannot be used, one folder lies inside another,
            or a share or fold is out of range.
    """
    for name, folder in (("TRAIN", config.train), ("--test", config.test), ("--val", config.val)):
        if folder is not None and not folder.is_dir():
            raise InputError(
                f"{name} must be a folder of images, got {str(folder)!r}, which is not a folder. Check the path."
            )
    for held_out_folder in (config.test, config.val):
        if held_out_folder is not None:
            check_apart(config.train, held_out_folder)
    if config.labels is not None:
        check_columns(read_csv(config.labels), config.labels, config.path_column, config.label_column)
    if config.fold is not None and config.val is not None:
        raise InputError(
            f"--fold {config.fold} selects a fold of the split, but --val replaces the split. Leave one of them out."
        )
    if config.fold is not None and config.split is None:
        raise InputError(f"--fold {config.fold} needs a split. Make one: eyeshot split.")
    if config.split is not None and config.val is None:
        split = read_split(config.split)
        split.check_fold(_fold(split, config.fold))
    if config.val is None and config.val_share is not None:
        check_share(config.val_share)


def load_dataset(
    config: DataConfig,
    *,
    cache: Path,
    workers: int | None = None,
    progress: Progress | None = None,
    near_duplicates: Iterable[Sequence[str]] = (),
) -> Dataset:
    """Read the folders, apply decisions, find duplicates, and assign each image its role.

    The cost is reading N headers and, the first time, decoding each image to 64 pixels (0.3 to 10 ms of a core per
    image, by file size; cached by content). The duplicate search takes about a second for 15,000 images and grows
    almost linearly with N.

    Args:
        config: the images and their roles.
        cache: folder of all caches.
        workers: threads that read and decode; None: one per processor.
        progress: called with the progress; None: not shown.
        near_duplicates: additional duplicate groups, as content keys, such as crops found by an audit.

    Raises:
        InputError: an argument cannot be used, or no image is left to train or validate on.
        StorageError: the cache cannot be written.
    """
    check_data(config)
    progress = progress or SILENT
    decisions = Decisions() if config.decisions is None else DecisionLog(config.decisions).read()
    train = read_images(
        config.train,
        labels=config.labels,
        path_column=config.path_column,
        label_column=config.label_column,
        image_root=config.image_root,
        cache=cache,
        workers=workers,
        progress=progress.sub("reading training files"),
    )
    skipped = [*train.skipped]
    images, sentences = _apply_decisions(train, decisions, config.decisions)
    # What decisions have settled is not said.
    notes = [note for note in train.notes if note not in set(class_notes(train.frame, []))]
    notes += [*class_notes(images.frame, []), *([config.rules] if config.rules else []), *sentences]
    from_folder = 0
    if config.val is not None:
        val, sentences = _read_val(config.val, images, decisions, cache, workers, progress)
        notes += sentences
        skipped += val.skipped
        from_folder = len(val)
        images = replace(images, frame=pl.concat([images.frame, val.frame]), levels=images.levels or val.levels)
    test = None
    if config.test is not None:
        test = read_images(
            config.test,
            labelled=False,
            cache=cache,
            workers=workers,
            progress=progress.sub("reading test files"),
            levels=images.levels,
        )
        skipped += test.skipped
        notes += note_links(test.paths, config.train)
    in_train = np.arange(len(images)) < len(images) - from_folder
    groups, pixels = find_duplicate_groups(
        images, decisions, cache=cache, more=near_duplicates, workers=workers, progress=progress.sub("decoding images")
    )
    if pixels.skipped:
        broken = pixels.skipped[0]
        words = plural(len(pixels.skipped), "image cannot be decoded and is", "images cannot be decoded and are")
        notes.append(f"{len(pixels.skipped)} {words} not used, for example {broken.path}: {broken.reason}.")
        skipped += pixels.skipped
    images, in_train, groups = images.take(pixels.rows), in_train[pixels.rows], _renumbered(groups[pixels.rows])
    images = images.with_classes(_classes_left(images.take(np.flatnonzero(in_train)), config))
    train_rows, val_rows, sentences = _roles(images, in_train, groups, config)
    notes += sentences
    return Dataset(
        config=config,
        images=images,
        train_rows=train_rows,
        val_rows=val_rows,
        groups=groups,
        test=test,
        skipped=tuple(dict.fromkeys(skipped)),
        notes=tuple([*notes, *(test.notes if test is not None else ())]),
    )


def _apply_decisions(table: ImageTable, decisions: Decisions, file: Path | None) -> tuple[ImageTable, list[str]]:
    """The table after decisions, and notes on what they changed."""
    if file is None:
        return table, []
    manifest = compute_manifest(table, decisions)
    notes = [f"{bad}; this line is skipped, the rest is used." for bad in decisions.bad[:5]]
    if decisions.active:
        notes.append(
            f"Decisions of {file.name}: {manifest.left_out.height} of {len(table)} images left out, "
            f"{manifest.relabelled} under another label ({len(decisions.active)} "
            f"{plural(len(decisions.active), 'decision')})."
        )
    if len(manifest.table.classes) < 2:
        raise InputError(
            f"Training images need at least 2 classes, but decisions of {str(file)!r} leave "
            f"{len(manifest.table)} images in {len(manifest.table.classes)}. See eyeshot decisions list, or use "
            "--no-decisions."
        )
    return manifest.table, [*notes, *manifest.notes]


def _read_val(
    folder: Path, train: ImageTable, decisions: Decisions, cache: Path, workers: int | None, progress: Progress
) -> tuple[ImageTable, list[str]]:
    """The images of a validation folder after decisions, with the classes of training."""
    table = read_images(
        folder,
        minimum_classes=1,
        cache=cache,
        workers=workers,
        progress=progress.sub("reading validation files"),
        levels=train.levels,
    )
    # A decision applies to a picture in any folder: a wrong label is wrong here too, and of duplicates those that a
    # training image is kept for are left out here.
    manifest = compute_manifest(replace(table, frame=pl.concat([train.frame, table.frame])), decisions)
    here = pl.col("path").is_in(table.frame["path"].to_list())
    left_out, kept = manifest.left_out.filter(here).height, manifest.table.frame.filter(here)
    notes = [*table.notes]
    if left_out or manifest.relabelled:
        notes.append(
            f"Decisions about images of {folder.name!r}: {left_out} of {len(table)} left out, "
            f"{manifest.relabelled} under another label."
        )
    return replace(table, frame=kept).with_classes(train.classes), notes


def _classes_left(train: ImageTable, config: DataConfig) -> tuple[str, ...]:
    """Classes that have a decodable training image."""
    classes = tuple(sorted(set(train.frame["label"])))
    if len(classes) < 2:
        raise InputError(
            f"Training images need at least 2 classes, but of {str(config.train)!r} only {len(train)} images in "
            f"{len(classes)} can be decoded. See eyeshot audit."
        )
    return classes


def _roles(
    images: ImageTable, in_train: NDArray[np.bool_], groups: Rows, config: DataConfig
) -> tuple[Rows, Rows, list[str]]:
    """Training rows, validation rows, and notes on how they were chosen."""
    split: Split | None = None
    notes: list[str] = []
    if config.val is None and config.split is not None:
        split = read_split(config.split)
        known_count = sum(part is not None for part in split.of(images))
        if known_count < LEAST_KNOWN * len(images):
            notes.append(
                f"{config.split.name} knows {known_count} of {len(images)} images and is not used. "
                "Make it again: eyeshot split."
            )
            split = None
    if config.val is not None:
        train_rows, val_rows = _positions(in_train), _positions(~in_train)
    elif split is not None:
        train_rows, val_rows = split.rows(images, fold=_fold(split, config.fold))
    elif config.val_share is None:
        train_rows, val_rows = _positions(in_train), np.empty(0, np.int64)
    else:
        train_rows, val_rows = hold_out(images, groups, share=config.val_share, seed=config.seed)
    known_to_train = np.isin(groups[val_rows], groups[train_rows])
    fresh = val_rows[~known_to_train]
    repeated = int(known_to_train.sum())
    if config.val is not None:
        if repeated:
            notes.append(
                f"{repeated} validation "
                f"{plural(repeated, 'image is also a training image', 'images are also training images')} "
                "(flipped or turned too): left out."
            )
        if not len(fresh):
            raise InputError("Validation images must not be training images, and all of --val are. Give others.")
    elif split is not None:
        fold = _fold(split, config.fold)
        part = "the part held out of all folds" if fold is None else f"fold {fold}"
        if not len(train_rows) or not len(fresh):
            raise InputError(
                f"A split must leave images on both sides, got {len(train_rows)} to train and {len(fresh)} to "
                f"validate on ({part} of {str(config.split)!r}). Make it again: eyeshot split."
            )
        name = "split" if config.split is None else config.split.name
        notes.append(
            f"Split of {name}: {len(train_rows)} {plural(len(train_rows), 'image trains', 'images train')}, "
            f"{len(fresh)} {plural(len(fresh), 'validates', 'validate')} ({part})."
        )
        if repeated:
            notes.append(
                f"{repeated} {plural(repeated, 'image')} that would validate {plural(repeated, 'is a', 'are')} "
                f"{plural(repeated, 'duplicate')} of images that train: left out. "
                "Make the split again: eyeshot split."
            )
        new = sum(part is None for part in split.of(images))
        if new:
            notes.append(
                f"{new} {plural(new, 'image')} came after the split and {plural(new, 'is', 'are')} not used. "
                "Make it again: eyeshot split."
            )
    return train_rows, fresh, notes


def _fold(split: Split, fold: int | None) -> int | None:
    """The fold that validates; None: the part that is held out of all folds."""
    return 0 if fold is None and not split.val else fold


def _positions(chosen: NDArray[np.bool_]) -> Rows:
    return np.flatnonzero(chosen).astype(np.int64)


def _renumbered(groups: Rows) -> Rows:
    """Groups as the position of their first image, from any numbers that are equal within a group."""
    _, first, group_of = np.unique(groups, return_index=True, return_inverse=True)
    return first[group_of].astype(np.int64)
