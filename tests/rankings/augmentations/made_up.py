"""Measurements written by hand, for what follows from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import augmentation
from eyeshot.core import draw_half_samples
from eyeshot.rankings.augmentations.candidates import Judged, judge
from eyeshot.rankings.augmentations.clouds import CloudCover
from eyeshot.rankings.augmentations.kept_labels import CleanHead, KeptLabels
from eyeshot.rankings.augmentations.measure import Measured

TARGETS, HELD_OUT = 200, 90
CLASSES = ("cat", "dog", "owl")
LABELS = np.arange(HELD_OUT) % 3
HALVES = draw_half_samples(TARGETS, 2, seed=0).target


def first(count: int) -> NDArray[np.bool_]:
    """The first so many target images."""
    return np.arange(TARGETS) < count


def cloud_cover(reached: NDArray[np.bool_], *, agreed: int = 0, distance: float = 1.0) -> CloudCover:
    """A cloud that reaches just these target images."""
    distances = np.where(reached, 0.5, distance).astype(np.float32)
    return CloudCover(
        covered=reached,
        agreed_class=np.full(TARGETS, agreed),
        distance=distances,
        density=0.5,
        half_coverage=HALVES.astype(float) @ reached / (TARGETS // 2),
        half_consistent=HALVES.astype(float) @ (reached & (agreed >= 0)) / (TARGETS // 2),
        half_distance=np.array([np.median(distances[half]) for half in HALVES], np.float64),
    )


def kept_labels(after: NDArray[np.int64] = LABELS, *, relearned: NDArray[np.int64] | None = None) -> KeptLabels:
    said = LABELS if relearned is None else relearned
    right = np.array([(said[number == LABELS] == number).mean() for number in range(3)])
    fallen = np.array([(after[number == LABELS] == number).mean() - 1 for number in range(3)])
    return KeptLabels(
        affinity=1.0,
        relearnability=float((said == LABELS).mean()),
        retention=float((after == LABELS).mean() - 1),
        affinity_by_class=np.ones(3),
        relearnability_by_class=right,
        retention_by_class=fallen,
        relearned=HELD_OUT,
        probabilities_after=np.eye(3, dtype=np.float32)[after],
        predicted_after=after,
        relearn_true=LABELS,
        relearn_predicted=said,
    )


def clean_head() -> CleanHead:
    nothing = np.empty((0, 2), np.float32)
    return CleanHead(
        sources=nothing,
        labels=LABELS[:0],
        held_out=nothing,
        held_out_labels=LABELS,
        class_count=3,
        predicted=LABELS,
        probabilities=np.eye(3, dtype=np.float32)[LABELS],
        judged_labels=LABELS,
        judged_predicted=LABELS,
        predict_views=lambda rows: LABELS,
        clean_model_accuracy=1.0,
    )


def measured(name: str, cover: CloudCover, *, no_op: CloudCover, **changes: object) -> Measured:
    """A candidate of the catalogue, or generated images."""
    made = None if name == "generated" else augmentation(name)
    one = Measured(
        name=name,
        family="generated" if made is None else made.family,
        augmentation=made,
        cover=cover,
        yardstick=no_op,
        kept=kept_labels(),
        mixes=made is not None and made.mixes,
        views=150,
        draws=3,
        left_out=0,
        points=np.empty((0, 0, 2), np.float32),
        present=np.empty((0, 0), bool),
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def judged(*candidates: Measured) -> Judged:
    return judge(candidates, clean_head(), classes=CLASSES, model="net")


def bench(clean: int = 40, **covers: CloudCover) -> list[Measured]:
    """The controls, which reach the first `clean` target images, and candidates (`_` for `-` in their names)."""
    no_op = cloud_cover(first(clean))
    names = {"clean": no_op, "no-op": no_op, "shuffled-pixels": no_op}
    names |= {name.replace("_", "-"): cover for name, cover in covers.items()}
    return [measured(name, cover, no_op=no_op) for name, cover in names.items()]
