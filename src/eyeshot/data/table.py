"""The image table, one row per usable image, read from class folders, a labels CSV, or an unlabelled folder."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from eyeshot.core import SILENT, InputError, Progress, plural
from eyeshot.data.decoding import Levels, common_levels, is_deep
from eyeshot.data.headers import Keep, Look, read_headers
from eyeshot.data.labels_csv import read_labels
from eyeshot.data.listing import FoundFile, Listing, Skipped, check_folder, list_images, say_reasons

COLUMNS: dict[str, type[pl.DataType]] = {
    "id": pl.String,  # path relative to the root, with forward slashes
    "path": pl.String,  # absolute path
    "label": pl.String,  # null when unlabelled
    "bytes": pl.Int64,
    "width": pl.Int64,  # pixels, as shown: after the EXIF orientation
    "height": pl.Int64,
    "mode": pl.String,  # Pillow's name of the colour mode
    "content": pl.String,  # xxh3_128 of the file's bytes, 32 hexadecimal digits
}
SPLIT_PARTS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "eval": "val", "holdout": "val", "test": "test", "testing": "test", "tst": "test",
}  # fmt: skip
FILLERS = frozenset({"set", "data", "dataset", "split", "seg", "image", "images", "img", "imgs", "pictures", "folder"})
CSV_ENDINGS = (".csv", ".tsv", ".txt")
Chosen = list[tuple[FoundFile, str | None]]


@dataclass(frozen=True, eq=False)
class ImageTable:
    """The usable images of a folder.

    Attributes:
        frame: one row per image, sorted by id, with the columns of `COLUMNS`.
        classes: the labels, sorted; empty when unlabelled.
        skipped: files that cannot be used, with reasons.
        notes: what was guessed or ignored, in sentences to print.
        levels: the values of grey images of more than 8 bits that are shown black and white, one scale for all of
            them; None without such images.
    """

    frame: pl.DataFrame
    classes: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    levels: Levels | None = None

    def __len__(self) -> int:
        return self.frame.height

    @cached_property
    def ids(self) -> list[str]:
        """Id of each image."""
        return self.frame["id"].to_list()

    @cached_property
    def paths(self) -> list[str]:
        """Path of each image."""
        return self.frame["path"].to_list()

    @cached_property
    def contents(self) -> list[str]:
        """Content key of each image: equal for equal bytes."""
        return self.frame["content"].to_list()

    @cached_property
    def pixel_keys(self) -> list[str]:
        """Key of each image's decoded pixels: its content and, for a deep grey image, the scale of its set."""
        if self.levels is None or "mode" not in self.frame.columns:
            return self.contents
        return [
            xxhash.xxh3_128_hexdigest(f"{content} {self.levels}".encode()) if is_deep(mode) else content
            for content, mode in zip(self.contents, self.frame["mode"], strict=True)
        ]

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """int64 (N,), index of each image's class in `classes`; -1 without a label."""
        number = {name: position for position, name in enumerate(self.classes)}
        labels = [number.get(name, -1) for name in self.frame["label"]]
        return np.array(labels, dtype=np.int64)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> ImageTable:
        """The images at `indices`, in that order; the classes stay the same."""
        return replace(self, frame=self.frame[np.asarray(indices, dtype=np.int64)])

    def with_classes(self, classes: Sequence[str]) -> ImageTable:
        """The same images with the classes of another table.

        Raises:
            InputError: an image has a label that is not in `classes`.
        """
        unknown = sorted(set(self.frame["label"].drop_nulls()) - set(classes))
        if unknown:
            raise InputError(
                f"Every label must be one of the {len(classes)} classes of the training images, got "
                f"{', '.join(map(repr, unknown[:5]))}{' and others' if len(unknown) > 5 else ''}. "
                f"The classes are {', '.join(map(repr, classes[:5]))}{', …' if len(classes) > 5 else ''}."
            )
        return replace(self, classes=tuple(classes))


