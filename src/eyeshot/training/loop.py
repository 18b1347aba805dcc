"""The training loop of full trainings, baselines and short runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
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
from eyeshot.training.optimizers import Sam, load_optimizer, make_optimizer, norm_averages_kept
from eyeshot.training.schedules import Schedule


class StepTotals(NamedTuple):
    """Totals over steps: mean loss (NaN after no step), images predicted right, images, failed augmentations."""

    loss: float
    right: int
    seen: int
    failed: int


class StepRecord(NamedTuple):
    """What one step did.

    Attributes:
        step: its number, from 1: so many steps are done.
        epoch: its number, from 0.
        learning_rate: of the head; with `layer_decay` lower layers have less.
        loss: mean over the batch.
        right, seen: images predicted right, and images.
        grad_norm: of all gradients together, before clipping.
        seconds: wall time, the batch's making included.
    """

    step: int
    epoch: int
    learning_rate: float
    loss: float
    right: int
    seen: int
    grad_norm: float
    seconds: float


class TrainingRun:
    """A training in progress: a classifier, its optimizer and the number of steps done.

    Batches, augmentation parameters and dropout depend on (seed, step) or (seed, epoch) alone. So saving and loading a
    run changes nothing (on a CPU bit for bit), and two runs that differ in their augmentations see the same images in
    the same order.

    Attributes:
        model: the classifier, on `device`.
        optimizer: of its weights.
        step: how many steps are done.
        epoch_losses: mean training loss of each finished epoch; a "plateau" schedule reads it.
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
        self.epoch_losses: list[float] = []
        self._epoch_sum = (0.0, 0)  # of the epoch in progress: losses times images, images
        self._batches: tuple[int, list[NDArray[np.int64]]] = (-1, [])

    def advance(
        self,
        to_step: int,
        *,
        schedule: Schedule,
        stop: Callable[[], bool] | None = None,
        progress: Progress | None = None,
        on_step: Callable[[StepRecord], None] | None = None,
    ) -> StepTotals:
        """Train until `to_step` steps are done in all.

        Args:
            to_step: counted from the beginning of the run; nothing happens if as many are done.
            schedule: learning rate of each step.
            stop: asked before each step; True ends it there, so `step` stays below `to_step`.
            progress: called with the steps done, of `to_step`.
            on_step: called after each step. Only then, or with clipping, the norm of the gradients is computed.

        Raises:
            ModelError: the loss or a weight is not finite; the run cannot be used any more.
        """
        progress = progress or SILENT
        losses, right, seen, failed = 0.0, 0, 0, 0
        self.model.train()
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            while self.step < to_step and not (stop is not None and stop()):
                record, missed = self._do_step(self._rows(), schedule(self.step), with_norm=on_step is not None)
                self.step += 1
                losses, right = losses + record.loss * record.seen, right + record.right
                seen, failed = seen + record.seen, failed + missed
                self._count_epoch(record)
                if on_step is not None:
                    on_step(record)
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
        """Everything that the next step depends on; tensors are copies on the CPU.

        Keys: `step`, `model`, `optimizer`, `epoch_losses` and `epoch_sum`, the losses of the epoch in progress.
        """
        return {
            "step": self.step,
            "model": self.weights(),
            "optimizer": _copied(self.optimizer.state_dict()),
            "epoch_losses": list(self.epoch_losses),
            "epoch_sum": list(self._epoch_sum),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the `state_dict` of another run."""
        self.model.load_state_dict(state["model"])
        load_optimizer(self.optimizer, state["optimizer"])
        self.step = int(state["step"])
        self.epoch_losses[:] = state.get("epoch_losses", [])
        losses, seen = state.get("epoch_sum", (0.0, 0))
        self._epoch_sum = float(losses), int(seen)

    def _rows(self) -> NDArray[np.int64]:
        epoch, number = divmod(self.step, self.epoch_steps)
        if self._batches[0] != epoch:
            size, seed = self.config.batch_size, self.config.seed
            self._batches = epoch, epoch_batches(len(self.pool), size, seed=seed, epoch=epoch)
        return self._batches[1][number]

    def _do_step(self, rows: NDArray[np.int64], learning_rate: float, *, with_norm: bool) -> tuple[StepRecord, int]:
        """What the step did, and on how many images an augmentation failed."""
        begin = time.perf_counter()
        config, epoch = self.config, self.step // self.epoch_steps
        dropout_seed = int(np.random.default_rng([config.seed, self.step, 2]).integers(2**62))
        torch.manual_seed(dropout_seed)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group.get("lr_scale", 1.0)
        batch, targets, failed = make_batch(
            self.pool, self.labels, rows, self.augmentations,
            class_count=self._class_count, seed=config.seed, epoch=epoch, device=self.device,
        )  # fmt: skip
        loss, right = self._gradients(batch, targets)
        norm = self._clip(with_norm)
        if isinstance(self.optimizer, Sam):

            def once_more() -> None:
                torch.manual_seed(dropout_seed)
                with norm_averages_kept(self.model):
                    self._gradients(batch, targets)
                self._clip(False)

            self.optimizer.step(once_more)
        else:
            self.optimizer.step()
        seconds = time.perf_counter() - begin
        return StepRecord(self.step + 1, epoch, learning_rate, loss, right, len(rows), norm, seconds), failed

    def _gradients(self, batch: Tensor, targets: Tensor) -> tuple[float, int]:
        """Set the gradients of the batch's mean loss; returns that loss and how many images were predicted right.

        The batch passes in `accumulate` parts, each with the share of the loss that it has of the images.
        """
        self.optimizer.zero_grad(set_to_none=True)
        total, right = 0.0, 0
        parts = min(self.config.accumulate, len(batch))
        for images, of_images in zip(batch.tensor_split(parts), targets.tensor_split(parts), strict=True):
            inputs = normalise(images, self.backbone, device=self.device, layout=self._layout)
            loss, hits = self._objective(self.model, inputs, of_images)
            if parts > 1:
                loss = loss * (len(images) / len(batch))
            value = loss.item()
            if not np.isfinite(value):
                raise ModelError(
                    f"Training of {self.backbone.name} diverged: the loss is {value} at step {self.step + 1}, in epoch "
                    f"{self.step // self.epoch_steps + 1}. Give a learning rate smaller than "
                    f"{self.config.learning_rate:g}."
                )
            loss.backward()  # type: ignore[no-untyped-call]
            total, right = total + value, right + int(hits)
        return total, right

    def _clip(self, with_norm: bool) -> float:
        """Shorten the gradients where the settings say so; returns their norm before that, NaN where nobody asks."""
        weights = [weight for weight in self.model.parameters() if weight.grad is not None]
        if self.config.clip_norm is not None:
            return float(torch.nn.utils.clip_grad_norm_(weights, self.config.clip_norm))
        return gradient_norm(weights) if with_norm else float("nan")

    def _count_epoch(self, record: StepRecord) -> None:
        """Add a step to the losses of its epoch."""
        losses, seen = self._epoch_sum
        self._epoch_sum = losses + record.loss * record.seen, seen + record.seen
        if record.step % self.epoch_steps == 0:
            self.epoch_losses.append(self._epoch_sum[0] / self._epoch_sum[1])
            self._epoch_sum = 0.0, 0

    def _is_finite(self) -> bool:
        values = self.model.state_dict().values()
        return all(bool(torch.isfinite(value).all()) for value in values if value.is_floating_point())


def gradient_norm(weights: Iterable[Tensor]) -> float:
    """Euclidean norm of the gradients of all weights together; 0 without any."""
    norms = [weight.grad.norm() for weight in weights if weight.grad is not None]
    return float(torch.stack(norms).norm()) if norms else 0.0


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
