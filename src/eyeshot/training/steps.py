"""Steps of training: one, as every run does them, and the few of a short run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eyeshot.augment import Augmentation, Pool
from eyeshot.core import ModelError
from eyeshot.models import Backbone, normalise
from eyeshot.training.batches import epoch_batches, make_batch, steps_per_epoch
from eyeshot.training.run import Run, start_run
from eyeshot.training.settings import TrainSettings

State = dict[str, Tensor]


@dataclass(frozen=True)
class Step:
    """What one step saw: mean loss, and how many of its images were predicted right and failed to be augmented."""

    loss: float
    right: int
    failed: int


def train_step(run: Run, rows: NDArray[np.int64], *, draw: int, learning_rate: float, place: str) -> Step:
    """One step on the images at `rows`; `draw` is the round of augmented views, `place` names the step in an error.

    Raises:
        ModelError: the loss is not finite; the weights were not changed.
    """
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate
    batch = make_batch(
        run.pool, run.labels, rows, run.augmentations,
        class_count=run.model.head.out_features, seed=run.settings.seed, epoch=draw, device=run.device,
    )  # fmt: skip
    targets = batch.targets
    if run.settings.label_smoothing:
        targets = targets.lerp(torch.full_like(targets, 1 / targets.shape[1]), run.settings.label_smoothing)
    scores = run.model(normalise(batch.images, run.backbone, device=run.device, layout=run.layout))
    loss = torch.nn.functional.cross_entropy(scores, targets)
    value = loss.item()
    if not np.isfinite(value):
        raise ModelError(
            f"Training of {run.backbone.name} diverged: the loss is {value} at {place}. "
            f"Give a learning rate smaller than {run.settings.learning_rate:g}."
        )
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    run.optimizer.step()
    return Step(value, int((scores.argmax(1) == batch.targets.argmax(1)).sum()), batch.failed)


def train_steps(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    state: State,
    *,
    class_count: int,
    augmentations: Sequence[Augmentation],
    settings: TrainSettings,
    first: int,
    count: int,
    device: torch.device | str = "cpu",
    stop: Callable[[], bool] = lambda: False,
) -> State | None:
    """Train a classifier for `count` steps from `state`; its learning rate rises and falls to zero within them.

    Batches, augmentations and dropout follow from (seed, number of the step) alone, so that two short runs that
    differ in their augmentations see the same images in the same order.

    Args:
        backbone: the architecture; its weights come from `state`.
        pool, labels: N training images and their class numbers.
        state: of a `Classifier`, as `start_state` or this function gave it.
        class_count: C.
        augmentations: applied in order, each with its own probability.
        settings: batch size, peak of the learning rate, weight decay, seed; epochs are not used.
        first: number of the first step, where an earlier short run ended.
        count: steps to do.
        device: where to compute.
        stop: asked before each step; True gives the run up.

    Returns:
        the state after the last step, on the CPU, or None if it was given up.

    Raises:
        ModelError: the loss or a weight is not finite.
    """
    run = start_run(
        backbone, pool, labels,
        class_count=class_count, settings=settings, augmentations=augmentations, device=torch.device(device),
    )  # fmt: skip
    run.model.load_state_dict(state)
    run.model.train()
    each = steps_per_epoch(len(pool), settings.batch_size)
    batches: list[NDArray[np.int64]] = []
    for step in range(first, first + count):
        if stop():
            return None
        epoch, place = divmod(step, each)
        if place == 0 or not batches:
            batches = epoch_batches(len(pool), settings.batch_size, seed=settings.seed, epoch=epoch)
        with torch.random.fork_rng(devices=[run.device] if run.device.type == "cuda" else []):
            torch.manual_seed(int(np.random.default_rng([settings.seed, step, 2]).integers(2**62)))
            rate = settings.learning_rate_at(step - first, count)
            train_step(run, batches[place], draw=epoch, learning_rate=rate, place=f"step {step - first + 1} of {count}")
    found = {name: value.detach().cpu().clone() for name, value in run.model.state_dict().items()}
    if not all(bool(torch.isfinite(value).all()) for value in found.values() if value.is_floating_point()):
        raise ModelError(f"Training of {backbone.name} diverged: weights are not finite after {count} steps.")
    return found
