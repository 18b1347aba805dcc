"""A training from its first epoch to its run folder: checkpoints, the result and the weights."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from eyeshot.augment import Augmentation, Pool
from eyeshot.core import (
    SILENT,
    InputError,
    Progress,
    StorageError,
    describe_hardware,
    describe_versions,
    key_of,
    make_folder,
)
from eyeshot.models import Backbone
from eyeshot.predictions import Predictions
from eyeshot.training.batches import part_of
from eyeshot.training.checkpoints import drop_checkpoints, newest_checkpoint
from eyeshot.training.checks.alarms import AlarmWatch
from eyeshot.training.classifier import predict, start_head
from eyeshot.training.config import TrainConfig
from eyeshot.training.loop import TrainingRun
from eyeshot.training.result import VALIDATION_FILE, TrainResult, read_result
from eyeshot.training.run_folder import another_run
from eyeshot.training.run_log import RunLog
from eyeshot.training.sitting import Sitting
from eyeshot.training.weights_file import save_weights

LOCK_TIMEOUT_S = 3600.0
EPOCH_VAL_IMAGES = 2000
"""Accuracy after each epoch uses at most so many validation images, and no more than there are training images."""
FACT_IMAGES = 64
"""Training images whose channels are measured after normalisation, from first to last."""
LOOP_VERSION = 2
"""Raised whenever the same settings would end in other weights."""


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
    curves: bool = True,
    deadline: float = math.inf,
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
        folder: gets config.json, metrics.jsonl, log.txt and curves.svg while it trains, checkpoint.pt and
            checkpoint.previous.pt until it is finished, and then result.json, validation.npz and weights.safetensors.
        augmentations: applied in order, each with its own probability; none trains on clean images.
        ids: N names of the pool's images for validation.npz; None takes their content keys.
        device: where to compute.
        progress: called after each step, and told of alarms.
        command: what was typed, for the result; None takes this process's own.
        data: which images these are, for the result: folders, decisions, split, `fold` and the like.
        curves: draw `curves.svg`, which takes a few tenths of a second.
        deadline: of `time.perf_counter`. A run that would end later at the pace of its steps passes through the rest
            of its schedule in fewer steps (Li et al. 2020, "Budgeted Training: Rethinking Deep Neural Network Training
            Under Resource Constraints"), and its notes say so. It is then finished; judging comes after the deadline.

    Raises:
        InputError: too few images, or `folder` holds another run.
        ModelError: the loss is not finite.
        StorageError: the folder cannot be written.
    """
    device, steps = torch.device(device), progress or SILENT
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
            passed_over: list[str] = []
            saved = _checkpoint_of(folder, key, done, passed_over)
            if saved is None and backbone.pretrained:
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
            some_rows = _subset(train_rows, len(epoch_val_rows), settings.seed)
            config = described(
                run, key, classes, data=data, n_val=len(val_rows), epoch_val_images=len(epoch_val_rows), command=command
            )
            log = RunLog(folder)
            sitting = Sitting(
                run, folder, key,
                log=log, watch=_watch(run, classes), progress=steps, saved=saved, curves=curves,
                deadline=deadline, notes=passed_over,
                config=config | {"settings": settings.model_dump(mode="json")},
                validation=None
                if not len(epoch_val_rows)
                else (labels[epoch_val_rows], lambda count: _predict(run, pool, epoch_val_rows, count).argmax(1)),
                training=(labels[some_rows], lambda count: _predict(run, pool, some_rows, count).argmax(1)),
            )  # fmt: skip
            log.note(f"begun on {config['hardware']}" if saved is None else f"continued after step {run.step}")
            for words in passed_over:
                steps.say(words)
            for words in (*passed_over, *run.reasons):
                log.note(words)
            try:
                if saved is None:
                    some = np.linspace(0, len(own) - 1, min(FACT_IMAGES, len(own))).astype(np.int64)
                    sitting.check_facts(np.asarray(own.images[some]), backbone.own_normalisation)
                ended_early = sitting.train()
            except BaseException as error:
                log.close(f"stopped after step {run.step}: {str(error).partition(chr(10))[0] or type(error).__name__}")
                raise
            state = sitting.state
            names = pool.keys if ids is None else ids
            fold = config["data"].get("fold")
            predictions = Predictions(
                ids=tuple(names[row] for row in val_rows.tolist()),
                # Rounded as they are stored, so that everybody who reads the file gets the same accuracy.
                probabilities=_predict(run, pool, val_rows, sitting.images_at_once).astype(np.float16),
                classes=tuple(classes),
                labels=labels[val_rows],
                run=folder.resolve().name,
                fold=fold if isinstance(fold, int) else None,
            )
            predictions.save(folder / VALIDATION_FILE)
            weights = save_weights(run.averaged_model(), backbone, classes, folder)
            sitting.draw()
            result = TrainResult(
                **config,
                accuracy=predictions.accuracy(),
                per_class=predictions.class_accuracies(),
                epochs=len(state.history),
                steps=run.step,
                seconds=state.seconds,
                wait_s=state.wait_s,
                ended_early=ended_early,
                alarms=tuple(sitting.alarms),
                notes=tuple(state.notes),
                failed_samples=state.failed_samples,
                history=tuple(state.history),
                weights=weights,
            )
            result.write(folder)
            log.note(ended_early or f"finished after step {run.step}")
            if ended_early is None:
                drop_checkpoints(folder)
            return result
    except filelock.Timeout as error:
        raise StorageError(
            f"Another run has been training in {str(folder)!r} for {LOCK_TIMEOUT_S / 60:.0f} minutes. "
            "Wait for it, or choose another folder."
        ) from error


