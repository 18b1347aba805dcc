"""The main job: does the augmented training cloud cover the target, for this model?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from eyeshot.core import SILENT, Progress
from eyeshot.data import Dataset
from eyeshot.models import FeatureBank, gpu_errors_told
from eyeshot.rankings.augmentations.candidates import Judged, gain_of, judge
from eyeshot.rankings.augmentations.confirm import confirm
from eyeshot.rankings.augmentations.data import decode_tables
from eyeshot.rankings.augmentations.kept_labels import find_destroyers
from eyeshot.rankings.augmentations.make_report import Facts, check_validation, make_report
from eyeshot.rankings.augmentations.mapping import draw_map, take_pictures
from eyeshot.rankings.augmentations.measure import Bench, Measured, measure, measure_generated
from eyeshot.rankings.augmentations.plan import Plan, prepare
from eyeshot.rankings.augmentations.rank_all import make_ranker, rank_all
from eyeshot.rankings.augmentations.report import Base, RankingReport
from eyeshot.rankings.augmentations.result import AugmentationRanking, Pictures
from eyeshot.rankings.augmentations.set_up import set_up, trained_backbone
from eyeshot.rankings.augmentations.settings import check_settings
from eyeshot.rankings.augmentations.shift import measure_shift
from eyeshot.rankings.augmentations.spend_budget import spend_budget


@gpu_errors_told()
def run_ranking(
    train: str | Path | Dataset,
    *,
    plan: Plan | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    ranked_by_cover: Callable[[RankingReport], None] | None = None,
    command: str = "",
    **settings: object,
) -> AugmentationRanking:
    """Rank augmentations by what of the target training can see with them, and by short runs.

    Args:
        train: class folders of labelled images (or the root of a `labels` CSV); or images in their roles.
        plan: what `prepare` gave for the same arguments.
        cache: where pixels, features, short runs and the baseline are kept.
        progress: told how far it is; None: nobody.
        ranked_by_cover: called with the report as far as it goes, before the budget is spent on short runs.
        command: recorded in the report.
        **settings: fields of `RankingSettings`, for instance `test`, `model`, `from_scratch`, `candidates`, `budget_s`.

    Returns:
        the report with ranking and scores, and the arrays of the page.

    Raises:
        InputError: an argument cannot be used.
        ModelError: the model cannot be had, or gives features that are not finite, or the GPU is lost or full.
        StorageError: the cache cannot be written.

    Costs one forward pass per view, sources × draws × candidates, and then the budget; all else is small and does
    not grow with the number of training images beyond what `load_dataset` costs. The same call continues where a killed
    one stopped.
    """
    begin = time.perf_counter()
    seconds: dict[str, float] = {}
    progress = progress or SILENT
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
    notes = [*plan.notes, *data.notes, *baseline_note]
    mark = lap("baseline", mark)
    bank = FeatureBank(plan.cache, backbone, device=plan.device, batch_size=chosen.batch_size)
    bench = set_up(plan, data, bank, baseline_head, progress)
    measured = _measure_all(plan, bench, progress)
    seconds["augment"], seconds["forward"] = round(bank.augment_s, 2), round(bank.forward_s, 2)
    mark = time.perf_counter()
    if bank.batch_size < chosen.batch_size:
        notes.append(f"features: batches of {bank.batch_size}, since {plan.device} has no room for more.")
    judged = judge(measured, bench.head, classes=data.classes, model=backbone.name)
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
    mark = lap("scores", mark)
    seconds["scores"] = round(seconds["scores"] + bench.score_s, 2)

    facts = Facts(plan, data, backbone, baseline_accuracy, shift, check_validation(bench), base, command)
    found = make_report(facts, judged)
    found.notes = notes
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
        notes += run_notes
        found = make_report(facts, judged, order=order, budget=budget)
        mark = lap("short runs", mark)
    if chosen.full_train:
        found.confirmed = confirm(plan, judged, progress=progress, command=command)
        mark = lap("confirm", mark)
    drawn, map_notes = draw_map(
        bench,
        measured,
        judged,
        advice=found.advice,
        wanted=chosen.plot,
        shown=chosen.projections,
        images=chosen.images,
        progress=progress,
    )
    pictures = take_pictures(bench, plan.candidates, judged) if chosen.images else Pictures()
    lap("map", mark)
    found.projections = [] if drawn is None else [projection.info for projection in drawn.projections]
    found.notes = [*notes, *map_notes]
    found.seconds = seconds | {"total": round(time.perf_counter() - begin, 2)}
    return AugmentationRanking(found, drawn, pictures)


def _measure_all(plan: Plan, bench: Bench, progress: Progress) -> list[Measured]:
    measured = []
    total = len(plan.candidates)
    step = progress.sub("measuring candidates")
    for number, candidate in enumerate(plan.candidates):
        step(number, total, candidate.name)
        measured.append(measure(bench, candidate))
    if bench.data.generated is not None:
        measured.append(measure_generated(bench, bench.data.generated))
    step(total, total)
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
