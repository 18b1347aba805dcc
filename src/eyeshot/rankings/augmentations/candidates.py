"""From measurements to the candidates of `augmentations.json`: roles, ranks, ties, reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import compose_lines
from eyeshot.core import half_sample_interval
from eyeshot.rankings.augmentations.class_effects import (
    harmed_classes,
    helped_classes,
    mixed_classes,
    name_class,
    per_class,
)
from eyeshot.rankings.augmentations.kept_labels import CleanHead, find_destroyers
from eyeshot.rankings.augmentations.measure import Measured
from eyeshot.rankings.augmentations.ranking import rank_gains
from eyeshot.rankings.augmentations.report import Candidate, Role, Scores
from eyeshot.rankings.augmentations.words import reasons

LEAST_COVERAGE = 0.05


@dataclass(frozen=True, eq=False)
class Judged:
    """All candidates, and what follows from them.

    Attributes:
        candidates: ranked first, in order, then harder, destroyers, controls.
        clear: whether the first beats the no-op beyond noise.
        clean_group: the tie group of clean.
        ranked_by: the score of the ranking.
        unreached: bool (M,), target images that neither clean nor a ranked candidate reaches.
    """

    candidates: list[Candidate]
    clear: bool
    clean_group: int
    ranked_by: Literal["reach", "nearest_distance"]
    unreached: NDArray[np.bool_]


def judge(
    measured: Sequence[Measured],
    head: CleanHead,
    *,
    classes: Sequence[str],
    model: str,
) -> Judged:
    """Give every candidate its role, rank and reasons.

    Args:
        measured: all candidates.
        head: on clean images.
        classes: C names.
        model: its name.
    """
    destroyed = find_destroyers(head, [one.kept for one in measured], mixing=[one.mixes for one in measured])
    roles: list[Role] = [_role(one, why) for one, why in zip(measured, destroyed, strict=True)]
    ranked = [number for number, role in enumerate(roles) if role == "ranked"]
    best_coverage = max((measured[number].cover.coverage for number in ranked), default=1.0)
    by_distance = best_coverage < LEAST_COVERAGE
    gains = [gain_of(one, by_distance) for one in measured]
    values = np.array([gains[number][0] for number in ranked])
    halves = np.column_stack([gains[number][1] for number in ranked]) if ranked else np.empty((0, 0))
    ranking = rank_gains(values, halves)
    place = {ranked[int(position)]: rank for rank, position in enumerate(ranking.order, start=1)}
    reached = _reached_count(measured, roles)
    unreached = reached == 0
    candidates = []
    for number, one in enumerate(measured):
        value, over_halves = gains[number]
        mixed = one.mixes and not by_distance
        position = ranked.index(number) if number in place else None
        only = None
        if roles[number] == "ranked":
            only = int((one.cover.reached & (reached == 1)).sum())
        scores, missing = _scores(one, only)
        candidate = Candidate(
            name=one.name,
            family=one.family,
            model=model,
            role=roles[number],
            rank=place.get(number),
            tie_group=None if position is None else int(ranking.tie_group[position]),
            score=None if mixed else value,
            interval=None if mixed else half_sample_interval(value, over_halves),
            scores=scores,
            missing=missing,
            per_class=per_class(one, classes),
            mixes=mixed_classes(one, head, classes) if roles[number] == "destroyer" else [],
            warnings=[name_class(why, classes) for why in destroyed[number]],
            left_out=one.left_out,
            views=one.views,
            draws=one.draws,
            description="" if one.augmentation is None else one.augmentation.description,
            recipe=[] if one.augmentation is None else list(compose_lines(one.augmentation)),
        )
        if one.name in ("clean", "no-op"):
            candidate.tie_group = ranking.clean_group
        helped, harmed = helped_classes(candidate), harmed_classes(one, head, classes)
        beats = position is not None and bool(ranking.beats[position])
        candidate.reasons = (
            [f"{why}" for why in candidate.warnings]
            if candidate.role == "destroyer"
            else reasons(one, candidate, beats=beats, by_distance=by_distance, harmed=harmed, helped=helped)
        )
        candidates.append(candidate)
    candidates.sort(key=place_in_report)
    return Judged(
        candidates,
        bool(len(ranked)) and bool(ranking.beats[ranking.order[0]]),
        ranking.clean_group,
        "nearest_distance" if by_distance else "reach",
        unreached,
    )


def place_in_report(one: Candidate) -> tuple[int, int]:
    """Sorts candidates: ranked first, in order, then harder, destroyers, controls."""
    return get_args(Role).index(one.role), one.rank or 0


def _role(one: Measured, why: list[str]) -> Role:
    if one.name in ("clean", "no-op"):
        return "control"
    if why:
        return "destroyer"
    if one.family == "control":
        return "control"
    return "harder" if one.family in ("masking", "mixing") else "ranked"


def gain_of(one: Measured, by_distance: bool) -> tuple[float, NDArray[np.float64]]:
    """The score and its values on the half-samples, as a gain over the no-op with as many draws."""
    if by_distance:
        return (
            one.yardstick.nearest_distance - one.cover.nearest_distance,
            one.yardstick.half_distance - one.cover.half_distance,
        )
    return (
        one.cover.label_consistent_coverage - one.yardstick.label_consistent_coverage,
        one.cover.half_consistent - one.yardstick.half_consistent,
    )


def _reached_count(measured: Sequence[Measured], roles: Sequence[Role]) -> NDArray[np.int64]:
    """By how many ranked candidates each target image is reached; those that clean reaches count as 2 more."""
    counts = np.zeros(len(measured[0].cover.covered), np.int64)
    for one, role in zip(measured, roles, strict=True):
        if role == "ranked":
            counts += one.cover.reached
        elif one.name in ("clean", "no-op"):
            counts += 2 * one.cover.reached
    return counts


def _scores(one: Measured, only: int | None) -> tuple[Scores, dict[str, str]]:
    cover, kept = one.cover, one.kept
    missing: dict[str, str] = {}
    scores = Scores(
        coverage=cover.coverage,
        density=cover.density,
        nearest_distance=cover.nearest_distance,
        coverage_gain=cover.coverage - one.yardstick.coverage,
        only_reached=only,
        affinity=kept.affinity,
        affinity_worst_class=_least(kept.affinity_by_class),
        relearnability=kept.relearnability,
        relearnability_worst_class=_least(kept.relearnability_by_class),
        retention=kept.retention,
        retention_worst_class=_least(kept.retention_by_class),
    )
    if one.mixes:
        why = "labels are mixed, so neighbours have no one class to agree on"
        missing |= dict.fromkeys(("label_consistent_coverage", "reach"), why)
    else:
        scores.label_consistent_coverage = cover.label_consistent_coverage
        scores.reach = cover.label_consistent_coverage - one.yardstick.label_consistent_coverage
    if only is None:
        missing["only_reached"] = "counted among ranked candidates only"
    for name in ("affinity", "relearnability"):
        if getattr(scores, name) is None:
            missing |= dict.fromkeys((name, f"{name}_worst_class"), "no held-out view to judge")
    return scores, missing


def _least(values: NDArray[np.float64]) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmin(values))
