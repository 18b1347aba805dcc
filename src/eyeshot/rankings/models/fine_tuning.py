"""Rung 2: a short training of the whole network with its own recipe, without augmentation.

A probe undersells models whose features need training, masked pretraining above all (ViT-B of MAE: 68 % by probe,
83.6 % fine-tuned; He et al. 2022). A network is judged on the images of one fold, which its probe was judged on too.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from eyeshot.augment import Pool
from eyeshot.core import (
    InputError,
    ModelError,
    Progress,
    cluster_mean,
    describe_versions,
    make_folder,
    replacing,
)
from eyeshot.data import Fold, ImageTable, PixelStore
from eyeshot.models import Backbone, FeatureBank, ModelRecipe, model_recipe
from eyeshot.predictions import Accuracy
from eyeshot.rankings.models.deadline import OutOfTime, until
from eyeshot.rankings.models.learning_curves import nested_subsets
from eyeshot.rankings.models.lengths import STEPS, Length, Pace
from eyeshot.rankings.models.probe import Measured, judged_by
from eyeshot.rankings.models.report import FineTuning, Record
from eyeshot.training import (
    HEAD_IMAGES,
    State,
    TrainConfig,
    TrainingRun,
    TrainResult,
    check_optimizer,
    discard_damaged,
    load_classifier,
    part_of,
    range_test,
    read_images_with,
    read_validation,
    start_state,
    train,
    warm_up_cosine,
)

BATCH = 32
"""Images a step: in a short run many small steps do more than a few large ones."""
TIMED_STEPS = 2
LOWEST, HIGHEST = 1e-6, 1.0
MOST_TESTED = 1 / 3
"""Share of its time after which a range test is given up for the recipe's rate: the machine is slower than planned."""
TRUSTED = 1 / 3
"""The recipe's rate is kept up to this share of the divergence point of the range test, and never raised: from a fitted
head the loss has nowhere to fall, so that the sweep shows only where a rate is too high. EfficientNet-lite0 (224 PACS
photographs, 64 px) diverges at 1 in a sweep of 16 steps, and a training at a tenth of that ended at chance, where the
recipe has 1.3e-3."""
PROPORTIONAL = ("sgd", "sam-sgd")
PLAN_FILE = "plan.json"
PLAN_VERSION = 3


class FineTuningRecord(Record):
    """What is stored of rung 2: the training, which images of the fold it answers right, and what chooses."""

    fine_tuning: FineTuning
    right: list[bool]
    judged: tuple[Measured, Measured | None]


class _Plan(Record):
    """What was decided before the training, so that a killed run goes on with the same recipe and rate."""

    version: int = PLAN_VERSION
    settings: TrainConfig
    recipe: str
    rate: str
    tested_rates: list[float]
    tested_losses: list[float]
    seconds: float


class _Images(NamedTuple):
    """The images of a fold at the model's size; rows are positions in the pool."""

    pool: Pool
    labels: NDArray[np.int64]
    train: NDArray[np.int64]
    judged: NDArray[np.int64]


