"""A task: a source with its targets, read from its folder and decoded at the size of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.augmentation_truth.sources import BUILT_IN, OWN, VERSION, write_built_in, write_users
from eyeshot.augment import Pool
from eyeshot.core.errors import InputError
from eyeshot.data import DataConfig, Geometry, ImageTable, PixelStore, load_dataset, read_images


@dataclass(frozen=True)
class Task:
    """A source and its targets.

    Attributes:
        name: name of the source.
        folder: contains `train/<class>`, `val/<class>`, `targets/<name>/truth/<class>` and `targets/<name>/score`.
        targets: their names, the source's own held-out images first.
        version: changes with the images.
    """

    name: str
    folder: Path
    targets: tuple[str, ...]
    version: str


@dataclass(frozen=True, eq=False)
class Labelled:
    """Decoded images: uint8 (n, S, S, 3) as a pool with content keys, and labels int64 (n,)."""

    pool: Pool
    labels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Decoded:
    """All images that the truth needs; `aspect_ratios` are the 5th and 95th percentile, as in the ranking."""

    classes: tuple[str, ...]
    train: Labelled
    val: Labelled
    targets: dict[str, Labelled]
    aspect_ratios: tuple[float, float]


def open_task(source: str, targets: Sequence[Path], work: Path) -> Task:
    """A built-in source by its name, or a user's folder with the given targets.

    Raises:
        InputError: it is neither, or a folder cannot be used.
    """
    if source in BUILT_IN and not Path(source).is_dir():
        if targets:
            raise InputError(f"--target is for a source folder of your own, got --source {source}. Leave it out.")
        return _task(source, write_built_in(source, work), VERSION)
    if not Path(source).is_dir():
        raise InputError(f"--source must be a folder or one of {', '.join(BUILT_IN)}, got {source!r}. Check the path.")
    folder, name = write_users(Path(source), targets, work)
    return _task(name, folder, VERSION)


def _task(name: str, folder: Path, version: str) -> Task:
    found = sorted(entry.name for entry in (folder / "targets").iterdir())
    return Task(name, folder, (OWN, *(target for target in found if target != OWN)), version)


def decode(task: Task, geometry: Geometry, cache: Path) -> Decoded:
    """Decode the training, validation and truth images at a size; kept in the product's pixel store."""
    store = PixelStore(cache, geometry)
    # The roles are those of a ranking on the same folders.
    dataset = load_dataset(DataConfig(train=task.folder / "train", val=task.folder / "val"), cache=cache)
    train = dataset.images.take(dataset.train_rows)
    low, high = np.percentile((train.frame["width"] / train.frame["height"]).to_numpy(), (5, 95))
    return Decoded(
        dataset.classes,
        _load(store, train),
        _load(store, dataset.images.take(dataset.val_rows)),
        {
            name: _load(
                store,
                read_images(task.folder / "targets" / name / "truth", cache=cache).with_classes(dataset.classes),
            )
            for name in task.targets
        },
        (float(low), float(high)),
    )


def score_halves(task: Task, geometry: Geometry, cache: Path) -> dict[str, Pool]:
    """The other half of each target, without labels: what a ranking may look at."""
    store, halves = PixelStore(cache, geometry), {}
    for name in task.targets:
        table = read_images(task.folder / "targets" / name / "score", labelled=False, cache=cache)
        table = table.take(np.argsort(np.array(table.contents), kind="stable"))
        pixels = store.load(table, np.arange(len(table)))
        halves[name] = Pool(np.array(pixels.images[:]), pixels.keys)
    return halves


def _load(store: PixelStore, table: ImageTable) -> Labelled:
    # In the order of content, which does not depend on file names.
    table = table.take(np.argsort(np.array(table.contents), kind="stable"))
    pixels = store.load(table, np.arange(len(table)))
    # A copy in memory: a few thousand small images, read again and again.
    return Labelled(Pool(np.array(pixels.images[:]), pixels.keys), table.labels[pixels.rows])
