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
    duration,
    make_folder,
    replacing,
)
from eyeshot.data import Fold, ImageTable, PixelStore
from eyeshot.models import Backbone, FeatureBank, ModelRecipe, model_recipe
from eyeshot.predictions import Accuracy
from eyeshot.rankings.models.learning_curves import nested_subsets
from eyeshot.rankings.models.report import FineTuning, Record
from eyeshot.training import (
    TrainConfig,
    TrainingRun,
    check_optimizer,
    discard_damaged,
    part_of,
    range_test,
    read_validation,
    start_state,
    train,
    warm_up_cosine,
)

BATCH = 32
"""Images a step: in a short run many small steps do more than a few large ones."""
MOST_EPOCHS = 20
"""As `eyeshot train` does with pretrained weights: longer is no short training any more."""
LEAST_STEPS = 20
HEAD_IMAGES = 5000
"""The head that a training starts from is fitted on at most so many images, here as in `train`."""
TIMED_STEPS = 2
TEST_SHARE = 5
"""A range test takes at most a fifth of the steps, ..."""
FEWEST_TEST_STEPS, MOST_TEST_STEPS = 16, 48
"""... and needs a few steps a decade."""
LOWEST, HIGHEST = 1e-6, 1.0
SLACK = 0.85
"""Share of the time that steps are planned for; the rest is for validation and a machine that others use too."""
TRUSTED = 1 / 3
"""The recipe's rate is kept up to this share of the divergence point of the range test, and never raised: from a fitted
head the loss has nowhere to fall, so that the sweep shows only where a rate is too high. EfficientNet-lite0 (224 PACS
photographs, 64 px) diverges at 1 in a sweep of 16 steps, and a training at a tenth of that ended at chance, where the
recipe has 1.3e-3."""
PROPORTIONAL = ("sgd", "sam-sgd")
PLAN_FILE = "plan.json"
PLAN_VERSION = 2


class FineTuningRecord(Record):
    """What is stored of rung 2: the training, and which images of the fold it answers right."""

    fine_tuning: FineTuning
    right: list[bool]


