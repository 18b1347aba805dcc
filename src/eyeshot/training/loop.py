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
from eyeshot.core import SILENT, InputError, ModelError, Progress
from eyeshot.models import Backbone, autocast, place
from eyeshot.training.batches import epoch_batches, steps_per_epoch
from eyeshot.training.classifier import Classifier, State
from eyeshot.training.config import TrainConfig
from eyeshot.training.feeding import Feed, bring_to_device, choose_ahead, ready_batch
from eyeshot.training.precision import choose_execution, choose_precision, fast_convolutions, make_scaler
from eyeshot.training.recipe.averages import estimate_norms, moving_average, schedule_free_average
from eyeshot.training.recipe.drop_path import drop_path_rates, set_drop_path
from eyeshot.training.recipe.freezing import freeze, freeze_norm_statistics, trained_names
from eyeshot.training.recipe.objectives import Objective, classification, inverse_frequencies
from eyeshot.training.recipe.optimizer_catalogue import OPTIMIZERS
from eyeshot.training.recipe.optimizers import Sam, load_optimizer, make_optimizer, norm_averages_kept
from eyeshot.training.recipe.schedules import Schedule

READ_EVERY = 8
"""Steps whose losses are read from a GPU together: it would stand idle after each step whose loss is waited for."""
NORM_BATCHES = 10
"""Batches that BatchNorm's averages are estimated from for averaged weights."""


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
    wait_s: float = 0.0


