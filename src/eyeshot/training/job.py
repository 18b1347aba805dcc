"""`eyeshot.train()`: one training with chosen augmentations, on the images of a project or of folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from eyeshot.augment import Augmentation, augmentation
from eyeshot.core import (
    InputError,
    Progress,
    find_project,
    find_workspace,
    project_file,
    refused_option,
    shown_progress,
)
from eyeshot.data import (
    DECISIONS_FILE,
    SPLIT_FILE,
    ImageTable,
    check_apart,
    check_folder,
    read_labelled,
    use_decisions,
    use_split,
)
from eyeshot.models import DEFAULT_MODEL, Backbone, choose_device, load_backbone
from eyeshot.training.config import TrainConfig
from eyeshot.training.folders import TrainPlan, plan_training, run_folder, train_folder
from eyeshot.training.result import TrainResult, read_result


def train(
    train: str | Path | None = None,
    *,
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    val: str | Path | None = None,
    val_share: float = 0.2,
    decisions: bool | str | Path = True,
    split: bool | str | Path = True,
    fold: int | None = None,
    model: str | None = None,
    weights: str | Path | None = None,
    from_scratch: bool = False,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"] | None = None,
    fit: Literal["crop", "pad"] = "crop",
    device: str | None = None,
    augment: Sequence[str] = (),
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    cache: str | Path | None = None,
    progress: Progress | bool | None = None,
    planned: Callable[[TrainPlan], object] | None = None,
    command: str = "",
) -> TrainResult:
    """Train a model with chosen augmentations; the same call continues a training that was cut off.

    Args:
        train: folder with one folder of images per class, or the root of `labels`; None: what eyeshot.toml says.
        labels: CSV with paths and labels, in the place of class folders.
        path_column, label_column, image_root: how to read it; guessed where not given.
        val: folder of the user's own held-out images.
        val_share: share of the training images held out where there is neither `val` nor a split.
        decisions: apply the project's decisions.jsonl where there is one, or those of a file.
        split: use the project's split.json where there is one and no `val`, or that of a file.
        fold: of the split, the fold that validates.
        model: timm tag ("architecture.weights") or "package.module:factory"; a small one of timm where not given.
        weights: local file with its weights: safetensors or a state dict.
        from_scratch: start from untrained weights.
        size, mean, std, interpolation, fit: how its images are prepared; its own where not given.
        device: cuda, mps or cpu; found where not given.
        augment: augmentations, applied in order: names, or the user's own as "module:attribute".
        epochs: passes over the training images; by model and data where not given.
        batch_size: images per step.
        learning_rate: peak of the schedule.
        seed: of every random choice.
        out: folder of the run; eyeshot-out/runs/MODEL+AUGMENT+SEED where not given.
        cache: folder of decoded images; the project's where not given.
        progress: told how far it is; None: shown in a terminal and a notebook; False: nobody.
        planned: called with what will be done before the long work; what it raises ends the training.
        command: what was typed, for the result.

    Returns:
        the contents of result.json: accuracy with its interval, settings, alarms.

    Raises:
        InputError: a folder, an option or an augmentation cannot be used, or the folder holds another run.
        ModelError: the model cannot be had, or the loss is not finite.
        StorageError: the cache or the folder cannot be written.
    """
    sources = find_project().sources(
        train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root
    )
    check_folder(sources["train"], what="TRAIN")
    if val is not None:
        check_apart(sources["train"], check_folder(Path(val), what="--val"))
    if not 0 < val_share < 1:
        raise InputError(f"--val-share must lie between 0 and 1, got {val_share}. Use --val-share 0.2.")
    workspace = find_workspace()
    if cache is not None:
        workspace = replace(workspace, cache=Path(cache))
    known, divided = project_file(decisions, DECISIONS_FILE), project_file(split and val is None, SPLIT_FILE)
    if fold is not None and divided is None:
        raise InputError(f"--fold {fold} needs a split. Make one: eyeshot split.")
    changed = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    given = {name: value for name, value in changed.items() if value is not None} | {"seed": seed}
    try:
        TrainConfig.model_validate(given)
    except ValidationError as error:
        raise InputError(refused_option(error, "train")) from error
    choose_device(device)
    chosen = [augmentation(name) for name in augment]
    backbone = load_backbone(
        model or DEFAULT_MODEL, weights=None if weights is None else Path(weights), from_scratch=from_scratch,
        size=size, mean=mean, std=std, interpolation=interpolation, fit=fit, seed=seed,
    )  # fmt: skip
    folder = run_folder(workspace, backbone, augment, seed) if out is None else Path(out)
    _check_free(folder, backbone, chosen, given)
    with shown_progress(progress) as shown:
        table = read_labelled(sources, cache=workspace.cache, progress=shown)
        table, held_out, notes = _roles(table, known, divided, fold)
        plan = plan_training(
            table,
            backbone=backbone,
            augment=augment,
            val=held_out if val is None else Path(val),
            val_share=val_share,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            device=device,
            out=folder,
            workspace=workspace,
            progress=shown,
        )
    plan.notes[:0] = notes
    if planned is not None:
        planned(plan)
    with shown_progress(progress) as shown:
        result, skipped = train_folder(plan, command=command, progress=shown)
    if skipped:
        plan.notes.append(f"Skipped {len(skipped)} files, for instance {skipped[0].path}: {skipped[0].reason}.")
    return result


def _roles(
    table: ImageTable, decisions: Path | None, split: Path | None, fold: int | None
) -> tuple[ImageTable, ImageTable | None, list[str]]:
    """Training images and, where there is a split, those that validate; and what was used, in sentences."""
    notes: list[str] = []
    if decisions is not None:
        table, notes = use_decisions(table, decisions)
    if split is None:
        return table, None, notes
    rows, more = use_split(table, split, fold=fold)
    notes = [*notes, *more]
    if rows is None:
        return table, None, notes
    return table.take(rows[0]), table.take(rows[1]), notes


def _check_free(folder: Path, backbone: Backbone, augmentations: Sequence[Augmentation], given: dict[str, Any]) -> None:
    """Say before images are read that a folder holds a finished run of something else.

    Whether the images are the same is seen only when they are read.

    Raises:
        InputError: model, augmentations or a setting that was given differ.
    """
    if not folder.is_dir():
        return
    done = read_result(folder)
    if done is None:
        return
    wanted = {"model": backbone.name, "augmentations": tuple(step.name for step in augmentations)} | given
    stored = {"model": done.model, "augmentations": done.augmentations} | done.settings.model_dump()
    for name, value in wanted.items():
        if stored[name] != value:
            raise InputError(
                f"{str(folder)!r} holds another run: its {name} is {_words(stored[name])}, not {_words(value)}. Choose "
                "another folder with --out, or delete this one."
            )


def _words(value: object) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)
