"""The main job: does the augmented training cloud cover the target, for this model?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, Pool, augmentation, augmentations, compose_lines
from eyeshot.coverage import words
from eyeshot.coverage.candidates import Judged, judge
from eyeshot.coverage.clouds import NEIGHBOURS, make_target
from eyeshot.coverage.curve import clean_curve
from eyeshot.coverage.data import Data, Part, Progress, Tables, check_folders, decode_tables, read_tables
from eyeshot.coverage.half_samples import draw_half_samples
from eyeshot.coverage.kept_labels import classes_of, fit_clean_head
from eyeshot.coverage.mapping import draw_map, take_pictures
from eyeshot.coverage.measure import GENERATED, Bench, Measured, measure, measure_generated
from eyeshot.coverage.reference_space import fit_reference_space
from eyeshot.coverage.report import CoverReport, ModelInfo, SkippedFile, ValidationCheck
from eyeshot.coverage.result import Cover, Pictures
from eyeshot.coverage.shift import measure_shift
from eyeshot.models import (
    DEFAULT_MODEL,
    DEFAULT_MODEL_REASON,
    Backbone,
    FeatureBank,
    Head,
    choose_device,
    load_backbone,
)
from eyeshot.settings import CoverSettings, check_settings
from eyeshot.training import Accuracy, describe_hardware, describe_versions, train_baseline, wilson
from eyeshot.workspace import find_workspace

ASPECT_PERCENTILES = (5, 95)


@dataclass(frozen=True, eq=False)
class Plan:
    """A run that is ready to start: folders read, model loaded, candidates chosen, nothing decoded."""

    settings: CoverSettings
    tables: Tables
    backbone: Backbone
    device: str
    candidates: tuple[Augmentation, ...]
    cache: Path
    notes: list[str]

    @property
    def views(self) -> int:
        """Augmented images that will go through the model, held-out views included."""
        held_out = len(self.tables.val)
        draws = [1 if one.deterministic else self.settings.draws for one in self.candidates]
        return sum(draw * len(self.tables.sources) + held_out for draw in draws)


def prepare(
    train: str | Path, settings: CoverSettings, *, cache: Path | None = None, progress: Progress | None = None
) -> Plan:
    """Check everything that can be checked before the long work.

    Raises:
        InputError: a folder, option or candidate cannot be used.
        ModelError: the model or its weights cannot be had.
    """
    cache = cache or find_workspace().cache
    device, device_reason = choose_device(settings.device)
    check_folders(Path(train), settings)
    augmentations(*settings.candidates)  # an unknown name fails before folders are read
    if settings.map:
        augmentations(*settings.map)
    model, reason = (
        (settings.model, "") if settings.model else (DEFAULT_MODEL, f" (no --model given: {DEFAULT_MODEL_REASON})")
    )
    backbone = load_backbone(
        model,
        weights=settings.weights,
        from_scratch=settings.from_scratch,
        size=settings.size,
        mean=settings.mean,
        std=settings.std,
        interpolation=settings.interpolation,
        fit=settings.fit,
    )
    tables = read_tables(Path(train), settings, cache=cache, progress=progress)
    notes = [
        *tables.notes,
        f"model: {backbone.name}{reason}; {backbone.reason}",
        f"device: {device} ({device_reason})",
    ]
    return Plan(settings, tables, backbone, str(device), _choose_candidates(settings, tables), cache, notes)


def cover(
    train: str | Path,
    *,
    plan: Plan | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    command: str = "",
    **settings: object,
) -> Cover:
    """Rank augmentations by what of the target training can see with them.

    Args:
        train: class folders of labelled images (or the root of a `labels` CSV).
        plan: what `prepare` gave for the same arguments.
        cache: where pixels, features and the baseline are kept.
        progress: called with (what, done, total).
        command: recorded in the report.
        **settings: fields of `CoverSettings`, for instance `test`, `model`, `from_scratch`, `candidates`.

    Returns:
        the report with ranking and scores, and the arrays of the page.

    Raises:
        InputError: an argument cannot be used.
        ModelError: the model cannot be had, or gives features that are not finite.
        StorageError: the cache cannot be written.

    Costs one forward pass per view, sources × draws × candidates; all else is small and does not grow with the
    number of training images beyond reading their headers. The same call continues where a killed one stopped.
    """
    begin = time.perf_counter()
    seconds: dict[str, float] = {}
    plan = plan or prepare(train, check_settings(**settings), cache=cache, progress=progress)
    chosen = plan.settings

    def lap(part: str, since: float) -> float:
        now = time.perf_counter()
        seconds[part] = round(seconds.get(part, 0.0) + now - since, 2)
        return now

    mark = lap("read", begin)
    data = decode_tables(plan.tables, plan.backbone.geometry, chosen, cache=plan.cache, progress=progress)
    mark = lap("decode", mark)
    backbone, baseline_head, baseline_accuracy, baseline_note = _trained(plan, data, progress, command)
    mark = lap("baseline", mark)
    bank = FeatureBank(plan.cache, backbone, device=plan.device, batch_size=chosen.batch_size)
    bench, clean_all = _set_up(plan, data, bank, baseline_head, progress)
    measured = _measure_all(plan, bench, progress)
    seconds["augment"], seconds["forward"] = round(bank.augment_s, 2), round(bank.forward_s, 2)
    mark = time.perf_counter()
    curve = clean_curve(
        bench.target,
        clean_all,
        np.concatenate([data.sources.labels, data.more.labels]),
        sources=len(data.sources),
    )
    judged = judge(
        measured,
        bench.head,
        classes=data.classes,
        curve=curve,
        sources=len(data.sources),
        model=backbone.name,
    )
    shift = measure_shift(
        bench.clean,
        bench.labels,
        bench.head.held_out,
        bench.target.points,
        target_is_validation=plan.tables.target_is_validation,
        seed=chosen.seed,
    )
    check = _check_validation(bench)
    lap("scores", mark)
    seconds["scores"] = round(seconds["scores"] + bench.score_s, 2)
    mark = time.perf_counter()
    ranked = [one for one in judged.candidates if one.role == "ranked"]
    by_distance = judged.ranked_by == "nearest_distance"
    # Coming nearer without reaching anything is no cure.
    advice = ranked[0].name if judged.clear and not by_distance else words.CONTROL_ADVICE
    drawn, notes = draw_map(
        bench,
        measured,
        judged,
        advice=advice,
        wanted=chosen.map,
        shown=chosen.projections,
        images=chosen.images,
        progress=progress,
    )
    pictures = take_pictures(bench, plan.candidates, judged) if chosen.images else Pictures()
    lap("map", mark)
    target: Literal["test", "validation"] = "validation" if plan.tables.target_is_validation else "test"
    report = CoverReport(
        answer=words.answer(ranked, clear=judged.clear, by_distance=by_distance, shift=shift, target=target),
        advice=advice,
        recipe=_recipe(advice, judged),
        trust=words.TRUST,
        n_train=plan.tables.n_train,
        n_val=plan.tables.n_val,
        n_target=plan.tables.n_target,
        n_sources=len(data.sources),
        n_target_used=len(data.target),
        n_val_used=len(data.val),
        target=target,
        classes=data.classes,
        models=[
            ModelInfo(
                name=backbone.name,
                pretrained=plan.backbone.pretrained,
                size=backbone.geometry.size,
                feature_count=backbone.feature_count,
                fingerprint=backbone.fingerprint,
                reason=backbone.reason,
                baseline_accuracy=baseline_accuracy,
            )
        ],
        size=backbone.geometry.size,
        fit=backbone.geometry.fit,
        neighbours=NEIGHBOURS,
        draws=chosen.draws,
        sample=chosen.sample,
        seed=chosen.seed,
        ranked_by=judged.ranked_by,
        shift=shift,
        curve=curve,
        validation_check=check,
        candidates=judged.candidates,
        uncovered=sorted(data.target.ids[row] for row in np.flatnonzero(judged.unreached)),
        projections=[] if drawn is None else [projection.info for projection in drawn.projections],
        notes=[*plan.notes, *data.notes, *baseline_note, *notes],
        skipped=[SkippedFile(path=path, reason=reason) for path, reason in data.skipped],
        seconds=seconds | {"total": round(time.perf_counter() - begin, 2)},
        versions=describe_versions(),
        hardware=describe_hardware(plan.device),
        command=command,
    )
    return Cover(report, drawn, pictures)


def _choose_candidates(settings: CoverSettings, tables: Tables) -> tuple[Augmentation, ...]:
    """The asked ones, and the controls in every run."""
    ratios = (tables.train.frame["width"] / tables.train.frame["height"]).to_numpy()
    low, high = np.percentile(ratios, ASPECT_PERCENTILES)
    asked = augmentations(*settings.candidates, aspect_ratios=(float(low), float(high)))
    controls = augmentations("control")
    return (*(one for one in asked if one.family != "control"), *controls)


def _trained(
    plan: Plan, data: Data, progress: Progress | None, command: str
) -> tuple[Backbone, Head | None, float | None, list[str]]:
    """The backbone with trained weights: its own, or those of a baseline trained in place."""
    if data.baseline is None:
        return plan.backbone, None, None, []
    part, val = data.baseline, data.val
    images = np.concatenate([np.asarray(part.pool.images), np.asarray(val.pool.images)])
    pool = Pool(images, [*part.pool.keys, *val.pool.keys])
    baseline = train_baseline(
        plan.backbone,
        pool,
        np.concatenate([part.labels, val.labels]),
        np.arange(len(part)),
        val_rows=np.arange(len(part), len(pool)),
        classes=data.classes,
        cache=plan.cache,
        seed=plan.settings.seed,
        time_cap_s=plan.settings.baseline_cap_s,
        device=plan.device,
        progress=None
        if progress is None
        else (lambda done, total, text: progress(f"training the baseline {text}", done, total)),
        command=command,
    )
    accuracy = baseline.result.accuracy.value
    note = [f"Baseline: {baseline.backbone.reason} Accuracy {accuracy:.3f} on {len(val)} held-out images."]
    if baseline.result.ended_early:
        note.append(f"Baseline: {baseline.result.ended_early}")
    note += baseline.result.alarms
    return baseline.backbone, baseline.head, accuracy, note


def _set_up(
    plan: Plan, data: Data, bank: FeatureBank, baseline_head: Head | None, progress: Progress | None
) -> tuple[Bench, NDArray[np.float32]]:
    """Clean features, the reference space, the target's balls and the clean head."""
    seed = plan.settings.seed

    def clean(part: Part, what: str) -> NDArray[np.float16]:
        report = None if progress is None else (lambda done, total: progress(f"features of {what}", done, total))
        return bank.clean(part.pool, np.arange(len(part)), progress=report)

    sources, more = clean(data.sources, "training images"), clean(data.more, "training images")
    target = clean(data.target, "target images")
    val = clean(data.val, "held-out images")
    space = fit_reference_space(sources, target, seed=seed)
    halves = draw_half_samples(len(target), len(sources), seed=seed)
    points = space.transform(sources)
    head = fit_clean_head(
        points,
        data.sources.labels,
        space.transform(val),
        data.val.labels,
        class_count=len(data.classes),
        clean_model=None if baseline_head is None else partial(classes_of, baseline_head),
        transform=space.transform,
        held_out_features=val.astype(np.float32),
    )
    bench = Bench(
        bank,
        space,
        data,
        make_target(space.transform(target), halves=halves),
        points,
        head,
        seed,
        plan.settings.draws,
    )
    return bench, np.concatenate([points, space.transform(more)]) if len(more) else points


