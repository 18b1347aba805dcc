"""Measurements written by hand, for what follows from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import augmentation
from eyeshot.core import draw_half_samples
from eyeshot.rankings.augmentations.coverage import CoverageScores
from eyeshot.rankings.augmentations.label_preservation import CleanProbe, LabelPreservation
from eyeshot.rankings.augmentations.ranking import rank_by_coverage
from eyeshot.rankings.augmentations.report import Candidate
from eyeshot.rankings.augmentations.scores import AugmentationScores, unranked_records

TARGETS, HELD_OUT = 200, 90
CLASSES = ("cat", "dog", "owl")
LABELS = np.arange(HELD_OUT) % 3
HALVES = draw_half_samples(TARGETS, 2, seed=0).target


def first(count: int) -> NDArray[np.bool_]:
    """The first so many target images."""
    return np.arange(TARGETS) < count


def cloud(consistent: NDArray[np.bool_], *, agreed: int = 0, distance: float = 1.0) -> CoverageScores:
    """A cloud that covers just these target images, with a consistent label."""
    distances = np.where(consistent, 0.5, distance).astype(np.float32)
    return CoverageScores(
        covered=consistent,
        agreed_class=np.full(TARGETS, agreed),
        distance=distances,
        density=0.5,
        half_coverage=HALVES.astype(float) @ consistent / (TARGETS // 2),
        half_consistent=HALVES.astype(float) @ (consistent & (agreed >= 0)) / (TARGETS // 2),
        half_distance=np.array([np.median(distances[half]) for half in HALVES], np.float64),
    )


def preserved(after: NDArray[np.int64] = LABELS, *, relearned: NDArray[np.int64] | None = None) -> LabelPreservation:
    said = LABELS if relearned is None else relearned
    right = np.array([(said[number == LABELS] == number).mean() for number in range(3)])
    fallen = np.array([(after[number == LABELS] == number).mean() - 1 for number in range(3)])
    return LabelPreservation(
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


def clean_probe() -> CleanProbe:
    nothing = np.empty((0, 2), np.float32)
    return CleanProbe(
        sources=nothing,
        labels=LABELS[:0],
        held_out=nothing,
        held_out_labels=LABELS,
        class_count=3,
        predicted=LABELS,
        probabilities=np.eye(3, dtype=np.float32)[LABELS],
        judged_labels=LABELS,
        judged_predicted=LABELS,
        predict_features=lambda rows: LABELS,
        clean_model_accuracy=1.0,
    )


def measured(name: str, of_cloud: CoverageScores, *, identity: CoverageScores, **changes: object) -> AugmentationScores:
    """A candidate of the catalogue, or generated images; 50 sources with 3 samples each."""
    entry = None if name == "generated" else augmentation(name)
    scores = AugmentationScores(
        name=name,
        family="generated" if entry is None else entry.family,
        augmentation=entry,
        cloud=of_cloud,
        identity=identity,
        labels=preserved(),
        mixes=entry is not None and entry.mixes,
        samples_per_image=3,
        points=np.empty((50, 3, 2), np.float32),
        present=np.ones((50, 3), bool),
    )
    return replace(scores, **changes)  # type: ignore[arg-type]


def ranked(*candidates: AugmentationScores, at_chance: bool = False) -> tuple[list[Candidate], str]:
    """The ranking by coverage, and what ranks."""
    probe = clean_probe()
    records = unranked_records(candidates, probe, classes=CLASSES, model="net")
    return rank_by_coverage(records, candidates, probe, classes=CLASSES, at_chance=at_chance)


def candidates(clean: int = 40, **clouds: CoverageScores) -> list[AugmentationScores]:
    """The controls, which cover the first `clean` target images, and candidates (`_` for `-` in their names)."""
    identity = cloud(first(clean))
    names = {"clean": identity, "no-op": identity, "shuffled-pixels": identity}
    names |= {name.replace("_", "-"): of_cloud for name, of_cloud in clouds.items()}
    return [measured(name, of_cloud, identity=identity) for name, of_cloud in names.items()]
