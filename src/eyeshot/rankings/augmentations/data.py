"""The images of a ranking: baseline training, sources, held-out, target and generated images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from eyeshot.augment import Pool
from eyeshot.core import SILENT, InputError, Progress, plural
from eyeshot.data import (
    Dataset,
    Geometry,
    ImageTable,
    Pixels,
    PixelStore,
    copy_groups,
    find_groups,
    hold_out,
    read_images,
    sample_rows,
)
from eyeshot.rankings.augmentations.coverage import NEIGHBOURS
from eyeshot.rankings.augmentations.settings import RankingSettings

LEAST_IMAGES = 2 * (NEIGHBOURS + 1)
"""Images of each kind that a ranking needs: neighbour balls are measured in each half of a half-sample."""
BASELINE_IMAGES = 20_000
MOST_TRAINING = 4
"""Sources and further training images together, in multiples of the sources: what short runs train on. Otherwise all
images of a large folder would have to be decoded and passed through the model before the first step, and a run of a few
minutes never uses more."""


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


@dataclass(frozen=True, eq=False)
class Tables:
    """The images of a dataset that a ranking uses, before they are decoded at the size of the model.

    Attributes:
        dataset: all images in their roles.
        val, target: image tables; `target` is `val` if there are no test images.
        baseline: rows of the dataset's images that train the baseline; empty for a pretrained model.
        sources: rows of the images that augmented samples are made of.
        more: rows of further images that short runs train on, in addition to the sources.
        generated: generated images, or None.
        notes: notes of the dataset, and what was left out.
    """

    dataset: Dataset
    val: ImageTable
    target: ImageTable
    baseline: NDArray[np.int64]
    sources: NDArray[np.int64]
    more: NDArray[np.int64]
    generated: ImageTable | None
    notes: list[str]

    @property
    def train(self) -> ImageTable:
        """The table that the rows refer to."""
        return self.dataset.images

    @property
    def target_is_validation(self) -> bool:
        """Whether there are no test images."""
        return self.dataset.test is None

    @property
    def n_train(self) -> int:
        """Number of images that may train."""
        return len(self.dataset.train_rows)

    @property
    def n_val(self) -> int:
        """Number of images that validate."""
        return len(self.dataset.val_rows)

    @property
    def n_target(self) -> int:
        """Number of images to be covered."""
        return self.n_val if self.dataset.test is None else len(self.dataset.test)


@dataclass(frozen=True, eq=False)
class Data:
    """The decoded parts of a run.

    Attributes:
        classes: names of the C classes.
        baseline: images that the baseline trains on; None for a pretrained model.
        sources: images that augmented samples are made of.
        more: further clean training images that short runs train on.
        val, target, generated: held-out images, images to be covered, and generated images.
        skipped: (path, reason) of files that were left out.
        notes: sentences to print.
        repeated: which target images are also training images, in words; empty if there are none.
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
    repeated: str = ""


def sample_tables(dataset: Dataset, settings: RankingSettings, *, cache: Path) -> Tables:
    """Choose the images of a ranking among the training images, the validation images and the images to be covered.

    Raises:
        InputError: no generated image can be used.
        StorageError: the cache cannot be written.
    """
    notes = [*dataset.notes]
    images, seed = dataset.images, settings.seed
    val = images.take(dataset.val_rows)
    val = val.take(_each_once(val, dataset.groups[dataset.val_rows]))
    chosen_val = val.take(sample_rows(val, settings.max_images, seed=seed))
    chosen_target, repeats = chosen_val, len(dataset.val_rows) - len(val)
    if dataset.test is not None:
        chosen_target, repeats = _different_images(dataset.test, settings, cache=cache)
    if repeats:
        words = f"{repeats} target {plural(repeats, 'image is a duplicate', 'images are duplicates')}"
        notes.append(f"{words} (also flipped or turned) of other target images: each picture counts once.")
    baseline = np.empty(0, np.int64)
    source_rows = dataset.train_rows
    if settings.from_scratch:
        groups = dataset.groups[source_rows]
        for_sources, for_baseline = hold_out(images.take(source_rows), groups, share=0.5, seed=seed + 1)
        source_rows, baseline = source_rows[for_sources], source_rows[for_baseline]
        if len(baseline) > BASELINE_IMAGES:
            few = sample_rows(images.take(baseline), BASELINE_IMAGES, seed=seed)
            notes.append(f"The baseline trains on {BASELINE_IMAGES} of its {len(baseline)} images.")
            baseline = baseline[few]
    # Never more sources than target images: coverage would saturate, and candidates could not be told apart.
    count = min(settings.max_images, len(chosen_target), len(source_rows))
    sources = source_rows[sample_rows(images.take(source_rows), count, seed=seed)]
    rest = np.setdiff1d(source_rows, sources)
    wanted = min(len(rest), (MOST_TRAINING - 1) * count)
    more = rest[sample_rows(images.take(rest), wanted, seed=seed)] if wanted else np.empty(0, np.int64)
    generated = None
    if settings.generated is not None:
        generated = read_images(
            settings.generated, minimum_classes=1, cache=cache, workers=settings.workers, levels=images.levels
        )
        generated = generated.with_classes(dataset.classes)
        generated = generated.take(sample_rows(generated, settings.samples_per_image * count, seed=seed))
    # Half-samples and the order of training depend on positions, and renaming a file must not move its image.
    order = np.argsort(np.argsort(np.array(images.contents), kind="stable"))
    sources, more, baseline = (rows[np.argsort(order[rows])] for rows in (sources, more, baseline))
    return Tables(
        dataset=dataset,
        val=_by_content(chosen_val),
        target=_by_content(chosen_target),
        baseline=baseline,
        sources=sources,
        more=more,
        generated=None if generated is None else _by_content(generated),
        notes=notes,
    )


