"""The steps of a run from where it stands to its end: epochs, checkpoints, alarms and what the folder is told."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eyeshot.core import CallbackProgress, ModelError, Progress, duration, plural
from eyeshot.models import normalise, out_of_memory, to_batch
from eyeshot.training.checkpoints import PREVIOUS_FILE, drop_checkpoints, save_checkpoint
from eyeshot.training.checks.alarms import Alarm, AlarmWatch
from eyeshot.training.curves import draw_curves
from eyeshot.training.loop import StepRecord, TrainingRun
from eyeshot.training.recipe.schedules import make_schedule
from eyeshot.training.result import EpochRecord
from eyeshot.training.run_log import RunLog

CHECKPOINT_EVERY_S = 2.0
"""Between two checkpoints at ends of epochs."""
CHECKPOINT_WITHIN_S = 60.0
"""Between two checkpoints within an epoch: on a GPU an epoch of a large set takes an hour."""
SHARE_OF_TIME = 0.05
"""Of the time, at most so much goes into checkpoints and curves: those of a large network take seconds."""
CURVES_EVERY_S = 30.0
SEEN_STEPS, SEEN_SHARE = 8, 0.25
"""The pace is judged after so many steps of a sitting, or once this share of its time is spent, since the first step is
slow."""


@dataclass
class RunState:
    """Results of a run so far, over all sittings.

    Attributes:
        history: of the epochs that are done.
        losses, right, seen: of the epoch under way: sum of losses over its images, right answers, images.
        failed_samples, seconds: of all.
        wait_s: of these seconds, how long the device had no batch.
        accumulate: micro-batches of a step, more than planned after memory ran out.
        end: steps after which the run ends, fewer than planned after a shortening; 0: all.
        bend: steps done at the last shortening, and how much of the planned schedule was passed through by then.
        notes: what the run did on its own.
    """

    history: list[EpochRecord] = field(default_factory=list)
    losses: float = 0.0
    right: int = 0
    seen: int = 0
    failed_samples: int = 0
    seconds: float = 0.0
    wait_s: float = 0.0
    accumulate: int = 1
    end: int = 0
    bend: tuple[int, float] = (0, 0.0)
    notes: list[str] = field(default_factory=list)


class Sitting:
    """One process's work on a run."""

    def __init__(
        self,
        run: TrainingRun,
        folder: Path,
        key: str,
        *,
        log: RunLog,
        watch: AlarmWatch,
        progress: Progress,
        validation: tuple[NDArray[np.int64], Callable[[int], NDArray[np.int64]]] | None,
        training: tuple[NDArray[np.int64], Callable[[int], NDArray[np.int64]]],
        saved: dict[str, Any] | None,
        config: dict[str, Any],
        curves: bool = True,
        deadline: float = math.inf,
        notes: Sequence[str] = (),
    ) -> None:
        """Take up a run.

        Args:
            run: as it was built, before its first step.
            folder, key: of the run.
            log, watch, progress: are told of each step.
            validation: labels int64 (n,) of the clean images that are judged after each epoch, and a function from the
                images at once to what the network predicts for them; None where there are none.
            training: the same of as many clean training images, for an alarm.
            saved: the checkpoint, or None.
            config: for `config.json`.
            curves: draw them at the end, and now and then before.
            deadline: of `time.perf_counter`; see `train`.
            notes: what is to be said of `saved`.

        Raises:
            StorageError: the folder cannot be written.
        """
        self._run, self._folder, self._key = run, folder, key
        self._log, self._watch, self._progress = log, watch, progress
        self._validation, self._training = validation, training
        self._curves, self._deadline = curves, deadline
        self.state = RunState(accumulate=run.config.accumulate)
        self._planned = make_schedule(run.config, self.total_steps, epoch_losses=run.epoch_losses)
        # The step after this one is at the peak; how far it moves the weights says whether the learning rate can do
        # anything at all.
        self._probe = min(math.ceil(run.config.warm_up_share * self.total_steps), self.total_steps - 1)
        self._before: list[tuple[Tensor, Tensor]] | None = None
        self._kept_at = 0
        run.read_after |= {self._probe, self._probe + 1}
        if saved is not None:
            run.load_state_dict(saved["run"])
            history = [EpochRecord.model_validate(record) for record in saved["history"]]
            self.state = RunState(history, **saved["state"])
            watch.load_state_dict(saved["alarms"])
        self.state.notes += notes
        self._told = len(watch.alarms)
        log.begin(config, None if saved is None else saved["metrics_bytes"])
        self._use_accumulate()
        self._saved_at = self._drawn_at = time.monotonic()
        self._saved_step, self._save_s, self._draw_s = run.step, 0.0, 0.0
        self._began_at, self._first_step = time.perf_counter(), run.step

    @property
    def total_steps(self) -> int:
        """Steps of all epochs as planned."""
        return self._run.config.epochs * self._run.epoch_steps

    @property
    def end(self) -> int:
        """Steps after which the run ends: all, or fewer after a shortening."""
        return self.state.end or self.total_steps

    @property
    def alarms(self) -> list[Alarm]:
        """Those that fired, over all sittings."""
        return self._watch.alarms

    @property
    def images_at_once(self) -> int:
        """Images that go through the network at once."""
        return max(1, math.ceil(self._run.config.batch_size / self.state.accumulate))

    def check_facts(self, images: NDArray[np.uint8], own: tuple[tuple[float, ...], tuple[float, ...]] | None) -> None:
        """Look at what is fed to the network before the first step.

        Args:
            images: uint8 (n, S, S, 3), some training images.
            own: as in `AlarmWatch.check_normalisation`.
        """
        backbone = self._run.backbone
        values = normalise(to_batch(images), backbone, device=torch.device("cpu"))
        self._watch.check_normalisation(
            values.mean((0, 2, 3)).numpy(), values.std((0, 2, 3)).numpy(), mean=backbone.mean, std=backbone.std, own=own
        )
        self._check_batches()
        self._tell_alarms()

    def train(self) -> str | None:
        """Train until the end, the deadline or the time cap.

        Returns:
            why it ended early, or None.

        Raises:
            ModelError: the loss is not finite.
            StorageError: the folder cannot be written.
        """
        run, state = self._run, self.state
        cap, epochs = run.config.time_cap_s, run.config.epochs
        self._keep_weights()
        for epoch in range(len(state.history), epochs):
            if epoch * run.epoch_steps >= self.end:
                break
            over = cap is not None and epoch and state.seconds * (epoch + 1) / epoch > cap
            if over and not state.seen:  # an epoch that was begun is ended
                self._save()
                return (
                    f"The time cap of {cap:.0f} s ended it after {epoch} of {epochs} epochs, while the learning rate "
                    "was still high. Give it more time, fewer epochs or a smaller --size."
                )
            self._train_epoch(epoch)
            if self._is_due(CHECKPOINT_EVERY_S) or run.step == self.end:
                self._save()
            self._draw(wait_s=CURVES_EVERY_S)
        return None

    def draw(self) -> None:
        """Draw the curves of all that is done."""
        self._log.flush()
        self._draw(wait_s=0.0)

    def _train_epoch(self, epoch: int) -> None:
        run, state = self._run, self.state
        ends, begin, before = (epoch + 1) * run.epoch_steps, time.perf_counter(), state.seconds
        progress = CallbackProgress(lambda done, _, text: self._progress(done, self.end, f"epoch {epoch + 1}, {text}"))
        while run.step < (end := min(ends, self.end)):
            try:
                totals = run.advance(
                    end, schedule=self._schedule, progress=progress, on_step=self._on_step,
                    stop=partial(self._pauses, end),
                )  # fmt: skip
            except ModelError:
                # The same folder can then be used with other settings.
                drop_checkpoints(self._folder)
                raise
            except RuntimeError as error:
                if not out_of_memory(error) or self.images_at_once <= 2:
                    raise
            else:
                state.failed_samples += totals.failed
                if run.step < end:
                    state.seconds = before + time.perf_counter() - begin
                    self._save()
                continue
            # Outside the handler, because there the traceback would keep the tensors alive.
            self._halve_batches()
        record, predicted = self._validated()
        state.history.append(record)
        seconds = time.perf_counter() - begin
        state.seconds = before + seconds
        self._log.epoch(
            epoch + 1, run.step, train_loss=record.loss, train_accuracy=record.train_accuracy,
            val_accuracy=record.val_accuracy, seconds=seconds,
        )  # fmt: skip
        self._watch.epoch(
            epoch + 1, run.step, loss=record.loss, right=state.right, seen=state.seen, predicted=predicted,
            labels=None if self._validation is None else self._validation[0], clean=self._clean,
        )  # fmt: skip
        self._tell_alarms()
        state.losses, state.right, state.seen = 0.0, 0, 0

    def _validated(self) -> tuple[EpochRecord, NDArray[np.int64] | None]:
        state, predicted, accuracy = self.state, None, None
        if self._validation is not None:
            labels, predict = self._validation
            predicted = predict(self.images_at_once)
            accuracy = float((predicted == labels).mean())
        record = EpochRecord(
            loss=state.losses / state.seen, train_accuracy=state.right / state.seen, val_accuracy=accuracy
        )
        return record, predicted

    def _clean(self) -> tuple[int, int]:
        """How many of how many clean training images are right, judged as validation images are."""
        labels, predict = self._training
        return int((predict(self.images_at_once) == labels).sum()), len(labels)

    def _on_step(self, record: StepRecord) -> None:
        state = self.state
        # Summed in the order of the steps, so that a checkpoint within an epoch changes no digit of its mean.
        state.losses += record.loss * record.seen
        state.right += record.right
        state.seen += record.seen
        state.wait_s += record.wait_s
        # On a GPU records come several at a time, when the device is some steps further.
        done = self._run.step - self._kept_at
        if self._before is not None and done:
            self._watch.moved(_relative_change(self._before) / done)
            self._before = None
        self._log.step(record)
        self._watch.step(record)
        self._tell_alarms()
        self._keep_weights()
        self._keep_deadline()

    def _pauses(self, end: int) -> bool:
        """Whether a checkpoint is due before step `end`, or the run ends earlier than that now."""
        return self.end < end or (self._run.step > self._saved_step and self._is_due(CHECKPOINT_WITHIN_S))

    def _schedule(self, step: int) -> float:
        """Learning rate of a step: as planned up to a shortening, and then through the rest of the plan evenly."""
        return self._planned(round(self._passed(step + 1)) - 1)

    def _passed(self, step: int) -> float:
        """How much of the planned schedule is passed through after so many steps."""
        first, place = self.state.bend
        return place + (step - first) * (self.total_steps - place) / (self.end - first)

    def _keep_deadline(self) -> None:
        """Shorten the run where the pace of this sitting would pass the deadline."""
        run, state = self._run, self.state
        done, now = run.step - self._first_step, time.perf_counter()
        if not done or run.step >= self.end:
            return
        spent_s, left_s = now - self._began_at, self._deadline - now
        if done < SEEN_STEPS and spent_s < SEEN_SHARE * (spent_s + left_s):
            return
        pace_s = spent_s / done
        if left_s >= (self.end - run.step) * pace_s:
            return
        end = run.step + max(1, math.floor(left_s / pace_s))
        if end >= self.end:  # the last step is under way
            return
        state.bend, state.end = (run.step, self._passed(run.step)), end
        note = (
            f"Shortened to {end} of {self.total_steps} steps, since a step took {duration(pace_s, 3)} and the time "
            "would not have been enough; the rest of the schedule was passed through faster."
        )
        state.notes = [*(other for other in state.notes if not other.startswith("Shortened to")), note]
        self._log.note(note)

    def _keep_weights(self) -> None:
        if self._before is None and not self._watch.knows_move and self._run.step >= self._probe:
            self._kept_at = self._run.step
            self._before = [(weight, weight.detach().clone()) for weight in _trained(self._run.model)]

    def _halve_batches(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        before = self.images_at_once
        self.state.accumulate *= 2
        self._use_accumulate()
        note = (
            f"Out of memory at step {self._run.step + 1}: a step now takes its {self._run.config.batch_size} images in "
            f"{self.state.accumulate} parts of {self.images_at_once} instead of {before}."
        )
        if _normalises_batches(self._run):
            note += (
                f" BatchNorm now normalises over {self.images_at_once} images, so the numbers differ from those of "
                "a run with enough memory."
            )
        self.state.notes.append(note)
        self._log.note(note)
        self._progress.say(note)
        self._check_batches()
        self._tell_alarms()

    def _use_accumulate(self) -> None:
        self._run.config = self._run.config.model_copy(update={"accumulate": self.state.accumulate})

    def _check_batches(self) -> None:
        size = min(self.images_at_once, len(self._run.pool))
        self._watch.check_batches(size, batch_norm=_normalises_batches(self._run), step=self._run.step)

    def _tell_alarms(self) -> None:
        for alarm in self._watch.alarms[self._told :]:
            place = f"step {alarm.step}, epoch {alarm.epoch}" if alarm.step else "before the first step"
            self._log.note(f"alarm ({alarm.kind}, {place}): {alarm.words}")
            self._progress.say(f"alarm: {alarm.words}")
        self._told = len(self._watch.alarms)

    def _is_due(self, every_s: float) -> bool:
        return time.monotonic() - self._saved_at >= max(every_s, self._save_s / SHARE_OF_TIME)

    def _save(self) -> None:
        begin = time.monotonic()
        state = asdict(self.state)
        del state["history"]
        save_checkpoint(
            self._folder,
            {
                "key": self._key,
                "run": self._run.state_dict(),
                "history": [record.model_dump() for record in self.state.history],
                "state": state,
                "alarms": self._watch.state_dict(),
                # First: all lines up to this step are on disk before the checkpoint is.
                "metrics_bytes": self._log.flush(),
            },
            previous=PREVIOUS_FILE,
        )
        self._saved_at, self._saved_step = time.monotonic(), self._run.step
        self._save_s = self._saved_at - begin

    def _draw(self, *, wait_s: float) -> None:
        begin = time.monotonic()
        if not self._curves or (wait_s and begin - self._drawn_at < max(wait_s, self._draw_s / SHARE_OF_TIME)):
            return
        epochs = len(self.state.history)
        draw_curves(self._folder, title=f"{self._run.backbone.name}, {epochs} {plural(epochs, 'epoch')}")
        self._drawn_at = time.monotonic()
        self._draw_s = self._drawn_at - begin


def _trained(model: nn.Module) -> list[Tensor]:
    return [weight for weight in model.parameters() if weight.requires_grad]


def _relative_change(pairs: list[tuple[Tensor, Tensor]]) -> float:
    """Norm of the difference of weights from their copies of before, relative to the norm of these.

    The pairs hold the weights themselves, since other weights may be trained now than when the copies were made.
    """
    norm = torch.linalg.vector_norm
    change = math.hypot(*(norm(now.detach() - before).item() for now, before in pairs))
    size = math.hypot(*(norm(before).item() for _, before in pairs))
    return change / size if size else math.inf


def _normalises_batches(run: TrainingRun) -> bool:
    """Whether a part that is trained normalises over the batch; frozen ones use their own averages."""
    if run.config.norm_statistics == "frozen":
        return False
    parts = (part for part in run.model.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm))
    return any(weight.requires_grad for part in parts for weight in part.parameters())