def _measure_all(plan: Plan, bench: Bench, progress: Progress | None) -> list[Measured]:
    measured = []
    total = len(plan.candidates)
    for number, candidate in enumerate(plan.candidates):
        if progress is not None:
            progress("measuring candidates", number, total)
        measured.append(measure(bench, candidate))
    if bench.data.generated is not None:
        measured.append(measure_generated(bench, bench.data.generated))
    if progress is not None:
        progress("measuring candidates", total, total)
    return measured


def _check_validation(bench: Bench) -> ValidationCheck:
    """Is the model right more often where clean training covers?"""
    head = bench.head
    covered, right = bench.held_out_covered, head.correct
    inside = wilson(int(right[covered].sum()), int(covered.sum()))
    outside = wilson(int(right[~covered].sum()), int((~covered).sum()))
    return ValidationCheck(
        inside=inside.n,
        outside=outside.n,
        accuracy_inside=inside.value,
        accuracy_outside=outside.value,
        interval_inside=_ends(inside),
        interval_outside=_ends(outside),
    )


def _ends(accuracy: Accuracy) -> tuple[float, float] | None:
    return None if accuracy.low is None or accuracy.high is None else (accuracy.low, accuracy.high)


def _recipe(advice: str, judged: Judged) -> list[str]:
    if advice == GENERATED:
        return ["# add the generated images to the training folder, class by class"]
    found = next((one.recipe for one in judged.candidates if one.name == advice), None)
    return found if found is not None else list(compose_lines(augmentation(advice)))
