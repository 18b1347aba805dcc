"""Where a training goes: into the folder that the same training was begun in, or into a new one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from eyeshot.core import key_of
from eyeshot.ledger.runs import create_run, find_run_by_key, new_run_id
from eyeshot.training import TrainPlan


def place_training(plan: TrainPlan, runs: Path, *, command: str = "", dry_run: bool = False) -> TrainPlan:
    """The same plan with its folder among the runs; a training that was cut off goes on in the folder that it has.

    Args:
        plan: what is to be trained.
        runs: folder of all runs.
        command: what was typed, for the record.
        dry_run: name the folder and make none.

    Raises:
        StorageError: the folder cannot be written.
    """
    key = training_key(plan)
    names = [augmentation.name for augmentation in plan.augmentations]
    folder = find_run_by_key(runs, key)
    if folder is None and dry_run:
        folder = runs / new_run_id(plan.backbone.name, names, plan.settings.seed, runs=runs)
    elif folder is None:
        folder = create_run(
            runs, kind="train", key=key, model=plan.backbone.name, augmentations=names, seed=plan.settings.seed,
            config=plan.settings.model_dump(mode="json"), command=command,
        )  # fmt: skip
    return replace(plan, folder=folder)


def training_key(plan: TrainPlan) -> str:
    """Key of all that decides a training and is known before images are decoded."""
    dataset = plan.dataset
    return key_of(
        plan.backbone.fingerprint,
        plan.settings.model_dump(exclude={"time_cap_s"}),
        [(augmentation.fingerprint, augmentation.probability) for augmentation in plan.augmentations],
        (dataset.images.contents, dataset.images.labels, dataset.classes),
        (dataset.train_rows, dataset.val_rows),
        plan.device,
    )