class _Plan(Record):
    """What was decided before the training, so that a killed run goes on with the same steps and rate."""

    version: int = PLAN_VERSION
    settings: TrainConfig
    rows: int
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
    recipe: ModelRecipe, *, image_count: int, steps: int, seed: int, batch_size: int = BATCH
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
        steps: at least; at most `MOST_EPOCHS` epochs come out.
        seed: of the run.
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
    epochs = min(MOST_EPOCHS, max(1, round(steps / max(1, image_count // size))))
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
    budget_s: float,
    seed: int,
    progress: Progress,
    fold_number: int = 0,
    workers: int | None = None,
    recipe: tuple[ModelRecipe, str] | None = None,
) -> FineTuningRecord:
    """Train the whole network for a short time, and compare it with its own probe on the same images.

    The same call continues a killed run with the steps and the rate that were planned then. A learning rate that makes
    the training diverge is divided by ten once.

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
        budget_s: seconds that planning and training may take together; at most 20 epochs come out.
        seed: of the run.
        progress: called with steps done, of all.
        fold_number: for the report.
        workers: threads that decode.
        recipe: recipe and reason in place of those of `model_recipe`.

    Raises:
        InputError: the budget is too small for 20 steps, or an image cannot be decoded at the model's size.
        ModelError: it diverges at a tenth of the rate too.
        StorageError: the folder cannot be written.
    """
    begin = time.perf_counter()
    device = torch.device(device)
    images = _load(backbone, table, fold, cache=cache, workers=workers, progress=progress)
    plan = _read_plan(folder)
    if plan is None:
        chosen = recipe or model_recipe(backbone.name)
        plan = _make_plan(
            backbone, images, chosen, classes=classes, cache=cache, device=device,
            budget_s=budget_s - (time.perf_counter() - begin), seed=seed, progress=progress,
        )  # fmt: skip
        _write_plan(plan, folder)
    rows = _some_rows(images, plan.rows, seed)
    data: dict[str, JsonValue] = {"fold": fold_number}
    try:
        result = _train(backbone, images, rows, plan, folder, classes, device, data, progress)
    except ModelError as error:
        lower = plan.settings.learning_rate / 10
        rate = f"{plan.rate} It diverged, so it was trained again at {lower:.1e}. ({error})"
        plan = plan.model_copy(
            update={"settings": plan.settings.model_copy(update={"learning_rate": lower}), "rate": rate}
        )
        result = _train(backbone, images, rows, plan, folder, classes, device, data, progress)
        _write_plan(plan, folder)
    right = read_validation(folder).right
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
    )
    return FineTuningRecord(fine_tuning=fine_tuning, right=right.tolist())


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
    pixels = PixelStore(cache, backbone.geometry).load(
        table, rows, workers=workers, progress=progress.sub("decoding at the model's size")
    )
    if len(pixels) < len(rows):
        raise InputError(
            f"All images must be decoded at the model's size, but {pixels.skipped[0].path} cannot. See eyeshot audit."
        )
    place = {row: position for position, row in enumerate(pixels.rows.tolist())}
    positions = [np.array([place[row] for row in part.tolist()], np.int64) for part in fold]
    labels = table.labels[pixels.rows]
    return _Images(Pool(pixels.images, pixels.keys), labels, positions[0], positions[1])


def _make_plan(
    backbone: Backbone,
    images: _Images,
    recipe: tuple[ModelRecipe, str],
    *,
    classes: Sequence[str],
    cache: Path,
    device: torch.device,
    budget_s: float,
    seed: int,
    progress: Progress,
) -> _Plan:
    """Time a few steps, plan as many as the budget holds, and test the learning rate."""
    begin = time.perf_counter()
    count = len(images.train)
    settings, adapted = recipe_settings(recipe[0], image_count=count, steps=10**9, seed=seed)
    bank = FeatureBank(cache, backbone, device=device)
    of_head = np.sort(np.random.default_rng(seed).permutation(images.train)[:HEAD_IMAGES])
    features = bank.clean(images.pool, of_head, progress=progress.sub("features"))
    state = start_state(backbone, features.astype(np.float32), images.labels[of_head], class_count=len(classes))
    run = TrainingRun(
        backbone, part_of(images.pool, images.train), images.labels[images.train],
        class_count=len(classes), config=settings, device=device, start=state,
    )  # fmt: skip
    gentle = warm_up_cosine(1e-9, TIMED_STEPS + 1, warm_up_share=0)
    before = run.state_dict()
    run.advance(1, schedule=gentle)  # the first step is slow and not timed
    timed = time.perf_counter()
    run.advance(1 + TIMED_STEPS, schedule=gentle)
    step_s = (time.perf_counter() - timed) / TIMED_STEPS
    run.load_state_dict(before)
    left_s = budget_s - (time.perf_counter() - begin)
    # Judging takes a forward pass of each judged image an epoch and once more, a third of a step's work an image; the
    # head that comes first takes one of each training image.
    size = settings.batch_size
    judged_share = min(1.0, len(images.judged) / count) / 3
    fixed = (len(images.judged) + len(of_head)) / size / 3
    steps = math.floor((SLACK * left_s / step_s - fixed) / (1 + judged_share))
    if steps < LEAST_STEPS:
        least = (LEAST_STEPS * (1 + judged_share) + fixed) * step_s / SLACK + budget_s - left_s
        raise InputError(
            f"Fine-tuning of {backbone.name} needs at least {LEAST_STEPS} steps, about {duration(least, 0)}; "
            f"{duration(max(0.0, budget_s), 0)} are left for it. Give a larger --budget or a smaller --size."
        )
    test_steps = min(MOST_TEST_STEPS, steps // TEST_SHARE)
    rates: list[float] = []
    losses: list[float] = []
    if test_steps >= FEWEST_TEST_STEPS:
        test = range_test(run, lowest=LOWEST, highest=HIGHEST, steps=test_steps, progress=progress)
        rates, losses = test.rates.tolist(), test.smoothed.tolist()
        rate, why = trusted_rate(settings.learning_rate, test.divergence, test.rate, test.reason)
        steps -= len(test.rates)
    else:
        rate = settings.learning_rate
        why = f"{rate:.1e} as in the recipe; {steps} steps are too few for a range test."
    rows = min(count, steps * size)
    settings, _ = recipe_settings(recipe[0], image_count=rows, steps=steps, seed=seed, batch_size=size)
    settings = settings.model_copy(update={"learning_rate": rate})
    return _Plan(
        settings=settings,
        rows=rows,
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
    progress: Progress,
) -> Any:
    discard_damaged(folder)
    return train(
        backbone, images.pool, images.labels, rows, images.judged,
        classes=classes, settings=plan.settings, folder=folder, device=device, data=data,
        progress=progress.sub("fine-tuning"), command="",
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