def recipe_settings(
    recipe: ModelRecipe, *, image_count: int, epochs: int = 1, seed: int, batch_size: int = BATCH
) -> tuple[TrainConfig, str]:
    """The settings of a short run by a model's recipe, and what was adapted, in words.

    The learning rate follows the batch: in proportion for SGD (Goyal et al. 2017, "Accurate, Large Minibatch SGD"),
    with the square root for the Adam family (Malladi et al. 2022, "On the SDEs and Scaling Rules for Adaptive Gradient
    Algorithms").

    BatchNorm keeps its averages: a short run starts from a head fitted on features made with them. With the statistics
    of batches, EfficientNet-lite0 at 64 px fell from 89 % to 17 % in 40 steps at a rate of 1e-5, which moves hardly any
    weight (668 PACS photographs).

    Args:
        recipe: of `model_recipe`.
        image_count: training images.
        epochs, seed: of the run.
        batch_size: images a step; fewer with few images.
    """
    size = max(2, min(batch_size, image_count // 2))
    ratio = size / recipe.batch_size
    optimizer, said = recipe.optimizer, []
    try:
        takes_momentum = check_optimizer(optimizer).takes_momentum
    except InputError:
        optimizer, takes_momentum = "adamw", False
        said.append(f"AdamW in place of {recipe.optimizer}, which the catalogue of optimizers does not have")
    proportional = optimizer in PROPORTIONAL
    rate = recipe.learning_rate * (ratio if proportional else math.sqrt(ratio))
    said.append(
        f"rate {recipe.learning_rate:g} for {recipe.batch_size} images brought to {size} "
        f"{'in proportion' if proportional else 'by the square root'}"
    )
    settings = TrainConfig(
        epochs=epochs,
        batch_size=size,
        learning_rate=float(f"{rate:.3g}"),
        weight_decay=recipe.weight_decay,
        warm_up_share=max(0.1, min(recipe.warm_up_share, 0.3)),
        label_smoothing=recipe.label_smoothing,
        seed=seed,
        optimizer=optimizer,
        momentum=recipe.momentum if takes_momentum else None,
        layer_decay=recipe.layer_decay,
        drop_path=recipe.drop_path,
        clip_norm=recipe.clip_norm,
        norm_statistics="frozen",
    )
    return settings, ", ".join(said)


def trusted_rate(rate: float, divergence: float | None, tested: float | None, why: str) -> tuple[float, str]:
    """The recipe's learning rate, or that of the range test where the recipe's comes near to diverging, and why.

    Args:
        rate: of the recipe.
        divergence, tested, why: of `range_test`: divergence point, its choice, its reason.
    """
    if tested is None or divergence is None:
        return rate, f"{rate:.1e} as in the recipe. {why}"
    if rate <= TRUSTED * divergence:
        return rate, f"{rate:.1e} as in the recipe: the range test diverges only at {divergence:.1e}."
    return float(f"{tested:.2g}"), f"{tested:.1e} by the range test, in place of the recipe's {rate:.1e}. {why}"


def measure_pace(
    backbone: Backbone,
    table: ImageTable,
    fold: Fold,
    *,
    classes: Sequence[str],
    cache: Path,
    device: torch.device | str,
    seed: int,
    progress: Progress,
    workers: int | None = None,
    test_count: int = 0,
) -> Pace:
    """Time a few training steps of a model with its recipe, and what comes before the first.

    The arguments are those of `fine_tune`; `test_count` is the number of its test images.
    """
    begin = time.perf_counter()
    device = torch.device(device)
    images = _load(backbone, table, fold, cache=cache, workers=workers, progress=progress)
    settings, _ = recipe_settings(model_recipe(backbone.name)[0], image_count=len(images.train), seed=seed)
    state = _head(backbone, images, classes, cache, device, seed, progress)
    run = _run(backbone, images, settings, classes, device, state)
    setup_s = time.perf_counter() - begin
    gentle = warm_up_cosine(1e-9, TIMED_STEPS + 1, warm_up_share=0)
    timing = progress.sub("timing a few steps")
    run.advance(1, schedule=gentle, progress=timing)  # the first step is slow and not timed
    begin = time.perf_counter()
    run.advance(1 + TIMED_STEPS, schedule=gentle, progress=timing)
    step_s = (time.perf_counter() - begin) / TIMED_STEPS
    return Pace(step_s, setup_s, settings.batch_size, len(images.train), len(images.judged) + test_count)


def fine_tune(
    backbone: Backbone,
    table: ImageTable,
    fold: Fold,
    probe_right: NDArray[np.bool_],
    groups: NDArray[np.int64],
    *,
    classes: Sequence[str],
    folder: Path,
    cache: Path,
    device: torch.device | str,
    length: Length,
    deadline: float,
    seed: int,
    progress: Progress,
    fold_number: int = 0,
    workers: int | None = None,
    recipe: tuple[ModelRecipe, str] | None = None,
    test: ImageTable | None = None,
) -> FineTuningRecord:
    """Train the whole network for a short time, and compare it with its own probe on the same images.

    The same call continues a killed run with the rate that was chosen then. A learning rate that makes the training
    diverge is divided by ten once. Where the machine turns out slower than planned, the training is shortened.

    Args:
        backbone: pretrained.
        table: N labelled images.
        fold: rows that train, rows that are judged.
        probe_right: bool (n,), which of the fold's judged images the probe of the other folds answers right.
        groups: int64 (N,), equal for duplicates.
        classes: names of the C classes.
        folder: of this training alone: it must differ for other weights, images, seeds and budgets.
        cache: folder of decoded images and features.
        device: where to compute.
        length: of the training and its range test.
        deadline: of `time.perf_counter`, when all of it must be done.
        seed: of the run.
        progress: called with steps done, of all.
        fold_number: for the report.
        workers: threads that decode.
        recipe: recipe and reason in place of those of `model_recipe`.
        test: the test images that choose between models; None: there are none.

    Raises:
        OutOfTime: the deadline left fewer steps than the shortest training has.
        InputError: an image cannot be decoded at the model's size.
        ModelError: it diverges at a tenth of the rate too.
        StorageError: the folder cannot be written.
    """
    begin = time.perf_counter()
    device = torch.device(device)
    images = _load(backbone, table, fold, cache=cache, workers=workers, progress=progress)
    plan = _read_plan(folder)
    if plan is None:
        plan = _make_plan(
            backbone, images, recipe or model_recipe(backbone.name), length,
            classes=classes, cache=cache, device=device, seed=seed, progress=progress,
            deadline=begin + MOST_TESTED * (deadline - begin),
        )  # fmt: skip
        _write_plan(plan, folder)
    rows = _some_rows(images, length.rows, seed)
    ends_at = deadline - length.judging_s
    data: dict[str, JsonValue] = {"fold": fold_number}
    try:
        result = _train(backbone, images, rows, plan, folder, classes, device, data, ends_at, progress)
    except ModelError as error:
        lower = plan.settings.learning_rate / 10
        rate = f"{plan.rate} It diverged, so it was trained again at {lower:.1e}. ({error})"
        plan = plan.model_copy(
            update={"settings": plan.settings.model_copy(update={"learning_rate": lower}), "rate": rate}
        )
        result = _train(backbone, images, rows, plan, folder, classes, device, data, ends_at, progress)
        _write_plan(plan, folder)
    if result.steps < STEPS[-1]:
        raise OutOfTime(f"the machine was slower than planned, and its time was spent after {result.steps} steps.")
    validation = read_validation(folder)
    right = validation.right
    difference, half = cluster_mean(right.astype(np.float64) - probe_right, groups[fold[1]])
    fine_tuning = FineTuning(
        fold=fold_number,
        n_train=len(rows),
        accuracy=Accuracy.of_counts(int(right.sum()), len(right)),
        probe=Accuracy.of_counts(int(probe_right.sum()), len(probe_right)),
        difference=difference,
        difference_interval=(difference - half, difference + half),
        settings=result.settings,
        recipe=plan.recipe,
        rate=plan.rate,
        tested_rates=plan.tested_rates,
        tested_losses=plan.tested_losses,
        steps=result.steps,
        seconds=plan.seconds + result.seconds,
        alarms=[alarm.words for alarm in result.alarms],
        notes=list(result.notes),
    )
    of_test = None
    if test is not None:
        pixels = PixelStore(cache, backbone.geometry).load(test, np.arange(len(test)), workers=workers)
        state = load_classifier(backbone, folder, len(classes))
        (reading,) = read_images_with(
            backbone, state, [np.asarray(pixels.images)], class_count=len(classes), device=device
        )
        of_test = reading.probabilities
    assert validation.labels is not None
    judged = judged_by(validation.probabilities, validation.labels, of_test)
    return FineTuningRecord(fine_tuning=fine_tuning, right=right.tolist(), judged=judged)


def fell_to_chance(tuned: FineTuning, *, classes: int) -> bool:
    """Whether a training may be at chance although the probe that it started from is not.

    The whole network starts from the head of its probe, so that a training which ends there was spoilt on the way,
    above all by a learning rate that is too high. EfficientNet-lite0 fell from 68 % to 14 % on 112 drawings, 60 steps.
    """
    accuracy, probe = tuned.accuracy.low, tuned.probe.low
    return accuracy is not None and probe is not None and accuracy <= 1 / classes < probe


def recipe_to_keep(name: str, tuned: FineTuning) -> tuple[dict[str, JsonValue], str]:
    """Settings and reason for `keep_recipe`: what differs from the defaults, but for length and seed of the run.

    The learning rate is always among them, since its default goes by the model.
    """
    values = tuned.settings.model_dump(mode="json", exclude={"seed", "epochs", "time_cap_s", "precision"})
    default = TrainConfig().model_dump(mode="json")
    settings = {key: value for key, value in values.items() if value != default[key] or key == "learning_rate"}
    accuracy = f"{100 * (tuned.accuracy.value or 0):.1f} %"
    return settings, f"rank models: {accuracy} on fold {tuned.fold} after {tuned.steps} steps of {name}. {tuned.rate}"


def _load(
    backbone: Backbone, table: ImageTable, fold: Fold, *, cache: Path, workers: int | None, progress: Progress
) -> _Images:
    rows = np.concatenate(fold)
    pixels = PixelStore(cache, backbone.geometry).load(table, rows, workers=workers, progress=progress.sub("decoding"))
    if len(pixels) < len(rows):
        raise InputError(
            f"All images must be decoded at the model's size, but {pixels.skipped[0].path} cannot. See eyeshot audit."
        )
    place = {row: position for position, row in enumerate(pixels.rows.tolist())}
    positions = [np.array([place[row] for row in part.tolist()], np.int64) for part in fold]
    labels = table.labels[pixels.rows]
    return _Images(Pool(pixels.images, pixels.keys), labels, positions[0], positions[1])


def _head(
    backbone: Backbone,
    images: _Images,
    classes: Sequence[str],
    cache: Path,
    device: torch.device,
    seed: int,
    progress: Progress,
) -> State:
    """Weights to start from: the pretrained ones, and the best linear head on their features."""
    rows = np.sort(np.random.default_rng(seed).permutation(images.train)[:HEAD_IMAGES])
    bank = FeatureBank(cache, backbone, device=device)
    features = bank.clean(images.pool, rows, progress=progress.sub("features"))
    return start_state(backbone, features.astype(np.float32), images.labels[rows], class_count=len(classes))


def _run(
    backbone: Backbone,
    images: _Images,
    settings: TrainConfig,
    classes: Sequence[str],
    device: torch.device,
    state: State,
) -> TrainingRun:
    return TrainingRun(
        backbone, part_of(images.pool, images.train), images.labels[images.train],
        class_count=len(classes), config=settings, device=device, start=state,
    )  # fmt: skip


def _make_plan(
    backbone: Backbone,
    images: _Images,
    recipe: tuple[ModelRecipe, str],
    length: Length,
    *,
    classes: Sequence[str],
    cache: Path,
    device: torch.device,
    seed: int,
    deadline: float,
    progress: Progress,
) -> _Plan:
    """Settings by the recipe, with a learning rate that a range test agrees to."""
    begin = time.perf_counter()
    settings, adapted = recipe_settings(recipe[0], image_count=len(images.train), epochs=length.epochs, seed=seed)
    rates: list[float] = []
    losses: list[float] = []
    rate = settings.learning_rate
    why = f"{rate:.1e} as in the recipe; so short a training leaves no steps for a range test."
    if length.test_steps:
        state = _head(backbone, images, classes, cache, device, seed, progress)
        run = _run(backbone, images, settings, classes, device, state)
        try:
            test = range_test(
                run, lowest=LOWEST, highest=HIGHEST, steps=length.test_steps, progress=until(progress, deadline)
            )
            rates, losses = test.rates.tolist(), test.smoothed.tolist()
            rate, why = trusted_rate(rate, test.divergence, test.rate, test.reason)
        except OutOfTime:
            why = f"{rate:.1e} as in the recipe; the machine was too slow to end a range test in time."
    return _Plan(
        settings=settings.model_copy(update={"learning_rate": rate}),
        recipe=f"{recipe[1]}; {adapted}. {recipe[0].source}",
        rate=why,
        tested_rates=rates,
        tested_losses=losses,
        seconds=time.perf_counter() - begin,
    )


def _train(
    backbone: Backbone,
    images: _Images,
    rows: NDArray[np.int64],
    plan: _Plan,
    folder: Path,
    classes: Sequence[str],
    device: torch.device,
    data: dict[str, JsonValue],
    ends_at: float,
    progress: Progress,
) -> TrainResult:
    discard_damaged(folder)
    return train(
        backbone, images.pool, images.labels, rows, images.judged,
        classes=classes, settings=plan.settings, folder=folder, device=device, data=data,
        progress=progress, command="", curves=False, deadline=ends_at,
    )  # fmt: skip


def _some_rows(images: _Images, count: int, seed: int) -> NDArray[np.int64]:
    """All training rows, or as many as there is time to see once, each class in proportion."""
    if count >= len(images.train):
        return images.train
    return nested_subsets(images.labels, images.train, (count / len(images.train),), seed=seed)[0]


def _read_plan(folder: Path) -> _Plan | None:
    """The plan of a run that was begun; None if there is none, or one of another version."""
    try:
        content = json.loads((folder / PLAN_FILE).read_text(encoding="utf-8"))
        return _Plan.model_validate(content["plan"]) if content["versions"] == _versions() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_plan(plan: _Plan, folder: Path) -> None:
    content = {"versions": _versions(), "plan": plan.model_dump(mode="json")}
    with replacing(make_folder(folder) / PLAN_FILE) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _versions() -> dict[str, Any]:
    return {"plan": PLAN_VERSION, **describe_versions()}
