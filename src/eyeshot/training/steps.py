"""The few steps of a short run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, Pool
from eyeshot.models import Backbone
from eyeshot.training.classifier import State
from eyeshot.training.config import TrainConfig
from eyeshot.training.loop import TrainingRun
from eyeshot.training.schedules import warm_up_cosine


def train_steps(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    state: State,
    *,
    class_count: int,
    augmentations: Sequence[Augmentation],
    settings: TrainConfig,
    first: int,
    count: int,
    device: torch.device | str = "cpu",
    stop: Callable[[], bool] = lambda: False,
) -> State | None:
    """Train for `count` steps from `state` with a new optimizer; the learning rate rises and falls within them.

    Returns:
        the state after the last step, on the CPU, or None where `stop` ended it.

    Raises:
        ModelError: the loss or a weight is not finite.
    """
    run = TrainingRun(
        backbone, pool, labels,
        class_count=class_count, config=settings, augmentations=augmentations, device=device, start=state,
    )  # fmt: skip
    run.step = first
    rates = warm_up_cosine(settings.learning_rate, count, warm_up_share=settings.warm_up_share, first=first)
    run.advance(first + count, schedule=rates, stop=stop)
    return run.weights() if run.step == first + count else None
