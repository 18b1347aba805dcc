"""The ranking of augmentations: does the augmented training cloud cover the target, with the labels still right?"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import augmentation, compose_lines
from eyeshot.core import SILENT, Progress, describe_hardware, describe_versions
from eyeshot.models import Backbone, FeatureBank, gpu_errors_explained
from eyeshot.predictions import Accuracy, ModelChoice
from eyeshot.rankings.augmentations.combined import make_scoreboard, rank_combined, shares_notes
from eyeshot.rankings.augmentations.context import EvalContext, make_context, trained_backbone
from eyeshot.rankings.augmentations.coverage import NEIGHBOURS
from eyeshot.rankings.augmentations.data import decode_tables
from eyeshot.rankings.augmentations.full_training import finished_next_step, train_fully
from eyeshot.rankings.augmentations.label_preservation import find_label_breaking
from eyeshot.rankings.augmentations.maps import PER_CLOUD, draw_map, take_pictures
from eyeshot.rankings.augmentations.plan import Plan
from eyeshot.rankings.augmentations.policy import compose_policy, map_of
from eyeshot.rankings.augmentations.ranking import rank_by_coverage
from eyeshot.rankings.augmentations.recommendation import recommend, too_few
from eyeshot.rankings.augmentations.rejection import measure_candidates
from eyeshot.rankings.augmentations.report import (
    BaselineAugmentation,
    Candidate,
    ModelInfo,
    RankedBy,
    RankingReport,
    SkippedFile,
    ValidationCheck,
)
from eyeshot.rankings.augmentations.result import AugmentationRanking, Pictures
from eyeshot.rankings.augmentations.scores import (
    GENERATED,
    AugmentationScores,
    covered_counts,
    measure,
    measure_generated,
    unranked_records,
)
from eyeshot.rankings.augmentations.shift import measure_shift
from eyeshot.rankings.augmentations.short_runs import spend_budget
from eyeshot.training import TrainResult


@gpu_errors_explained()
def run_ranking(
    plan: Plan,
    *,
    later: Sequence[Plan] = (),
    progress: Progress | None = None,
    ranked_by_coverage: Callable[[RankingReport], None] | None = None,
    command: str = "",
) -> AugmentationRanking:
    """Rank augmentations by how much of the target the training images cover with them, and by short runs.

    Args:
        plan: from `prepare`.
        later: plans for other models that run after it. The augmented samples that are theirs too go through their
            models here, so that each is made once; `seconds` of the report counts that as "other models".
        progress: called with the progress; None: not shown.
        ranked_by_coverage: called with the report so far, before the budget is spent on short runs.
        command: recorded in the report.

    Returns:
        the report with the answer, the ranking and all scores, and the arrays of the page.

    Raises:
        InputError: too few images can be used.
        ModelError: the model gives the same features for all images or features that are not finite, or the GPU is
            lost or full.
        StorageError: the cache cannot be written.

    Costs one forward pass per augmented sample, sources x samples x candidates, and then the budget. Everything else
    is small and does not grow with the number of training images beyond the cost of `load_dataset`. The same call
    continues a run that was interrupted.
    """
    begin = time.perf_counter()
    progress = progress or SILENT
    chosen = plan.settings
    seconds: dict[str, float] = {}

    def lap(part: str, since: float) -> float:
        now = time.perf_counter()
        seconds[part] = round(seconds.get(part, 0.0) + now - since, 2)
        return now

    mark = lap("read", begin)
    data = decode_tables(plan.tables, plan.backbone.geometry, chosen, cache=plan.cache, progress=progress)
    mark = lap("decode", mark)
    backbone, baseline_head, baseline, baseline_notes = trained_backbone(plan, data, progress, command)
    # The plan and its images both have the notes of the dataset.
    notes = list(dict.fromkeys([*plan.notes, *data.notes, *baseline_notes]))
    mark = lap("baseline", mark)
    bank = FeatureBank(plan.cache, backbone, device=plan.device, batch_size=chosen.batch_size)
    bank.companions = [
        FeatureBank(other.cache, other.backbone, device=other.device, batch_size=other.settings.batch_size)
        for other in later
        if plan.makes_samples_for(other)
    ]
    context = make_context(plan, data, bank, baseline_head, progress)
    measured, measuring_notes = _measure_all(plan, context, progress)
    notes += measuring_notes
    bank.companions = []  # what follows depends on the model: others may never ask for it
    if bank.companions_s:
        seconds["other models"] = round(bank.companions_s, 2)
    seconds["augment"], seconds["forward"] = round(bank.augment_s, 2), round(bank.forward_s, 2)
    mark = time.perf_counter()
    if bank.batch_size < chosen.batch_size:
        notes.append(f"features: batches of {bank.batch_size}, because {plan.device} has no room for more.")
    probe, of_validation = context.probe, plan.tables.target_is_validation
    few = too_few(len(data.target), len(data.val))
    # With too few images a good probe cannot be told from chance: the report says so, and the rest is ranked.
    at_chance = probe.at_chance and not few
    records = unranked_records(measured, probe, classes=data.classes, model=backbone.name)
    uncovered = covered_counts(measured, [record.role for record in records]) == 0
    ranking, ranked_by = rank_by_coverage(records, measured, probe, classes=data.classes, at_chance=at_chance)
    shift = measure_shift(
        probe.sources,
        context.labels,
        probe.held_out,
        context.target.points,
        target_is_validation=of_validation,
        seed=chosen.seed,
    )
    before = _measure_baseline(context, ranked_by)
    mark = lap("scores", mark)
    seconds["scores"] = round(seconds["scores"] + context.score_s, 2)

    def report(ranking: list[Candidate], **more: Any) -> RankingReport:
        answer = recommend(
            ranking,
            ranked_by=ranked_by,
            order=more.get("order"),
            shift=shift,
            baseline=before,
            pretrained=plan.backbone.pretrained,
            at_chance=at_chance,
            target="validation" if of_validation else "test",
            n_target=len(data.target),
            n_val=len(data.val),
            repeated=data.repeated,
            n_sources=len(data.sources),
            max_images=_reducing(plan),
            explained=baseline_notes,
            share_of_full=more["budget"].share_of_full if "order" in more else None,
            longer_baseline_s=_longer(plan.settings.scratch_time_s) if baseline and baseline.ended_early else None,
        )
        choice: ModelChoice | None = more.get("choice")
        if choice is not None and not at_chance and not few:
            # Finished trainings are nearer to the answer than what ranked their candidates.
            headline, why = choice.reason.split(". ", 1)
            answer |= {"headline": f"{headline}.", "next_step": finished_next_step(choice), "advice": choice.chosen}
            answer["answer"] = [why, *answer["answer"]]
        return RankingReport(
            **answer,
            **_report_of_data(plan, context, uncovered),
            recipe=_recipe(answer["advice"], ranking),
            models=[_model_info(plan, backbone, baseline)],
            ranked_by=ranked_by,
            shift=shift,
            validation_check=_check_validation(context),
            candidates=ranking,
            baseline_augmentation=before,
            command=command,
            **more,
        )

    more: dict[str, Any] = {}
    if chosen.budget_s and plan.costs is not None and at_chance:
        notes.append("No short runs: they would start from a linear probe that is no better than chance.")
    elif chosen.budget_s and plan.costs is not None:
        if ranked_by_coverage is not None:
            ranked_by_coverage(report(ranking, notes=notes))
            mark = time.perf_counter()
        board = make_scoreboard(
            measured, probe,
            ranked_by=ranked_by, shift=shift, target_is_validation=of_validation, probe_stage=backbone.pretrained,
            target_halves=context.halves.target, class_shares=plan.class_shares, seed=chosen.seed,
        )  # fmt: skip
        short, more["budget"], run_notes = spend_budget(
            plan, data, context, ranking, board, budget_s=chosen.budget_s, progress=progress
        )
        if backbone.pretrained or any(trial.evaluations for trial in short.trials.values()):
            ranking, more["order"] = rank_combined(ranking, board, short)
            run_notes += shares_notes(short, board, words=plan.shares_words)
        else:
            run_notes.append("No short run reached an evaluation, so the ranking by coverage stands.")
        notes += run_notes
        mark = lap("short runs", mark)
    if chosen.full_train:
        target = None
        if not of_validation:
            kept = set(data.target.ids)
            target = plan.tables.target.take([row for row, name in enumerate(plan.tables.target.ids) if name in kept])
        more["full_training"], more["choice"] = train_fully(
            plan, ranking, target=target, progress=progress, command=command
        )
        mark = lap("full training", mark)
    ranked_report = report(ranking, **more)
    policy, policy_record, policy_scores = None, None, None
    if chosen.policy:
        policy, policy_record, policy_scores = compose_policy(
            context, measured, ranking,
            advice=ranked_report.advice, shift=shift, pretrained=plan.backbone.pretrained,
            may_rank=not (few or at_chance), progress=progress.sub("composing the policy"),
        )  # fmt: skip
        mark = lap("policy", mark)
    drawn, map_notes = draw_map(
        context,
        measured,
        ranking,
        advice=ranked_report.advice,
        wanted=chosen.plot,
        shown=() if at_chance else chosen.projections,  # features that separate nothing make no map either
        images=chosen.images,
        progress=progress,
        policy=policy_scores,
        policy_steps=policy or (),
    )
    if policy_record is not None and drawn is not None:
        policy_record.map = map_of(drawn, PER_CLOUD)
    pictures = take_pictures(context, plan.candidates, uncovered) if chosen.images else Pictures()
    lap("map", mark)
    ranked_report = ranked_report.model_copy(
        update={
            "policy": policy_record,
            "projections": [] if drawn is None else [projection.info for projection in drawn.projections],
            "notes": list(dict.fromkeys([*notes, *map_notes])),  # plan and short runs may say the same
            "seconds": seconds | {"total": round(time.perf_counter() - begin, 2)},
        }
    )
    return AugmentationRanking(ranked_report, drawn, pictures, policy)


def _measure_all(plan: Plan, context: EvalContext, progress: Progress) -> tuple[list[AugmentationScores], list[str]]:
    # A policy is composed of all samples, so that none can be spared.
    measured, notes = measure_candidates(
        context, plan.candidates, may_reject=not plan.settings.policy, progress=progress
    )
    if context.data.generated is not None:
        measured.append(measure_generated(context, context.data.generated))
    return measured, notes


def _measure_baseline(context: EvalContext, ranked_by: RankedBy) -> BaselineAugmentation | None:
    """The baseline augmentation alone, against the identity control without it."""
    if not context.before:
        return None
    scores = measure(replace(context, before=()), context.before[0])
    gain, _ = scores.gain(by_distance=ranked_by == "nearest_distance")
    return BaselineAugmentation(
        name=scores.name,
        label_breaking=find_label_breaking(context.probe, [scores.labels], mixing=[scores.mixes])[0],
        score=gain,
    )


def _report_of_data(plan: Plan, context: EvalContext, uncovered: NDArray[np.bool_]) -> dict[str, Any]:
    """Fields of the report that say what was used."""
    data, geometry = context.data, plan.backbone.geometry
    return {
        "n_train": plan.tables.n_train,
        "n_val": plan.tables.n_val,
        "n_target": plan.tables.n_target,
        "n_sources": len(data.sources),
        "n_target_used": len(data.target),
        "n_val_used": len(data.val),
        "target": "validation" if plan.tables.target_is_validation else "test",
        "classes": data.classes,
        "size": geometry.size,
        "fit": geometry.fit,
        "neighbours": NEIGHBOURS,
        "samples_per_image": plan.settings.samples_per_image,
        "max_images": plan.settings.max_images,
        "seed": plan.settings.seed,
        "uncovered": sorted(data.target.ids[row] for row in np.flatnonzero(uncovered)),
        "skipped": [SkippedFile(path=path, reason=reason) for path, reason in data.skipped],
        "versions": describe_versions(),
        "hardware": describe_hardware(plan.device),
    }


def _reducing(plan: Plan) -> int | None:
    """The limit of images if it left some out; otherwise None."""
    tables, limit = plan.tables, plan.settings.max_images
    return limit if max(tables.n_train, tables.n_val, tables.n_target) > limit else None


def _longer(seconds: float) -> int:
    """Four times as long, rounded up to whole minutes, in seconds."""
    return 60 * math.ceil(4 * seconds / 60)


def _model_info(plan: Plan, backbone: Backbone, baseline: TrainResult | None) -> ModelInfo:
    return ModelInfo(
        name=backbone.name,
        pretrained=plan.backbone.pretrained,
        size=backbone.geometry.size,
        feature_count=backbone.feature_count,
        fingerprint=backbone.fingerprint,
        reason=backbone.reason,
        baseline_accuracy=None if baseline is None else baseline.accuracy.value,
        baseline_ended_early=None if baseline is None else baseline.ended_early,
    )


def _check_validation(context: EvalContext) -> ValidationCheck:
    """Whether the model is right more often where clean training covers."""
    covered, right = context.held_out_covered, context.probe.correct
    inside = Accuracy.of_counts(int(right[covered].sum()), int(covered.sum()))
    outside = Accuracy.of_counts(int(right[~covered].sum()), int((~covered).sum()))
    return ValidationCheck(
        inside=inside.n,
        outside=outside.n,
        accuracy_inside=inside.value,
        accuracy_outside=outside.value,
        interval_inside=inside.interval,
        interval_outside=outside.interval,
    )


def _recipe(advice: str, ranking: Sequence[Candidate]) -> list[str]:
    if advice == GENERATED:
        return ["# add the generated images to the training folder, class by class"]
    recipe = next((candidate.recipe for candidate in ranking if candidate.name == advice), None)
    return recipe if recipe is not None else list(compose_lines(augmentation(advice)))
