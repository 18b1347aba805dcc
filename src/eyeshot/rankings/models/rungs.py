"""Rungs 2 and 3: which models are fine-tuned and scaled up, in which order, and what the budget gives each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import EyeshotError, Progress, StorageError, duration, key_of
from eyeshot.models import Backbone, FeatureBank, fit_many_classes
from eyeshot.rankings.models.choice import ChosenModel
from eyeshot.rankings.models.fine_tuning import FineTuningRecord, fine_tune
from eyeshot.rankings.models.learning_curves import Curve, learning_curve, probe_answer
from eyeshot.rankings.models.plan import ModelPlan, load_model
from eyeshot.rankings.models.probe import clean_features, time_forward
from eyeshot.rankings.models.report import (
    LearningCurve,
    ModelOrData,
    RankedModel,
    Record,
    Resolution,
)
from eyeshot.rankings.models.scaling import bigger_or_more_data, compare_sizes, image_step, next_bigger, sizes_around
from eyeshot.rankings.models.tuning_order import choose_for_fine_tuning, line_within

Right = NDArray[np.bool_]
TUNING_SHARE = 0.75
"""Share of what rung 1 leaves of the budget that rung 2 may take."""
LEAST_S = 20.0
"""Seconds of fine-tuning below which no model is begun."""


class ScalingRecord(Record):
    """What is stored of a learning curve: the curve, and the gains from twice the images in each bootstrap sample."""

    curve: LearningCurve
    gains: list[float]


class SizesRecord(Record):
    """What is stored of the comparison of image sizes."""

    resolution: Resolution


def tune_models(
    plan: ModelPlan,
    ranked: Sequence[RankedModel],
    probe_right: Mapping[str, Right],
    *,
    deadline: float,
    progress: Progress,
    show: Callable[[RankedModel], None] | None,
) -> tuple[list[RankedModel], dict[str, Right], list[str]]:
    """Rung 2 of as many models as the budget reaches for.

    Args:
        plan: of the ranking.
        ranked: models in the order of their probes.
        probe_right: by name, bool (n,), which judged images the probe answers right.
        deadline: of `time.perf_counter`, after which no training goes on.
        progress, show: as of `run_model_ranking`.

    Returns:
        all models, those that were trained with their result; which images of the first fold these answer right; notes.
    """
    data, fold = plan.data, plan.data.folds[0]
    order = [model for model, _ in choose_for_fine_tuning(ranked)]
    tuned: dict[str, FineTuningRecord] = {}
    notes: list[str] = []
    for number, model in enumerate(order):
        key = ("fine-tuning", model.fingerprint, data.key, plan.settings.seed, plan.settings.budget_s)
        record = plan.store.load(FineTuningRecord, *key)
        if record is None:
            left_s = deadline - time.perf_counter()
            if left_s < LEAST_S:
                names = [other.name for other in order[number:]]
                notes.append(f"Not fine-tuned, since the budget was spent: {', '.join(names)}. Use a larger --budget.")
                break
            try:
                record = fine_tune(
                    load_model(_chosen(plan, model.name), plan.settings),
                    data.images,
                    fold,
                    probe_right[model.name][np.searchsorted(data.judged, fold[1])],
                    data.dataset.groups,
                    classes=data.dataset.classes,
                    folder=plan.cache / "models-ranked" / f"run-{key_of(*key)}",
                    cache=plan.cache,
                    device=plan.device,
                    # An equal share of what is left, but never so little that nobody gets enough.
                    budget_s=max(left_s / (len(order) - number), min(left_s, 3 * LEAST_S)),
                    seed=plan.settings.seed,
                    progress=progress.sub(f"fine-tuning {model.name} ({number + 1} of {len(order)})"),
                    workers=plan.settings.workers,
                )
            except StorageError:
                raise
            except EyeshotError as error:
                notes.append(f"{model.name} was not fine-tuned: {error}")
                continue
            plan.store.save(record, *key)
        tuned[model.name] = record
        if show is not None:
            show(model.model_copy(update={"fine_tuning": record.fine_tuning, "rung": 2, "state": "fine-tuned"}))
    tested = {line_within(model) for model in ranked if model.name in tuned}
    updated = []
    for model in ranked:
        state = (
            "fine-tuned" if model.name in tuned else "probe only" if line_within(model) in tested else "recipe untested"
        )
        change: dict[str, object] = {"state": state}
        if model.name in tuned:
            change |= {"fine_tuning": tuned[model.name].fine_tuning, "rung": 2}
        updated.append(model.model_copy(update=change))
    return updated, {name: np.asarray(record.right, bool) for name, record in tuned.items()}, notes


def scale_models(
    plan: ModelPlan,
    ranked: Sequence[RankedModel],
    probe_right: Mapping[str, Right],
    advised: str,
    *,
    deadline: float,
    progress: Progress,
) -> tuple[list[RankedModel], list[str]]:
    """Rung 3: learning curves of the best of each line, and the advised model with smaller and larger images.

    Args:
        plan, ranked, probe_right, deadline, progress: as for `tune_models`.
        advised: name of the advised model.

    Returns:
        all models, with what was measured; notes.
    """
    data, fold = plan.data, plan.data.folds[0]
    clusters = data.dataset.groups[fold[1]]
    on_fold = {name: right[np.searchsorted(data.judged, fold[1])] for name, right in probe_right.items()}
    best_of_line: dict[str, RankedModel] = {}
    for model in sorted(ranked, key=lambda model: model.name != advised):
        best_of_line.setdefault(line_within(model), model)
    updated = {model.name: model for model in ranked}
    notes: list[str] = []
    for number, model in enumerate(best_of_line.values()):
        step = progress.sub(f"learning curve of {model.name} ({number + 1} of {len(best_of_line)})")
        key = ("curve", model.fingerprint, data.key, plan.settings.seed)
        record = plan.store.load(ScalingRecord, *key)
        try:
            if record is None:
                if time.perf_counter() > deadline:
                    notes.append("Learning curves were left out where the budget was spent. Use a larger --budget.")
                    break
                record = _curve_of(plan, model, step)
                plan.store.save(record, *key)
        except StorageError:
            raise
        except EyeshotError as error:
            notes.append(f"{model.name} has no learning curve: {error}")
            continue
        bigger = next_bigger(model, ranked)
        answer: ModelOrData = bigger_or_more_data(
            Curve(record.curve, np.asarray(record.gains)),
            model.name,
            on_fold[model.name],
            None if bigger is None else (bigger.name, on_fold[bigger.name]),
            clusters,
            seed=plan.settings.seed,
        )
        updated[model.name] = model.model_copy(update={"curve": record.curve, "model_or_data": answer, "rung": 3})
    resolution, more = _compare_sizes(
        plan, updated[advised], on_fold[advised], deadline=deadline, progress=progress.sub(f"sizes of {advised}")
    )
    if resolution is not None:
        updated[advised] = updated[advised].model_copy(update={"resolution": resolution, "rung": 3})
    return [updated[model.name] for model in ranked], [*notes, *more]


def _chosen(plan: ModelPlan, name: str) -> ChosenModel:
    return next(model for model in plan.chosen if model.name == name)


def _features(plan: ModelPlan, backbone: Backbone, progress: Progress) -> tuple[NDArray[np.float32], FeatureBank]:
    """Features (N, D) of the images of the first fold, zeros elsewhere."""
    bank = FeatureBank(plan.cache, backbone, device=plan.device, batch_size=plan.settings.batch_size)
    rows = np.sort(np.concatenate(plan.data.folds[0]))
    features = np.zeros((len(plan.data.images), backbone.feature_count), np.float32)
    known, read = clean_features(
        bank, plan.data.images.take(rows), cache=plan.cache, workers=plan.settings.workers, progress=progress
    )
    features[rows[known]] = read
    return features, bank


def _curve_of(plan: ModelPlan, model: RankedModel, progress: Progress) -> ScalingRecord:
    data, (train, judged) = plan.data, plan.data.folds[0]
    features, _ = _features(plan, load_model(_chosen(plan, model.name), plan.settings), progress)
    labels, classes = data.images.labels, data.dataset.classes
    curve = learning_curve(
        probe_answer(features, labels, judged, class_count=len(classes), penalty=model.probe.penalty),
        labels, train, data.dataset.groups[judged],
        how="linear probes on frozen features", seed=plan.settings.seed, progress=progress,
    )  # fmt: skip
    return ScalingRecord(curve=curve.record, gains=curve.gains.tolist())


def _compare_sizes(
    plan: ModelPlan, model: RankedModel, right: Right, *, deadline: float, progress: Progress
) -> tuple[Resolution | None, list[str]]:
    """The advised model's probe at 3/4, 1 and 4/3 of its size."""
    key = ("sizes", model.fingerprint, plan.data.key, plan.settings.seed)
    record = plan.store.load(SizesRecord, *key)
    if record is not None:
        return record.resolution, []
    data, (train, judged) = plan.data, plan.data.folds[0]
    chosen = _chosen(plan, model.name)
    images = len(train) + len(judged)
    # Pixels grow with the square of the side: (3/4)² + (4/3)² is about 2.3.
    needed_s = 2.3 * images * model.cost.seconds_per_1000 / 1000
    if needed_s > max(0.0, deadline - time.perf_counter()):
        return None, [
            f"Other image sizes were not tried: they need about {duration(needed_s, 0)}. Use a larger --budget."
        ]
    labels, classes = data.images.labels, data.dataset.classes

    def read(size: int) -> tuple[Right, float]:
        backbone = load_model(chosen, plan.settings.model_copy(update={"size": size}))
        features, bank = _features(plan, backbone, progress.sub(f"{size} px"))
        head = fit_many_classes(features[train], labels[train], class_count=len(classes), penalty=model.probe.penalty)
        noise = np.random.default_rng(0).integers(0, 256, (8, size, size, 3), dtype=np.uint8)
        _, _, fastest_s = time_forward(backbone, noise, device=plan.device, batch_size=bank.batch_size)
        return np.asarray(head.predict(features[judged]) == labels[judged]), 1000 * fastest_s

    own = load_model(chosen, plan.settings)
    frame = data.images.frame
    short = np.minimum(frame["width"].to_numpy(), frame["height"].to_numpy())[judged].astype(np.int64)
    resolution = compare_sizes(
        read,
        sizes_around(model.size, image_step(own)),
        (model.size, right, model.cost.seconds_per_1000),
        data.dataset.groups[judged],
        short_sides=short,
        crop_share=own.geometry.crop_share if own.geometry.fit == "crop" else 1.0,
    )
    plan.store.save(SizesRecord(resolution=resolution), *key)
    return resolution, []
