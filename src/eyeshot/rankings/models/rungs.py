"""Rungs 2 and 3: which models are fine-tuned and scaled up, in which order, and what the budget gives each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import (
    CallbackProgress,
    EyeshotError,
    ModelError,
    Progress,
    StorageError,
    duration,
    key_of,
    percent,
)
from eyeshot.models import Backbone, FeatureBank, fit_many_classes
from eyeshot.rankings.models.allowance import Allowance
from eyeshot.rankings.models.choice import ChosenModel
from eyeshot.rankings.models.deadline import OutOfTime, until
from eyeshot.rankings.models.fine_tuning import FineTuningRecord, fell_to_chance, fine_tune, measure_pace
from eyeshot.rankings.models.learning_curves import Curve, learning_curve, probe_answer
from eyeshot.rankings.models.lengths import Length, Pace, ends_of, share_out
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
Kept = TypeVar("Kept", bound=Record)
TUNING_SHARE = 0.75
"""Share of what rung 1 leaves of the budget that rung 2 may take."""


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
    allowance: Allowance,
    progress: Progress,
    show: Callable[[RankedModel], None] | None,
) -> tuple[list[RankedModel], dict[str, FineTuningRecord], list[str]]:
    """Rung 2 of as many models as the budget reaches for; lengths of all trainings are decided before the first.

    Args:
        plan: of the ranking.
        ranked: models in the order of their probes.
        probe_right: by name, bool (n,), which judged images the probe answers right.
        allowance: the budget, of which a quarter is kept for rung 3.
        progress, show: as of `run_model_ranking`.

    Returns:
        all models, those that were trained with their result; what is stored of these, by name; notes.
    """
    data, fold, agenda = plan.data, plan.data.folds[0], allowance.agenda
    order = [model for model, _ in choose_for_fine_tuning(ranked)]
    keys = {
        model.name: ("fine-tuning", model.fingerprint, data.key, plan.settings.seed, plan.settings.budget_s)
        for model in order
    }
    stored = {name: plan.store.load(FineTuningRecord, *key) for name, key in keys.items()}
    decided = {*agenda.lengths, *agenda.beyond, *agenda.skipped}
    open_names = [name for name, record in stored.items() if record is None and name not in decided]
    if agenda.scaling_s is None or open_names:
        _plan_trainings(plan, open_names, allowance, progress)
    to_train = {name: length for name, length in agenda.lengths.items() if stored.get(name) is None}
    ends = ends_of(to_train, allowance.deadline - (agenda.scaling_s or 0.0))
    tuned: dict[str, FineTuningRecord] = {}
    failed: dict[str, str] = {}
    for model in order:
        name = model.name
        if name in agenda.beyond or name in agenda.skipped:
            continue
        record = stored[name]
        if record is None:
            place = f"{list(to_train).index(name) + 1}/{len(to_train)}"
            try:
                record = _tune(
                    plan, model, probe_right[name][np.searchsorted(data.judged, fold[1])], agenda.lengths[name],
                    folder=plan.cache / "models-ranked" / f"run-{key_of(*keys[name])}", deadline=ends[name],
                    progress=progress.sub(f"fine-tuning {place} {name}"),
                )  # fmt: skip
            except (OutOfTime, ModelError) as error:
                agenda.skipped[name] = str(error)
                allowance.save()
                continue
            except StorageError:
                raise
            except EyeshotError as error:  # may be mended before the same command is given again
                failed[name] = str(error)
                continue
            plan.store.save(record, *keys[name])
            allowance.save()
        if fell_to_chance(record.fine_tuning, classes=len(data.dataset.classes)):
            failed[name] = (
                f"its training ended at chance, {percent(record.fine_tuning.accuracy.value, 1)} where its probe has "
                f"{percent(record.fine_tuning.probe.value, 1)}. That is a verdict on the learning rate "
                f"({record.fine_tuning.rate.rstrip('.')}), not on the model: its recipe still counts as untested."
            )
            continue
        tuned[name] = record
        if show is not None:
            show(model.model_copy(update={"fine_tuning": record.fine_tuning, "rung": 2, "state": "fine-tuned"}))
    notes = [f"{name}: {note}" for name, record in tuned.items() for note in record.fine_tuning.notes]
    failed |= {name: agenda.skipped[name] for name in keys if name in agenda.skipped}
    notes += [f"{name} was not fine-tuned: {why}" for name, why in failed.items()]
    if agenda.beyond:
        notes.append(
            f"Not fine-tuned, since the budget does not reach: {', '.join(agenda.beyond)}. A larger --budget reaches "
            "further, and trains all models anew, for longer."
        )
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
    return updated, tuned, notes


def _plan_trainings(plan: ModelPlan, names: Sequence[str], allowance: Allowance, progress: Progress) -> None:
    """Time a few steps of each model, and store how long each is trained."""
    agenda = allowance.agenda
    if agenda.scaling_s is None:
        agenda.scaling_s = (1 - TUNING_SHARE) * max(0.0, allowance.left_s())
    kept_s = agenda.scaling_s
    end = allowance.deadline - kept_s

    def pace_of(name: str) -> Pace:
        backbone = load_model(_chosen(plan, name), plan.settings)
        step = progress.sub(f"planning {names.index(name) + 1}/{len(names)} {name}")
        return measure_pace(
            backbone, plan.data.images, plan.data.folds[0],
            classes=plan.data.dataset.classes, cache=plan.cache, device=plan.device, seed=plan.settings.seed,
            workers=plan.settings.workers, progress=until(step, end), test_count=len(plan.data.choosing),
        )  # fmt: skip

    lengths, failed, beyond = share_out(names, pace_of, lambda: allowance.left_s() - kept_s)
    agenda.lengths |= lengths
    agenda.skipped |= failed
    agenda.beyond += beyond
    allowance.save()


def _tune(
    plan: ModelPlan,
    model: RankedModel,
    probe_right: Right,
    length: Length,
    *,
    folder: Path,
    deadline: float,
    progress: Progress,
) -> FineTuningRecord:
    """The short training of a model."""
    data = plan.data
    return fine_tune(
        load_model(_chosen(plan, model.name), plan.settings), data.images, data.folds[0], probe_right,
        data.dataset.groups, classes=data.dataset.classes, folder=folder, cache=plan.cache, device=plan.device,
        length=length, deadline=deadline, seed=plan.settings.seed, progress=progress,
        workers=plan.settings.workers, test=None if data.test is None else data.test.take(data.choosing),
    )  # fmt: skip


def scale_models(
    plan: ModelPlan,
    ranked: Sequence[RankedModel],
    probe_right: Mapping[str, Right],
    advised: str,
    *,
    allowance: Allowance,
    progress: Progress,
    show: Callable[[RankedModel], None] | None,
) -> tuple[list[RankedModel], list[str]]:
    """Rung 3: learning curves of the best of each line, and the advised model with smaller and larger images.

    Args:
        plan, ranked, probe_right, allowance, progress, show: as for `tune_models`; all of the budget may be used.
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
    late: list[str] = []
    for number, model in enumerate(best_of_line.values()):
        step = progress.sub(f"learning curve {number + 1}/{len(best_of_line)} {model.name}")
        try:
            record = _curve_of(plan, model, allowance, step)
        except OutOfTime:
            late.append(model.name)
            continue
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
            None
            if bigger is None
            else (
                bigger.name,
                on_fold[bigger.name],
                bigger.cost.seconds_per_1000 / max(model.cost.seconds_per_1000, 1e-12),
            ),
            clusters,
            seed=plan.settings.seed,
        )
        updated[model.name] = model.model_copy(update={"curve": record.curve, "model_or_data": answer, "rung": 3})
        if show is not None:
            show(updated[model.name])
    if late:
        notes.append(f"The budget did not reach for learning curves of {', '.join(late)}. Use a larger --budget.")
    try:
        resolution = _compare_sizes(
            plan, updated[advised], on_fold[advised], allowance, progress.sub(f"image sizes {advised}")
        )
        updated[advised] = updated[advised].model_copy(update={"resolution": resolution, "rung": 3})
        if show is not None:
            show(updated[advised])
    except OutOfTime as error:
        notes.append(f"Other image sizes were not tried: {error} Use a larger --budget.")
    return [updated[model.name] for model in ranked], notes


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


