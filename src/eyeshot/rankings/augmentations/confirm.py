"""What came of the ranking: the first candidates, clean and TrivialAugment trained to the end, paired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, augmentation
from eyeshot.core import Progress, Workspace, key_of, paired_difference
from eyeshot.rankings.augmentations.candidates import Judged
from eyeshot.rankings.augmentations.plan import Plan
from eyeshot.rankings.augmentations.report import Confirmed
from eyeshot.rankings.augmentations.settings import TRAIN_OPTIONS
from eyeshot.rankings.augmentations.words import CONTROL_ADVICE
from eyeshot.training import TrainPlan, TrainResult, discard_damaged, plan_training, read_validation, train_folder

CLEAN = "clean"


def confirm(plan: Plan, judged: Judged, *, progress: Progress, command: str) -> list[Confirmed]:
    """Train on all images that train in the plan's dataset, each with the same seed, order and validation images.

    The same call continues a training that was cut off, and trains nothing twice.

    Raises:
        ModelError: a loss is not finite.
        StorageError: the cache cannot be written.
    """
    settings = plan.settings
    first = plan_training(
        plan.tables.dataset,
        model=plan.backbone.name,
        **{name: getattr(settings, name) for name in TRAIN_OPTIONS},
        workspace=Workspace(root=plan.cache, cache=plan.cache),
    )
    by_name = {CONTROL_ADVICE: augmentation(CONTROL_ADVICE)} | {one.name: one for one in plan.candidates}
    found: list[Confirmed] = []
    clean_right: NDArray[np.bool_] | None = None
    names = chosen_names(judged, by_name, settings.full_train)
    for number, name in enumerate(names):
        steps = (*plan.base, *(() if name == CLEAN else (by_name[name],)))
        one = replace(first, augmentations=steps, folder=_folder(first, steps))
        step = progress.sub(f"confirming {name} ({number + 1} of {len(names)})")
        discard_damaged(one.folder)
        result, _ = train_folder(one, command=command, progress=step)
        validation = read_validation(one.folder)
        right = validation.right
        if clean_right is None:
            clean_right = right
        found.append(_confirmed(name, result, right, None if name == CLEAN else clean_right))
    return found


def chosen_names(judged: Judged, known: dict[str, Augmentation], count: int) -> list[str]:
    """Clean first, then the first `count` ranked candidates, and TrivialAugment unless it is among them."""
    ranked = [one.name for one in judged.candidates if one.role == "ranked" and one.name in known][:count]
    control = [CONTROL_ADVICE] if CONTROL_ADVICE in known else []
    return list(dict.fromkeys([CLEAN, *ranked, *control]))


def _confirmed(name: str, result: TrainResult, right: NDArray[np.bool_], clean: NDArray[np.bool_] | None) -> Confirmed:
    gain, ends = (None, None) if clean is None else paired_difference(right, clean)
    return Confirmed(
        name=name,
        epochs=result.epochs,
        n_train=result.n_train,
        n_val=result.n_val,
        accuracy=float(right.mean()),
        interval=result.accuracy.interval,
        gain=gain,
        gain_interval=ends,
        seconds=result.seconds,
    )


def _folder(plan: TrainPlan, steps: Sequence[Augmentation]) -> Path:
    """One folder for each training, named by all that decides it."""
    images = plan.dataset.images
    parts = [images.take(rows) for rows in (plan.dataset.train_rows, plan.dataset.val_rows)]
    key = key_of(
        plan.backbone.fingerprint,
        plan.settings,
        [(step.fingerprint, step.probability) for step in steps],
        [(part.contents, part.labels) for part in parts],
        plan.device,
    )
    return plan.cache / "confirmed" / key
