"""All images of both folders in a list: training first, then test."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.findings import ImageRef, Side
from eyeshot.core import Progress
from eyeshot.data import (
    ImageTable,
    Keep,
    Levels,
    Look,
    Skipped,
    check_apart,
    check_folder,
    class_notes,
    has_no_class_folders,
    note_links,
    read_images,
)


@dataclass(frozen=True, eq=False)
class AuditImages:
    """The N images of training and test together.

    Attributes:
        train: the table of the training folder.
        test: the table of the test folder, unlabelled; None without a test folder.
        roots: the two folders.
        unusable: files that are in neither table because of their headers, with reasons in the words of `Skipped`.
        notes: what was guessed or skipped.
    """

    train: ImageTable
    test: ImageTable | None
    roots: tuple[Path, Path | None]
    unusable: tuple[tuple[ImageRef, str], ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.train) + (0 if self.test is None else len(self.test))

    @cached_property
    def contents(self) -> list[str]:
        """Content key of each image."""
        return self.train.contents + ([] if self.test is None else self.test.contents)

    @cached_property
    def pixel_keys(self) -> list[str]:
        """Key of each image's decoded pixels; see `ImageTable.pixel_keys`."""
        return self.train.pixel_keys + ([] if self.test is None else self.test.pixel_keys)

    @cached_property
    def levels(self) -> Levels | None:
        """The scale of grey images of more than 8 bits; None without such images."""
        return self.train.levels or (None if self.test is None else self.test.levels)

    @cached_property
    def paths(self) -> list[str]:
        """Path of each image."""
        return self.train.paths + ([] if self.test is None else self.test.paths)

    @cached_property
    def ids(self) -> list[str]:
        """Id of each image within its folder."""
        return self.train.ids + ([] if self.test is None else self.test.ids)

    @cached_property
    def bytes(self) -> NDArray[np.int64]:
        """Size of each file, int64 (N,)."""
        sizes = [table.frame["bytes"].to_numpy() for table in (self.train, self.test) if table is not None]
        return np.concatenate(sizes).astype(np.int64)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """int64 (N,): number of each image's class in `train.classes`; -1 for test images and without labels."""
        return np.concatenate([self.train.labels, np.full(len(self) - len(self.train), -1, np.int64)])

    @cached_property
    def in_test(self) -> NDArray[np.bool_]:
        """bool (N,)."""
        return np.arange(len(self)) >= len(self.train)

    def ref(self, position: int) -> ImageRef:
        """The image at a position, for the report."""
        side: Side = "test" if self.in_test[position] else "train"
        label = self.labels[position]
        name = None if label < 0 else self.train.classes[label]
        return ImageRef(split=side, id=self.ids[position], label=name, content=self.contents[position])

    def refs(self, positions: Sequence[int] | NDArray[np.int64]) -> list[ImageRef]:
        """The images at several positions, for the report."""
        return [self.ref(int(position)) for position in positions]


def read_audit_images(
    train: Path,
    test: Path | None,
    *,
    labels: Path | None,
    path_column: str | None,
    label_column: str | None,
    image_root: Path | None,
    cache: Path,
    workers: int | None,
    progress: Progress,
    look: Look | None = None,
    keep: Keep | None = None,
) -> AuditImages:
    """Find the images of both folders and read their headers.

    A training folder without class folders and without a CSV is treated as unlabelled. For `look` and
    `keep` see `read_headers`.

    Raises:
        InputError: there is no folder or no image, a folder is inside the other, or a CSV cannot be understood.
    """
    task = "reading headers" if look is None else "reading images"
    if test is not None:
        check_apart(train, test)
        check_folder(test, role="The image folder")  # checked first, because reading training may take long
    flat = labels is None and has_no_class_folders(train)
    table = read_images(
        train,
        labels=labels,
        path_column=path_column,
        label_column=label_column,
        image_root=image_root,
        labelled=not flat,
        minimum_classes=1,
        cache=cache,
        workers=workers,
        progress=progress.sub(task),
        look=look,
        keep=keep,
    )
    # Contradicting labels and single images are findings of the audit, so a note would repeat them.
    doubled = set() if flat else set(class_notes(table.frame, []))
    notes = [note for note in table.notes if note not in doubled]
    if flat:
        notes.append(f"{train.name!r} has no class folders, so its images are treated as unlabelled.")
    test_table = None
    if test is not None:
        test_table = read_images(
            test,
            labelled=False,
            cache=cache,
            workers=workers,
            progress=progress.sub(f"{task} of test"),
            look=look,
            keep=keep,
            levels=table.levels,
        )
        notes += [*test_table.notes, *note_links(test_table.paths, train)]
    unusable = [_unusable(skipped, "train", train, flat) for skipped in table.skipped]
    if test_table is not None and test is not None:
        unusable += [_unusable(skipped, "test", test, True) for skipped in test_table.skipped]
    return AuditImages(table, test_table, (train, test), tuple(unusable), tuple(notes))


def _unusable(skipped: Skipped, side: Side, root: Path, flat: bool) -> tuple[ImageRef, str]:
    path = Path(skipped.path)
    base = root.absolute()
    name = path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()
    folder, slash, _ = name.partition("/")
    label = unicodedata.normalize("NFC", folder) if slash and not flat and path.is_relative_to(base) else None
    # The same problem gets the same words: "two labels in x.csv" names its file, which is not a separate reason.
    ref = ImageRef(split=side, id=name, label=label, content=skipped.content)
    return ref, re.sub(r" in \S+\.(csv|tsv|txt)$", "", skipped.reason)
