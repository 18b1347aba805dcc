"""How far the target is from clean training images, for this model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from eyeshot.core import percent
from eyeshot.models import domain_classifier
from eyeshot.rankings.augmentations.coverage import NEIGHBOURS, CoverageScores, make_target, measure_coverage
from eyeshot.rankings.augmentations.report import Shift

FOLDS = 5
LEAST_CONSISTENT = 0.05
"""Share of held-out images; below it, too few neighbours agree for a ratio of label-consistent coverages."""
PENALTY = 20.0
"""Penalty of the train-against-test probe: scikit-learn's C = 0.1 (with two classes C is 2 / penalty)."""
TOLERANCE = 1e-6


def measure_shift(
    sources: NDArray[np.float32],
    labels: NDArray[np.int64],
    held_out: NDArray[np.float32],
    target: NDArray[np.float32],
    *,
    target_is_validation: bool,
    seed: int,
) -> Shift:
    """Coverage of the target by clean training images, divided by their coverage of held-out training images.

    The weight of coverage in the combined score is based on label-consistent coverage, like the coverage gain: rotated
    or inverted pictures still have training images as neighbours, but of several classes.

    Args:
        sources: float32 (n, d), clean training images in the reference space.
        labels: int64 (n,), their classes.
        held_out: float32 (n_val, d), held-out training images.
        target: float32 (M, d), the images to be covered.
        target_is_validation: whether the target is the held-out images themselves, so that there is no shift.
        seed: seed of the choice of images that makes the numbers equal.
    """
    random = np.random.default_rng([seed, 2])
    count = min(len(held_out), len(target))
    target_scores, held_out_scores = coverage_by_clean(sources, labels, held_out, target, random)
    of_target, consistent = target_scores.coverage, target_scores.consistent_coverage
    if target_is_validation:
        return Shift(
            target_coverage=of_target,
            held_out_coverage=of_target,
            ratio=1.0,
            target_consistent=consistent,
            held_out_consistent=consistent,
            weight=0.0,
            domain_auc=None,
            count=count,
            words="The target is the held-out training images themselves: no shift by construction.",
        )
    of_held_out, held_out_consistent = held_out_scores.coverage, held_out_scores.consistent_coverage
    ratio = min(1.0, of_target / of_held_out) if of_held_out > 0 else None
    known = ratio if held_out_consistent < LEAST_CONSISTENT else min(1.0, consistent / held_out_consistent)
    auc = domain_auc(sources, target, random)
    return Shift(
        target_coverage=of_target,
        held_out_coverage=of_held_out,
        ratio=ratio,
        target_consistent=consistent,
        held_out_consistent=held_out_consistent,
        weight=None if known is None else 1 - known,
        domain_auc=auc,
        count=count,
        words=_words(of_target, of_held_out, ratio, count),
    )


def coverage_by_clean(
    sources: NDArray[np.float32],
    labels: NDArray[np.int64],
    held_out: NDArray[np.float32],
    target: NDArray[np.float32],
    random: np.random.Generator,
) -> tuple[CoverageScores, CoverageScores]:
    """Coverage of the target and of held-out images by clean sources, at equal counts."""
    count = min(len(held_out), len(target))
    if count <= NEIGHBOURS:
        raise ValueError(f"count must be over {NEIGHBOURS}, got {count}")

    def covered(points: NDArray[np.float32]) -> CoverageScores:
        chosen = points[np.sort(random.choice(len(points), count, replace=False))]
        return measure_coverage(make_target(chosen), sources[:, None], labels)

    return covered(target), covered(held_out)


def domain_auc(train: NDArray[np.float32], target: NDArray[np.float32], random: np.random.Generator) -> float:
    """Area under the curve of a cross-fitted linear classifier between two sets of equal size; 0.5 is no difference."""
    count = min(len(train), len(target))
    rows = np.concatenate([cloud[random.choice(len(cloud), count, replace=False)] for cloud in (train, target)])
    in_target = np.repeat([False, True], count)
    fold = np.empty(2 * count, np.int64)
    folds = StratifiedKFold(min(FOLDS, count), shuffle=True, random_state=0)
    for number, (_, held) in enumerate(folds.split(rows, in_target)):
        fold[held] = number
    logits = domain_classifier(rows, in_target, fold, penalty=PENALTY, tolerance=TOLERANCE)
    return float(roc_auc_score(in_target, logits))


def _words(target: float, held_out: float, ratio: float | None, count: int) -> str:
    if ratio is None:
        return "Not even held-out training images are covered: coverage is not informative for this model."
    degree = "hardly any" if ratio > 0.9 else "a mild" if ratio > 0.6 else "a strong" if ratio > 0.2 else "an extreme"
    return (
        f"Clean training covers, ignoring labels, {percent(target)} of {count} target images and "
        f"{percent(held_out)} of as many held-out training images: {degree} shift for this model."
    )