class _Unread(NamedTuple):
    """A step whose loss, hits and norm of the gradients may still be in the making on the device."""

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
        reasons: sentences on what was chosen for the device.
        feed: makes the batches.
        read_after: steps (so many are done) whose record comes before the next step begins; usual on all devices but
            CUDA, where several are read together.
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
            config: the recipe; the learning rate is the schedule's business. `epochs` says how long images are small.
            augmentations: applied in order, each with its own probability.
            device: where to compute.
            start: weights of a `Classifier` to start from; None: the backbone's, with a new head.
            objective: None: classification with the label smoothing and class weights of `config`.

        Raises:
            InputError: the recipe does not suit the network or the device.
            MissingExtraError: the optimizer's package is not installed.
        """
        self.backbone, self.pool, self.config, self.device = backbone, pool, config, torch.device(device)
        self.augmentations = tuple(augmentations)
        self.labels = torch.from_numpy(labels).to(self.device)
        self.step = 0
        self.epoch_steps = steps_per_epoch(len(pool), config.batch_size)
        self.epoch_losses: list[float] = []
        self._epoch_sum = (0.0, 0)  # of the epoch in progress: losses times images, images
        self._batches: tuple[int, list[NDArray[np.int64]]] = (-1, [])
        self._balanced = labels if config.sampling == "balanced" else None
        self._class_count = class_count
        planned_steps = config.epochs * self.epoch_steps
        self._small_steps = round(config.small_share * planned_steps)
        if config.small_size is not None:
            check_small_size(backbone, config.small_size)
        self.precision, why = choose_precision(
            self.device, config.precision, scalable=OPTIMIZERS[config.optimizer].package != "own"
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            classifier = Classifier(backbone, class_count, dropout=config.dropout)
        if start is not None:
            classifier.load_state_dict(start)
        if config.drop_path:
            set_drop_path(classifier.backbone, drop_path_rates(backbone, config.drop_path))
        self.model, layout = place(classifier, self.device)
        side, part = backbone.geometry.size, max(1, min(config.batch_size, len(pool)) // config.accumulate)
        self._layout, compiled, execution = choose_execution(
            self.model, (part, 3, side, side),
            layout=layout, device=self.device, precision=self.precision, planned_steps=planned_steps,
            key=backbone.fingerprint,
        )  # fmt: skip
        self._network: nn.Module = torch.compile(self.model, dynamic=False) if compiled else self.model  # type: ignore[assignment]
        if config.freeze in ("head", "last-stage"):  # the optimizer need not know the rest
            freeze(self.model, trained_names(self.model, config, 0))
        self.optimizer = make_optimizer(self.model, config)
        self._scaler = make_scaler(self.device, self.precision)
        self._schedule_free = OPTIMIZERS[config.optimizer].package == "schedulefree"
        self._average = None if config.ema_decay is None else moving_average(self.model, config.ema_decay)
        weights = inverse_frequencies(self.labels, class_count) if config.class_weights else None
        self._objective = objective or partial(
            classification, label_smoothing=config.label_smoothing, class_weights=weights
        )
        images, lying = bring_to_device(pool, self.device, image_reads=planned_steps * config.batch_size)
        ahead, made = choose_ahead(self.device, self.augmentations)
        make = partial(
            ready_batch, pool=images, labels=self.labels, augmentations=self.augmentations,
            epochs=config.epochs, backbone=backbone,
            class_count=class_count, seed=config.seed, device=self.device, layout=self._layout,
        )  # fmt: skip
        self.read_after: set[int] = set()
        self._read_every = READ_EVERY if self.device.type == "cuda" else 1
        self.feed = Feed(make, device=self.device, ahead=ahead)
        self.reasons = [f"precision: {self.precision} ({why})", execution, lying, made]

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
        self._prepare_model()
        forked = torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else [])
        try:
            with forked, fast_convolutions(self.device):
                for record, missed in self._steps(to_step, schedule, stop, with_norm=on_step is not None):
                    losses, right = losses + record.loss * record.seen, right + record.right
                    seen, failed = seen + record.seen, failed + missed
                    self._count_epoch(record)
                    if on_step is not None:
                        on_step(record)
                    progress(record.step, to_step, f"loss {losses / seen:.2f}")
        except BaseException:
            self.feed.close()
            raise
        if seen and self.step == to_step and not self._is_finite():
            raise ModelError(
                f"Training of {self.backbone.name} diverged: weights are not finite after {self.step} steps. Give a "
                f"learning rate smaller than {self.config.learning_rate:g}, or a smaller weight decay."
            )
        return StepTotals(losses / seen if seen else float("nan"), right, seen, failed)

    def averaged_model(self) -> Classifier:
        """The classifier to validate and to save: averaged weights where the recipe keeps some, else `model` itself."""
        if self._average is not None and self.step:
            averaged: Classifier = self._average.module
            return averaged
        if not self._schedule_free or not self.step:
            return self.model
        averaged = schedule_free_average(self.model, self.optimizer)
        if self.config.norm_statistics == "frozen":
            return averaged
        first = (self.step - 1) // self.epoch_steps * self.epoch_steps
        numbers = range(first, min(first + NORM_BATCHES, first + self.epoch_steps))
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            estimate_norms(
                averaged, (self._shrunk(self.feed.make(*self._rows(number))[0], number) for number in numbers)
            )
        return averaged

    def weights(self) -> State:
        """Weights of `averaged_model`: copies on the CPU, for `start` of another run or `read_images_with`."""
        return _weights_of(self.averaged_model())

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on; tensors are copies on the CPU.

        Keys: `step`, `model`, `optimizer`, `average` (None without `ema_decay`), `scaler`, `epoch_losses` and
        `epoch_sum`, the losses of the epoch in progress.
        """
        return {
            "step": self.step,
            "model": _weights_of(self.model),
            "optimizer": _copied(self.optimizer.state_dict()),
            "average": None if self._average is None else _weights_of(self._average.module),
            "scaler": self._scaler.state_dict(),
            "epoch_losses": list(self.epoch_losses),
            "epoch_sum": list(self._epoch_sum),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the `state_dict` of another run."""
        self.model.load_state_dict(state["model"])
        load_optimizer(self.optimizer, state["optimizer"])
        if self._average is not None:
            self._average.module.load_state_dict(state["average"])
        if state.get("scaler"):
            self._scaler.load_state_dict(state["scaler"])
        self.step = int(state["step"])
        self.epoch_losses[:] = state.get("epoch_losses", [])
        losses, seen = state.get("epoch_sum", (0.0, 0))
        self._epoch_sum = float(losses), int(seen)

    def _rows(self, step: int) -> tuple[NDArray[np.int64], int]:
        """Rows of a step, and its epoch."""
        epoch, number = divmod(step, self.epoch_steps)
        if self._batches[0] != epoch:
            size, seed = self.config.batch_size, self.config.seed
            made = epoch_batches(len(self.pool), size, seed=seed, epoch=epoch, balanced=self._balanced)
            self._batches = epoch, made
        return self._batches[1][number], epoch

    def _prepare_model(self) -> None:
        """Training mode, with what this epoch does not train frozen; validation left it in evaluation mode."""
        self.model.train()
        self.model.to(memory_format=self._layout)
        if self.config.freeze != "none":
            freeze(self.model, trained_names(self.model, self.config, self.step // self.epoch_steps))
        if self.config.norm_statistics == "frozen":
            freeze_norm_statistics(self.model)
        if self._schedule_free:
            self.optimizer.train()  # type: ignore[attr-defined]

    def _steps(
        self, to_step: int, schedule: Schedule, stop: Callable[[], bool] | None, *, with_norm: bool
    ) -> Iterator[tuple[StepRecord, int]]:
        """What each step did, and on how many images an augmentation failed; from a GPU several steps at a time."""
        end = max(to_step, self.config.epochs * self.epoch_steps)  # the next epoch begins with batches that are ready
        unread: list[_Unread] = []
        begin, waited_s = time.perf_counter(), self.feed.waited_s()
        while self.step < to_step and not (stop is not None and stop()):
            try:
                unread.append(self._do_step(schedule(self.step), end=end, with_norm=with_norm))
            except RuntimeError:
                yield from self._read(unread, begin, waited_s)  # these are done: memory ran out in the one after them
                raise
            self.step += 1
            # A schedule may ask for the loss of the epoch before.
            ended = self.step % self.epoch_steps == 0 or self.step in self.read_after
            if ended or len(unread) >= self._read_every:
                yield from self._read(unread, begin, waited_s)
                unread, begin, waited_s = [], time.perf_counter(), self.feed.waited_s()
        yield from self._read(unread, begin, waited_s)

    def _read(self, unread: Sequence[_Unread], begin: float, waited_s: float) -> list[tuple[StepRecord, int]]:
        """Wait for steps since `begin` to end on the device, and read what they left there."""
        values = [(float(step.loss), int(step.right), float(step.norm)) for step in unread]
        seconds = (time.perf_counter() - begin) / max(1, len(unread))
        wait_s = (self.feed.waited_s() - waited_s) / max(1, len(unread))
        records = []
        for step, (loss, right, norm) in zip(unread, values, strict=True):
            if not np.isfinite(loss):
                raise ModelError(
                    f"Training of {self.backbone.name} diverged: the loss is {loss} at step {step.number}, in epoch "
                    f"{step.epoch + 1}. Give a learning rate smaller than {self.config.learning_rate:g}."
                )
            record = StepRecord(
                step.number, step.epoch, step.learning_rate, loss, right, step.seen, norm, seconds, wait_s
            )
            records.append((record, step.failed))
        return records

    def _do_step(self, learning_rate: float, *, end: int, with_norm: bool) -> _Unread:
        """Do one step; a GPU may still be at it afterwards. Batches are made ahead up to step `end`."""
        config, epoch = self.config, self.step // self.epoch_steps
        if config.freeze == "head-first" and self.step == config.head_epochs * self.epoch_steps:
            self._prepare_model()
        dropout_seed = int(np.random.default_rng([config.seed, self.step, 2]).integers(2**62))
        torch.manual_seed(dropout_seed)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group.get("lr_scale", 1.0)
        images, targets, failed = self.feed.batch(self.step, end, self._rows)
        images = self._shrunk(images, self.step)
        loss, right = self._gradients(images, targets)
        norm = self._clip(with_norm)
        if isinstance(self.optimizer, Sam):

            def once_more() -> None:
                torch.manual_seed(dropout_seed)
                with norm_averages_kept(self.model):
                    self._gradients(images, targets)
                self._clip(False)

            self.optimizer.step(once_more)
        else:
            self._scaler.step(self.optimizer)
            self._scaler.update()
        if self._average is not None:
            self._average.update(self.model, step=self.step + 1)
        return _Unread(self.step + 1, epoch, learning_rate, len(images), failed, loss, right, norm)

    def _shrunk(self, images: Tensor, step: int) -> Tensor:
        """Images of the first steps in a small size, where the recipe has one; pixels are means of those they cover."""
        if step >= self._small_steps:
            return images
        small = torch.nn.functional.interpolate(images, self.config.small_size, mode="area")
        return small.contiguous(memory_format=self._layout)

    def _gradients(self, batch: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Set the gradients of the batch's mean loss; returns that loss and how many images were predicted right.

        The batch passes in `accumulate` parts, each with the share of the loss that it has of the images.
        """
        self.optimizer.zero_grad(set_to_none=True)
        losses, hits = [], []
        parts = min(self.config.accumulate, len(batch))
        for images, of_images in zip(batch.tensor_split(parts), targets.tensor_split(parts), strict=True):
            with autocast(self.device, self.precision):
                loss, right = self._objective(self._network, images, of_images)
            if parts > 1:
                loss = loss * (len(images) / len(batch))
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
            hits.append(right)
        return (losses[0], hits[0]) if parts == 1 else (torch.stack(losses).sum(), torch.stack(hits).sum())

    def _clip(self, with_norm: bool) -> Tensor | float:
        """Shorten the gradients where the settings say so; returns their norm before that, NaN where nobody asks."""
        if not with_norm and self.config.clip_norm is None:
            return float("nan")
        self._scaler.unscale_(self.optimizer)
        weights = [weight for weight in self.model.parameters() if weight.grad is not None]
        if self.config.clip_norm is not None:
            return torch.nn.utils.clip_grad_norm_(weights, self.config.clip_norm)
        return gradient_norm(weights)

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


def check_small_size(backbone: Backbone, size: int) -> None:
    """Whether a network takes images of another side, before a long training.

    Raises:
        InputError: it does not, or `size` is not below its own.
    """
    own = backbone.geometry.size
    if size >= own:
        raise InputError(f"`small_size` must be below the {own} px of the images, got {size}. Try {own * 5 // 8}.")
    weight = next(backbone.module.parameters())
    training = backbone.module.training
    backbone.module.eval()
    try:
        with torch.inference_mode():
            backbone.module(torch.zeros(1, 3, size, size, device=weight.device, dtype=weight.dtype))
    except (AssertionError, RuntimeError, ValueError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise InputError(
            f"`small_size` needs a network that takes images of any size, but {backbone.name} takes {own} px only "
            f"({why}), as networks with position embeddings of one size do. Leave small_size out, or choose a "
            "convolutional network."
        ) from error
    finally:
        backbone.module.train(training)


def gradient_norm(weights: Iterable[Tensor]) -> Tensor | float:
    """Euclidean norm of the gradients of all weights together; 0 without any."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    return torch.stack(torch._foreach_norm(gradients)).norm() if gradients else 0.0


def _weights_of(model: nn.Module) -> State:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
