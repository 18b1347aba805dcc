"""A network trained in place on clean images, for where no pretrained weights can be had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from eyeshot.augment import Pool
from eyeshot.models import Backbone, Head
from eyeshot.training.loop import Classifier, Progress, train
from eyeshot.training.result import WEIGHTS_FILE, TrainResult
from eyeshot.training.settings import TrainSettings, default_settings


@dataclass(frozen=True, eq=False)
class Baseline:
    """A trained network in parts: the backbone, its own linear head, and how the training went."""

    backbone: Backbone
    head: Head
    result: TrainResult


def load_trained(backbone: Backbone, folder: Path, result: TrainResult) -> Baseline:
    """The network that `train` left in `folder`, with `backbone` as the architecture."""
    import copy

    model = Classifier(copy.deepcopy(backbone.module), backbone.feature_count, len(result.classes))
    model.load_state_dict(load_file(folder / WEIGHTS_FILE))
    reason = f"trained in place on {result.n_train} clean images, {result.epochs} epochs"
    return Baseline(
        backbone.with_module(model.backbone.eval(), pretrained=False, reason=reason),
        Head(model.head.weight.detach().numpy(), model.head.bias.detach().numpy()),
        result,
    )


def train_baseline(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    *,
    val_rows: NDArray[np.int64],
    classes: Sequence[str],
    folder: Path,
    settings: TrainSettings | None = None,
    seed: int = 0,
    time_cap_s: float | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    command: str | None = None,
) -> Baseline:
    """Train an untrained backbone on the clean images of `rows`."""
    chosen = settings or default_settings(backbone, len(rows), seed=seed)[0]
    chosen = chosen.model_copy(update={"time_cap_s": time_cap_s})
    result = train(
        backbone,
        pool,
        labels,
        rows,
        val_rows,
        classes=classes,
        settings=chosen,
        folder=folder,
        device=device,
        progress=progress,
        command=command,
    )
    return load_trained(backbone, folder, result)
