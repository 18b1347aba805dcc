"""Probabilities of one run on one set of images: written by runs, read by everything after training."""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eyeshot.core import InputError, StorageError, replacing, wilson

READ_BYTES = 1 << 20


class Accuracy(BaseModel):
    """A share of right answers with its 95 % interval; null where n is 0."""

    model_config = ConfigDict(frozen=True)

    n: int
    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of_counts(cls, right: int, n: int) -> Accuracy:
        """Share of `right` among `n` answers, with the interval of Wilson."""
        if n == 0:
            return cls(n=0, value=None, low=None, high=None)
        low, high = wilson(right, n)
        return cls(n=n, value=right / n, low=low, high=high)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Low and high; None where n is 0."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of a run on n images.

    Attributes:
        ids: n names of the images, as in the image table.
        probabilities: float (n, C); of a stored file float16, mapped from the disk and read on access.
        classes: names of the C classes, in the order of the columns.
        labels: int64 (n,), class numbers, -1 for an image without a known label; None if no image has one.
        run: id of the run; empty for probabilities from elsewhere.
        fold: the fold of the split that these images belong to; None without folds.
        split: which images these are: "validation", "test" or a custom name.
        key: hash of the weights, the images and the test-time augmentation that the probabilities come from; empty
            where they are not known.

    Raises:
        InputError: lengths do not fit together, or a label is no class number.
    """

    ids: tuple[str, ...]
    probabilities: NDArray[np.floating[Any]]
    classes: tuple[str, ...]
    labels: NDArray[np.int64] | None = None
    run: str = ""
    fold: int | None = None
    split: str = "validation"
    key: str = ""

    def __post_init__(self) -> None:
        expected = (len(self.ids), len(self.classes))
        if self.probabilities.shape != expected:
            raise InputError(
                f"Probabilities must have one row per image and one column per class, {expected}, got "
                f"{self.probabilities.shape}."
            )
        if self.labels is None:
            return
        if self.labels.shape != (len(self.ids),):
            raise InputError(f"There must be {len(self.ids)} labels, one per image, got shape {self.labels.shape}.")
        if len(self.labels) and not -1 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise InputError(
                f"Labels must be -1 to {len(self.classes) - 1}, got {self.labels.min()} to {self.labels.max()}."
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def right(self) -> NDArray[np.bool_]:
        """bool (n,): whether the most probable class is the label; False where there is no label."""
        if self.labels is None:
            return np.zeros(len(self), np.bool_)
        return np.asarray((self.probabilities.argmax(1) == self.labels) & (self.labels >= 0))

    def accuracy(self) -> Accuracy:
        """Share of labelled images whose most probable class is right."""
        labelled = 0 if self.labels is None else int((self.labels >= 0).sum())
        return Accuracy.of_counts(int(self.right.sum()), labelled)

    def class_accuracies(self) -> dict[str, Accuracy]:
        """The same among the images of each class: its recall."""
        labels = np.full(len(self), -1) if self.labels is None else self.labels
        right = self.right
        return {
            name: Accuracy.of_counts(int(right[labels == number].sum()), int((labels == number).sum()))
            for number, name in enumerate(self.classes)
        }

    def save(self, file: Path) -> None:
        """Write an npz file that `numpy.load` reads: nothing in it is pickled or compressed, so that it can be mapped.

        It holds ids (n,), probabilities float16 (n, C), classes (C,), run, split and key (text of shape ()), and, where
        they are known, labels int64 (n,) and fold (a number of shape ()). float16 rounds a probability by at most 1 in
        2,048.

        Raises:
            StorageError: the disk is full or the folder cannot be written; a file before it is kept.
        """
        arrays = {
            "ids": np.asarray(self.ids, np.str_),
            "probabilities": self.probabilities.astype(np.float16, order="C"),  # other orders cannot be mapped
            "classes": np.asarray(self.classes, np.str_),
            "run": np.asarray(self.run),
            "split": np.asarray(self.split),
            "key": np.asarray(self.key),
        }
        if self.labels is not None:
            arrays["labels"] = self.labels
        if self.fold is not None:
            arrays["fold"] = np.asarray(self.fold)
        with replacing(file) as temporary, open(temporary, "wb") as opened:
            np.savez(opened, allow_pickle=False, **arrays)


def load_predictions(file: str | Path) -> Predictions:
    """Read a file that `Predictions.save` wrote; the probabilities stay on the disk.

    Raises:
        InputError: there is no such file.
        StorageError: it is damaged or holds something else.
    """
    file = Path(file)
    if not file.is_file():
        raise InputError(f"Predictions must be a file that a run wrote, got {str(file)!r}, which is not a file.")
    try:
        with np.load(file, allow_pickle=False) as stored:
            return Predictions(
                ids=tuple(map(str, stored["ids"])),
                probabilities=_map_member(file, "probabilities.npy"),
                classes=tuple(map(str, stored["classes"])),
                labels=stored.get("labels"),
                run=str(stored["run"]),
                fold=int(stored["fold"]) if "fold" in stored else None,
                split=str(stored["split"]),
                key=str(stored["key"]),
            )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
        InputError,
    ) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise StorageError(
            f"Cannot read predictions from {str(file)!r} ({why}). Delete it and run the training again."
        ) from error


def _map_member(file: Path, member: str) -> NDArray[np.floating[Any]]:
    """An array of an npz file without compression, mapped from the disk; its checksum is verified once."""
    with zipfile.ZipFile(file) as archive, archive.open(member) as opened:
        info = archive.getinfo(member)
        while opened.read(READ_BYTES):  # raises BadZipFile if a byte has changed
            pass
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member} is compressed")
    with open(file, "rb") as opened_file:
        opened_file.seek(info.header_offset)
        name_bytes, extra_bytes = struct.unpack("<HH", opened_file.read(30)[26:])
        opened_file.seek(name_bytes + extra_bytes, 1)
        np.lib.format.read_magic(opened_file)
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(opened_file)
        if dtype.kind != "f" or fortran_order:
            raise ValueError(f"{member} holds {dtype}")
        if not np.prod(shape):
            return np.empty(shape, dtype)
        return np.memmap(file, dtype, "r", opened_file.tell(), shape)