def read_images(
    source: str | Path,
    *,
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    labelled: bool = True,
    minimum_classes: int = 2,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    look: Look | None = None,
    keep: Keep | None = None,
    levels: Levels | None = None,
) -> ImageTable:
    """Find the images below a folder, hash their bytes and read their headers.

    Nothing is decoded but grey images of more than 8 bits, whose common scale follows from their values.

    Args:
        source: the folder. With class folders the first folder below it names the class.
        labels: a CSV file that names the images and their labels, instead of class folders.
        path_column: its column with paths or ids; None: guessed.
        label_column: its column with labels; None: guessed.
        image_root: the folder that its paths are relative to; None: guessed.
        labelled: False: a folder without labels, flat or nested.
        minimum_classes: smallest number of classes that a labelled folder must have.
        cache: folder of cached hashes and headers, so that a second run reads only changed files.
        workers: threads that read; None: one per processor.
        progress: called with the number of files read; None: not shown.
        look, keep: see `read_headers`.
        levels: of the training images, for test and validation images; None: from these images.

    Returns:
        The usable images, sorted by id; files that cannot be used are in `skipped`.

    Raises:
        InputError: there is no folder or no image, there are too few classes, or the CSV cannot be used.
    """
    root = check_folder(Path(source), role="The image folder")
    labels = None if labels is None else Path(labels)
    if image_root is not None:
        image_root = check_folder(Path(image_root), role="The image root")
        if labels is not None and not root.is_relative_to(image_root):
            root = image_root
    listing = list_images(root)
    skipped, notes = list(listing.skipped), listing.notes()
    selected: Chosen
    if labels is not None:
        labelled_files, unusable, csv_notes = read_labels(
            labels,
            listing=listing,
            path_column=path_column,
            label_column=label_column,
            image_root=image_root,
        )
        selected = [*labelled_files]
        skipped += unusable
        notes += csv_notes
    elif labelled:
        _check_class_folders(root, listing)
        selected, beside = _by_folder(listing)
        skipped += beside
    else:
        selected = [(file, None) for file in listing.files]
    headers = read_headers(
        [file for file, _ in selected],
        root=root, cache=cache, workers=workers, progress=progress or SILENT, look=look, keep=keep,
    )  # fmt: skip
    rows = []
    for (file, label), header in zip(selected, headers, strict=True):
        if header.reason:
            skipped.append(Skipped(file.path, header.reason, header.content))
            continue
        size = (file.size, header.width, header.height)
        rows.append((file.id, file.path, label, *size, header.mode, header.content))
    if not rows:
        raise InputError(_no_image(root, listing, skipped))
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    classes = tuple(sorted(set(frame["label"].drop_nulls())))
    if labels is not None or labelled:
        if len(classes) < minimum_classes:
            raise InputError(_few_classes(root, classes, minimum_classes, skipped))
        notes += class_notes(frame, [] if labels is not None else _class_folders(listing))
    deep = [header for header in headers if not header.reason and is_deep(header.mode)]
    if deep and levels is None:
        levels = common_levels(
            [(header.low, header.high) for header in deep], floating=all(header.mode == "F" for header in deep)
        )
        largest = max(header.high for header in deep)
        notes.append(
            f"{len(deep)} grey {plural(len(deep), 'image has', 'images have')} more than 8 bits, with values up to "
            f"{largest:,.6g}: one scale for the set, black is {levels[0]:,.6g} and white {levels[1]:,.6g}."
        )
    return ImageTable(frame, classes, tuple(skipped), tuple(notes), levels)


def _by_folder(listing: Listing) -> tuple[Chosen, list[Skipped]]:
    """Files with their class folder, and files outside class folders."""
    in_folders: Chosen = []
    outside = []
    for file in listing.files:
        folder, slash, _ = file.id.partition("/")
        if slash:
            # Composed letters: macOS stores Korean and accented names decomposed, other systems composed.
            in_folders.append((file, unicodedata.normalize("NFC", folder)))
        else:
            outside.append(Skipped(file.path, "lies in no class folder"))
    if outside and not in_folders:
        raise InputError(
            f"A training folder must hold one folder per class, got images ({len(outside)}) that lie "
            f"directly in {str(listing.root)!r}. Sort them into class folders, or give their labels: "
            f"--labels {_some_csv(listing.root) or 'FILE.csv'}."
        )
    return in_folders, outside


