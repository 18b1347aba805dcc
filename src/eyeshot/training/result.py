"""Files of a run: `result.json`, the probabilities on validation and the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict, JsonValue, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file

from eyeshot.core import StorageError, replacing
from eyeshot.data import DataConfig
from eyeshot.predictions import Accuracy, Predictions, load_predictions
from eyeshot.training.checkpoints import CHECKPOINT_FILE, PREVIOUS_FILE, load_checkpoint
from eyeshot.training.checks.alarms import Alarm
from eyeshot.training.config import TrainConfig
from eyeshot.training.run_folder import RESULT_FILE
from eyeshot.training.weights_file import WEIGHTS_FILE

VALIDATION_FILE = "validation.npz"


class EpochRecord(BaseModel):
    """One epoch: mean loss, share of right answers on the training batches as they were seen, and on clean validation.

    `val_accuracy` is of `epoch_val_images` images, null where there are none.
    """

    model_config = ConfigDict(frozen=True)

    loss: float
    train_accuracy: float
    val_accuracy: float | None = None


class TrainResult(BaseModel):
    """One run; `result.json` holds just this. Keys are only added until 1.0.

    Attributes:
        version: 2 since the file says how images were prepared and which of them were used.
        key: hash of all that decides the numbers: weights, images, labels, augmentations, settings.
        accuracy: on the validation images, clean.
        per_class: the same for each class.
        size, fit, interpolation, mean, std: how images were prepared: the side in pixels, crop or pad, the resampling,
            and mean and standard deviation per channel of images in 0-1.
        data: which images were used: folders, label file, decisions, split, fold, share held out, as far as known.
        epoch_val_images: on how many validation images `history` gives the accuracy of an epoch.
        weights: layout and head of `weights.safetensors`, and how to make a network that takes it.
        epochs: how many were done; `settings.epochs` says how many were planned.
        seconds: of training, all sittings together.
        wait_s: of these, how long the device had no batch; without a thread that makes them, how long that took.
        reasons: what was chosen for the device, and why: precision, memory layout and compiling, where the images lie,
            how batches are made.
        ended_early: why fewer epochs were done than planned; null where none is missing.
        alarms: what looked wrong while it trained: what was seen, the likely cause and the next step.
        notes: what the run did on its own, such as smaller batches where memory ran out, in sentences.
        failed_samples: how many training images an augmentation failed on; these were used without it.
        history: one record an epoch.
        command: what was typed.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 2
    key: str
    model: str
    pretrained: bool
    classes: tuple[str, ...]
    augmentations: tuple[str, ...]
    settings: TrainConfig
    reasons: tuple[str, ...] = ()
    size: int
    fit: str
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    data: dict[str, JsonValue]
    n_train: int
    n_val: int
    epoch_val_images: int
    accuracy: Accuracy
    per_class: dict[str, Accuracy]
    epochs: int
    steps: int
    seconds: float
    wait_s: float = 0.0
    ended_early: str | None
    alarms: tuple[Alarm, ...]
    notes: tuple[str, ...] = ()
    failed_samples: int
    history: tuple[EpochRecord, ...]
    hardware: str
    versions: dict[str, str]
    weights: dict[str, str]
    command: str

    @field_validator("alarms", mode="before")
    @classmethod
    def _from_sentences(cls, alarms: Any) -> Any:
        """The first results hold sentences, all of training accuracy at chance."""
        return [
            Alarm(kind="chance", step=0, epoch=0, seen=alarm, cause="", next_step="")
            if isinstance(alarm, str)
            else alarm
            for alarm in alarms
        ]

    @property
    def data_config(self) -> DataConfig | None:
        """Which images were used, to load them again; None where the result does not say it."""
        fields: dict[str, Any] = {name: value for name, value in self.data.items() if name != "notes"}
        return DataConfig(**fields) if fields.get("train") else None

    def write(self, folder: Path | str) -> None:
        """Write `result.json` into `folder`."""
        with replacing(Path(folder) / RESULT_FILE) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_result(folder: Path) -> TrainResult | None:
    """The result in `folder`; None if there is none.

    Raises:
        StorageError: `result.json` cannot be read as a result.
    """
    file = folder / RESULT_FILE
    if not file.exists():
        return None
    try:
        return TrainResult.model_validate_json(file.read_text(encoding="utf-8"))
    except (pydantic.ValidationError, UnicodeDecodeError) as error:
        raise StorageError(f"{str(file)!r} is no result of a training run. Delete it to run again.") from error


def discard_damaged(folder: Path) -> None:
    """Delete unreadable files of a run in a cache folder, so that it is trained again.

    Not for the user's run folders: there `train` reports what is wrong.
    """
    for name, read in (
        (RESULT_FILE, lambda: read_result(folder)),
        (VALIDATION_FILE, lambda: read_validation(folder)),
        (WEIGHTS_FILE, lambda: load_file(folder / WEIGHTS_FILE)),
        (CHECKPOINT_FILE, lambda: load_checkpoint(folder)),
        (PREVIOUS_FILE, lambda: load_checkpoint(folder, name=PREVIOUS_FILE)),
    ):
        try:
            if (folder / name).exists():
                read()
        except (StorageError, OSError, SafetensorError):
            (folder / name).unlink(missing_ok=True)
            (folder / RESULT_FILE).unlink(missing_ok=True)
    if not all((folder / name).exists() for name in (VALIDATION_FILE, WEIGHTS_FILE)):
        (folder / RESULT_FILE).unlink(missing_ok=True)


def read_validation(folder: Path) -> Predictions:
    """Predictions of the finished run in `folder` on its validation images."""
    return load_predictions(folder / VALIDATION_FILE)
