"""The training loop of full trainings, baselines and short runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eyeshot.augment import Augmentation, Pool
from eyeshot.core import SILENT, ModelError, Progress
from eyeshot.models import Backbone, normalise, place
from eyeshot.training.batches import epoch_batches, make_batch, steps_per_epoch
from eyeshot.training.classifier import Classifier, State
from eyeshot.training.config import TrainConfig
from eyeshot.training.objectives import Objective, classification
from eyeshot.training.optimizers import load_optimizer, make_optimizer
from eyeshot.training.schedules import Schedule


class StepTotals(NamedTuple):
    """Totals over steps: mean loss (NaN after no step), images predicted right, images, failed augmentations."""

    loss: float
    right: int
    seen: int
    failed: int


class TrainingRun:
    """A training in progress: a classifier, its optimizer and the number of steps done.

    Batches, augmentation parameters and dropout depend on (seed, step) or (seed, epoch) alone. So saving and loading a
    run changes nothing (on a CPU bit for bit), and two runs that differ in their augmentations see the same images in
    the same order.

    Attributes:
        model: the classifier, on `device`.
        optimizer: of its weights.
        step: how many steps are done.
        epoch_steps: steps of one pass over the images.
        pool, labels, backbone, config, augmentations, device: as given.
    """

    def __init__(
        self,
        backbone: Backbone,
        pool: Pool,
        labels: NDArray[np.int64],
        *,
        class_count: int,
        config: TrainConfig,
        augmentations: Sequence[Augmentation] = (),
        device: torch.device | str = "cpu",
        start: State | None = None,
        objective: Objective | None = None,
    ) -> None:
        """Prepare a run before its first step.

        Args:
            backbone: what is trained; it is copied.
            pool, labels: the N training images alone, and int64 (N,) their class numbers.
            class_count: C.
            config: batch size, optimizer, seed; `epochs` and the learning rate are the schedule's business.
            augmentations: applied in order, each with its own probability.
            device: where to compute.
            start: weights of a `Classifier` to start from; None: the backbone's, with a new head.
            objective: None: classification with the label smoothing of `config`.
        """
        self.backbone, self.pool, self.config = backbone, pool, config
        self.augmentations = tuple(augmentations)
        self.device = torch.device(device)
        self.labels = torch.from_numpy(labels).to(self.device)
        self.step = 0
        self.epoch_steps = steps_per_epoch(len(pool), config.batch_size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            classifier = Classifier(backbone, class_count)
        if start is not None:
            classifier.load_state_dict(start)
        self.model, self._layout = place(classifier, self.device)
        self.optimizer = make_optimizer(self.model, config)
        self._objective = objective or partial(classification, label_smoothing=config.label_smoothing)
        self._class_count = class_count
        self._batches: tuple[int, list[NDArray[np.int64]]] = (-1, [])

    def advance(
        self,
        to_step: int,
        *,
        schedule: Schedule,
        stop: Callable[[], bool] | None = None,
        progress: Progress | None = None,
    ) -> StepTotals:
        """Train until `to_step` steps are done in all.

        Args:
            to_step: counted from the beginning of the run; nothing happens if as many are done.
            schedule: learning rate of each step.
            stop: asked before each step; True ends it there, so `step` stays below `to_step`.
            progress: called with the steps done, of `to_step`.

        Raises:
            ModelError: the loss or a weight is not finite; the run cannot be used any more.
        """
        progress = progress or SILENT
        losses, right, seen, failed = 0.0, 0, 0, 0
        self.model.train()
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            while self.step < to_step and not (stop is not None and stop()):
                rows = self._rows()
                loss, hits, missed = self._do_step(rows, schedule(self.step))
                self.step += 1
                losses, right, seen, failed = losses + loss * len(rows), right + hits, seen + len(rows), failed + missed
                progress(self.step, to_step, f"loss {losses / seen:.2f}")
        if seen and self.step == to_step and not self._is_finite():
            raise ModelError(
                f"Training of {self.backbone.name} diverged: weights are not finite after {self.step} steps."
            )
        return StepTotals(losses / seen if seen else float("nan"), right, seen, failed)

    def weights(self) -> State:
        """The classifier's weights: copies on the CPU, for `start` of another run or `read_images_with`."""
        return {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on: `step`, `model`, `optimizer`; tensors are copies on the CPU."""
        return {"step": self.step, "model": self.weights(), "optimizer": _copied(self.optimizer.state_dict())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the `state_dict` of another run."""
        self.model.load_state_dict(state["model"])
        load_optimizer(self.optimizer, state["optimizer"])
        self.step = int(state["step"])

    def _rows(self) -> NDArray[np.int64]:
        epoch, number = divmod(self.step, self.epoch_steps)
        if self._batches[0] != epoch:
            size, seed = self.config.batch_size, self.config.seed
            self._batches = epoch, epoch_batches(len(self.pool), size, seed=seed, epoch=epoch)
        return self._batches[1][number]

    def _do_step(self, rows: NDArray[np.int64], learning_rate: float) -> tuple[float, int, int]:
        """Loss, images predicted right, failed augmentations."""
        seed, epoch = self.config.seed, self.step // self.epoch_steps
        torch.manual_seed(int(np.random.default_rng([seed, self.step, 2]).integers(2**62)))  # for dropout
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        batch, targets, failed = make_batch(
            self.pool, self.labels, rows, self.augmentations,
            class_count=self._class_count, seed=seed, epoch=epoch, device=self.device,
        )  # fmt: skip
        images = normalise(batch, self.backbone, device=self.device, layout=self._layout)
        loss, right = self._objective(self.model, images, targets)
        value = loss.item()
        if not np.isfinite(value):
            raise ModelError(
                f"Training of {self.backbone.name} diverged: the loss is {value} at step {self.step + 1}, in epoch "
                f"{epoch + 1}. Give a learning rate smaller than {self.config.learning_rate:g}."
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return value, int(right), failed

    def _is_finite(self) -> bool:
        values = self.model.state_dict().values()
        return all(bool(torch.isfinite(value).all()) for value in values if value.is_floating_point())


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
