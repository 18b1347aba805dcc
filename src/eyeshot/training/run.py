"""A training from its first epoch to its run folder: checkpoints, the result and the weights."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import filelock
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

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
    replacing,
    wilson,
)
from eyeshot.models import Backbone
from eyeshot.training.batches import part_of
from eyeshot.training.checkpoints import CHECKPOINT_FILE, load_checkpoint, save_checkpoint
from eyeshot.training.classifier import Classifier, predict, start_head
from eyeshot.training.config import TrainConfig
from eyeshot.training.loop import TrainingRun
from eyeshot.training.result import WEIGHTS_FILE, Accuracy, EpochRecord, TrainResult, read_result, write_validation
from eyeshot.training.schedules import warm_up_cosine

CHECKPOINT_EVERY_S = 2.0
LOCK_TIMEOUT_S = 3600.0
LOOP_VERSION = 2
"""Raised whenever the same settings would end in other weights."""


@dataclass
class _Log:
    """What the epochs so far brought, all sittings together."""

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
) -> TrainResult:
    """Train a copy of `backbone` with a new linear head.

    The same call continues a run that was cut off, and on a CPU ends in the same weights bit for bit as one
    that was not. A finished run is not done again.

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
        progress: told after each step; None: nobody.
        command: what was typed, for the result; None takes this process's own.

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
            run = TrainingRun(
                backbone,
                part_of(pool, train_rows),
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
                    run.pool,
                    labels[train_rows],
                    class_count=len(classes),
                    device=device,
                    batch_size=settings.batch_size,
                    seed=settings.seed,
                )
            ended_early = _run_epochs(run, log, folder, key, progress or SILENT)
            probabilities = predict(
                run.model, backbone, pool, val_rows,
                class_count=len(classes), device=device, batch_size=settings.batch_size,
            )  # fmt: skip
            names = pool.keys if ids is None else ids
            write_validation(
                folder,
                ids=[names[row] for row in val_rows.tolist()],
                labels=labels[val_rows],
                probabilities=probabilities,
                classes=classes,
            )
            _save_weights(run.model, folder)
            result = _result(run, log, key, classes, labels[val_rows], probabilities, ended_early, command)
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
    seen = labels[train_rows]
    if seen.min() < 0 or seen.max() >= len(classes):
        raise InputError(f"Training images must have labels 0 to {len(classes) - 1}, got {seen.min()} to {seen.max()}.")


def _is_finished(done: TrainResult, settings: TrainConfig) -> bool:
    cap = settings.time_cap_s
    planned_cap = done.settings.time_cap_s
    # A run that its time cap ended goes on when it is given more time.
    return done.ended_early is None or (cap is not None and planned_cap is not None and cap <= planned_cap)


def _run_epochs(run: TrainingRun, log: _Log, folder: Path, key: str, progress: Progress) -> str | None:
    """Train until the end or the time cap; says why it ended early."""
    config, saved_at = run.config, time.monotonic()
    cap = config.time_cap_s
    total = config.epochs * run.epoch_steps
    schedule = warm_up_cosine(config.learning_rate, total, warm_up_share=config.warm_up_share)
    for epoch in range(len(log.history), config.epochs):
        if cap is not None and epoch and log.seconds * (epoch + 1) / epoch > cap:
            _save(run, log, folder, key)
            return (
                f"The time cap of {cap:.0f} s ended it after {epoch} of {config.epochs} epochs, while the "
                "learning rate was still high. Give it more time, fewer epochs or a smaller --size."
            )
        begin = time.perf_counter()
        tell = CallbackProgress(partial(_tell, progress, total, epoch + 1))
        try:
            totals = run.advance((epoch + 1) * run.epoch_steps, schedule=schedule, progress=tell)
        except ModelError:
            # So that the same folder can take the run with other settings.
            (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
            raise
        log.history.append(EpochRecord(loss=totals.loss, train_accuracy=totals.right / totals.seen))
        log.failed_samples += totals.failed
        log.seconds += time.perf_counter() - begin
        if time.monotonic() - saved_at >= CHECKPOINT_EVERY_S or epoch + 1 == config.epochs:
            _save(run, log, folder, key)
            saved_at = time.monotonic()
    return None


def _tell(progress: Progress, total: int, epoch: int, done: int, _: int, text: str) -> None:
    progress(done, total, f"epoch {epoch}, {text}")


def _resume(run: TrainingRun, folder: Path, key: str, done: TrainResult | None) -> _Log:
    """Take over what the last checkpoint in the run's folder holds; an empty log where there is none.

    Raises:
        InputError: the folder holds another run.
    """
    state = load_checkpoint(folder)
    if state is None and (done is None or done.key == key):
        return _Log()
    if state is None or state["key"] != key:
        raise InputError(
            f"{str(folder)!r} holds another run: its images, labels, model, augmentations or settings "
            "differ. Choose another folder with --out, or delete this one."
        )
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
    """Key of all that decides the numbers of a run; the time cap does not."""
    return key_of(
        LOOP_VERSION,
        backbone.fingerprint,
        settings.model_dump(exclude={"time_cap_s"}),
        classes,
        [(augmentation.fingerprint, augmentation.probability) for augmentation in augmentations],
        [([pool.keys[row] for row in rows.tolist()], labels[rows]) for rows in parts],
    )


def _alarms(run: TrainingRun, log: _Log) -> tuple[str, ...]:
    """What looks wrong in a training that ran through without an error, in sentences; none where all looks right."""
    largest = float(torch.bincount(run.labels).max()) / len(run.labels)
    accuracy = log.history[-1].train_accuracy
    seen = min(run.config.batch_size, len(run.pool)) * run.epoch_steps
    if wilson(round(accuracy * seen), seen)[0] > largest or largest == 1.0:
        return ()
    return (
        f"Training accuracy stayed at chance: {accuracy:.1%} in the last epoch; always naming the largest "
        f"class gives {largest:.1%}. Check labels, augmentations and the learning rate "
        f"({run.config.learning_rate:g}).",
    )


def _save_weights(model: Classifier, folder: Path) -> None:
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with replacing(folder / WEIGHTS_FILE) as temporary:
        save_file(state, temporary)


def _result(
    run: TrainingRun,
    log: _Log,
    key: str,
    classes: Sequence[str],
    val_labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    ended_early: str | None,
    command: str | None,
) -> TrainResult:
    right = probabilities.argmax(1) == val_labels
    return TrainResult(
        key=key,
        model=run.backbone.name,
        pretrained=run.backbone.pretrained,
        classes=tuple(classes),
        augmentations=tuple(augmentation.name for augmentation in run.augmentations),
        settings=run.config,
        n_train=len(run.pool),
        n_val=len(val_labels),
        accuracy=Accuracy.of_counts(int(right.sum()), len(val_labels)),
        per_class={
            name: Accuracy.of_counts(int(right[val_labels == number].sum()), int((val_labels == number).sum()))
            for number, name in enumerate(classes)
        },
        epochs=len(log.history),
        steps=run.step,
        seconds=log.seconds,
        ended_early=ended_early,
        alarms=_alarms(run, log),
        failed_samples=log.failed_samples,
        history=tuple(log.history),
        hardware=describe_hardware(run.device),
        versions=describe_versions(),
        command=shlex.join(sys.argv) if command is None else command,
    )
