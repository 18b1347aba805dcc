"""Where a training goes: into the folder that the same training was begun in, or into a new one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from eyeshot.core import key_of
from eyeshot.ledger.runs import create_run, find_run_by_key, new_run_id
from eyeshot.training import TrainPlan


def place_training(plan: TrainPlan, runs: Path) -> tuple[TrainPlan, str]:
    """Name the folder of a training among the runs: the folder in which it was begun, or a new name.

    Nothing is written; `create_training_run` makes the folder.

    Args:
        plan: what is to be trained.
        runs: folder of all runs.

    Returns:
        the plan with its folder, and the key of the training, which costs a hash over all images.
    """
    key = training_key(plan)
    folder = find_run_by_key(runs, key)
    if folder is None:
        names = [augmentation.name for augmentation in plan.augmentations]
        folder = runs / new_run_id(plan.backbone.name, names, plan.settings.seed, runs=runs)
    return replace(plan, folder=folder), key


def create_training_run(plan: TrainPlan, *, key: str, command: str = "") -> TrainPlan:
    """Make the folder that `place_training` named, with its record, unless the training was begun in it.

    Args:
        plan: of `place_training`.
        key: of `place_training`.
        command: what was typed, for the record.

    Returns:
        the plan; its folder has another name if another training took the name in the meantime.

    Raises:
        StorageError: the folder cannot be written.
    """
    runs = plan.folder.parent
    if find_run_by_key(runs, key) == plan.folder:
        return plan
    folder = create_run(
        runs, kind="train", key=key, model=plan.backbone.name,
        augmentations=[augmentation.name for augmentation in plan.augmentations], seed=plan.settings.seed,
        config=plan.settings.model_dump(mode="json"), command=command,
        run_id=None if plan.folder.exists() else plan.folder.name,
    )  # fmt: skip
    return replace(plan, folder=folder)


def training_key(plan: TrainPlan) -> str:
    """Key of all that decides a training and is known before images are decoded."""
    dataset = plan.dataset
    return key_of(
        plan.backbone.fingerprint,
        plan.settings.identity(),
        [(augmentation.fingerprint, augmentation.probability) for augmentation in plan.augmentations],
        (dataset.images.contents, dataset.images.labels, dataset.classes),
        (dataset.train_rows, dataset.val_rows),
        plan.device,
    )