def check_images(tables: Tables) -> None:
    """Check that there are enough images for a ranking; decoding, which leaves images out, checks it again.

    Raises:
        InputError: too few target, held-out or source images, or one class.
    """
    _enough(tables.train.labels[tables.sources], len(tables.val), len(tables.target), files=tables.n_target)


def _different_images(test: ImageTable, settings: RankingSettings, *, cache: Path) -> tuple[ImageTable, int]:
    """A sample of the test images in which each picture is there once, and how many images that leaves out.

    Duplicates within the target make neighbour balls of radius 0, which nothing covers. Equal files are left out
    before the sample is drawn, so that more of them change nothing; others are found among the images of the sample.
    """
    _, contents = np.unique(np.array(test.contents), return_inverse=True)
    different = test.take(_each_once(test, contents.astype(np.int64)))
    chosen = different.take(sample_rows(different, settings.max_images, seed=settings.seed))
    groups, _ = find_groups(chosen, cache=cache, workers=settings.workers)
    kept = chosen.take(_each_once(chosen, groups))
    return kept, len(test) - len(different) + len(chosen) - len(kept)


def _each_once(table: ImageTable, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ascending rows of the largest file of each group."""
    sizes, contents = table.frame["bytes"].to_numpy(), np.array(table.contents)
    order = np.lexsort((np.array(table.ids), contents, -sizes))
    _, first = np.unique(groups[order], return_index=True)
    return np.sort(order[first]).astype(np.int64)


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
    """Decode the images that the run needs, once.

    Raises:
        InputError: too few images can be decoded.
        StorageError: the disk is full.
    """
    store = PixelStore(cache, geometry)
    skipped = [(item.path, item.reason) for item in tables.dataset.skipped]
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
    repeated = ""
    if not tables.target_is_validation:
        target, repeated = _without_training_images(
            target, [part for part in (sources, more, baseline) if part is not None]
        )
        if repeated:
            progress(0, 0, repeated.split(" (")[0])  # shown now, shortened: the rest of the run takes long
    _enough(sources.labels, len(val), len(target), files=tables.n_target)
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
        repeated,
    )


def _without_training_images(target: Part, training: Sequence[Part]) -> tuple[Part, str]:
    """The target without images that are also training images, which every candidate covers, and a sentence about them.

    If too few images would be left for a ranking, all of them stay.
    """
    duplicate_of = _duplicates_in(target, training)
    if not duplicate_of:
        return target, ""
    row, other = next(iter(duplicate_of.items()))
    rest = np.setdiff1d(np.arange(len(target)), list(duplicate_of))
    enough = len(rest) >= LEAST_IMAGES
    words = (
        f"{len(duplicate_of)} of {len(target)} target images "
        f"{plural(len(duplicate_of), 'is a duplicate', 'are duplicates')} (also flipped or turned) of training images "
        f"that are used here, as {target.ids[row]} of {other}: every candidate covers them, so "
        f"{'they are left out of all scores' if enough else 'scores say little, and too few other images are left'}. "
        "See eyeshot audit."
    )
    return target.take(rest) if enough else target, words


def _duplicates_in(part: Part, others: Sequence[Part]) -> dict[int, str]:
    """Rows of `part` whose pixels are in the others, also flipped or turned, with the id of one such image."""
    pixels = np.concatenate([np.asarray(images.pool.images) for images in (part, *others)])
    keys = [key for images in (part, *others) for key in images.pool.keys]
    used = ImageTable(pl.DataFrame({"content": keys, "label": None}))
    groups = copy_groups(used, Pixels(pixels, np.arange(len(keys)), tuple(keys), ()))
    ids = [name for images in others for name in images.ids]
    there = dict(zip(groups[len(part) :].tolist(), ids, strict=True))
    return {row: there[group] for row, group in enumerate(groups[: len(part)].tolist()) if group in there}


def _enough(source_labels: NDArray[np.int64], n_val: int, n_target: int, *, files: int) -> None:
    for name, count in (("target", n_target), ("held-out", n_val), ("source", len(source_labels))):
        if count < LEAST_IMAGES:
            of_files = f" among {files} files" if name == "target" else ""
            raise InputError(
                f"The ranking needs at least {LEAST_IMAGES} different {name} images ({NEIGHBOURS} neighbours in each "
                f"half), got {count}{of_files}. Add images that are not duplicates, or raise --max-images or "
                "--val-share."
            )
    if len(np.unique(source_labels)) < 2:
        raise InputError("Labels can only be kept or lost with at least 2 classes, got 1 among the source images.")
