"""From a plan to the bench that candidates are measured on: trained weights, clean features, the reference space."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import Progress, draw_half_samples
from eyeshot.models import Backbone, FeatureBank, Head
from eyeshot.rankings.augmentations.clouds import make_target
from eyeshot.rankings.augmentations.data import Data, Part
from eyeshot.rankings.augmentations.kept_labels import classes_of, fit_clean_head
from eyeshot.rankings.augmentations.measure import Bench
from eyeshot.rankings.augmentations.plan import Plan
from eyeshot.rankings.augmentations.reference_space import fit_reference_space
from eyeshot.training import joined, train_baseline


def trained_backbone(
    plan: Plan, data: Data, progress: Progress, command: str
) -> tuple[Backbone, Head | None, float | None, list[str]]:
    """The backbone with trained weights: its own, or those of a baseline trained in place.

    Returns:
        the backbone; the baseline's head, accuracy on held-out images and notes, if there is one.
    """
    if data.baseline is None:
        return plan.backbone, None, None, []
    part, val = data.baseline, data.val
    pool = joined([part.pool, val.pool])
    baseline = train_baseline(
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
    accuracy = baseline.result.accuracy.value
    note = [f"Baseline: {baseline.backbone.reason} Accuracy {accuracy:.3f} on {len(val)} held-out images."]
    if baseline.result.ended_early:
        note.append(f"Baseline: {baseline.result.ended_early}")
    note += baseline.result.alarms
    return baseline.backbone, baseline.head, accuracy, note


def set_up(plan: Plan, data: Data, bank: FeatureBank, baseline_head: Head | None, progress: Progress) -> Bench:
    """Clean features, the reference space, the target's balls and the clean head."""
    seed = plan.settings.seed

    def clean(part: Part, what: str) -> NDArray[np.floating]:
        return bank.clean(part.pool, np.arange(len(part)), progress=progress.sub(f"features of {what}"))

    sources = clean(data.sources, "training images")
    if plan.settings.budget_s:
        clean(data.more, "training images")  # into the bank: short runs start from a head on them
    target = clean(data.target, "target images")
    val = clean(data.val, "held-out images")
    clean_model = None if baseline_head is None else partial(classes_of, baseline_head)
    space = fit_reference_space(sources, target, seed=seed)
    head = fit_clean_head(
        space.transform(sources),
        data.sources.labels,
        space.transform(val),
        data.val.labels,
        class_count=len(data.classes),
        clean_model=clean_model,
        transform=space.transform,
        held_out_features=val.astype(np.float32),
    )
    halves = draw_half_samples(len(target), len(sources), seed=seed)
    return Bench(
        bank,
        space,
        data,
        make_target(space.transform(target), halves=halves),
        head.sources,
        head,
        seed,
        plan.settings.samples_per_image,
        plan.base,
    )
