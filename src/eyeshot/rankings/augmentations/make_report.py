"""What `rank_augmentations()` found, put into the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from eyeshot.augment import augmentation, compose_lines
from eyeshot.core import describe_hardware, describe_versions
from eyeshot.models import Backbone
from eyeshot.predictions import Accuracy
from eyeshot.rankings.augmentations import words
from eyeshot.rankings.augmentations.advice import choose_advice
from eyeshot.rankings.augmentations.candidates import Judged
from eyeshot.rankings.augmentations.clouds import NEIGHBOURS
from eyeshot.rankings.augmentations.data import Data
from eyeshot.rankings.augmentations.measure import GENERATED, Bench
from eyeshot.rankings.augmentations.plan import Plan
from eyeshot.rankings.augmentations.report import (
    Base,
    Budget,
    ModelInfo,
    Order,
    RankingReport,
    Shift,
    SkippedFile,
    ValidationCheck,
)
from eyeshot.rankings.augmentations.run_words import finding_of_all
from eyeshot.rankings.augmentations.trust import trust_words


@dataclass(frozen=True, eq=False)
class Facts:
    """What stands in the report whoever is first."""

    plan: Plan
    data: Data
    backbone: Backbone
    baseline_accuracy: float | None
    shift: Shift
    check: ValidationCheck
    base: Base | None
    command: str


def make_report(
    facts: Facts, judged: Judged, *, order: Order | None = None, budget: Budget | None = None
) -> RankingReport:
    """The report as far as it goes: `order` and `budget` come with short runs."""
    plan, data, backbone, base, shift = facts.plan, facts.data, facts.backbone, facts.base, facts.shift
    target: Literal["test", "validation"] = "validation" if plan.tables.target_is_validation else "test"
    advice, why = choose_advice(judged, weight=1.0 if order is None else order.weight)
    ranked = [one for one in judged.candidates if one.role == "ranked"]
    if order is None or not ranked:
        by_distance = judged.ranked_by == "nearest_distance"
        found = words.finding(ranked, clear=judged.clear, by_distance=by_distance, advice=why, target=target)
    else:
        found = finding_of_all(ranked, clear=judged.clear, advice=why, target=target)
    warning = [] if base is None else words.of_base(base.name, base.destroys)
    model = ModelInfo(
        name=backbone.name,
        pretrained=plan.backbone.pretrained,
        size=backbone.geometry.size,
        feature_count=backbone.feature_count,
        fingerprint=backbone.fingerprint,
        reason=backbone.reason,
        baseline_accuracy=facts.baseline_accuracy,
    )
    return RankingReport(
        answer=[*warning, *found, shift.words],
        advice=advice,
        recipe=_recipe(advice, judged),
        trust=trust_words(shift, pretrained=plan.backbone.pretrained, budget=order is not None),
        n_train=plan.tables.n_train,
        n_val=plan.tables.n_val,
        n_target=plan.tables.n_target,
        n_sources=len(data.sources),
        n_target_used=len(data.target),
        n_val_used=len(data.val),
        target=target,
        classes=data.classes,
        models=[model],
        size=backbone.geometry.size,
        fit=backbone.geometry.fit,
        neighbours=NEIGHBOURS,
        draws=plan.settings.samples_per_image,
        sample=plan.settings.max_images,
        seed=plan.settings.seed,
        ranked_by=judged.ranked_by,
        shift=shift,
        validation_check=facts.check,
        candidates=judged.candidates,
        uncovered=sorted(data.target.ids[row] for row in np.flatnonzero(judged.unreached)),
        base=base,
        budget=budget,
        order=order,
        skipped=[SkippedFile(path=path, reason=reason) for path, reason in data.skipped],
        versions=describe_versions(),
        hardware=describe_hardware(plan.device),
        command=facts.command,
    )


def check_validation(bench: Bench) -> ValidationCheck:
    """Is the model right more often where clean training covers?"""
    head = bench.head
    covered, right = bench.held_out_covered, head.correct
    inside = Accuracy.of_counts(int(right[covered].sum()), int(covered.sum()))
    outside = Accuracy.of_counts(int(right[~covered].sum()), int((~covered).sum()))
    return ValidationCheck(
        inside=inside.n,
        outside=outside.n,
        accuracy_inside=inside.value,
        accuracy_outside=outside.value,
        interval_inside=inside.interval,
        interval_outside=outside.interval,
    )


def _recipe(advice: str, judged: Judged) -> list[str]:
    if advice == GENERATED:
        return ["# add the generated images to the training folder, class by class"]
    found = next((one.recipe for one in judged.candidates if one.name == advice), None)
    return found if found is not None else list(compose_lines(augmentation(advice)))
