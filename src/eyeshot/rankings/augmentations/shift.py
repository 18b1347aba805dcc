"""How far apart clean training and the target are, for this model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eyeshot.core import percent
from eyeshot.rankings.augmentations.clouds import NEIGHBOURS, CloudCover, cover_by_cloud, make_target
from eyeshot.rankings.augmentations.report import Shift

FOLDS = 5
LEAST_REACHED = 0.05
"""Of held-out images: below it, too few neighbours agree for a ratio of shares reached."""


def measure_shift(
    sources: NDArray[np.float32],
    labels: NDArray[np.int64],
    held_out: NDArray[np.float32],
    target: NDArray[np.float32],
    *,
    target_is_validation: bool,
    seed: int,
) -> Shift:
    """Coverage of the target by clean training over coverage of held-out training images by the same.

    The weight of cover in the ranking of all goes by label-consistent coverage, as reach does: turned or inverted
    pictures lie among training images still, but among those of several classes.

    Args:
        sources: float32 (n, d), clean training images in the reference space.
        labels: int64 (n,)
        held_out: float32 (n_val, d), held-out training images.
        target: float32 (M, d)
        target_is_validation: the target is the held-out images themselves, so there is no shift to measure.
        seed: chooses which images make the numbers equal.
    """
    random = np.random.default_rng([seed, 2])
    count = min(len(held_out), len(target))
    target_cover, held_out_cover = cover_by_clean(sources, labels, held_out, target, random)
    of_target, reached = target_cover.coverage, target_cover.label_consistent_coverage
    if target_is_validation:
        return Shift(
            target_coverage=of_target,
            held_out_coverage=of_target,
            ratio=1.0,
            target_reached=reached,
            held_out_reached=reached,
            weight=0.0,
            domain_auc=None,
            count=count,
            words="The target is the held-out training images themselves: no shift by construction.",
        )
    of_held_out, held_out_reached = held_out_cover.coverage, held_out_cover.label_consistent_coverage
    ratio = min(1.0, of_target / of_held_out) if of_held_out > 0 else None
    known = ratio if held_out_reached < LEAST_REACHED else min(1.0, reached / held_out_reached)
    auc = tell_apart(sources, target, random)
    return Shift(
        target_coverage=of_target,
        held_out_coverage=of_held_out,
        ratio=ratio,
        target_reached=reached,
        held_out_reached=held_out_reached,
        weight=None if known is None else 1 - known,
        domain_auc=auc,
        count=count,
        words=_words(of_target, of_held_out, ratio),
    )


def cover_by_clean(
    sources: NDArray[np.float32],
    labels: NDArray[np.int64],
    held_out: NDArray[np.float32],
    target: NDArray[np.float32],
    random: np.random.Generator,
) -> tuple[CloudCover, CloudCover]:
    """Cover of the target and of held-out images by clean sources, at equal counts."""
    count = min(len(held_out), len(target))
    if count <= NEIGHBOURS:
        raise ValueError(f"count must be over {NEIGHBOURS}, got {count}")

    def covered(points: NDArray[np.float32]) -> CloudCover:
        chosen = points[np.sort(random.choice(len(points), count, replace=False))]
        return cover_by_cloud(make_target(chosen), sources[:, None], labels)

    return covered(target), covered(held_out)


def tell_apart(train: NDArray[np.float32], target: NDArray[np.float32], random: np.random.Generator) -> float:
    """Area under the curve of a cross-fitted linear classifier between two sets at equal counts; 0.5 is alike."""
    count = min(len(train), len(target))
    rows = np.concatenate([cloud[random.choice(len(cloud), count, replace=False)] for cloud in (train, target)])
    domain = np.repeat([0, 1], count)
    folds = StratifiedKFold(min(FOLDS, count), shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    says = cross_val_predict(model, rows, domain, cv=folds, method="decision_function")
    return float(roc_auc_score(domain, says))


def _words(target: float, held_out: float, ratio: float | None) -> str:
    if ratio is None:
        return "Clean training covers not even held-out training images: this model's features cannot tell."
    degree = "hardly any" if ratio > 0.9 else "a mild" if ratio > 0.6 else "a strong" if ratio > 0.2 else "an extreme"
    return (
        f"Clean training covers {percent(target)} of the target and {percent(held_out)} of as many held-out training "
        f"images: {degree} shift for this model."
    )
