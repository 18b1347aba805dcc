"""The training loop of full trainings, baselines and short runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eyeshot.augment import Augmentation, Pool
from eyeshot.core import SILENT, ModelError, Progress
from eyeshot.models import Backbone, normalise, place
from eyeshot.training.batches import epoch_batches, make_batch, steps_per_epoch
from eyeshot.training.classifier import Classifier, State
from eyeshot.training.config import TrainConfig
from eyeshot.training.feeding import Feed, bring_to_device, choose_ahead
from eyeshot.training.objectives import Objective, classification
from eyeshot.training.optimizers import Sam, load_optimizer, make_optimizer, norm_averages_kept
from eyeshot.training.precision import autocast, choose_execution, choose_precision, fast_convolutions, make_scaler
from eyeshot.training.schedules import Schedule

READ_EVERY = 8
"""Steps whose losses are read from a GPU together: it would stand idle after each step whose loss is waited for."""


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
        seconds: wall time, the batch's making included. On a GPU, where a few steps are read together, their mean.
        wait_s: of these, how long the device had no batch; without a thread that makes them, how long that took.
    """

    step: int
    epoch: int
    learning_rate: float
    loss: float
    right: int
    seen: int
    grad_norm: float
    seconds: float
    wait_s: float


class _Unread(NamedTuple):
    """A step whose loss, hits and norm of the gradients may still be on the device, and in the making there."""

    number: int
    epoch: int
    learning_rate: float
    seen: int
    failed: int
    loss: Tensor
    right: Tensor
    norm: Tensor | float


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
        precision: number format of the forward pass.
        choices: what was chosen by the device, in words with the reason: `precision`, `execution` (memory layout and
            compiling), `images` (where they lie) and `feeding` (batches made ahead or when needed).
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

        Raises:
            InputError: the device does not compute in the precision of `config`.
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
        self._prepare_device()

    def _prepare_device(self) -> None:
        """Choose precision, layout and the way of the images by the device."""
        config, device, augmentations = self.config, self.device, self.augmentations
        planned, size = config.epochs * self.epoch_steps, self.backbone.geometry.size
        at_once = -(-min(config.batch_size, len(self.pool)) // config.accumulate)
        self.precision, why = choose_precision(device, config.precision, scalable=not isinstance(self.optimizer, Sam))
        self.choices = {"precision": f"{self.precision}: {why}"}
        self._scaler = make_scaler(device, self.precision)
        self._layout, compiled, self.choices["execution"] = choose_execution(
            self.model, (at_once, 3, size, size), layout=self._layout, device=device, precision=self.precision,
            planned_steps=planned, key=f"{self.backbone.name} {self._class_count} {config.freeze}",
        )  # fmt: skip
        self._network: nn.Module = torch.compile(self.model, dynamic=False) if compiled else self.model  # type: ignore[assignment]
        images, self.choices["images"] = bring_to_device(
            self.pool, device, image_reads=planned * min(config.batch_size, len(self.pool))
        )
        self._read_every = READ_EVERY if device.type == "cuda" else 1
        ahead, self.choices["feeding"] = choose_ahead(device, augmentations)
        labels, class_count, seed = self.labels, self._class_count, config.seed
        self._feed = Feed(
            lambda rows, epoch: make_batch(
                images, labels, rows, augmentations, class_count=class_count, seed=seed, epoch=epoch, device=device
            ),
            device=device,
            ahead=ahead,
        )

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
        on_gpu = self.device.type == "cuda"
        if on_gpu:  # reading images with the model may have changed it
            self.model.to(memory_format=self._layout)
        self.model.train()
        try:
            with torch.random.fork_rng(devices=[self.device] if on_gpu else []), fast_convolutions(self.device):
                for record, missed in self._steps(to_step, schedule, stop, with_norm=on_step is not None):
                    losses, right = losses + record.loss * record.seen, right + record.right
                    seen, failed = seen + record.seen, failed + missed
                    self._count_epoch(record)
                    if on_step is not None:
                        on_step(record)
                    progress(record.step, to_step, f"loss {losses / seen:.2f}")
        except BaseException:
            self._feed.close()
            raise
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

        Keys: `step`, `model`, `optimizer`, `epoch_losses`, `epoch_sum`, the losses of the epoch in progress, and
        `scaler`, of float16 gradients; empty in other formats.
        """
        return {
            "step": self.step,
            "model": self.weights(),
            "optimizer": _copied(self.optimizer.state_dict()),
            "epoch_losses": list(self.epoch_losses),
            "epoch_sum": list(self._epoch_sum),
            "scaler": self._scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the `state_dict` of another run."""
        self.model.load_state_dict(state["model"])
        load_optimizer(self.optimizer, state["optimizer"])
        self.step = int(state["step"])
        self.epoch_losses[:] = state.get("epoch_losses", [])
        losses, seen = state.get("epoch_sum", (0.0, 0))
        self._epoch_sum = float(losses), int(seen)
        if state.get("scaler") and self._scaler.is_enabled():
            self._scaler.load_state_dict(state["scaler"])

    def _rows(self, step: int) -> tuple[NDArray[np.int64], int]:
        """Positions in the pool of a step's images, and the number of its epoch."""
        epoch, number = divmod(step, self.epoch_steps)
        if self._batches[0] != epoch:
            size, seed = self.config.batch_size, self.config.seed
            self._batches = epoch, epoch_batches(len(self.pool), size, seed=seed, epoch=epoch)
        return self._batches[1][number], epoch

    def _steps(
        self, to_step: int, schedule: Schedule, stop: Callable[[], bool] | None, *, with_norm: bool
    ) -> Iterator[tuple[StepRecord, int]]:
        """What each step did, and on how many images an augmentation failed; from a GPU several steps at a time."""
        unread: list[_Unread] = []
        begin, waited_s = time.perf_counter(), self._feed.waited_s()
        while self.step < to_step and not (stop is not None and stop()):
            unread.append(self._do_step(schedule(self.step), to_step, with_norm=with_norm))
            self.step += 1
            # A schedule may ask for the loss of the epoch before.
            if len(unread) == self._read_every or self.step % self.epoch_steps == 0:
                yield from self._read(unread, begin, waited_s)
                unread, begin, waited_s = [], time.perf_counter(), self._feed.waited_s()
        yield from self._read(unread, begin, waited_s)

    def _read(self, unread: Sequence[_Unread], begin: float, waited_s: float) -> list[tuple[StepRecord, int]]:
        """Read what steps since `begin` left on the device."""
        values = [(float(step.loss), int(step.right), float(step.norm)) for step in unread]
        seconds = (time.perf_counter() - begin) / max(1, len(unread))
        wait_s = (self._feed.waited_s() - waited_s) / max(1, len(unread))
        for step, (loss, _, _) in zip(unread, values, strict=True):
            if not np.isfinite(loss):
                raise ModelError(
                    f"Training of {self.backbone.name} diverged: the loss is {loss} at step {step.number}, in epoch "
                    f"{step.epoch + 1}. Give a learning rate smaller than {self.config.learning_rate:g}."
                )
        return [
            (
                StepRecord(
                    step.number, step.epoch, step.learning_rate, loss, right, step.seen, norm, seconds, wait_s
                ),
                step.failed,
            )
            for step, (loss, right, norm) in zip(unread, values, strict=True)
        ]  # fmt: skip

    def _do_step(self, learning_rate: float, to_step: int, *, with_norm: bool) -> _Unread:
        """Do one step; a GPU may still be at it afterwards."""
        dropout_seed = int(np.random.default_rng([self.config.seed, self.step, 2]).integers(2**62))
        torch.manual_seed(dropout_seed)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group.get("lr_scale", 1.0)
        planned = self.config.epochs * self.epoch_steps
        batch, targets, failed = self._feed.batch(self.step, max(to_step, planned), self._rows)
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
            self._scaler.step(self.optimizer)
            self._scaler.update()
        epoch = self.step // self.epoch_steps
        return _Unread(self.step + 1, epoch, learning_rate, len(batch), failed, loss, right, norm)

    def _gradients(self, batch: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Set the gradients of the batch's mean loss; returns that loss and how many images were predicted right.

        The batch passes in `accumulate` parts, each with the share of the loss that it has of the images.
        """
        self.optimizer.zero_grad(set_to_none=True)
        losses, hits = [], []
        parts = min(self.config.accumulate, len(batch))
        for images, of_images in zip(batch.tensor_split(parts), targets.tensor_split(parts), strict=True):
            inputs = normalise(images, self.backbone, device=self.device, layout=self._layout)
            with autocast(self.device, self.precision):
                loss, right = self._objective(self._network, inputs, of_images)
            if parts > 1:
                loss = loss * (len(images) / len(batch))
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
            hits.append(right)
        return (losses[0], hits[0]) if parts == 1 else (torch.stack(losses).sum(), torch.stack(hits).sum())

    def _clip(self, with_norm: bool) -> Tensor | float:
        """Shorten the gradients where the settings say so; returns their norm before that, NaN where nobody asks."""
        self._scaler.unscale_(self.optimizer)
        weights = [weight for weight in self.model.parameters() if weight.grad is not None]
        if self.config.clip_norm is not None:
            return torch.nn.utils.clip_grad_norm_(weights, self.config.clip_norm)
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


def gradient_norm(weights: Iterable[Tensor]) -> Tensor | float:
    """Euclidean norm of the gradients of all weights together; 0 without any."""
    norms = [weight.grad.norm() for weight in weights if weight.grad is not None]
    return torch.stack(norms).norm() if norms else 0.0


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
