"""What a run writes down: `result.json`, the probabilities on validation and the weights."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydantic
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file

from eyeshot.core import StorageError, replacing, wilson
from eyeshot.training.checkpoints import CHECKPOINT_FILE, load_checkpoint
from eyeshot.training.config import TrainConfig

RESULT_FILE = "result.json"
VALIDATION_FILE = "validation.npz"
WEIGHTS_FILE = "weights.safetensors"


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


class EpochRecord(BaseModel):
    """One epoch: mean loss, and share of right answers on the training batches as they were seen."""

    model_config = ConfigDict(frozen=True)

    loss: float
    train_accuracy: float


class TrainResult(BaseModel):
    """One run; `result.json` holds just this. Keys are only added until 1.0.

    Attributes:
        key: hash of all that decides the numbers: weights, images, labels, augmentations, settings.
        accuracy: on the validation images, clean.
        per_class: the same for each class.
        epochs: how many were done; `settings.epochs` says how many were planned.
        seconds: of training, all sittings together.
        ended_early: why fewer epochs were done than planned; null where none is missing.
        alarms: what looks wrong, in sentences.
        failed_samples: how many training images an augmentation failed on; these were used without it.
        history: one record an epoch.
        command: what was typed.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 1
    key: str
    model: str
    pretrained: bool
    classes: tuple[str, ...]
    augmentations: tuple[str, ...]
    settings: TrainConfig
    n_train: int
    n_val: int
    accuracy: Accuracy
    per_class: dict[str, Accuracy]
    epochs: int
    steps: int
    seconds: float
    ended_early: str | None
    alarms: tuple[str, ...]
    failed_samples: int
    history: tuple[EpochRecord, ...]
    hardware: str
    versions: dict[str, str]
    command: str

    def write(self, folder: Path) -> None:
        """Write `result.json` into `folder`."""
        with replacing(folder / RESULT_FILE) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_result(folder: Path) -> TrainResult | None:
    """The result in `folder`; None where there is none.

    Raises:
        StorageError: `result.json` is no result.
    """
    file = folder / RESULT_FILE
    if not file.exists():
        return None
    try:
        return TrainResult.model_validate_json(file.read_text(encoding="utf-8"))
    except (pydantic.ValidationError, UnicodeDecodeError) as error:
        raise StorageError(f"{str(file)!r} is no result of a training run. Delete it to run again.") from error


def discard_damaged(folder: Path) -> None:
    """Delete the files of a run in a cache folder that cannot be read, so that it is trained again.

    A run folder of the user's own is left as it is: there `train` says what is wrong.
    """
    for name, read in (
        (RESULT_FILE, lambda: read_result(folder)),
        (VALIDATION_FILE, lambda: read_validation(folder)),
        (WEIGHTS_FILE, lambda: load_file(folder / WEIGHTS_FILE)),
        (CHECKPOINT_FILE, lambda: load_checkpoint(folder)),
    ):
        try:
            if (folder / name).exists():
                read()
        except (StorageError, OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, SafetensorError):
            (folder / name).unlink(missing_ok=True)
            (folder / RESULT_FILE).unlink(missing_ok=True)
    if not all((folder / name).exists() for name in (VALIDATION_FILE, WEIGHTS_FILE)):
        (folder / RESULT_FILE).unlink(missing_ok=True)


class Validation(NamedTuple):
    """What `validation.npz` holds: ids, labels int64 (n,), probabilities float32 (n, C)."""

    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def read_validation(folder: Path) -> Validation:
    """What a finished run in `folder` says of its validation images."""
    with np.load(folder / VALIDATION_FILE) as stored:
        return Validation(tuple(map(str, stored["ids"])), stored["labels"], stored["probabilities"])


def write_validation(
    folder: Path,
    *,
    ids: Sequence[str],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
) -> None:
    """Write `validation.npz`: ids (n,), labels int64 (n,), probabilities float32 (n, C), classes (C,).

    Read it with numpy.load; nothing in it is pickled.
    """
    with replacing(folder / VALIDATION_FILE) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            ids=np.asarray(ids, np.str_),
            labels=labels,
            probabilities=probabilities,
            classes=np.asarray(classes, np.str_),
        )
