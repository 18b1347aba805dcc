"""All scores of a candidate: coverage by its cloud, label preservation, and its record in the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, compose_lines
from eyeshot.models import fit_head
from eyeshot.rankings.augmentations.context import IDENTITY, EvalContext
from eyeshot.rankings.augmentations.coverage import CoverageScores, measure_coverage
from eyeshot.rankings.augmentations.data import Part
from eyeshot.rankings.augmentations.label_preservation import (
    CleanProbe,
    LabelPreservation,
    by_class,
    confused_classes,
    find_label_breaking,
    measure_label_preservation,
    mixed_labels,
)
from eyeshot.rankings.augmentations.report import Candidate, ClassScores, Role, Scores
from eyeshot.rankings.augmentations.settings import samples_of

GENERATED = "generated"
CLEAN = "clean"
UNRANKED_FAMILIES = ("control", "masking", "mixing")
"""Families that coverage does not rank."""


@dataclass(frozen=True, eq=False)
class AugmentationScores:
    """A measured candidate.

    Attributes:
        name, family: name and family of the candidate.
        augmentation: None for generated images.
        cloud: coverage of the target by its cloud.
        identity: coverage by the identity control with as many samples per image.
        labels: label preservation.
        mixes: whether labels are mixed, so that no neighbour has a single class.
        samples_per_image: V, the samples per image of the identity control; for generated images their number per
            source image.
        points: float32 (n, V, d), its samples in the reference space.
        present: bool (n, V), False where the operation failed.
    """

    name: str
    family: str
    augmentation: Augmentation | None
    cloud: CoverageScores
    identity: CoverageScores
    labels: LabelPreservation
    mixes: bool
    samples_per_image: int
    points: NDArray[np.float32]
    present: NDArray[np.bool_]

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self.present.sum())

    @property
    def left_out(self) -> int:
        """Number of samples on which the operation failed."""
        return int((~self.present).sum())

    def gain(self, *, by_distance: bool) -> tuple[float, NDArray[np.float64]]:
        """The ranking score, a gain over the identity control with as many samples, and its half-samples (B,)."""
        if by_distance:
            return (
                self.identity.nearest_distance - self.cloud.nearest_distance,
                self.identity.half_distance - self.cloud.half_distance,
            )
        return (
            self.cloud.consistent_coverage - self.identity.consistent_coverage,
            self.cloud.half_consistent - self.identity.half_consistent,
        )


def measure(context: EvalContext, candidate: Augmentation, *, samples: int | None = None) -> AugmentationScores:
    """All scores of an augmentation; `samples` per image if they are fewer than the context's."""
    samples = samples or samples_of((*context.before, candidate), context.samples_per_image)
    points, present, soft = context.source_samples(candidate, samples)
    cloud = context.coverage_of(points, present)
    val, probe = context.data.val, context.probe
    features, success, partners, weights = context.bank.views(
        (*context.before, candidate), val.pool, np.arange(len(val)), seed=context.seed, draw=0
    )
    begin = time.perf_counter()
    sample_labels: NDArray[np.int64] | NDArray[np.float32] = np.broadcast_to(context.labels[:, None], present.shape)[
        present
    ]
    val_labels = val.labels
    if soft is not None:
        sample_labels = soft[present]
        val_labels = mixed_labels(val.labels, partners, weights, probe.class_count).argmax(axis=1).astype(np.int64)
    owners = np.broadcast_to(np.arange(len(points))[:, None], present.shape)[present]
    succeeded = points[present]
    if len(succeeded) == 0:  # the operation failed everywhere, so only clean images are left
        succeeded, sample_labels, owners = probe.sources, context.labels, np.arange(len(points))
    labels = measure_label_preservation(
        probe,
        succeeded,
        sample_labels,
        owners=owners,
        held_out_samples=context.space.transform(features)[success],
        held_out_sample_features=features[success].astype(np.float32),
        held_out_sample_labels=val_labels[success],
    )
    context.score_s += time.perf_counter() - begin
    return AugmentationScores(
        name=candidate.name,
        family=candidate.family,
        augmentation=candidate,
        cloud=cloud,
        identity=context.identity_coverage(samples),
        labels=labels,
        mixes=candidate.mixes,
        samples_per_image=samples,
        points=points,
        present=present,
    )


def measure_generated(context: EvalContext, generated: Part) -> AugmentationScores:
    """All scores of generated images: unlike a sample, each of them is a separate image in the cloud."""
    probe = context.probe
    features = context.bank.clean(generated.pool, np.arange(len(generated)))
    begin = time.perf_counter()
    points = context.space.transform(features)
    halves = context.target.halves
    cloud = measure_coverage(
        context.target,
        np.concatenate([probe.sources, points])[:, None],
        np.concatenate([context.labels, generated.labels]),
        halves=None if halves is None else halves.with_more_sources(len(points), seed=context.seed),
    )
    # There are no held-out generated images, so every second image is judged by a probe that learned from the rest.
    judged = np.arange(len(points)) % 2 == 1
    labels = measure_label_preservation(
        probe,
        points,
        generated.labels,
        owners=np.full(len(points), -1),
        held_out_samples=points[judged],
        held_out_sample_features=features[judged].astype(np.float32),
        held_out_sample_labels=generated.labels[judged],
    )
    if len(np.unique(generated.labels[~judged])) < 2:
        labels = replace(labels, relearnability=None, relearned=0)
    else:
        alone = fit_head(points[~judged], generated.labels[~judged], class_count=probe.class_count)
        predicted = alone.predict(points[judged])
        right = predicted == generated.labels[judged]
        labels = replace(
            labels,
            relearnability=float(right.mean()),
            relearnability_by_class=by_class(right, generated.labels[judged], probe.class_count),
            relearn_predicted=predicted,
        )
    context.score_s += time.perf_counter() - begin
    samples = int(np.clip(round(len(points) / len(context.labels)), 1, context.samples_per_image))
    return AugmentationScores(
        name=GENERATED,
        family="generated",
        augmentation=None,
        cloud=cloud,
        identity=context.identity_coverage(samples),
        labels=labels,
        mixes=False,
        samples_per_image=samples,
        points=points[:, None],
        present=np.ones((len(points), 1), bool),
    )


