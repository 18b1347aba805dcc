"""The ranking by coverage gain, and which candidates are indistinguishable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import ROUNDING, critical_value, half_sample_error, half_sample_interval, tied_with_best
from eyeshot.rankings.augmentations import recommendation
from eyeshot.rankings.augmentations.context import IDENTITY
from eyeshot.rankings.augmentations.label_preservation import CleanProbe, harmed_classes, helped_classes
from eyeshot.rankings.augmentations.report import Candidate, RankedBy, Role
from eyeshot.rankings.augmentations.scores import CLEAN, AugmentationScores

Array = NDArray[np.float64]


def rank_by_coverage(
    records: Sequence[Candidate],
    measured: Sequence[AugmentationScores],
    probe: CleanProbe,
    *,
    classes: Sequence[str],
    at_chance: bool,
) -> tuple[list[Candidate], RankedBy]:
    """Rank the candidates by coverage gain, with groups and reasons.

    If the best ranked candidate covers less than 5 % of the target, candidates are ranked by distance. If the probe on
    clean images is at chance, agreement of labels means nothing, and nothing is ranked.

    Args:
        records: candidates with roles and scores, in the order of `measured`.
        measured: all candidates.
        probe: linear probe on clean images.
        classes: names of the C classes.
        at_chance: whether the probe is no better than chance.

    Returns:
        ranked candidates first, in order, then regularisers, label-breaking candidates and controls; what `score` is.
    """
    ranked = [] if at_chance else [row for row, record in enumerate(records) if record.role == "ranked"]
    best_coverage = max((measured[row].cloud.coverage for row in ranked), default=1.0)
    by_distance = best_coverage < recommendation.LEAST_COVERAGE
    gains = [scores.gain(by_distance=by_distance) for scores in measured]
    values = np.array([gains[row][0] for row in ranked])
    halves = np.column_stack([gains[row][1] for row in ranked]) if ranked else np.empty((0, 0))
    least = 0.0 if by_distance else least_gain(len(measured[0].cloud.covered))
    order, groups, beats, clean_group = rank_gains(values, halves, least=least)
    places = {ranked[int(position)]: rank for rank, position in enumerate(order, start=1)}
    candidates = []
    for row, (record, scores) in enumerate(zip(records, measured, strict=True)):
        candidate = record.model_copy()
        value, over_halves = gains[row]
        if not at_chance and (by_distance or not scores.mixes):
            candidate.score = value
            low, high = half_sample_interval(value, over_halves)
            # Limited to the images that can still be covered, and to those that can be lost.
            candidate.interval = (low, high) if by_distance else (max(low, -1.0), min(high, 1.0))
        if row in places:
            position = ranked.index(row)
            candidate.rank = places[row]
            candidate.group = int(groups[position])
            candidate.beats_clean = bool(beats[position])
        elif candidate.name in (CLEAN, IDENTITY) and not at_chance:
            candidate.group = clean_group
        candidate.reasons = (
            list(candidate.warnings)
            if candidate.role == "label-breaking"
            else recommendation.reasons(
                candidate,
                by_distance=by_distance,
                harmed=harmed_classes(scores.labels, probe, classes),
                helped=helped_classes(candidate),
            )
        )
        candidates.append(candidate)
    return sorted(candidates, key=place_in_report), "nearest_distance" if by_distance else "coverage_gain"


def place_in_report(candidate: Candidate) -> tuple[int, bool, int]:
    """Sort key of a candidate: ranked, in order, then regularisers, label-breaking candidates, controls.

    Within a role, candidates without a rank come last: they had no short run.
    """
    return get_args(Role).index(candidate.role), candidate.rank is None, candidate.rank or 0


def least_gain(targets: int) -> float:
    """The smallest gain of coverage that counts with this many target images: two images."""
    return recommendation.LEAST_IMAGES / max(1, targets)


def rank_gains(
    gains: Array, over_halves: Array, *, least: float = 0.0, may_beat: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], int]:
    """Rank K candidates by their gains; clean images, whose gain is 0, compete with them.

    Args:
        gains: (K,), over the identity control with as many samples; larger is better.
        over_halves: (B, K), the same on the half-samples, paired.
        least: the smallest difference that counts; smaller differences are ties.
        may_beat: bool (K,), the candidates that may be called better than clean; None: all.

    Returns:
        order: int64 (K,), positions from first to last: by group, and by gain within a group. A candidate with a wide
            interval may be in an earlier group than a candidate with a larger gain, and then ranks before it.
        groups: int64 (K,), of indistinguishable candidates; group 1 holds the candidates that may be the best.
        beats: bool (K,), significantly better than clean, for all candidates at once.
        clean_group: the group of clean.
    """
    count = len(gains)
    if count == 0:
        empty = np.empty(0, np.int64)
        return empty, empty, np.empty(0, bool), 1
    beats = better_than_zero(gains, over_halves) & (gains >= least - ROUNDING)
    beats &= True if may_beat is None else may_beat
    with_clean = np.append(gains, 0.0)
    halves = np.column_stack([over_halves, np.zeros(len(over_halves))])
    groups = np.zeros(count + 1, np.int64)
    number = 1
    while (groups == 0).any():
        left = np.flatnonzero(groups == 0)
        tied = tied_with_best(with_clean[left], halves[:, left], least=least)
        if number == 1:
            tied[left == count] = not beats.any()  # clean is among the best if and only if nothing beats it
        groups[left[tied]] = number
        number += 1
    order = np.lexsort((-gains, groups[:count]))
    return order.astype(np.int64), groups[:count], beats, int(groups[count])


def better_than_zero(gains: NDArray[np.float64], over_halves: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which gains are above 0 for all candidates at once: Dunnett's comparison with a control, over half-samples."""
    errors = np.array([half_sample_error(over_halves[:, column]) for column in range(len(gains))])
    centred = over_halves - over_halves.mean(axis=0)
    scaled = centred / np.where(errors < 1e-12, 1.0, errors)
    return gains > critical_value(scaled) * errors + ROUNDING
