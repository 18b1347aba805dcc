"""The same scores in the space of each stage of the model; which stage is used, and why.

The last layer is used whatever the numbers say: choosing a stage by cover of the target would be tuning on it. The
reason given is what heads on clean training images know of held-out ones; the target has no part in it. Features of
stages lie in the bank already, so nothing here costs a forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import Progress, percent
from eyeshot.coverage.clouds import CloudCover, cover_by_cloud, make_target
from eyeshot.coverage.data import Part
from eyeshot.coverage.kept_labels import SIGNIFICANCE, mcnemar
from eyeshot.coverage.measure import Bench, Measured, cover_by_views, views_of, yardstick
from eyeshot.coverage.report import StageReport, StageScores
from eyeshot.coverage.set_up import fit_on_clean
from eyeshot.coverage.shift import cover_by_clean
from eyeshot.models import LAST


def measure_stages(
    bench: Bench, candidates: Sequence[Measured], *, progress: Progress | None = None
) -> list[StageReport]:
    """Scores of candidates in the space of every stage, shallow ones first, the last layer behind.

    Args:
        bench: on which the candidates were measured, with the last layer's features.
        candidates: those to show; the last layer's scores are taken from them as they are. Mixtures are left out:
            no neighbour of theirs has one class.
        progress: told how far it is; None: nobody.

    Time as for the cover of all candidates, once per earlier stage; memory for the views of one candidate.
    """
    names = bench.bank.backbone.stage_names
    shown = [one for one in candidates if not one.mixes]
    reports = []
    for number, name in enumerate(names):
        if progress is not None:
            progress(number, len(names), "measuring stages")
        reports.append(_report(bench, bench if name == LAST else bench_at(bench, name), name, shown))
    if progress is not None:
        progress(len(names), len(names), "measuring stages")
    return reports


def choose_stage(reports: Sequence[StageReport]) -> tuple[str, str]:
    """The stage whose scores rank, and the reason: the last layer, with what heads on each know."""
    last = next(one for one in reports if one.name == LAST)
    earlier = [one for one in reports if one.name != LAST]
    if not earlier:
        return LAST, "The last layer is used: no earlier stage with a map of its own was found in this model."
    rates = ", ".join(f"{one.name} {percent(one.head_accuracy)}" for one in earlier)
    # The smallest of several p-values, times their number: Bonferroni's correction, and Holm's first step.
    best = min(earlier, key=lambda one: 1.0 if one.head_p_value is None else one.head_p_value)
    p_value = 1.0 if best.head_p_value is None else min(1.0, best.head_p_value * len(earlier))
    stands = "all other scores, and the literature on cover, stand on it, and no stage is picked by the target"
    if p_value <= SIGNIFICANCE:
        return LAST, (
            f"The last layer is used, although a head on {best.name} is right on {percent(best.head_accuracy)} of "
            f"held-out images and one on the last layer on {percent(last.head_accuracy)} (McNemar's test, corrected "
            f"for {len(earlier)} stages: p = {p_value:.2g}; {rates}): {stands}."
        )
    return LAST, (
        f"The last layer is used: a head on it is right on {percent(last.head_accuracy)} of held-out images, and none "
        f"on an earlier stage is clearly better ({rates}); {stands}."
    )


def bench_at(bench: Bench, stage: str) -> Bench:
    """The same images in the reference space of another stage, without half-samples: no intervals are shown.

    Raises:
        InputError: the model has no such stage.
    """
    bank, data = bench.bank.at(stage), bench.data

    def clean(part: Part) -> NDArray[np.floating]:
        return bank.clean(part.pool, np.arange(len(part)))

    sources, target, held_out = clean(data.sources), clean(data.target), clean(data.val)
    space, head = fit_on_clean(sources, target, held_out, data, seed=bench.seed)
    return replace(
        bench,
        bank=bank,
        space=space,
        target=make_target(space.transform(target)),
        clean=head.sources,
        head=head,
        score_s=0.0,
        _no_op={},
    )


def _report(last: Bench, bench: Bench, name: str, candidates: Sequence[Measured]) -> StageReport:
    of_target, of_held_out = cover_by_clean(
        bench.clean,
        bench.labels,
        bench.head.held_out,
        bench.target.points,
        np.random.default_rng([bench.seed, 2]),
    )
    right, last_right = bench.head.correct, last.head.correct
    won, lost = int((right & ~last_right).sum()), int((~right & last_right).sum())
    columns = bench.bank.columns
    return StageReport(
        name=name,
        width=columns.stop - columns.start,
        dimensions=bench.clean.shape[1],
        head_accuracy=bench.head.accuracy,
        head_p_value=None if name == LAST else mcnemar(won, lost),
        target_coverage=of_target.coverage,
        held_out_coverage=of_held_out.coverage,
        candidates={one.name: _scores(*_covers(bench, one, measured_here=bench is last)) for one in candidates},
    )


def _covers(bench: Bench, one: Measured, *, measured_here: bool) -> tuple[CloudCover, CloudCover]:
    """Cover by the candidate's cloud, and by the no-op with as many draws."""
    if measured_here:
        return one.cover, one.yardstick
    if one.augmentation is not None:
        points, present, _ = views_of(bench, one.augmentation, one.draws)
        return cover_by_views(bench, points, present), yardstick(bench, one.draws)
    generated = bench.data.generated
    if generated is None:
        raise ValueError(f"{one.name} has neither an augmentation nor generated images")
    made = bench.space.transform(bench.bank.clean(generated.pool, np.arange(len(generated))))
    labels = np.concatenate([bench.labels, generated.labels])
    cloud = np.concatenate([bench.clean, made])[:, None]
    return cover_by_cloud(bench.target, cloud, labels), yardstick(bench, one.draws)


def _scores(cover: CloudCover, no_op: CloudCover) -> StageScores:
    return StageScores(
        coverage=cover.coverage,
        density=cover.density,
        nearest_distance=cover.nearest_distance,
        label_consistent_coverage=cover.label_consistent_coverage,
        reach=cover.label_consistent_coverage - no_op.label_consistent_coverage,
    )
