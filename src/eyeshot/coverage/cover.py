"""The main job: does the augmented training cloud cover the target, for this model?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from eyeshot.augment import augmentation, compose_lines
from eyeshot.coverage import words
from eyeshot.coverage.advice import choose_advice
from eyeshot.coverage.candidates import Judged, gain_of, judge
from eyeshot.coverage.clouds import NEIGHBOURS
from eyeshot.coverage.confirm import confirm
from eyeshot.coverage.curve import clean_curve
from eyeshot.coverage.data import Progress, decode_tables
from eyeshot.coverage.kept_labels import find_destroyers
from eyeshot.coverage.mapping import draw_map, take_pictures
from eyeshot.coverage.measure import GENERATED, Bench, Measured, measure, measure_generated
from eyeshot.coverage.plan import Plan, prepare
from eyeshot.coverage.rank_all import make_ranker, rank_all
from eyeshot.coverage.report import Base, Budget, CoverReport, ModelInfo, Order, SkippedFile, ValidationCheck
from eyeshot.coverage.result import Cover, Pictures
from eyeshot.coverage.run_words import finding_of_all
from eyeshot.coverage.set_up import set_up, trained_backbone
from eyeshot.coverage.shift import measure_shift
from eyeshot.coverage.spend_budget import spend_budget
from eyeshot.coverage.stages import choose_stage, measure_stages
from eyeshot.coverage.trust import trust_words
from eyeshot.models import FeatureBank, gpu_errors_told
from eyeshot.settings import check_settings
from eyeshot.training import Accuracy, describe_hardware, describe_versions, wilson


@gpu_errors_told()
def cover(
    train: str | Path,
    *,
    plan: Plan | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    ranked_by_cover: Callable[[CoverReport], None] | None = None,
    command: str = "",
    **settings: object,
) -> Cover:
    """Rank augmentations by what of the target training can see with them, and by short runs.

    Args:
        train: class folders of labelled images (or the root of a `labels` CSV).
        plan: what `prepare` gave for the same arguments.
        cache: where pixels, features, short runs and the baseline are kept.
        progress: called with (what, done, total).
        ranked_by_cover: called with the report as far as it goes, before the budget is spent on short runs.
        command: recorded in the report.
        **settings: fields of `CoverSettings`, for instance `test`, `model`, `from_scratch`, `candidates`, `budget_s`.

    Returns:
        the report with ranking and scores, and the arrays of the page.

    Raises:
        InputError: an argument cannot be used.
        ModelError: the model cannot be had, or gives features that are not finite, or the GPU is lost or full.
        StorageError: the cache cannot be written.

    Costs one forward pass per view, sources × draws × candidates, and then the budget; all else is small and does
    not grow with the number of training images beyond reading their headers. The same call continues where a killed
    one stopped.
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
    backbone, baseline_head, baseline_accuracy, baseline_note = trained_backbone(plan, data, progress, command)
    mark = lap("baseline", mark)
    bank = FeatureBank(plan.cache, backbone, device=plan.device, batch_size=chosen.batch_size)
    bench, clean_all = set_up(plan, data, bank, baseline_head, progress)
    measured = _measure_all(plan, bench, progress)
    seconds["augment"], seconds["forward"] = round(bank.augment_s, 2), round(bank.forward_s, 2)
    mark = time.perf_counter()
    small_batches = (
        [f"features: batches of {bank.batch_size}, since {plan.device} has no room for more."]
        if bank.batch_size < chosen.batch_size
        else []
    )
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
    of_validation = plan.tables.target_is_validation
    shift = measure_shift(
        bench.clean,
        bench.labels,
        bench.head.held_out,
        bench.target.points,
        target_is_validation=of_validation,
        seed=chosen.seed,
    )
    base = _measure_base(bench, judged)
    target: Literal["test", "validation"] = "validation" if of_validation else "test"
    check = _check_validation(bench)
    lap("scores", mark)
    seconds["scores"] = round(seconds["scores"] + bench.score_s, 2)

    def report(judged: Judged, order: Order | None, budget: Budget | None) -> CoverReport:
        by_distance = judged.ranked_by == "nearest_distance"
        advice, why = choose_advice(judged, weight=1.0 if order is None else order.weight)
        ranked = [one for one in judged.candidates if one.role == "ranked"]
        if order is None or not ranked:
            found = words.finding(ranked, clear=judged.clear, by_distance=by_distance, advice=why, target=target)
        else:
            found = finding_of_all(ranked, clear=judged.clear, advice=why, target=target)
        warning = [] if base is None else words.of_base(base.name, base.destroys)
        return CoverReport(
            answer=[*warning, *found, shift.words],
            advice=advice,
            recipe=_recipe(advice, judged),
            trust=trust_words(shift, pretrained=plan.backbone.pretrained, budget=order is not None),
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
            base=base,
            budget=budget,
            order=order,
            notes=[*plan.notes, *data.notes, *baseline_note, *small_batches],
            skipped=[SkippedFile(path=path, reason=reason) for path, reason in data.skipped],
            seconds=seconds,
            versions=describe_versions(),
            hardware=describe_hardware(plan.device),
            command=command,
        )

    found = report(judged, None, None)
    if chosen.budget_s and plan.costs is not None:
        if ranked_by_cover is not None:
            ranked_by_cover(found)
        mark = time.perf_counter()
        ranker = make_ranker(
            measured, judged, bench.head,
            shift=shift, target_is_validation=of_validation, head_stage=backbone.pretrained, seed=chosen.seed,
        )  # fmt: skip
        short, budget, run_notes = spend_budget(
            plan, data, bench, judged, ranker, budget_s=chosen.budget_s, progress=progress
        )
        order = None
        if backbone.pretrained or any(run.readings for run in short.runs.values()):
            judged, order = rank_all(judged, ranker, short)
        else:
            run_notes.append("No short run came to a reading: the ranking by cover stands.")
        found = report(judged, order, budget)
        found.notes += run_notes
        mark = lap("short runs", mark)
    if chosen.confirm:
        mark = time.perf_counter()
        found.confirmed = confirm(train, plan, judged, progress=progress, command=command)
        lap("confirm", mark)
    mark = time.perf_counter()
    shown = {one.name for one in judged.candidates if one.role == "ranked"} | {"clean"}
    found.stages = measure_stages(bench, [one for one in measured if one.name in shown], progress=progress)
    found.stage_used, found.stage_reason = choose_stage(found.stages)
    mark = lap("stages", mark)
    drawn, notes = draw_map(
        bench,
        measured,
        judged,
        advice=found.advice,
        wanted=chosen.map,
        shown=chosen.projections,
        images=chosen.images,
        progress=progress,
    )
    pictures = take_pictures(bench, plan.candidates, judged) if chosen.images else Pictures()
    lap("map", mark)
    found.projections = [] if drawn is None else [projection.info for projection in drawn.projections]
    found.notes += notes
    found.seconds = seconds | {"total": round(time.perf_counter() - begin, 2)}
    return Cover(found, drawn, pictures)


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


def _measure_base(bench: Bench, judged: Judged) -> Base | None:
    """The base on its own, against a no-op without it."""
    if not bench.base:
        return None
    alone = replace(bench, base=(), _no_op={})
    one = measure(alone, bench.base[0])
    gain, _ = gain_of(one, judged.ranked_by == "nearest_distance")
    return Base(
        name=one.name,
        destroys=find_destroyers(bench.head, [one.kept], mixing=[one.mixes])[0],
        score=gain,
    )


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
