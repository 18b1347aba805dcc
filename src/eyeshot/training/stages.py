"""A training in stages: each goes on from the state in which the one before it ended, weights, optimizer and all.

The learning rate rises and falls within each stage, so that whoever stops after a stage has a finished network, and
networks that stop there can be compared (warm restarts: Loshchilov and Hutter 2017, arXiv 1608.03983).

Where a later stage trains more of the network, weights go over, and so does the optimizer's state of what was trained
before; what is trained for the first time starts with none. An optimizer that counts its steps for all weights
together starts anew, because its count would be wrong for the new ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from eyeshot.augment import Augmentation, Pool
from eyeshot.core import SILENT, Progress, StorageError, make_folder
from eyeshot.models import Backbone, Head, out_of_memory
from eyeshot.predictions import Predictions
from eyeshot.training.batches import part_of
from eyeshot.training.checkpoints import load_checkpoint, newest_checkpoint, save_checkpoint
from eyeshot.training.classifier import Classifier, predict, set_head_at, start_head
from eyeshot.training.config import TrainConfig
from eyeshot.training.loop import StepRecord, TrainingRun
from eyeshot.training.recipe.schedules import make_schedule
from eyeshot.training.result import VALIDATION_FILE, EpochRecord, TrainResult
from eyeshot.training.run import described, run_key
from eyeshot.training.run_log import RunLog
from eyeshot.training.weights_file import save_weights

SAVED_EVERY_S = 60.0
"""Between two checkpoints within a stage."""
HEAD_FILE = "head.npz"


class Stage(NamedTuple):
    """A part of a training: so many epochs of the whole network, or of its last stage and its head."""

    epochs: int
    freeze: Literal["none", "last-stage"] = "none"


class StageEnd(NamedTuple):
    """What a stage came to: predictions on validation, seconds of this sitting, and what the run did on its own."""

    predictions: Predictions
    seconds: float
    notes: tuple[str, ...]


def keep_head(folder: Path, head: Head, features: NDArray[np.floating]) -> None:
    """Keep a head that was fitted on `features` (n, D), for `train_stages` to start from."""
    file = make_folder(folder) / HEAD_FILE
    temporary = file.with_name(f".{file.name}.part.npz")
    try:
        np.savez(
            temporary, weight=head.weight, bias=head.bias,
            shift=features.mean(0, dtype=np.float64), scale=features.std(0, dtype=np.float64),
        )  # fmt: skip
        temporary.replace(file)
    except OSError as error:
        raise StorageError(
            f"Cannot write {str(file)!r}: {error.strerror or error}. Free some space; the same command continues."
        ) from error


def train_stages(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    train_rows: NDArray[np.int64],
    val_rows: NDArray[np.int64],
    *,
    classes: Sequence[str],
    settings: TrainConfig,
    stages: Sequence[Stage],
    folder: Path,
    augmentations: Sequence[Augmentation] = (),
    ids: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
    stop: Callable[[], bool] = lambda: False,
    data: Mapping[str, JsonValue] | None = None,
    complete: bool = False,
    command: str | None = None,
    progress: Progress = SILENT,
) -> StageEnd | None:
    """Bring a training to the end of the last of `stages`, from the newest good state in its folder.

    On a CPU the same stages end in the same weights, bit for bit, however often they were interrupted.

    Args:
        backbone, pool, labels, train_rows, val_rows, classes, augmentations, ids, device, data, command: as of `train`.
        settings: the recipe; `epochs`, `freeze` and `head_epochs` are those of the stages instead.
        stages: all, from the first. A folder that holds the end of a stage goes on from there.
        folder: keeps `stage-N.pt` of the newest stage, `stage-N.part.pt` within a stage, `validation.npz`,
            metrics.jsonl and log.txt. It may hold a head of `keep_head` to start from.
        stop: asked before each step; True ends it there, with its state kept.
        complete: nothing comes after these stages: write `weights.safetensors` and `result.json` too.
        progress: told the steps done.

    Returns:
        what the last stage came to; None where `stop` ended it before.

    Raises:
        ModelError: the loss is not finite.
        StorageError: the folder cannot be written.
    """
    begin = time.perf_counter()
    make_folder(folder)
    device = torch.device(device)
    settings = settings.model_copy(update={"head_epochs": 0, "time_cap_s": None})
    log = RunLog(folder)
    key = run_key(backbone, pool, labels, (train_rows, val_rows), classes, augmentations, settings)
    own, own_labels = part_of(pool, train_rows), labels[train_rows]
    number, state, notes = _newest(folder, key, stages)
    for note in notes:
        log.note(note)
        progress.say(note)
    run = None
    for stage in range(number, len(stages)):
        config = _config(settings, stages, stage)
        run = TrainingRun(
            backbone, own, own_labels, class_count=len(classes), config=config, augmentations=augmentations,
            device=device,
        )  # fmt: skip
        if state is not None:
            notes += _take_over(run, state)
        elif backbone.pretrained:
            _set_start(run.model, folder, backbone, own, own_labels, len(classes), device=device, config=settings)
        known = described(run, key, classes, data=data, n_val=len(val_rows), epoch_val_images=0, command=command)
        log.begin(
            known | {"settings": run.config.model_dump(mode="json")}, None if state is None else state["metrics_bytes"]
        )
        is_whole = _train(run, stages, stage, folder, key, log=log, state=state, stop=stop, notes=notes,
                          progress=progress)  # fmt: skip
        if not is_whole:
            return None
        state = load_checkpoint(folder, name=_name(stage))
    if run is None:  # the last stage was done before: only what came after it may be missing
        assert state is not None
        config = _config(settings, stages, len(stages) - 1)
        run = TrainingRun(
            backbone, own, own_labels, class_count=len(classes), config=config, augmentations=augmentations,
            device=device,
        )  # fmt: skip
        run.load_state_dict(state["run"])
    names = pool.keys if ids is None else ids
    fold = (data or {}).get("fold")
    at_once = max(1, math.ceil(run.config.batch_size / run.config.accumulate))
    predictions = Predictions(
        ids=tuple(names[row] for row in val_rows.tolist()),
        probabilities=predict(
            run.averaged_model(), backbone, pool, val_rows, class_count=len(classes), device=device, batch_size=at_once
        ).astype(np.float16),
        classes=tuple(classes),
        labels=labels[val_rows],
        run=folder.resolve().name,
        fold=fold if isinstance(fold, int) else None,
    )
    predictions.save(folder / VALIDATION_FILE)
    seconds = time.perf_counter() - begin
    accuracy = predictions.accuracy()
    assert state is not None
    history = [EpochRecord.model_validate(record) for record in state["history"]]
    if history:
        history[-1] = history[-1].model_copy(update={"val_accuracy": accuracy.value})
    if complete:
        weights = save_weights(run.averaged_model(), backbone, classes, folder)
        known = described(
            run, key, classes, data=data, n_val=len(val_rows), epoch_val_images=len(val_rows), command=command
        )
        TrainResult(
            **known, accuracy=accuracy, per_class=predictions.class_accuracies(), epochs=len(history), steps=run.step,
            seconds=float(state["seconds"]), ended_early=None, alarms=(),
            notes=(*notes, f"Trained in {len(stages)} stages by a sweep: {_words(stages)}."),
            failed_samples=int(state["failed"]), history=tuple(history), weights=weights,
        ).write(folder)  # fmt: skip
    return StageEnd(predictions, seconds, tuple(notes))


def drop_states(folder: Path) -> None:
    """Delete the states of a training that goes no further; its predictions and its log stay."""
    for file in [*folder.glob("stage-*.pt"), folder / HEAD_FILE]:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _train(
    run: TrainingRun,
    stages: Sequence[Stage],
    stage: int,
    folder: Path,
    key: str,
    *,
    log: RunLog,
    state: dict[str, Any] | None,
    stop: Callable[[], bool],
    notes: list[str],
    progress: Progress,
) -> bool:
    """Train one stage to its end and keep its state; False where `stop` ended it, with its state kept too."""
    epochs_before = sum(earlier.epochs for earlier in stages[:stage])
    first, last_epoch = epochs_before * run.epoch_steps, epochs_before + stages[stage].epochs
    schedule = make_schedule(
        run.config, stages[stage].epochs * run.epoch_steps, first=first, epoch_losses=run.epoch_losses
    )
    kept: dict[str, Any] = {
        "key": key, "stage": stage, "history": [], "sums": [0.0, 0, 0], "seconds": 0.0, "failed": 0, "accumulate": 1,
    }  # fmt: skip
    kept |= {name: state[name] for name in kept if state is not None} | {"key": key, "stage": stage}
    kept["history"] = list(kept["history"])
    if kept["accumulate"] > run.config.accumulate:
        run.config = run.config.model_copy(update={"accumulate": kept["accumulate"]})
    log.note(f"stage {stage + 1} of {len(stages)} from step {run.step}: {_words([stages[stage]])}")
    begin, before_s, saved_at = time.monotonic(), float(kept["seconds"]), [time.monotonic()]

    def on_step(record: StepRecord) -> None:
        sums = kept["sums"]
        kept["sums"] = [sums[0] + record.loss * record.seen, sums[1] + record.right, sums[2] + record.seen]
        log.step(record)
        progress(record.step - first, last_epoch * run.epoch_steps - first, f"loss {record.loss:.2f}")

    def save(name: str) -> None:
        kept["seconds"] = before_s + time.monotonic() - begin
        save_checkpoint(
            folder,
            kept | {
                "run": run.state_dict(), "names": _trained_names(run), "accumulate": run.config.accumulate,
                "freeze": run.config.freeze, "metrics_bytes": log.flush(),
            },
            name=name,
        )  # fmt: skip

    while len(kept["history"]) < last_epoch:
        end = (len(kept["history"]) + 1) * run.epoch_steps
        while run.step < end:
            try:
                totals = run.advance(
                    end, schedule=schedule, on_step=on_step,
                    stop=lambda: stop() or time.monotonic() - saved_at[0] > SAVED_EVERY_S,
                )  # fmt: skip
                kept["failed"] += totals.failed
            except RuntimeError as error:
                if not out_of_memory(error) or run.config.batch_size < 4 * run.config.accumulate:
                    raise
            else:
                if run.step < end:
                    save(_name(stage, within=True))
                    saved_at[0] = time.monotonic()
                    if stop():
                        return False
                continue
            # Outside the handler, because there the traceback would keep the tensors alive.
            _halve(run, notes, log)
        losses, right, seen = kept["sums"]
        record = EpochRecord(loss=losses / seen, train_accuracy=right / seen)
        kept["history"].append(record.model_dump())
        kept["sums"] = [0.0, 0, 0]
        log.epoch(
            len(kept["history"]), run.step, train_loss=record.loss, train_accuracy=record.train_accuracy,
            val_accuracy=None, seconds=time.monotonic() - begin,
        )  # fmt: skip
    save(_name(stage))
    # The state before this one stays: if this file is damaged, that one is the newest good one.
    for file in [folder / _name(stage, within=True), *(folder / _name(earlier) for earlier in range(stage - 1))]:
        file.unlink(missing_ok=True)
    return True


def _config(settings: TrainConfig, stages: Sequence[Stage], number: int) -> TrainConfig:
    epochs = sum(stage.epochs for stage in stages[: number + 1])
    return settings.model_copy(update={"epochs": epochs, "freeze": stages[number].freeze})


def _newest(folder: Path, key: str, stages: Sequence[Stage]) -> tuple[int, dict[str, Any] | None, list[str]]:
    """The stage to go on with, the state to go on from, and what is to be said of states that are damaged."""
    notes: list[str] = []
    files = {
        _name(stage, within=within): stage + (not within)
        for stage in reversed(range(len(stages)))
        for within in (False, True)
    }
    try:
        newest = newest_checkpoint(folder, tuple(files), notes=notes, accept=lambda state: bool(state["key"] == key))
    except StorageError as error:
        return 0, None, [f"{str(error).partition(' Delete')[0]} It starts anew."]
    return (0, None, notes) if newest is None else (files[newest[0]], newest[1], notes)


def _take_over(run: TrainingRun, state: dict[str, Any]) -> list[str]:
    """Go on from a state; where other parts of the network are trained now, with what of the optimizer fits."""
    if state["freeze"] == run.config.freeze:
        run.load_state_dict(state["run"])
        return []
    carried, words = _carried(run, state)
    run.load_state_dict(state["run"] | {"optimizer": carried})
    return [words]


def _carried(run: TrainingRun, state: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The optimizer's state for a run that trains other parts than before, and what was done."""
    fresh, before = run.optimizer.state_dict(), state["run"]["optimizer"]
    names = _trained_names(run)
    passing = {"params", "lr", "initial_lr", "weight_decay", "lr_scale"}
    shared = [
        {name: value for name, value in group.items() if name not in passing}
        for group in (*fresh["param_groups"], *before["param_groups"])
    ]
    if any(group != shared[0] for group in shared):
        return fresh, f"{run.config.optimizer} counts its steps for all weights together: it started anew."
    by_name = {state["names"][place]: values for place, values in before["state"].items()}
    kept = {place: by_name[name] for place, name in enumerate(names) if name in by_name}
    new = len(names) - len(kept)
    words = (
        f"The weights went on; {run.config.optimizer} kept its state of {len(kept)} parameters and began without one "
        f"for {new} that are trained from here."
    )
    return {"state": kept, "param_groups": fresh["param_groups"]}, words


