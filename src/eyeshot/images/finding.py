"""Read the images of a folder into a table: class folders, labels from a CSV, or no labels at all."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from eyeshot.errors import InputError
from eyeshot.images.headers import MINIMUM_SIDE, Header, Progress, read_headers
from eyeshot.images.listing import FoundFile, Listing, check_folder, list_images
from eyeshot.images.skipped import Skipped, say_reasons
from eyeshot.images.table import COLUMNS, ImageTable


def read_images(
    source: Path,
    *,
    labels: Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: Path | None = None,
    labelled: bool = True,
    minimum_classes: int = 2,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ImageTable:
    """Find the images below a folder, hash their bytes and read their headers; nothing is decoded.

    Args:
        source: the folder. With class folders the first folder below it names the class.
        labels: a CSV file that names the images and their labels, instead of class folders.
        path_column: its column with paths or ids; guessed when not given.
        label_column: its column with labels; guessed when not given.
        image_root: the folder that its paths are relative to; guessed when not given.
        labelled: False: a folder without labels, flat or nested.
        minimum_classes: fewest classes that make a labelled folder useful.
        cache: folder that keeps hashes and headers, so that a second run reads only what has changed.
        workers: threads that read.
        progress: called with (files read, files in all).

    Raises:
        InputError: no folder, no image, too few classes, or a CSV that cannot be understood.
    """
    root = check_folder(source, what="The image folder")
    listing = list_images(root)
    if not labelled:
        chosen: list[tuple[FoundFile, str | None]] = [(file, None) for file in listing.files]
    else:
        chosen = [(file, file.id.split("/")[0]) for file in listing.files if "/" in file.id]
    headers = read_headers(
        [file for file, _ in chosen], root=root, cache=cache, workers=workers, progress=progress
    )
    rows = []
    skipped = list(listing.skipped)
    for (file, label), header in zip(chosen, headers, strict=True):
        if header.reason:
            skipped.append(Skipped(file.path, header.reason))
        else:
            rows.append((file.id, file.path, label, file.size, header.width, header.height, header.mode, header.content))
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    classes = tuple(sorted(set(frame["label"].drop_nulls())))
    return ImageTable(frame, classes, tuple(skipped), tuple(listing.notes()))
