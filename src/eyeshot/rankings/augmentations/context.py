"""What all candidates are measured with: trained weights, clean features, reference space, target and probe."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, augmentation
from eyeshot.core import HalfSamples, Progress, draw_half_samples
from eyeshot.models import Backbone, FeatureBank, Head
from eyeshot.rankings.augmentations.coverage import (
    CoverageScores,
    ReferenceSpace,
    Target,
    fit_reference_space,
    make_target,
    measure_coverage,
)
from eyeshot.rankings.augmentations.data import Data, Part
from eyeshot.rankings.augmentations.label_preservation import CleanProbe, fit_clean_probe, mixed_labels
from eyeshot.rankings.augmentations.plan import Plan
from eyeshot.training import TrainResult, joined, train_baseline

IDENTITY = "no-op"
"""The identity control: an augmentation that changes nothing, sampled as often as a candidate."""


@dataclass(eq=False)
class EvalContext:
    """What candidates are measured with; it is the same for all of them.

    Attributes:
        bank: features of clean images and augmented samples, by content.
        space: the space in which distances are measured.
        data: the decoded images.
        target: the points to be covered.
        probe: linear probe on clean images; `probe.sources` are the sources in the reference space.
        seed: seed of the samples.
        samples_per_image: augmented samples of each source image.
        before: the pipeline before every candidate and before the identity control; empty or one step.
        score_s: seconds spent on scores so far.
    """

    bank: FeatureBank
    space: ReferenceSpace
    data: Data
    target: Target
    probe: CleanProbe
    seed: int
    samples_per_image: int
    before: tuple[Augmentation, ...] = ()
    score_s: float = 0.0
    _identity: dict[int, CoverageScores] = field(default_factory=dict, init=False)

    @cached_property
    def held_out_covered(self) -> NDArray[np.bool_]:
        """bool (n_val,), the held-out images that clean training covers."""
        return measure_coverage(make_target(self.probe.held_out), self.probe.sources[:, None], self.labels).covered

    @property
    def halves(self) -> HalfSamples:
        """The half-samples of target images and sources."""
        if self.target.halves is None:
            raise ValueError("the target must have half-samples")
        return self.target.halves

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 (n,), class of each source."""
        return self.data.sources.labels

    def identity_coverage(self, samples: int) -> CoverageScores:
        """Coverage by the identity control with this many samples per image: what more samples gain by chance."""
        if samples not in self._identity:
            points, present, _ = self.source_samples(augmentation(IDENTITY), samples)
            self._identity[samples] = self.coverage_of(points, present)
        return self._identity[samples]

    def source_samples(
        self, candidate: Augmentation, samples: int
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32] | None]:
        """Augmented samples of the n sources.

        Returns:
            float32 (n, V, d) in the reference space; bool (n, V), the samples that succeeded; float32 (n, V, C) label
            shares if the candidate mixes labels, otherwise None.
        """
        sources, count = self.data.sources, len(self.data.sources)
        points, present, soft = [], [], []
        for draw in range(samples):
            features, success, partners, weights = self.bank.views(
                (*self.before, candidate), sources.pool, np.arange(count), seed=self.seed, draw=draw
            )
            points.append(self.space.transform(features))
            present.append(success)
            if candidate.mixes:
                soft.append(mixed_labels(sources.labels, partners, weights, self.probe.class_count))
        return (
            np.stack(points, axis=1).reshape(count, samples, -1),
            np.stack(present, axis=1),
            np.stack(soft, axis=1) if soft else None,
        )

    def coverage_of(self, points: NDArray[np.float32], present: NDArray[np.bool_]) -> CoverageScores:
        """Coverage by the clean sources and their samples: `points` (n, V, d), of which `present` (n, V) count."""
        begin = time.perf_counter()
        cloud = np.concatenate([self.probe.sources[:, None], points], axis=1)
        everywhere = np.concatenate([np.ones((len(points), 1), bool), present], axis=1)
        coverage = measure_coverage(self.target, cloud, self.labels, present=everywhere)
        self.score_s += time.perf_counter() - begin
        return coverage


def trained_backbone(
    plan: Plan, data: Data, progress: Progress, command: str
) -> tuple[Backbone, Head | None, TrainResult | None, list[str]]:
    """The backbone with trained weights: its own, or the weights of a baseline that is trained here.

    Returns:
        the backbone; the baseline's head, result and notes if a baseline was trained.
    """
    if data.baseline is None:
        return plan.backbone, None, None, []
    part, val = data.baseline, data.val
    pool = joined([part.pool, val.pool])
    backbone, head, result = train_baseline(
        plan.backbone,
        pool,
        np.concatenate([part.labels, val.labels]),
        np.arange(len(part)),
        val_rows=np.arange(len(part), len(pool)),
        classes=data.classes,
        cache=plan.cache,
        seed=plan.settings.seed,
        time_cap_s=plan.settings.scratch_time_s,
        device=plan.device,
        progress=progress.sub("training the baseline"),
        command=command,
    )
    accuracy = result.accuracy.value
    notes = [f"Baseline: {backbone.reason} Accuracy {accuracy:.3f} on {len(val)} held-out images."]
    if result.ended_early:
        notes.append(f"Baseline: {result.ended_early}")
    # A gap between training and validation is usual here: the baseline sees clean images alone.
    notes += [f"Baseline: {alarm.words}" for alarm in result.alarms if alarm.kind != "gap"]
    return backbone, head, result, notes


def make_context(
    plan: Plan, data: Data, bank: FeatureBank, baseline_head: Head | None, progress: Progress
) -> EvalContext:
    """Clean features, the reference space, the neighbour balls of the target, and the probe on clean images.

    Raises:
        ModelError: the model gives the same features for all images.
    """
    seed = plan.settings.seed

    def clean(part: Part, what: str) -> NDArray[np.floating]:
        return bank.clean(part.pool, np.arange(len(part)), progress=progress.sub(f"features of {what}"))

    sources = clean(data.sources, "training images")
    if plan.settings.budget_s:
        clean(data.more, "training images")  # fills the bank: short runs start from a head on these features
    target = clean(data.target, "target images")
    val = clean(data.val, "held-out images")
    space = fit_reference_space(sources, target, seed=seed)
    probe = fit_clean_probe(
        space.transform(sources),
        data.sources.labels,
        space.transform(val),
        data.val.labels,
        class_count=len(data.classes),
        clean_model=None if baseline_head is None else baseline_head.predict,
        transform=space.transform,
        held_out_features=val.astype(np.float32),
    )
    halves = draw_half_samples(len(target), len(sources), seed=seed)
    return EvalContext(
        bank=bank,
        space=space,
        data=data,
        target=make_target(space.transform(target), halves=halves),
        probe=probe,
        seed=seed,
        samples_per_image=plan.settings.samples_per_image,
        before=plan.base,
    )
