"""A training from its first epoch to its run folder: checkpoints, the result and the weights."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import filelock
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from eyeshot.augment import Augmentation, Pool
from eyeshot.core import (
    SILENT,
    CallbackProgress,
    InputError,
    ModelError,
    Progress,
    StorageError,
    describe_hardware,
    describe_versions,
    key_of,
    make_folder,
    wilson,
)
from eyeshot.models import Backbone
from eyeshot.predictions import Predictions
from eyeshot.training.batches import part_of
from eyeshot.training.checkpoints import CHECKPOINT_FILE, load_checkpoint, save_checkpoint
from eyeshot.training.classifier import predict, start_head
from eyeshot.training.config import TrainConfig
from eyeshot.training.loop import TrainingRun
from eyeshot.training.result import VALIDATION_FILE, EpochRecord, TrainResult, read_result
from eyeshot.training.run_folder import another_run
from eyeshot.training.schedules import make_schedule
from eyeshot.training.weights_file import save_weights

CHECKPOINT_EVERY_S = 2.0
LOCK_TIMEOUT_S = 3600.0
EPOCH_VAL_IMAGES = 2000
"""Accuracy after each epoch uses at most so many validation images, and no more than there are training images."""
LOOP_VERSION = 2
"""Raised whenever the same settings would end in other weights."""


@dataclass
class _Log:
    """Results of the epochs so far, over all sittings."""

    history: list[EpochRecord] = field(default_factory=list)
    failed_samples: int = 0
    seconds: float = 0.0


def train(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    train_rows: NDArray[np.int64],
    val_rows: NDArray[np.int64],
    *,
    classes: Sequence[str],
    settings: TrainConfig,
    folder: Path,
    augmentations: Sequence[Augmentation] = (),
    ids: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    command: str | None = None,
    data: Mapping[str, JsonValue] | None = None,
) -> TrainResult:
    """Train a copy of `backbone` with a new linear head.

    The same call resumes an interrupted run; on a CPU it ends in the same weights, bit for bit, as an uninterrupted
    one. A finished run is not repeated.

    Args:
        backbone: where to start from, pretrained or not; it is not changed.
        pool: the images; mixing takes its partners from `train_rows` only.
        labels: int64 (N,), class numbers of the pool.
        train_rows, val_rows: int64, positions in the pool.
        classes: names of the C classes.
        settings: see TrainConfig; `default_settings` chooses some.
        folder: gets result.json, validation.npz, weights.safetensors; checkpoint.pt until it is finished.
        augmentations: applied in order, each with its own probability; none trains on clean images.
        ids: N names of the pool's images for validation.npz; None takes their content keys.
        device: where to compute.
        progress: called after each step.
        command: what was typed, for the result; None takes this process's own.
        data: which images these are, for the result: folders, decisions, split, `fold` and the like.

    Raises:
        InputError: too few images, or `folder` holds another run.
        ModelError: the loss is not finite.
        StorageError: the folder cannot be written.
    """
    device = torch.device(device)
    _check(labels, train_rows, classes)
    key = run_key(backbone, pool, labels, (train_rows, val_rows), classes, augmentations, settings)
    make_folder(folder)
    try:
        with filelock.FileLock(folder / "lock", timeout=LOCK_TIMEOUT_S):
            done = read_result(folder)
            if done is not None and done.key == key and _is_finished(done, settings):
                return done
            own = part_of(pool, train_rows)
            run = TrainingRun(
                backbone,
                own,
                labels[train_rows],
                class_count=len(classes),
                config=settings,
                augmentations=augmentations,
                device=device,
            )
            log = _resume(run, folder, key, done)
            if not log.history and backbone.pretrained:
                start_head(
                    run.model,
                    backbone,
                    own,
                    labels[train_rows],
                    class_count=len(classes),
                    device=device,
                    batch_size=settings.batch_size,
                    seed=settings.seed,
                )
            epoch_val_rows = _subset(val_rows, min(EPOCH_VAL_IMAGES, len(train_rows)), settings.seed)
            validate = partial(_accuracy, run, pool, labels, epoch_val_rows) if len(epoch_val_rows) else None
            ended_early = _run_epochs(run, log, folder, key, progress or SILENT, validate)
            names = pool.keys if ids is None else ids
            data = dict(data or {})
            fold = data.get("fold")
            predictions = Predictions(
                ids=tuple(names[row] for row in val_rows.tolist()),
                # Rounded as they are stored, so that everybody who reads the file gets the same accuracy.
                probabilities=_predict(run, pool, val_rows).astype(np.float16),
                classes=tuple(classes),
                labels=labels[val_rows],
                run=folder.resolve().name,
                fold=fold if isinstance(fold, int) else None,
            )
            predictions.save(folder / VALIDATION_FILE)
            weights = save_weights(run.averaged_model(), backbone, classes, folder)
            result = TrainResult(
                key=key,
                model=backbone.name,
                pretrained=backbone.pretrained,
                classes=predictions.classes,
                augmentations=tuple(augmentation.name for augmentation in augmentations),
                settings=settings,
                size=backbone.geometry.size,
                fit=backbone.geometry.fit,
                interpolation=backbone.geometry.interpolation,
                mean=backbone.mean,
                std=backbone.std,
                data=data,
                n_train=len(train_rows),
                n_val=len(predictions),
                epoch_val_images=len(epoch_val_rows),
                accuracy=predictions.accuracy(),
                per_class=predictions.class_accuracies(),
                epochs=len(log.history),
                steps=run.step,
                seconds=log.seconds,
                ended_early=ended_early,
                alarms=_alarms(run, log),
                failed_samples=log.failed_samples,
                history=tuple(log.history),
                hardware=describe_hardware(device),
                versions=describe_versions(),
                weights=weights,
                command=shlex.join(sys.argv) if command is None else command,
            )
            result.write(folder)
            if ended_early is None:
                (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
            return result
    except filelock.Timeout as error:
        raise StorageError(
            f"Another run has been training in {str(folder)!r} for {LOCK_TIMEOUT_S / 60:.0f} minutes. "
            "Wait for it, or choose another folder."
        ) from error


def _check(labels: NDArray[np.int64], train_rows: NDArray[np.int64], classes: Sequence[str]) -> None:
    if len(train_rows) < 2:
        raise InputError(f"Training needs at least 2 images, got {len(train_rows)}.")
    train_labels = labels[train_rows]
    if train_labels.min() < 0 or train_labels.max() >= len(classes):
        raise InputError(
            f"Training images must have labels 0 to {len(classes) - 1}, got {train_labels.min()} to "
            f"{train_labels.max()}."
        )


def _is_finished(done: TrainResult, settings: TrainConfig) -> bool:
    cap = settings.time_cap_s
    planned_cap = done.settings.time_cap_s
    # A run that ended at its time cap continues if it is given more time.
    return done.ended_early is None or (cap is not None and planned_cap is not None and cap <= planned_cap)


def _run_epochs(
    run: TrainingRun, log: _Log, folder: Path, key: str, progress: Progress, validate: Callable[[], float] | None
) -> str | None:
    """Train until the end or the time cap; returns why it ended early, or None."""
    config, saved_at = run.config, time.monotonic()
    cap = config.time_cap_s
    total = config.epochs * run.epoch_steps
    schedule = make_schedule(config, total, epoch_losses=run.epoch_losses)
    for epoch in range(len(log.history), config.epochs):
        if cap is not None and epoch and log.seconds * (epoch + 1) / epoch > cap:
            _save(run, log, folder, key)
            return (
                f"The time cap of {cap:.0f} s ended it after {epoch} of {config.epochs} epochs, while the "
                "learning rate was still high. Give it more time, fewer epochs or a smaller --size."
            )
        begin = time.perf_counter()
        epoch_progress = CallbackProgress(partial(_report_epoch, progress, total, epoch + 1))
        try:
            totals = run.advance((epoch + 1) * run.epoch_steps, schedule=schedule, progress=epoch_progress)
        except ModelError:
            # The same folder can then be used with other settings.
            (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
            raise
        log.history.append(
            EpochRecord(
                loss=totals.loss,
                train_accuracy=totals.right / totals.seen,
                val_accuracy=None if validate is None else validate(),
            )
        )
        log.failed_samples += totals.failed
        log.seconds += time.perf_counter() - begin
        if time.monotonic() - saved_at >= CHECKPOINT_EVERY_S or epoch + 1 == config.epochs:
            _save(run, log, folder, key)
            saved_at = time.monotonic()
    return None


def _subset(rows: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """At most `most` of the rows, the same ones for each epoch."""
    return rows if len(rows) <= most else np.sort(np.random.default_rng([seed, 3]).permutation(rows)[:most])


def _predict(run: TrainingRun, pool: Pool, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return predict(
        run.averaged_model(), run.backbone, pool, rows,
        class_count=run.model.head.out_features, device=run.device, batch_size=run.config.batch_size,
    )  # fmt: skip


def _accuracy(run: TrainingRun, pool: Pool, labels: NDArray[np.int64], rows: NDArray[np.int64]) -> float:
    return float((_predict(run, pool, rows).argmax(1) == labels[rows]).mean())


def _report_epoch(progress: Progress, total: int, epoch: int, done: int, _: int, text: str) -> None:
    progress(done, total, f"epoch {epoch}, {text}")


def _resume(run: TrainingRun, folder: Path, key: str, done: TrainResult | None) -> _Log:
    """Load the last checkpoint of the run's folder; an empty log if there is none.

    Raises:
        InputError: the folder holds another run.
    """
    state = load_checkpoint(folder)
    if state is None and (done is None or done.key == key):
        return _Log()
    if state is None or state["key"] != key:
        raise another_run(folder, "images, labels, model, augmentations or settings")
    run.load_state_dict(state["run"])
    history = [EpochRecord.model_validate(record) for record in state["history"]]
    return _Log(history, state["failed_samples"], state["seconds"])


def _save(run: TrainingRun, log: _Log, folder: Path, key: str) -> None:
    save_checkpoint(
        folder,
        {
            "key": key,
            "run": run.state_dict(),
            "history": [record.model_dump() for record in log.history],
            "failed_samples": log.failed_samples,
            "seconds": log.seconds,
        },
    )


def run_key(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    parts: tuple[NDArray[np.int64], NDArray[np.int64]],
    classes: Sequence[str],
    augmentations: Sequence[Augmentation],
    settings: TrainConfig,
) -> str:
    """Key of everything that affects the numbers of a run; the time cap does not."""
    return key_of(
        LOOP_VERSION,
        backbone.fingerprint,
        settings.identity(),
        classes,
        [(augmentation.fingerprint, augmentation.probability) for augmentation in augmentations],
        [([pool.keys[row] for row in rows.tolist()], labels[rows]) for rows in parts],
    )


def _alarms(run: TrainingRun, log: _Log) -> tuple[str, ...]:
    """Warnings about a training that finished without an error, in sentences."""
    largest = float(torch.bincount(run.labels).max()) / len(run.labels)
    accuracy = log.history[-1].train_accuracy
    image_count = min(run.config.batch_size, len(run.pool)) * run.epoch_steps
    if wilson(round(accuracy * image_count), image_count)[0] > largest or largest == 1.0:
        return ()
    return (
        f"Training accuracy stayed at chance: {accuracy:.1%} in the last epoch; always naming the largest "
        f"class gives {largest:.1%}. Check labels, augmentations and the learning rate "
        f"({run.config.learning_rate:g}).",
    )
