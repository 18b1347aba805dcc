"""Short runs, models and a base for the made-up report of `synthetic_ranking`; nothing here was measured."""

from __future__ import annotations

import numpy as np
from synthetic_ranking import make_map, make_pictures, make_report

from eyeshot.rankings.augmentations.report import (
    BaselineAugmentation,
    Budget,
    Candidate,
    FullTraining,
    ModelPair,
    ModelRow,
    ModelTable,
    Order,
    Part,
    RankingReport,
    Rung,
    ShortRun,
)
from eyeshot.rankings.augmentations.result import AugmentationRanking

WEIGHT = 0.59
SPREAD, HARDER_SPREAD = 0.015, 0.05
MODELS = ["squeezenet1_1.tv_in1k", "vit_small_patch16_224.augreg_in21k_ft_in1k", "convnext_tiny.fb_in22k"]
PULLED_DOWN = {"sobel-edges": -0.09, "canny-edges": -0.12, "invert": -0.06}
PUSHED_UP = {"trivial-augment-wide": 0.08, "crop-strong": 0.06, "grey": 0.05, "mirror": 0.03}


def _run(candidate: Candidate, random: np.random.Generator, position: int) -> ShortRun:
    network = position < 8
    reach = candidate.scores.coverage_gain or 0.0
    gain = PULLED_DOWN.get(candidate.name, 0) + PUSHED_UP.get(candidate.name, 0) + float(random.normal(0, 0.01))
    accuracy = 0.4 * gain
    harder = candidate.role == "regulariser"
    return ShortRun(
        stage="network" if network else "probe",
        seeds=2,
        steps=240 if network else 0,
        rungs=2 if network else 1,
        accuracy=0.871 + accuracy,
        accuracy_gain=accuracy,
        log_loss=0.412 - gain,
        log_loss_gain=gain,
        log_loss_interval=(gain - 0.028, gain + 0.026),
        target_accuracy=0.41 + 0.5 * reach,
        target_accuracy_interval=(0.38 + 0.5 * reach, 0.44 + 0.5 * reach),
        target_accuracy_gain=0.5 * reach,
        target_accuracy_gain_interval=(0.5 * reach - 0.02, 0.5 * reach + 0.02),
        post_training_coverage=0.36 + 0.6 * reach,
        post_training_coverage_gain=0.6 * reach + float(random.normal(0, 0.008)),
        post_training_coverage_interval=(0.6 * reach - 0.02, 0.6 * reach + 0.02),
        balance=0.87 + 0.3 * reach,
        confidence=0.61 + 0.5 * reach,
        half_masked_before=0.58 if harder else None,
        half_masked_after=0.66 + 0.03 * position if harder else None,
        half_masked_gain=0.02 + 0.03 * position if harder else None,
        ended="the loss was not finite after 120 steps" if candidate.name == "motion-blur" else None,
    )


