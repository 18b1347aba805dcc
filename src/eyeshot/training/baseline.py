"""A network trained from scratch on clean images, for use without pretrained weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eyeshot.augment import Pool
from eyeshot.core import SILENT, Progress
from eyeshot.models import Backbone, Head
from eyeshot.training.classifier import Classifier
from eyeshot.training.config import TrainConfig, default_settings
from eyeshot.training.result import TrainResult, discard_damaged
from eyeshot.training.run import run_key, train
from eyeshot.training.weights_file import load_classifier


def load_trained(backbone: Backbone, folder: Path, result: TrainResult) -> tuple[Backbone, Head]:
    """The network that `train` left in `folder`: the backbone with trained weights, and its linear head.

    Args:
        backbone: the one that `train` was given.
        folder: of the run.
        result: of the run.
    """
    model = Classifier(backbone, len(result.classes))
    model.load_state_dict(load_classifier(backbone, folder, len(result.classes)))
    with_what = ", ".join(result.augmentations) or "clean images"
    reason = f"Trained here for {result.epochs} epochs on {result.n_train} images ({with_what})."
    trained = backbone.with_module(model.backbone.eval(), pretrained=backbone.pretrained, reason=reason)
    return trained, model.linear_head()


def train_baseline(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    *,
    val_rows: NDArray[np.int64],
    classes: Sequence[str],
    cache: Path,
    settings: TrainConfig | None = None,
    seed: int = 0,
    time_cap_s: float | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
    command: str | None = None,
) -> tuple[Backbone, Head, TrainResult]:
    """Train a backbone on the clean images of `rows`, or load it from the cache if it was trained before.

    Args:
        backbone: untrained (`load_backbone(..., from_scratch=True)`); it is not changed.
        pool: the images.
        labels: int64 (N,), class numbers of the pool.
        rows, val_rows: int64, positions in the pool.
        classes: names of the C classes.
        cache: the cache folder; the baseline is kept in its `baselines/<key>`.
        settings: None takes `default_settings`.
        seed: for these.
        time_cap_s: see TrainConfig; the result says when it ended the training early.
        device: where to compute.
        progress: called after each step.
        command: what was typed, for the result.

    Returns:
        the backbone with trained weights, the linear head that was trained with it, and the result of the training.
    """
    chosen = settings or default_settings(backbone, len(rows), seed=seed)[0]
    chosen = chosen.model_copy(update={"time_cap_s": time_cap_s or chosen.time_cap_s})
    key = run_key(backbone, pool, labels, (rows, val_rows), classes, (), chosen)
    folder = cache / "baselines" / key
    discard_damaged(folder)
    result = train(
        backbone, pool, labels, rows, val_rows,
        classes=classes, settings=chosen, folder=folder, device=device, progress=progress, command=command,
        curves=False,
    )  # fmt: skip
    return *load_trained(backbone, folder, result), result
