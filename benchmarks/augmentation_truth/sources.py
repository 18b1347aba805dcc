"""The sources of labelled images and their division, written once as folders that the product can read."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
import xxhash
from numpy.typing import NDArray
from PIL import Image

from benchmarks.augmentation_truth.made_shifts import MADE_SHIFTS, make_shift
from benchmarks.common import shared
from eyeshot.core.errors import InputError
from eyeshot.core.files import make_folder
from eyeshot.data import ImageTable, check_apart, hold_out, read_images, sample_rows

VERSION = "1"
"""Increase it when the built-in sources are divided or shifted in another way."""
PACS_SIDE = 96
OWN = "own"
SPLIT_SEED = 0


@dataclass(frozen=True)
class Shares:
    """How a source is divided; counts are upper limits, None is no limit."""

    held_out: float
    most_held_out: int | None
    most_val: int | None
    most_train: int | None


BUILT_IN = {
    "digits": Shares(0.5, None, 200, 600),
    "photo": Shares(0.45, 1200, 200, 700),
    "sketch": Shares(0.45, 1200, 200, 700),
}
USERS = Shares(0.3, None, None, None)
OTHER_DOMAIN = {"photo": "sketch", "sketch": "photo"}


@dataclass(frozen=True)
class Split:
    """Rows of a table that train, validate, and are held out as the source's own target."""

    table: ImageTable
    train: NDArray[np.int64]
    val: NDArray[np.int64]
    held_out: NDArray[np.int64]


def write_built_in(name: str, work: Path) -> Path:
    """The folder of a built-in source, written once; see `_write` for its contents."""
    raw = _raw(name, work)
    folder = work / "data" / f"{name}-v{VERSION}"
    with filelock.FileLock(make_folder(folder.parent) / f"{folder.name}.lock"):
        if (folder / "done").is_file():
            return folder
        split = divide(read_images(raw), BUILT_IN[name])
        targets = {OWN: split.table.take(split.held_out)}
        other = OTHER_DOMAIN.get(name)
        if other is not None:
            far = divide(read_images(_raw(other, work)), BUILT_IN[other])
            targets[other] = far.table.take(far.held_out)
        _write(folder, split, targets, shifts=tuple(MADE_SHIFTS), side=None if name == "digits" else PACS_SIDE)
        (folder / "done").touch()
    return folder


def write_users(source: Path, targets: Sequence[Path], work: Path) -> tuple[Path, str]:
    """The folder of a user's own source and targets, and its name; copies of the files, since both are divided.

    Raises:
        InputError: a folder is missing, empty, without class folders, or classes differ.
    """
    table = read_images(source)
    read = {}
    for target in targets:
        check_apart(source, target)
        name = target.name
        if name == OWN or name in read:
            raise InputError(f"Every target needs a folder name of its own but {OWN!r}, got {name!r} twice. Rename it.")
        read[name] = _same_classes(table, read_images(target, minimum_classes=1), target)
    digest = xxhash.xxh3_64()
    for part in (table, *read.values()):
        digest.update(repr(list(zip(part.ids, part.contents, strict=True))).encode())
    label = f"{source.resolve().name}-{digest.hexdigest()[:8]}"
    folder = work / "data" / label
    with filelock.FileLock(make_folder(folder.parent) / f"{label}.lock"):
        if not (folder / "done").is_file():
            split = divide(table, USERS)
            _write(folder, split, {OWN: split.table.take(split.held_out)} | read, shifts=(), side=None)
            (folder / "done").touch()
    return folder, label


def divide(table: ImageTable, shares: Shares) -> Split:
    """Held-out images first, then a fifth of the rest validates; by class, with identical files kept together.

    Raises:
        InputError: a class has too few images to be in all parts.
    """
    rest, held_out = hold_out(table, share=shares.held_out, seed=SPLIT_SEED)
    rows, val = hold_out(table.take(rest), share=0.2, seed=SPLIT_SEED + 1)
    parts = [
        part[_at_most(table.take(part), most)]
        for part, most in (
            (rest[rows], shares.most_train),
            (rest[val], shares.most_val),
            (held_out, shares.most_held_out),
        )
    ]
    for what, part in zip(("training", "validation", "held-out"), parts, strict=True):
        lost = sorted(set(range(len(table.classes))) - set(table.labels[part].tolist()))
        if lost:
            raise InputError(
                f"Every class needs {what} images, and {table.classes[lost[0]]!r} has none after dividing "
                f"{int((table.labels == lost[0]).sum())} images. Add images of it, or leave the class out."
            )
    return Split(table, *parts)


def _at_most(table: ImageTable, most: int | None) -> NDArray[np.int64]:
    return sample_rows(table, most if most is not None else max(1, len(table)), seed=SPLIT_SEED)


def _same_classes(source: ImageTable, target: ImageTable, folder: Path) -> ImageTable:
    missing = sorted(set(source.classes) - set(target.classes))
    if missing:
        raise InputError(
            f"A target must have the classes of the source, got {str(folder)!r} without {', '.join(missing[:5])}. "
            "Add images of them, or leave these classes out of the source."
        )
    return target.with_classes(source.classes)


def _raw(name: str, work: Path) -> Path:
    if name != "digits":
        return shared() / "data" / "pacs" / name
    from eyeshot.data.digits import large_digits

    folder = work / "data" / "digits-raw"
    with filelock.FileLock(make_folder(folder.parent) / "digits-raw.lock"):
        if not (folder / "9").is_dir() or len(list(folder.glob("*/*.png"))) < 1797:
            for number, (image, label) in enumerate(zip(*large_digits(), strict=True)):
                make_folder(folder / str(label)) if not (folder / str(label)).is_dir() else None
                Image.fromarray(image).save(folder / str(label) / f"{number:04d}.png")
    return folder


def _write(
    folder: Path, split: Split, targets: dict[str, ImageTable], *, shifts: Sequence[str], side: int | None
) -> None:
    """`train/<class>`, `val/<class>`, `targets/<name>/truth/<class>` and, without labels, `targets/<name>/score`.

    Every target is divided into two halves: the truth uses one, the scores the other.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for name, rows in (("train", split.train), ("val", split.val)):
        _save(split.table.take(rows), folder / name, shift=None, side=side)
    for name, table in targets.items():
        truth, score = hold_out(table, share=0.5, seed=SPLIT_SEED + 2)
        kinds = {name: None} | ({shift: shift for shift in shifts} if name == OWN else {})
        for called, shift in kinds.items():
            _save(table.take(truth), folder / "targets" / called / "truth", shift=shift, side=side)
            _save(table.take(score), folder / "targets" / called / "score", shift=shift, side=side, flat=True)


def _save(table: ImageTable, folder: Path, *, shift: str | None, side: int | None, flat: bool = False) -> None:
    for path, content, label in zip(table.paths, table.contents, table.labels.tolist(), strict=True):
        into = folder if flat else folder / table.classes[label]
        into.mkdir(parents=True, exist_ok=True)
        if shift is None and side is None:
            shutil.copyfile(path, into / f"{content}{Path(path).suffix.lower()}")
            continue
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        if side is not None:
            image = image.resize((side, side), Image.Resampling.LANCZOS)
        (image if shift is None else make_shift(shift, image, content)).save(into / f"{content}.png")
