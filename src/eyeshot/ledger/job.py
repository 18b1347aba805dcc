"""`eyeshot.train()`: one training with chosen augmentations, on the images of a project or of folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from eyeshot.core import Progress, find_project, find_workspace, plural, shown_progress
from eyeshot.data import project_data
from eyeshot.ledger.augmentation_names import chosen_augmentations
from eyeshot.ledger.training_runs import create_training_run, place_training
from eyeshot.training import TrainPlan, TrainResult, plan_training, train_folder


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
    optimizer: str | None = None,
    schedule: str | None = None,
    settings: Mapping[str, object] | None = None,
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
        augment: augmentations, applied in order: names, the file of a policy ("policy.toml"), or the user's own as
            "module:attribute"; none: those of eyeshot.toml.
        epochs: passes over the training images; by model and data where not given.
        batch_size: images per step.
        learning_rate: peak of the schedule.
        optimizer: a name of `eyeshot.optimizers()`.
        schedule: a name of `eyeshot.schedules()`.
        settings: more of the recipe by the names of `TrainConfig`, such as {"layer_decay": 0.75}. What is not given is
            that of the project's eyeshot.toml, of the recipe kept for the model, or by default, in this order.
        seed: of every random choice.
        out: folder of the run; where not given, one in eyeshot-out/runs named by time, model and augmentations, or the
            one that the same training was begun in.
        cache: folder of decoded images; the project's where not given.
        progress: told how far it is; None: shown in a terminal and a notebook; False: nobody.
        planned: called with what will be done before the long work and before anything is written; what it raises
            ends the training.
        command: what was typed, for the result.

    Returns:
        the contents of result.json: accuracy with its interval, settings, alarms.

    Raises:
        InputError: a folder, an option or an augmentation cannot be used, or the folder holds another run.
        ModelError: the model cannot be had, or the loss is not finite.
        StorageError: the cache or the folder cannot be written.
    """
    # The hold-out does not move with the seed: runs with other seeds are compared on the same images.
    data = project_data(
        train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root, val=val,
        val_share=val_share, decisions=decisions, split=split, fold=fold,
    )  # fmt: skip
    workspace = find_workspace()
    runs = workspace.results("runs")
    place = None if out is None else Path(out)
    chosen, note = chosen_augmentations(augment, project=find_project(), runs=runs, out=place)
    if cache is not None:
        workspace = replace(workspace, cache=Path(cache))
    with shown_progress(progress) as shown:
        plan = plan_training(
            data,
            model=model,
            weights=None if weights is None else Path(weights),
            from_scratch=from_scratch,
            size=size,
            mean=mean,
            std=std,
            interpolation=interpolation,
            fit=fit,
            augment=chosen,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimizer=optimizer,
            schedule=schedule,
            settings=settings,
            seed=seed,
            device=device,
            out=place,
            workspace=workspace,
            progress=shown,
        )
    plan.notes.extend([note] if note else [])
    if out is None:
        plan, key = place_training(plan, runs)
    if planned is not None:
        planned(plan)
    if out is None:
        plan = create_training_run(plan, key=key, command=command)
    with shown_progress(progress) as shown:
        result, skipped = train_folder(plan, command=command, progress=shown)
    if skipped:
        such = "" if len(skipped) == 1 else "for instance "
        plan.notes.append(
            f"Skipped {len(skipped)} {plural(len(skipped), 'file')}, {such}{skipped[0].path}: {skipped[0].reason}."
        )
    return result