def _trained_names(run: TrainingRun) -> list[str]:
    """Names of the parameters in the order in which the optimizer counts them."""
    names = {id(parameter): name for name, parameter in run.model.named_parameters()}
    return [names[id(parameter)] for group in run.optimizer.param_groups for parameter in group["params"]]


def _set_start(
    model: Classifier,
    folder: Path,
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    class_count: int,
    *,
    device: torch.device,
    config: TrainConfig,
) -> None:
    """The head that a probe left in the folder, or the best linear one."""
    with suppress(OSError, ValueError, KeyError), np.load(folder / HEAD_FILE) as kept:
        if kept["weight"].shape == (class_count, backbone.feature_count):
            head = Head(kept["weight"], kept["bias"])
            set_head_at(model, head, shift=kept["shift"], spread=kept["scale"])
            return
    start_head(
        model, backbone, pool, labels, class_count=class_count, device=device, batch_size=config.batch_size,
        seed=config.seed,
    )  # fmt: skip


def _halve(run: TrainingRun, notes: list[str], log: RunLog) -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    run.config = run.config.model_copy(update={"accumulate": 2 * run.config.accumulate})
    note = (
        f"Out of memory at step {run.step + 1}: a step now takes its {run.config.batch_size} images in "
        f"{run.config.accumulate} parts."
    )
    notes.append(note)
    log.note(note)


def _words(stages: Sequence[Stage]) -> str:
    parts = {"none": "the whole network", "last-stage": "the last stage"}
    return ", then ".join(f"{stage.epochs} epochs of {parts[stage.freeze]}" for stage in stages)


def _name(stage: int, *, within: bool = False) -> str:
    return f"stage-{stage + 1}.part.pt" if within else f"stage-{stage + 1}.pt"