def _mix(candidates: list[Candidate], values: dict[str, list[float]]) -> None:
    """Parts, combined, ranks: as the one ranking does it, on made-up gains."""
    spread = HARDER_SPREAD if "hidden" in values else SPREAD
    for number, candidate in enumerate(candidates):
        candidate.parts = {
            name: Part(
                value=column[number],
                standardised=column[number] / spread,
                rank=1 + sum(other > column[number] for other in column),
            )
            for name, column in values.items()
        }
        gains = {name: part.standardised for name, part in candidate.parts.items()}
        other = gains["hidden"] if "hidden" in gains else _of_target(candidate)
        weight = 0.5 if "hidden" in gains else WEIGHT
        validation = max(gains.get("probe_validation", gains["validation"]), gains["validation"])
        candidate.combined = weight * other + (1 - weight) * validation
        candidate.combined_interval = (candidate.combined - 1.1, candidate.combined + 1.0)
    candidates.sort(key=lambda one: -(one.combined or 0.0))
    best = candidates[0].combined or 0.0
    for rank, candidate in enumerate(candidates, start=1):
        candidate.rank = rank
        candidate.group = 1 + int((best - (candidate.combined or 0.0)) // 2.1)


def _of_target(candidate: Candidate) -> float:
    return sum(candidate.parts[name].standardised for name in ("target_accuracy", "coverage_gain")) / 2


def make_full_report(classes: list[str] | None = None, **changes: object) -> RankingReport:
    """The report with everything that a budget and several models bring."""
    report = make_report(classes)
    random = np.random.default_rng(7)
    ranked, harder = report.of("ranked"), report.of("regulariser")
    for position, candidate in enumerate([*ranked, *harder]):
        candidate.run = _run(candidate, random, position if candidate.role == "ranked" else position - len(ranked))
    runs = {one.name: one.run for one in [*ranked, *harder] if one.run is not None}
    values = {
        "target_accuracy": [runs[one.name].target_accuracy_gain or 0.0 for one in ranked],
        "coverage_gain": [one.scores.coverage_gain or 0.0 for one in ranked],
        "probe_validation": [0.3 * (runs[one.name].log_loss_gain or 0.0) for one in ranked],
        "validation": [0.6 * (runs[one.name].log_loss_gain or 0.0) for one in ranked],
    }
    _mix(ranked, values)
    _mix(
        harder,
        {
            "validation": [0.6 * (runs[one.name].log_loss_gain or 0.0) for one in harder],
            "hidden": [runs[one.name].half_masked_gain or 0.0 for one in harder],
        },
    )
    ranked[-1].parts["target_accuracy"] = Part(value=None, standardised=0, rank=None)
    rest = [one for one in report.candidates if one.role in ("label-breaking", "control")]
    by_target = sorted(ranked, key=lambda one: -_of_target(one))
    by_validation = sorted(
        ranked, key=lambda one: -max(one.parts["probe_validation"].standardised, one.parts["validation"].standardised)
    )
    advice = ranked[0].name
    return report.model_copy(
        update={
            "candidates": [*ranked, *harder, *rest],
            "advice": advice,
            "headline": f"Train with {advice}: it has the highest score, and validation does not contradict it.",
            "answer": [f"{advice} has the largest coverage gain, and its validation log loss is no worse."],
            "baseline_augmentation": BaselineAugmentation(
                name="train.py:transform",
                label_breaking=["Its half turns make arrow and tree alike: a head tells them apart in 31 % of cases."],
                score=0.018,
            ),
            "budget": Budget(
                budget_s=900,
                used_s=874.2,
                seeds=2,
                rungs=[
                    Rung(stage="probe", candidates=26, steps=0, seconds=None),
                    Rung(stage="network", candidates=12, steps=120, seconds=402.5),
                    Rung(stage="network", candidates=6, steps=240, seconds=430.7),
                ],
                steps=6480,
                share_of_full=0.0041,
                words="15 min bought a head for 26 candidates and 6,480 steps of the whole network for the 12 best: "
                "0.4 % of training all of them for 30 epochs.",
            ),
            "order": Order(
                weight=WEIGHT,
                weight_words="Clean training covers 39 % of the target where it covers 96 % of held-out training "
                "images: what reads the target counts 59 %, validation 41 %.",
                units=dict.fromkeys(values, SPREAD),
                agreement=0.14,
                by_target=[one.name for one in by_target],
                by_validation=[one.name for one in by_validation],
                words="The two orders disagree: what helps on the target costs a little on images like training. "
                "Validation holds no drawings, so it cannot see what sketches bring.",
            ),
            "full_training": [
                FullTraining(
                    name=name,
                    epochs=30,
                    n_train=1336,
                    n_val=334,
                    accuracy=0.904 + gain,
                    interval=(0.868 + gain, min(1.0, 0.931 + gain)),
                    gain=None if name == "clean" else gain,
                    gain_interval=None if name == "clean" else (gain - 0.021, gain + 0.024),
                    seconds=811.0,
                )
                for name, gain in (("clean", 0.0), (advice, 0.012), (ranked[1].name, -0.006))
            ],
            "model_table": _models([*ranked, *harder, *rest[:4]], random),
            **changes,
        }
    )


def _models(candidates: list[Candidate], random: np.random.Generator) -> ModelTable:
    rows = []
    for candidate in candidates:
        scores = {MODELS[0]: candidate.combined} | {
            name: None if candidate.combined is None else 0.6 * candidate.combined + float(random.normal(0, 2))
            for name in MODELS[1:]
        }
        roles = dict.fromkeys(MODELS, candidate.role)
        if candidate.name == "invert":
            roles[MODELS[1]] = "label-breaking"
            scores[MODELS[1]] = None
        rows.append(ModelRow(name=candidate.name, family=candidate.family, ranks={}, scores=scores, roles=roles))
    for model in MODELS:
        for row in rows:
            same = [one.scores[model] for one in rows if one.roles[model] == row.roles[model]]
            own = row.scores[model]
            row.ranks[model] = None if own is None else 1 + sum(other is not None and other > own for other in same)
    return ModelTable(
        models=MODELS,
        pages={name: f"../{name.split('.')[0]}/augmentations.html" for name in MODELS[1:]},
        advice=dict(zip(MODELS, ("pencil-sketch", "trivial-augment-wide", "grey"), strict=True)),
        rows=rows,
        pairs=[
            ModelPair(first=MODELS[0], second=MODELS[1], spearman=0.61, interval=(0.28, 0.81), n=21),
            ModelPair(first=MODELS[0], second=MODELS[2], spearman=0.44, interval=(0.03, 0.72), n=22),
            ModelPair(first=MODELS[1], second=MODELS[2], spearman=None, interval=None, n=2),
        ],
        words="The models agree on sketches and disagree on crops: choose the augmentation with the model.",
    )


def make_full_ranking(classes: list[str] | None = None, **changes: object) -> AugmentationRanking:
    """The whole result."""
    report = make_full_report(classes, **changes)
    points = make_map(report.classes)
    return AugmentationRanking(report=report, map=points, pictures=make_pictures(report))