def unranked_records(
    measured: Sequence[AugmentationScores], probe: CleanProbe, *, classes: Sequence[str], model: str
) -> list[Candidate]:
    """The candidates of the report, in the given order, with roles and scores but without ranks.

    Args:
        measured: all candidates.
        probe: linear probe on clean images.
        classes: names of the C classes.
        model: name of the model.
    """
    breaking = find_label_breaking(
        probe, [scores.labels for scores in measured], mixing=[scores.mixes for scores in measured]
    )
    roles = [_role(scores, reasons) for scores, reasons in zip(measured, breaking, strict=True)]
    counts = covered_counts(measured, roles)
    records = []
    for scores, role, reasons in zip(measured, roles, breaking, strict=True):
        augmentation = scores.augmentation
        only = int((scores.cloud.consistent & (counts == 1)).sum()) if role == "ranked" else None
        values, missing = _values(scores, only)
        records.append(
            Candidate(
                name=scores.name,
                family=scores.family,
                model=model,
                role=role,
                scores=values,
                missing=missing,
                per_class=_per_class(scores, classes),
                mixes=confused_classes(scores.labels, probe, classes) if role == "label-breaking" else [],
                warnings=[_with_class_name(reason, classes) for reason in reasons],
                left_out=scores.left_out,
                samples=scores.samples,
                samples_per_image=scores.samples_per_image,
                description="" if augmentation is None else augmentation.description,
                recipe=[] if augmentation is None else list(compose_lines(augmentation)),
            )
        )
    return records


def covered_counts(measured: Sequence[AugmentationScores], roles: Sequence[Role]) -> NDArray[np.int64]:
    """Number of ranked candidates that cover each target image with a consistent label, int64 (M,).

    Clean and the identity control add 2 each, so that no candidate alone covers an image that they cover.
    """
    counts = np.zeros(len(measured[0].cloud.covered), np.int64)
    for scores, role in zip(measured, roles, strict=True):
        if role == "ranked":
            counts += scores.cloud.consistent
        elif scores.name in (CLEAN, IDENTITY):
            counts += 2 * scores.cloud.consistent
    return counts


def _role(scores: AugmentationScores, breaking: list[str]) -> Role:
    if scores.name in (CLEAN, IDENTITY):
        return "control"
    if breaking:
        return "label-breaking"
    if scores.family == "control":
        return "control"
    return "regulariser" if scores.family in ("masking", "mixing") else "ranked"


def _values(measured: AugmentationScores, only: int | None) -> tuple[Scores, dict[str, str]]:
    """The numbers of the report, and the reasons for missing numbers."""
    cloud, labels = measured.cloud, measured.labels
    missing: dict[str, str] = {}
    scores = Scores(
        coverage=cloud.coverage,
        density=cloud.density,
        nearest_distance=cloud.nearest_distance,
        raw_coverage_gain=cloud.coverage - measured.identity.coverage,
        only_covered=only,
        affinity=labels.affinity,
        affinity_worst_class=_least(labels.affinity_by_class),
        relearnability=labels.relearnability,
        relearnability_worst_class=_least(labels.relearnability_by_class),
        retention=labels.retention,
        retention_worst_class=_least(labels.retention_by_class),
    )
    if measured.mixes:
        why = "labels are mixed, so neighbours have no single class to agree on"
        missing |= dict.fromkeys(("consistent_coverage", "coverage_gain"), why)
    else:
        scores.consistent_coverage = cloud.consistent_coverage
        scores.coverage_gain = cloud.consistent_coverage - measured.identity.consistent_coverage
    if only is None:
        missing["only_covered"] = "counted among ranked candidates only"
    for name in ("affinity", "relearnability"):
        if getattr(scores, name) is None:
            missing |= dict.fromkeys((name, f"{name}_worst_class"), "no held-out sample to judge")
    return scores, missing


def _per_class(measured: AugmentationScores, classes: Sequence[str]) -> dict[str, ClassScores]:
    def value(shares: NDArray[np.float64], number: int) -> float | None:
        return None if np.isnan(shares[number]) else float(shares[number])

    newly = measured.cloud.consistent & ~measured.identity.consistent
    labels = measured.labels
    return {
        name: ClassScores(
            covered=None if measured.mixes else int((newly & (measured.cloud.agreed_class == number)).sum()),
            affinity=value(labels.affinity_by_class, number),
            relearnability=value(labels.relearnability_by_class, number),
            retention=value(labels.retention_by_class, number),
        )
        for number, name in enumerate(classes)
    }


def _with_class_name(reason: str, classes: Sequence[str]) -> str:
    """A reason with the name of the class instead of its number."""
    start, mark, number = reason.rpartition(" in class ")
    return f"{start}{mark}{classes[int(number)]}" if mark and number.isdigit() else reason


def _least(values: NDArray[np.float64]) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmin(values))
