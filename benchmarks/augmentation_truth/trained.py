"""A training of all weights with the product's own loop, evaluated on all targets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.augmentation_truth.tasks import Decoded, Labelled
from eyeshot.augment import Augmentation
from eyeshot.core import CallbackProgress
from eyeshot.models import Backbone
from eyeshot.training import TrainConfig, joined, load_classifier, read_images_with, train

Probabilities = dict[str, NDArray[np.float32]]


def train_and_read(
    backbone: Backbone,
    data: Decoded,
    candidate: Augmentation | Sequence[Augmentation],
    settings: TrainConfig,
    *,
    folder: Path,
    device: torch.device | str = "cpu",
    each_step: Callable[[], None] = lambda: None,
) -> tuple[float, Probabilities]:
    """Train, or continue a training that was killed; `folder` holds the run until it is finished.

    `candidate` may be several augmentations, applied in order.

    Returns:
        accuracy on validation images, and probabilities float32 (n, C) for each target.
    """
    pool = joined([data.train.pool, data.val.pool])
    count = len(data.train.labels)
    steps = (candidate,) if isinstance(candidate, Augmentation) else tuple(candidate)
    result = train(
        backbone,
        pool,
        np.concatenate([data.train.labels, data.val.labels]),
        np.arange(count),
        np.arange(count, len(pool)),
        classes=data.classes,
        settings=settings,
        folder=folder,
        augmentations=[step for step in steps if step.name != "clean"],
        device=device,
        progress=CallbackProgress(lambda done, total, text: each_step()),
        command="",
    )
    images = {name: np.asarray(target.pool.images[:]) for name, target in data.targets.items()}
    readings = read_images_with(
        backbone,
        load_classifier(backbone, folder, len(data.classes)),
        list(images.values()),
        class_count=len(data.classes),
        device=device,
    )
    shutil.rmtree(folder, ignore_errors=True)
    found = {name: reading.probabilities for name, reading in zip(images, readings, strict=True)}
    return float(result.accuracy.value or 0.0), found


def accuracies(probabilities: NDArray[np.float32], target: Labelled, class_count: int) -> tuple[float, float]:
    """Share of right answers, and the share in the class with the lowest accuracy."""
    right = probabilities.argmax(1) == target.labels
    each = [float(right[target.labels == number].mean()) for number in range(class_count)]
    return float(right.mean()), min(each)