def described(
    run: TrainingRun,
    key: str,
    classes: Sequence[str],
    *,
    data: Mapping[str, JsonValue] | None,
    n_val: int,
    epoch_val_images: int,
    command: str | None,
) -> dict[str, Any]:
    """What is known of a run before its first step, by the names of `TrainResult`."""
    backbone = run.backbone
    return {
        "key": key,
        "model": backbone.name,
        "pretrained": backbone.pretrained,
        "classes": tuple(classes),
        "augmentations": tuple(augmentation.name for augmentation in run.augmentations),
        "settings": run.config,
        "reasons": tuple(run.reasons),
        "size": backbone.geometry.size,
        "fit": backbone.geometry.fit,
        "interpolation": backbone.geometry.interpolation,
        "mean": backbone.mean,
        "std": backbone.std,
        "data": dict(data or {}),
        "n_train": len(run.pool),
        "n_val": n_val,
        "epoch_val_images": epoch_val_images,
        "hardware": describe_hardware(run.device),
        "versions": describe_versions(),
        "command": shlex.join(sys.argv) if command is None else command,
    }


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


def _watch(run: TrainingRun, classes: Sequence[str]) -> AlarmWatch:
    """What looks for alarms in a run that has not begun."""
    config = run.config
    total = config.epochs * run.epoch_steps
    return AlarmWatch(
        torch.bincount(run.labels, minlength=len(classes)).cpu().numpy(),
        classes=classes,
        total_steps=total,
        warm_up_steps=math.ceil(config.warm_up_share * total),
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        evened=config.class_weights or config.sampling == "balanced",
        started=run.backbone.pretrained,
    )


def _subset(rows: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """At most `most` of the rows, the same ones for each epoch."""
    return rows if len(rows) <= most else np.sort(np.random.default_rng([seed, 3]).permutation(rows)[:most])


def _predict(run: TrainingRun, pool: Pool, rows: NDArray[np.int64], batch_size: int) -> NDArray[np.float32]:
    return predict(
        run.averaged_model(), run.backbone, pool, rows,
        class_count=run.model.head.out_features, device=run.device, batch_size=batch_size,
    )  # fmt: skip


def _checkpoint_of(folder: Path, key: str, done: TrainResult | None, notes: list[str]) -> dict[str, Any] | None:
    """The newest good checkpoint of the run's folder; None if there is none. `notes` gets what was passed over.

    Raises:
        InputError: the folder holds another run.
        StorageError: there is one, and it cannot be read.
    """
    newest = newest_checkpoint(folder, notes=notes)
    state = None if newest is None else newest[1]
    if state is None and (done is None or done.key == key):
        return None
    if state is None or state["key"] != key:
        raise another_run(folder, "images, labels, model, augmentations or settings")
    return state


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