def _check_class_folders(root: Path, listing: Listing) -> None:
    """Check that the folders below `root` are classes: not the parts of a split, nor one folder around the classes.

    Raises:
        InputError: they are not.
    """
    inner: dict[str, set[str]] = {folder: set() for folder in listing.folders if "/" not in folder}
    for folder in listing.folders:
        if folder.count("/") == 1:
            outer, _, name = folder.partition("/")
            inner[outer].add(unicodedata.normalize("NFC", name))
    if len(inner) == 1 and (deeper := _single_folder(listing)):
        count = sum(
            folder.startswith(f"{deeper}/") and folder.count("/") == deeper.count("/") + 1 for folder in listing.folders
        )
        raise InputError(
            f"The folders below the image folder must be the classes, got one, {next(iter(inner))!r}, in "
            f"{str(root)!r}. {deeper!r} holds {count} folders of its own: give {str(root / deeper)!r}."
        )
    part_of = {folder: part for folder in inner if (part := _split_part(folder))}
    if len(set(part_of.values())) > 1:
        first = next((folder for folder, part in part_of.items() if part == "train"), min(part_of))
        option = {"val": "--val", "test": "--test"}
        others = [f"{option[part]} {str(root / folder)!r}" for folder, part in part_of.items() if part in option]
        raise InputError(
            f"The folders below the image folder must be the classes, got {_some(part_of)} in {str(root)!r}, which "
            f"are parts of a split. Give {str(root / first)!r}; the others are for commands that take "
            f"{' and '.join(others)}."
        )
    if len(inner) > 1 and len(min(inner.values(), key=len)) > 1 and len(set(map(frozenset, inner.values()))) == 1:
        raise InputError(
            f"The folders below the image folder must be the classes, got {_some(inner)} in {str(root)!r}, which all "
            f"hold the same folders: {_some(min(inner.values()))}. Give one of them, {str(root / min(inner))!r}, or, "
            "if they are the classes, a CSV with the labels: --labels FILE.csv."
        )


def _single_folder(listing: Listing) -> str:
    """The first folder below the root that holds several folders, if all images lie in those; otherwise empty."""
    shared: tuple[str, ...] = ()
    inside = [tuple(folder.split("/")) for folder in listing.folders]
    while True:
        depth = len(shared)
        next_names = {parts[depth] for parts in inside if len(parts) > depth and parts[:depth] == shared}
        if any(file.id.count("/") == depth for file in listing.files) or not next_names:
            return ""
        if len(next_names) > 1:
            return "/".join(shared)
        shared = (*shared, next_names.pop())


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(map(repr, listed[:5])) + (", …" if len(listed) > 5 else "")


def _split_part(folder: str) -> str:
    """`train`, `val` or `test` where a folder is named like a part of a split, as `seg_train`; otherwise empty."""
    words = [word for word in re.split(r"[\W\d_]+", folder.casefold()) if word and word not in FILLERS]
    parts = {SPLIT_PARTS.get(word, "") for word in words}
    return parts.pop() if len(parts) == 1 else ""


def _class_folders(listing: Listing) -> list[str]:
    return [unicodedata.normalize("NFC", folder) for folder in listing.folders if "/" not in folder]


def class_notes(frame: pl.DataFrame, folders: Sequence[str]) -> list[str]:
    """Notes on the classes of a table, and on class `folders` that are not in it."""
    counts = dict(frame["label"].value_counts().iter_rows())
    notes = [f"Class folder {folder!r} has no usable image." for folder in folders if folder not in counts]
    single = sorted(label for label, count in counts.items() if count == 1)
    if single:
        names = ", ".join(map(repr, single[:5])) + (", …" if len(single) > 5 else "")
        have = plural(len(single), "has", "have")
        notes.append(f"{len(single)} of {len(counts)} classes {have} a single image: {names}.")
    torn = frame.group_by("content").agg(pl.col("label").n_unique().alias("labels"), pl.len().alias("files"))
    torn = torn.filter(pl.col("labels") > 1)
    if torn.height:
        files, pictures = torn["files"].sum(), torn.height
        what = f"{pictures} {plural(pictures, 'picture stands', 'pictures stand')}"
        notes.append(
            f"{what} under more than one label, byte for byte: {files} files. Leave them out: "
            "eyeshot decisions apply --policy drop-both."
        )
    return notes


def _no_image(root: Path, listing: Listing, skipped: Sequence[Skipped]) -> str:
    if skipped:
        problem = f"none of its files can be used: {say_reasons(skipped)}"
    elif listing.others:
        problem = f"its {listing.others.total()} files end in {', '.join(sorted(listing.others)[:5])}"
    else:
        problem = "it holds no file" + (" that is not hidden" if listing.hidden else "")
    return f"The image folder must hold images, got {str(root)!r}: {problem}. Check the path."


def _few_classes(root: Path, classes: Sequence[str], minimum: int, skipped: Sequence[Skipped]) -> str:
    names = ", ".join(map(repr, classes)) or "none"
    message = f"Training images need at least {minimum} classes, got {names} in {str(root)!r}"
    if skipped:
        message += f" (left out: {say_reasons(skipped)})"
    return f"{message}. Give the folder that holds the class folders."


def _some_csv(root: Path) -> str:
    """A CSV file near the images to name in a message; empty if there is none."""
    for folder in (root, root.parent):
        try:
            names = sorted(name for name in os.listdir(folder) if name.lower().endswith(CSV_ENDINGS[:2]))
        except OSError:
            continue
        if names:
            return str(folder / names[0])
    return ""
