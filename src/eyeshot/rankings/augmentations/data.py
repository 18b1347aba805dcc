"""From folders to the images of a run: which train the baseline, which are sources, held out, target, generated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from eyeshot.augment import Pool
from eyeshot.core import SILENT, InputError, Progress
from eyeshot.data import (
    Geometry,
    ImageTable,
    Pixels,
    PixelStore,
    check_apart,
    copy_groups,
    hold_out,
    read_images,
    sample_rows,
    use_decisions,
    use_split,
)
from eyeshot.rankings.augmentations.clouds import NEIGHBOURS
from eyeshot.rankings.augmentations.settings import RankingSettings

BASELINE_IMAGES = 20_000
MOST_TRAINING = 4
"""Sources and further training images together, in multiples of the sources: what short runs train on. All images of a
large folder would have to be decoded and passed through the model before the first step, and a run of a few minutes
sees no more."""


@dataclass(frozen=True, eq=False)
class Part:
    """Decoded images with their labels and ids.

    Attributes:
        pool: n images with their content keys.
        labels: int64 (n,), -1 where unlabelled.
        ids: n ids.
    """

    pool: Pool
    labels: NDArray[np.int64]
    ids: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.int64]) -> Part:
        """Some of the images."""
        pool = Pool(self.pool.images[rows], [self.pool.keys[row] for row in rows])
        return Part(pool, self.labels[rows], [self.ids[row] for row in rows])


@dataclass(frozen=True)
class Tables:
    """What lies in the folders, before anything is decoded.

    Attributes:
        train, val, target: image tables; `target` is `val` where there is no test folder.
        baseline: rows of `train` that train the baseline; empty for a pretrained model.
        sources: rows of `train` that views are made of.
        more: further rows of `train` that short runs train on, beside the sources.
        generated: made images, or None.
    """

    train: ImageTable
    val: ImageTable
    target: ImageTable
    baseline: NDArray[np.int64]
    sources: NDArray[np.int64]
    more: NDArray[np.int64]
    generated: ImageTable | None
    target_is_validation: bool
    n_train: int
    n_val: int
    n_target: int
    notes: list[str]


@dataclass(frozen=True, eq=False)
class Data:
    """The decoded parts of a run.

    Attributes:
        classes: C names.
        baseline: what the baseline trains on; None for a pretrained model.
        sources: what views are made of.
        more: further clean training images, that short runs train on.
        val, target, generated: held-out, to be covered, made.
        skipped: (path, reason) of files that were left out.
        notes: sentences to print.
    """

    classes: list[str]
    baseline: Part | None
    sources: Part
    more: Part
    val: Part
    target: Part
    generated: Part | None
    skipped: list[tuple[str, str]]
    notes: list[str]


def check_folders(train: Path, settings: RankingSettings) -> None:
    """Find wrong folders at once, before a model is loaded.

    Raises:
        InputError: a folder is missing, or the target lies inside the training folder or the reverse.
    """
    for name, folder in (("TRAIN", train), ("--test", settings.test), ("--val", settings.val)):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{name} must be a folder of images, got {str(folder)!r}, which is none. Check the path.")
    for other in (settings.test, settings.val):
        if other is not None:
            check_apart(train, other)


def read_tables(train: Path, settings: RankingSettings, *, cache: Path, progress: Progress = SILENT) -> Tables:
    """Read the folders and choose the images.

    Raises:
        InputError: a folder cannot be used, or too few images are left.
    """
    notes: list[str] = []
    table = read_images(
        train,
        labels=settings.labels,
        path_column=settings.path_column,
        label_column=settings.label_column,
        image_root=settings.image_root,
        cache=cache,
        workers=settings.workers,
        progress=progress.sub("reading training files"),
    )
    notes += table.notes
    notes += [settings.rules] if settings.rules else []
    divided = None
    if settings.decisions is not None:
        table, done = use_decisions(table, settings.decisions)
        notes += done
    if settings.split is not None and settings.val is None:
        divided, done = use_split(table, settings.split, fold=settings.fold)
        notes += done
    if settings.val is not None:
        val_table = read_images(
            settings.val,
            minimum_classes=1,
            cache=cache,
            workers=settings.workers,
            progress=progress.sub("reading validation files"),
        ).with_classes(table.classes)
        notes += val_table.notes
        train_rows = np.arange(len(table), dtype=np.int64)
        known = set(table.contents)
        fresh = np.array([row for row, key in enumerate(val_table.contents) if key not in known], np.int64)
        if len(fresh) < len(val_table):
            notes.append(f"{len(val_table) - len(fresh)} validation images are also training images: left out.")
            val_table = val_table.take(fresh)
        val_rows = np.arange(len(val_table), dtype=np.int64)
    elif divided is not None:
        val_table = table
        train_rows, val_rows = divided
    else:
        val_table = table
        train_rows, val_rows = hold_out(table, share=settings.val_share, seed=settings.seed)
    val = val_table.take(val_rows)
    target = val
    if settings.test is not None:
        target = read_images(
            settings.test,
            labelled=False,
            cache=cache,
            workers=settings.workers,
            progress=progress.sub("reading test files"),
        )
        notes += target.notes
    n_target = len(target)
    chosen_val = val.take(sample_rows(val, settings.max_images, seed=settings.seed))
    chosen_target = chosen_val
    if settings.test is not None:
        chosen_target = target.take(sample_rows(target, settings.max_images, seed=settings.seed))
    baseline = np.empty(0, np.int64)
    source_rows = train_rows
    if settings.from_scratch:
        kept = table.take(train_rows)
        for_sources, for_baseline = hold_out(kept, share=0.5, seed=settings.seed + 1)
        source_rows, baseline = train_rows[for_sources], train_rows[for_baseline]
        if len(baseline) > BASELINE_IMAGES:
            few = sample_rows(table.take(baseline), BASELINE_IMAGES, seed=settings.seed)
            notes.append(f"The baseline trains on {BASELINE_IMAGES} of its {len(baseline)} images.")
            baseline = baseline[few]
    # Never more sources than target images: cover would saturate and tell nothing apart.
    count = min(settings.max_images, len(chosen_target), len(source_rows))
    sources = source_rows[sample_rows(table.take(source_rows), count, seed=settings.seed)]
    rest = np.setdiff1d(source_rows, sources)
    wanted = min(len(rest), (MOST_TRAINING - 1) * count)
    more = rest[sample_rows(table.take(rest), wanted, seed=settings.seed)] if wanted else np.empty(0, np.int64)
    generated = None
    if settings.generated is not None:
        generated = read_images(settings.generated, minimum_classes=1, cache=cache, workers=settings.workers)
        generated = generated.with_classes(table.classes)
        generated = generated.take(sample_rows(generated, settings.samples_per_image * count, seed=settings.seed))
    # Half-samples and the order of training go by position, and a file's new name must not move its image.
    order = np.argsort(np.argsort(np.array(table.contents), kind="stable"))
    sources, more, baseline = (rows[np.argsort(order[rows])] for rows in (sources, more, baseline))
    return Tables(
        train=table,
        val=_by_content(chosen_val),
        target=_by_content(chosen_target),
        baseline=baseline,
        sources=sources,
        more=more,
        generated=None if generated is None else _by_content(generated),
        target_is_validation=settings.test is None,
        n_train=len(train_rows),
        n_val=len(val_rows),
        n_target=n_target,
        notes=notes,
    )


def _by_content(table: ImageTable) -> ImageTable:
    return table.take(np.argsort(np.array(table.contents), kind="stable"))


def decode_tables(
    tables: Tables,
    geometry: Geometry,
    settings: RankingSettings,
    *,
    cache: Path,
    progress: Progress = SILENT,
) -> Data:
    """Decode what the run needs, once.

    Raises:
        InputError: too few images can be decoded.
        StorageError: the disk is full.
    """
    store = PixelStore(cache, geometry)
    skipped = [(item.path, item.reason) for table in (tables.train, tables.target) for item in table.skipped]
    random = np.random.default_rng([settings.seed, 3])

    def load(table: ImageTable, words: str) -> Part:
        pixels = store.load(table, np.arange(len(table)), workers=settings.workers, progress=progress.sub(words))
        skipped.extend((item.path, item.reason) for item in pixels.skipped)
        ids = table.ids
        return Part(Pool(pixels.images, pixels.keys), table.labels[pixels.rows], [ids[row] for row in pixels.rows])

    sources = load(tables.train.take(random.permutation(tables.sources)), "decoding training images")
    more = load(tables.train.take(random.permutation(tables.more)), "decoding training images")
    baseline = load(tables.train.take(tables.baseline), "decoding training images") if len(tables.baseline) else None
    val = load(tables.val, "decoding validation images")
    target = val if tables.target_is_validation else load(tables.target, "decoding test images")
    generated = load(tables.generated, "decoding generated images") if tables.generated is not None else None
    notes = list(tables.notes)
    if settings.val is None or tables.target_is_validation:
        val = _without_copies(val, [part for part in (sources, more, baseline) if part is not None], notes)
        target = val if tables.target_is_validation else target
    if not tables.target_is_validation:
        leaks = _leaks(target, [part for part in (sources, more, baseline) if part is not None])
        if leaks:
            progress(0, 0, leaks.split(" (")[0])  # said now, in short: the rest of the run takes long
        notes += [leaks] if leaks else []
    _enough(sources, val, target)
    return Data(
        list(tables.train.classes),
        baseline,
        sources,
        more,
        val,
        target,
        generated,
        sorted(set(skipped)),
        notes,
    )


def _without_copies(val: Part, others: Sequence[Part], notes: list[str]) -> Part:
    """Leave out held-out images whose pixels, flipped or turned or not, are also in training."""
    copy_of = _copies_in(val, others)
    fresh = np.array([row for row in range(len(val)) if row not in copy_of], np.int64)
    if len(fresh) == len(val):
        return val
    notes.append(
        f"{len(val) - len(fresh)} held-out images are copies (also flipped or turned) of training images: left out."
    )
    return val.take(fresh)


def _leaks(target: Part, training: Sequence[Part]) -> str:
    """Which target images are also in training, in words; they are covered whatever an augmentation does."""
    copy_of = _copies_in(target, training)
    if not copy_of:
        return ""
    row, other = next(iter(copy_of.items()))
    return (
        f"{len(copy_of)} of {len(target)} target images are copies (also flipped or turned) of training images that "
        f"are used here, as {target.ids[row]} of {other}: they are covered whatever is done. See eyeshot audit."
    )


def _copies_in(part: Part, others: Sequence[Part]) -> dict[int, str]:
    """Rows of `part` whose pixels, flipped or turned or not, are in the others, with the id of one such image."""
    images = np.concatenate([np.asarray(one.pool.images) for one in (part, *others)])
    keys = [key for one in (part, *others) for key in one.pool.keys]
    used = ImageTable(pl.DataFrame({"content": keys}))
    groups = copy_groups(used, Pixels(images, np.arange(len(keys)), tuple(keys), ()))
    ids = [name for one in others for name in one.ids]
    there = dict(zip(groups[len(part) :].tolist(), ids, strict=True))
    return {row: there[group] for row, group in enumerate(groups[: len(part)].tolist()) if group in there}


def _enough(sources: Part, val: Part, target: Part) -> None:
    needed = 2 * (NEIGHBOURS + 1)
    for name, part in (("target", target), ("held-out", val), ("source", sources)):
        if len(part) < needed:
            raise InputError(
                f"Cover needs at least {needed} {name} images ({NEIGHBOURS} neighbours in each half), got {len(part)}. "
                "Add images, or raise --max-images or --val-share."
            )
    if len(np.unique(sources.labels)) < 2:
        raise InputError("Labels can only be kept or lost with at least 2 classes, got 1 among the source images.")
