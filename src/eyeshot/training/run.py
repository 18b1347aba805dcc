"""A training under way: what it computes with, and what a checkpoint of it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from timm.optim import create_optimizer_v2
from torch import Tensor

from eyeshot.augment import Augmentation, Pool
from eyeshot.core import SILENT, InputError, Progress, key_of
from eyeshot.models import Backbone, place
from eyeshot.training.batches import steps_per_epoch
from eyeshot.training.checkpoints import load_checkpoint, save_checkpoint
from eyeshot.training.classifier import Classifier
from eyeshot.training.result import EpochRecord, TrainResult
from eyeshot.training.settings import TrainSettings


@dataclass
class Run:
    """A training under way: what a checkpoint holds, and where it computes."""

    model: Classifier
    optimizer: torch.optim.Optimizer
    backbone: Backbone
    pool: Pool
    labels: Tensor
    augmentations: Sequence[Augmentation]
    settings: TrainSettings
    device: torch.device
    layout: torch.memory_format
    folder: Path = Path()
    progress: Progress = SILENT
    history: list[EpochRecord] = field(default_factory=list)
    failed_views: int = 0
    seconds: float = 0.0

    @property
    def total_steps(self) -> int:
        """Steps of all planned epochs."""
        return self.settings.epochs * steps_per_epoch(len(self.pool), self.settings.batch_size)


def start_run(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    *,
    class_count: int,
    settings: TrainSettings,
    augmentations: Sequence[Augmentation],
    device: torch.device,
    folder: Path = Path(),
    progress: Progress = SILENT,
) -> Run:
    """A run before its first step; `pool` and `labels` (N,) are the training images alone.

    Short runs keep no checkpoint and need no `folder`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model, layout = place(Classifier(backbone, class_count), device)
    optimizer = create_optimizer_v2(
        model, opt=settings.optimizer, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    numbers = torch.from_numpy(labels).to(device)
    return Run(
        model, optimizer, backbone, pool, numbers, augmentations, settings, device, layout, folder, progress
    )  # fmt: skip


def resume_run(run: Run, key: str, done: TrainResult | None) -> bool:
    """Take over what the last checkpoint in the run's folder holds, and say whether there is one.

    Raises:
        InputError: the folder holds another run.
    """
    state = load_checkpoint(run.folder)
    if state is None and (done is None or done.key == key):
        return False
    if state is None or state["key"] != key:
        raise InputError(
            f"{str(run.folder)!r} holds another run: its images, labels, model, augmentations or settings "
            "differ. Choose another folder with --out, or delete this one."
        )
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.history = [EpochRecord.model_validate(record) for record in state["history"]]
    run.failed_views, run.seconds = state["failed_views"], state["seconds"]
    return True


def save_run(run: Run, key: str) -> None:
    """Write the checkpoint."""
    save_checkpoint(
        run.folder,
        {
            "key": key,
            "model": run.model.state_dict(),
            "optimizer": run.optimizer.state_dict(),
            "history": [record.model_dump() for record in run.history],
            "failed_views": run.failed_views,
            "seconds": run.seconds,
        },
    )


def run_key(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    parts: tuple[NDArray[np.int64], NDArray[np.int64]],
    classes: Sequence[str],
    augmentations: Sequence[Augmentation],
    settings: TrainSettings,
) -> str:
    """Key of all that decides the numbers of a run; the time cap does not."""
    return key_of(
        backbone.fingerprint,
        settings.model_dump(exclude={"time_cap_s"}),
        classes,
        [(augmentation.fingerprint, augmentation.probability) for augmentation in augmentations],
        [([pool.keys[row] for row in rows.tolist()], labels[rows]) for rows in parts],
    )