def _curve_of(plan: ModelPlan, model: RankedModel, allowance: Allowance, progress: Progress) -> ScalingRecord:
    """The learning curve of a model; `OutOfTime` where the budget does not or did not reach."""
    data, (train, judged) = plan.data, plan.data.folds[0]
    key = ("curve", model.fingerprint, data.key, plan.settings.seed)
    labels, classes = data.images.labels, data.dataset.classes

    def compute(timed: Progress) -> ScalingRecord:
        features, _ = _features(plan, load_model(_chosen(plan, model.name), plan.settings), timed)
        curve = learning_curve(
            probe_answer(features, labels, judged, class_count=len(classes), penalty=model.probe.penalty),
            labels, train, data.dataset.groups[judged],
            how="linear probes on frozen features", seed=plan.settings.seed, progress=timed,
        )  # fmt: skip
        return ScalingRecord(curve=curve.record, gains=curve.gains.tolist())

    return _within(plan, allowance, ScalingRecord, key, f"learning curve of {model.name}", compute, progress)


def _compare_sizes(
    plan: ModelPlan, model: RankedModel, right: Right, allowance: Allowance, progress: Progress
) -> Resolution:
    """The advised model's probe at 3/4, 1 and 4/3 of its size; `OutOfTime` as of `_curve_of`."""
    data, (train, judged) = plan.data, plan.data.folds[0]
    labels, classes = data.images.labels, data.dataset.classes
    chosen = _chosen(plan, model.name)
    own = load_model(chosen, plan.settings)
    sizes = sizes_around(model.size, image_step(own))
    pixels = {size: size**2 for size in sizes if size != model.size}
    images = len(train) + len(judged)
    needed_s = sum(pixels.values()) / model.size**2 * images * model.cost.seconds_per_1000 / 1000

    def compute(timed: Progress) -> SizesRecord:
        if needed_s > allowance.left_s():
            raise OutOfTime(f"they need about {duration(needed_s, 0)}.")

        def read(size: int) -> tuple[Right, float]:
            before = sum(count for other, count in pixels.items() if other < size)

            def report(done: int, total: int, text: str) -> None:
                share = done / total if total and text.endswith("features") else 0.0
                timed(round(before + share * pixels[size]), sum(pixels.values()), f"{size} px, {text}")

            backbone = load_model(chosen, plan.settings.model_copy(update={"size": size}))
            features, bank = _features(plan, backbone, CallbackProgress(report))
            head = fit_many_classes(
                features[train], labels[train], class_count=len(classes), penalty=model.probe.penalty
            )
            noise = np.random.default_rng(0).integers(0, 256, (8, size, size, 3), dtype=np.uint8)
            _, _, fastest_s = time_forward(backbone, noise, device=plan.device, batch_size=bank.batch_size)
            return np.asarray(head.predict(features[judged]) == labels[judged]), 1000 * fastest_s

        frame = data.images.frame
        short = np.minimum(frame["width"].to_numpy(), frame["height"].to_numpy())[judged].astype(np.int64)
        resolution = compare_sizes(
            read,
            sizes,
            (model.size, right, model.cost.seconds_per_1000),
            data.dataset.groups[judged],
            short_sides=short,
            crop_share=own.geometry.crop_share if own.geometry.fit == "crop" else 1.0,
        )
        return SizesRecord(resolution=resolution)

    key = ("sizes", model.fingerprint, data.key, plan.settings.seed)
    return _within(plan, allowance, SizesRecord, key, f"sizes of {model.name}", compute, progress).resolution


def _within(
    plan: ModelPlan,
    allowance: Allowance,
    kind: type[Kept],
    key: tuple[object, ...],
    name: str,
    compute: Callable[[Progress], Kept],
    progress: Progress,
) -> Kept:
    """A stored result, or one that is computed within the budget; what a budget did not reach, it does not reach again.

    Raises:
        OutOfTime: the budget does not reach.
    """
    skipped = allowance.agenda.skipped
    if name in skipped:
        raise OutOfTime(skipped[name])
    record = plan.store.load(kind, *key)
    if record is None:
        try:
            timed = until(progress, allowance.deadline)
            timed(0, 0)
            record = compute(timed)
        except OutOfTime as error:
            skipped[name] = str(error)
            allowance.save()
            raise
        plan.store.save(record, *key)
        allowance.save()
    return record
