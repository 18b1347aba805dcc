"""The image table: one row per usable image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from eyeshot.core import InputError
from eyeshot.data.skipped import Skipped

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


@dataclass(frozen=True, eq=False)
class ImageTable:
    """The usable images of a folder.

    Attributes:
        frame: one row per image, sorted by id, with the columns of `COLUMNS`.
        classes: the labels, sorted; empty when unlabelled.
        skipped: files that cannot be used, with reasons.
        notes: what was guessed or passed over, in sentences to print.
    """

    frame: pl.DataFrame
    classes: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

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
    def labels(self) -> NDArray[np.int64]:
        """int64 (N,), the number of each image's class in `classes`; -1 where there is no label."""
        number = {name: position for position, name in enumerate(self.classes)}
        labels = [number.get(name, -1) for name in self.frame["label"]]
        return np.array(labels, dtype=np.int64)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> ImageTable:
        """The images at `indices`, in that order; the classes stay the same."""
        return replace(self, frame=self.frame[np.asarray(indices, dtype=np.int64)])

    def with_classes(self, classes: Sequence[str]) -> ImageTable:
        """The same images, numbered by the classes of another table.

        Raises:
            InputError: an image has a label that is not among `classes`.
        """
        unknown = sorted(set(self.frame["label"].drop_nulls()) - set(classes))
        if unknown:
            raise InputError(
                f"Every label must be one of the {len(classes)} classes of the training images, got "
                f"{', '.join(map(repr, unknown[:5]))}{' and others' if len(unknown) > 5 else ''}. "
                f"The classes are {', '.join(map(repr, classes[:5]))}{', …' if len(classes) > 5 else ''}."
            )
        return replace(self, classes=tuple(classes))
