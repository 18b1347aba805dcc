"""The one training loop: the baseline and `eyeshot train` go through it."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import filelock
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from eyeshot.augment import Augmentation, Pool
from eyeshot.core import (
    SILENT,
    InputError,
    ModelError,
    Progress,
    StorageError,
    describe_hardware,
    describe_versions,
    make_folder,
    replacing,
)
from eyeshot.models import Backbone
from eyeshot.training.alarms import alarms
from eyeshot.training.batches import epoch_batches, part_of, steps_per_epoch
from eyeshot.training.checkpoints import CHECKPOINT_FILE
from eyeshot.training.classifier import Classifier, predict, start_head
from eyeshot.training.result import WEIGHTS_FILE, Accuracy, EpochRecord, TrainResult, read_result, write_validation
from eyeshot.training.run import Run, resume_run, run_key, save_run, start_run
from eyeshot.training.settings import TrainSettings
from eyeshot.training.steps import train_step

CHECKPOINT_EVERY_S = 2.0
LOCK_TIMEOUT_S = 3600.0


def train(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    train_rows: NDArray[np.int64],
    val_rows: NDArray[np.int64],
    *,
    classes: Sequence[str],
    settings: TrainSettings,
    folder: Path,
    augmentations: Sequence[Augmentation] = (),
    ids: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    command: str | None = None,
) -> TrainResult:
    """Train a copy of `backbone` with a new linear head.

    The same call continues a run that was cut off, and on a CPU ends in the same weights bit for bit as one
    that was not: all that is random follows from (seed, epoch). A finished run is not done again.

    Args:
        backbone: where to start from, pretrained or not; it is not changed.
        pool: the images; mixing takes its partners from `train_rows` only.
        labels: int64 (N,), class numbers of the pool.
        train_rows, val_rows: int64, positions in the pool.
        classes: names of the C classes.
        settings: see TrainSettings; `default_settings` chooses some.
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
            run = start_run(
                backbone,
                part_of(pool, train_rows),
                labels[train_rows],
                class_count=len(classes),
                settings=settings,
                augmentations=augmentations,
                device=device,
                folder=folder,
                progress=progress or SILENT,
            )
            if not resume_run(run, key, done) and backbone.pretrained:
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
            ended_early = _run_epochs(run, key)
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
            result = _result(run, key, classes, labels[val_rows], probabilities, ended_early, command)
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


def _is_finished(done: TrainResult, settings: TrainSettings) -> bool:
    cap = settings.time_cap_s
    planned_cap = done.settings.time_cap_s
    # A run that its time cap ended goes on when it is given more time.
    return done.ended_early is None or (cap is not None and planned_cap is not None and cap <= planned_cap)


def _run_epochs(run: Run, key: str) -> str | None:
    """Train until the end or the time cap; says why it ended early."""
    settings, saved_at = run.settings, time.monotonic()
    for epoch in range(len(run.history), settings.epochs):
        cap = settings.time_cap_s
        if cap is not None and epoch and run.seconds * (epoch + 1) / epoch > cap:
            save_run(run, key)
            return (
                f"The time cap of {cap:.0f} s ended it after {epoch} of {settings.epochs} epochs, while the "
                "learning rate was still high. Give it more time, fewer epochs or a smaller --size."
            )
        begin = time.perf_counter()
        run.history.append(_train_epoch(run, epoch))
        run.seconds += time.perf_counter() - begin
        if time.monotonic() - saved_at >= CHECKPOINT_EVERY_S or epoch + 1 == settings.epochs:
            save_run(run, key)
            saved_at = time.monotonic()
    return None


def _train_epoch(run: Run, epoch: int) -> EpochRecord:
    settings, device = run.settings, run.device
    batches = epoch_batches(len(run.pool), settings.batch_size, seed=settings.seed, epoch=epoch)
    losses, right, seen = 0.0, 0, 0
    run.model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # Dropout follows from (seed, epoch) too: a run that continues needs no saved generator.
        torch.manual_seed(int(np.random.default_rng([settings.seed, epoch, 1]).integers(2**62)))
        for number, rows in enumerate(batches):
            step = epoch * len(batches) + number
            try:
                rate = settings.learning_rate_at(step, run.total_steps)
                place = f"step {step + 1} of {run.total_steps}"
                found = train_step(run, rows, draw=epoch, learning_rate=rate, place=place)
            except ModelError:
                # So that the same folder can take the run with other settings.
                (run.folder / CHECKPOINT_FILE).unlink(missing_ok=True)
                raise
            losses += found.loss * len(rows)
            right += found.right
            seen += len(rows)
            run.failed_views += found.failed
            run.progress(step + 1, run.total_steps, f"epoch {epoch + 1}, loss {losses / seen:.2f}")
    return EpochRecord(loss=losses / seen, train_accuracy=right / seen)


def _save_weights(model: Classifier, folder: Path) -> None:
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with replacing(folder / WEIGHTS_FILE) as temporary:
        save_file(state, temporary)


def _result(
    run: Run,
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
        settings=run.settings,
        n_train=len(run.pool),
        n_val=len(val_labels),
        accuracy=Accuracy.of_counts(int(right.sum()), len(val_labels)),
        per_class={
            name: Accuracy.of_counts(int(right[val_labels == number].sum()), int((val_labels == number).sum()))
            for number, name in enumerate(classes)
        },
        epochs=len(run.history),
        steps=len(run.history) * steps_per_epoch(len(run.pool), run.settings.batch_size),
        seconds=run.seconds,
        ended_early=ended_early,
        alarms=alarms(run),
        failed_views=run.failed_views,
        history=tuple(run.history),
        hardware=describe_hardware(run.device),
        versions=describe_versions(),
        command=shlex.join(sys.argv) if command is None else command,
    )
