"""Was the ranking right? Trains the first candidates, clean images and TrivialAugment to the end, and compares them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, augmentation
from eyeshot.core import Progress, StorageError, Workspace, key_of, paired_difference
from eyeshot.data import ImageTable
from eyeshot.predictions import (
    Judged,
    ModelChoice,
    Predictions,
    TargetEstimate,
    choose_model,
    estimate_target_accuracy,
    judge_model,
    load_predictions,
)
from eyeshot.rankings.augmentations.plan import Plan
from eyeshot.rankings.augmentations.recommendation import CLEAN, CONTROL_ADVICE
from eyeshot.rankings.augmentations.report import Candidate, FullTraining
from eyeshot.rankings.augmentations.settings import TRAIN_OPTIONS
from eyeshot.training import (
    FinishedRun,
    TrainPlan,
    TrainResult,
    discard_damaged,
    plan_training,
    read_validation,
    train_folder,
)

TARGET_FILE = "target.npz"


def train_fully(
    plan: Plan, candidates: Sequence[Candidate], *, target: ImageTable | None, progress: Progress, command: str
) -> tuple[list[FullTraining], ModelChoice]:
    """Train on all training images of the plan's dataset, each time with the same seed, order and validation images.

    The same call continues a training that was interrupted, and trains and predicts nothing twice.

    Args:
        plan: of the ranking.
        candidates: ranked.
        target: the images to be covered, without those that are also training images; None: the validation images are.
        progress: called with the progress.
        command: recorded with the trainings.

    Returns:
        the trainings, and which of them to take: by the estimate on the target where it shows a shift.

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
    by_name = {CONTROL_ADVICE: augmentation(CONTROL_ADVICE)} | {
        candidate.name: candidate for candidate in plan.candidates
    }
    shares = dict(zip(plan.tables.dataset.classes, plan.class_shares.tolist(), strict=True))
    records: list[FullTraining] = []
    judged: dict[str, Judged] = {}
    clean_right: NDArray[np.bool_] | None = None
    names = trained_names(candidates, by_name, settings.full_train)
    for number, name in enumerate(names):
        steps = (*plan.base, *(() if name == CLEAN else (by_name[name],)))
        training = replace(first, augmentations=steps, folder=_folder(first, steps))
        step = progress.sub(f"training {name} to the end ({number + 1} of {len(names)})")
        discard_damaged(training.folder)
        result, _ = train_folder(training, command=command, progress=step)
        validation = read_validation(training.folder)
        right = validation.right
        if clean_right is None:
            clean_right = right
        predicted = None if target is None else _predicted(training, target, plan.cache, step)
        judged[name] = judge_model([(validation, predicted)], class_shares=shares)
        estimate = None
        if predicted is not None:
            estimate = estimate_target_accuracy(predicted, validation=validation, class_shares=shares)
        records.append(_record(name, result, right, None if name == CLEAN else clean_right, estimate))
    return records, choose_model(judged)


def finished_next_step(choice: ModelChoice) -> str:
    """What to do after the full trainings."""
    what = "on clean images" if choice.chosen == CLEAN else f"with {choice.chosen}"
    return f"Train {what} as a run, which can predict and submit; its validation accuracy is known from here."


def _predicted(training: TrainPlan, target: ImageTable, cache: Path, progress: Progress) -> Predictions:
    """What a finished training predicts of the target images, once."""
    run, file = FinishedRun(training.folder, device=training.device), training.folder / TARGET_FILE
    with suppress(StorageError):  # a damaged file is written again
        if file.is_file() and (stored := load_predictions(file)).key == run.key(target):
            return stored
    (predicted,), _ = run.predict(target, split="target", cache=cache, progress=progress)
    predicted.save(file)
    return predicted


def trained_names(candidates: Sequence[Candidate], known: dict[str, Augmentation], count: int) -> list[str]:
    """Clean first, then the first `count` ranked candidates, and TrivialAugment if it is not among them."""
    ranked = [candidate.name for candidate in candidates if candidate.role == "ranked" and candidate.name in known][
        :count
    ]
    control = [CONTROL_ADVICE] if CONTROL_ADVICE in known else []
    return list(dict.fromkeys([CLEAN, *ranked, *control]))


def _record(
    name: str,
    result: TrainResult,
    right: NDArray[np.bool_],
    clean: NDArray[np.bool_] | None,
    estimate: TargetEstimate | None,
) -> FullTraining:
    gain, ends = (None, None) if clean is None else paired_difference(right, clean)
    return FullTraining(
        name=name,
        epochs=result.epochs,
        n_train=result.n_train,
        n_val=result.n_val,
        accuracy=float(right.mean()),
        interval=result.accuracy.interval,
        gain=gain,
        gain_interval=None if ends is None else (max(ends[0], -1.0), min(ends[1], 1.0)),
        estimate=estimate,
        seconds=result.seconds,
    )


def _folder(plan: TrainPlan, steps: Sequence[Augmentation]) -> Path:
    """A folder for each training; its name depends on everything that affects the training."""
    images = plan.dataset.images
    parts = [images.take(rows) for rows in (plan.dataset.train_rows, plan.dataset.val_rows)]
    key = key_of(
        plan.backbone.fingerprint,
        plan.settings,
        [(step.fingerprint, step.probability) for step in steps],
        [(part.contents, part.labels) for part in parts],
        plan.device,
    )
    return plan.cache / "full-training" / key
