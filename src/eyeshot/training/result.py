"""What a run writes down: `result.json` and the probabilities on validation."""

from __future__ import annotations

import math
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eyeshot.training.settings import TrainSettings
from eyeshot.workspace import replacing

RESULT_FILE = "result.json"
VALIDATION_FILE = "validation.npz"
WEIGHTS_FILE = "weights.safetensors"


class Accuracy(BaseModel):
    """A share of right answers with its 95 % Wilson interval (null where n is 0)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    value: float | None
    low: float | None
    high: float | None


class EpochRecord(BaseModel):
    """One epoch: mean training loss and share of right answers on the batches as they were seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: float
    train_accuracy: float


class TrainResult(BaseModel):
    """One finished run; `result.json` is this, keys are only added until 1.0."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = 1
    key: str
    model: str
    pretrained: bool
    classes: tuple[str, ...]
    augmentations: tuple[str, ...]
    settings: TrainSettings
    n_train: int
    n_val: int
    accuracy: Accuracy
    per_class: dict[str, Accuracy]
    epochs: int
    steps: int
    seconds: float
    ended_early: str | None
    alarms: tuple[str, ...]
    failed_masks: dict[str, int]
    history: tuple[EpochRecord, ...]
    hardware: str
    versions: dict[str, str]
    command: str

    def write(self, folder: Path) -> None:
        """Write `result.json` into `folder`."""
        with replacing(folder / RESULT_FILE) as temporary:
            temporary.write_text(self.model_dump_json(indent=2), encoding="utf-8")


def read_result(folder: Path) -> TrainResult | None:
    """The result in `folder`; None where there is none."""
    file = folder / RESULT_FILE
    if not file.exists():
        return None
    return TrainResult.model_validate_json(file.read_text(encoding="utf-8"))


def wilson(right: int, n: int) -> Accuracy:
    """Share of right answers with the interval of Wilson (1927), 95 %."""
    if n == 0:
        return Accuracy(n=0, value=None, low=None, high=None)
    z = 1.959964
    share = right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Accuracy(n=n, value=share, low=max(0.0, middle - half), high=min(1.0, middle + half))


def write_validation(
    folder: Path,
    *,
    ids: list[str],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    classes: tuple[str, ...],
) -> None:
    """Write `validation.npz`: ids (n,), labels int64 (n,), probabilities float32 (n, C), classes (C,)."""
    with replacing(folder / VALIDATION_FILE) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            ids=np.asarray(ids, np.str_),
            labels=labels,
            probabilities=probabilities,
            classes=np.asarray(classes, np.str_),
        )


def describe_hardware(device: torch.device | str) -> str:
    """The machine that computed, in words."""
    device = torch.device(device)
    cores = (
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, {platform.machine()} {platform.system()}"
    )
    return (
        f"{torch.cuda.get_device_name(device)}; {cores}"
        if device.type == "cuda"
        else f"{device.type}; {cores}"
    )


def describe_versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {"python": sys.version.split()[0]}
    for name in ("eyeshot", "torch", "torchvision", "timm", "numpy", "scikit-learn", "pillow"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
