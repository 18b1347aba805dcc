"""What is judged: the product's ranking, each of its scores, and the baselines, as values by candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.augmentation_truth.recipes import CONTROLS, MODELS
from benchmarks.augmentation_truth.scores import SINGLE, ScoreRow
from benchmarks.augmentation_truth.truth import Truth

Values = dict[str, float]
Task = tuple[str, str, str]  # source, model, target
RANKING, ADVICE, STATIC, OTHER_MODEL = "ranking of eyeshot cover", "advice of eyeshot cover", "static", "another model"
PRETRAINED_MODEL = "a pretrained model"  # whose ranking is used for a model from scratch
RANDOM, TRIVIAL, CLEAN = "random", "always TrivialAugment", "clean"
LESS_IS_BETTER = ("nearest_distance", "frechet")
BASELINES = {"frechet": "Fréchet distance", "one_epoch": "one epoch from scratch", "equal_cost": "epochs at equal cost"}


def task_of(row: ScoreRow) -> Task:
    """Source, model and target of a row of scores."""
    return row["source"], row["model"], row["target"]


def product_ranking(rows: Sequence[ScoreRow]) -> Values:
    """The ranked candidates by what ranks them; label-breaking candidates below all. Regularisers are left out."""
    placed = {row["candidate"]: -float(row["rank"]) for row in rows if row["role"] == "ranked" and row["rank"]}
    below = min(placed.values(), default=0.0) - 1
    return placed | {row["candidate"]: below for row in rows if row["role"] == "label-breaking"}


def product_gain(rows: Sequence[ScoreRow]) -> Values:
    """The gain that the ranking is based on, for signs and pictures: above 0 is better than clean."""
    ranked = [row for row in rows if row["role"] in ("ranked", "label-breaking") or row["candidate"] == CLEAN]
    by = "combined" if any(row["combined"] is not None for row in ranked) else "score"
    found = {row["candidate"]: row[by] for row in ranked if row[by] is not None}
    # The gain is over the identity control, so clean itself is no loss.
    return found | {CLEAN: 0.0}


def single_scores(rows: Sequence[ScoreRow]) -> dict[str, Values]:
    """Every single score of `augmentations.json`, and the baselines that the scores' run measured."""
    found = {}
    for name in (*SINGLE, "post_training_coverage", "validation", *BASELINES):
        sign = -1.0 if name in LESS_IS_BETTER else 1.0
        values = {row["candidate"]: sign * float(row[name]) for row in rows if row[name] is not None}
        if len(set(values) - set(CONTROLS)) > 3:
            found[BASELINES.get(name, name)] = values
    return found


def static_ranking(truth: Truth, others: Sequence[Truth]) -> Values | None:
    """Mean place of each candidate in the truths of the other sources, with the same model if there are any."""
    elsewhere = [other for other in others if other.source != truth.source]
    alike = [other for other in elsewhere if other.model == truth.model] or elsewhere
    if not alike:
        return None
    places: dict[str, list[float]] = {}
    for other in alike:
        candidates = other.without_controls()
        order = np.argsort(np.argsort(candidates.mean)) / max(1, len(candidates.names) - 1)
        for name, place in zip(candidates.names, order.tolist(), strict=True):
            places.setdefault(name, []).append(place)
    return {name: float(np.mean(found)) for name, found in places.items()}


def is_pretrained(model: str) -> bool:
    """Whether a model of the tables starts from weights; users' own models do unless stated otherwise."""
    return not (model in MODELS and MODELS[model].from_scratch)


def other_models(task: Task, scores: Mapping[Task, Sequence[ScoreRow]]) -> dict[str, Values]:
    """The product's rankings for the other networks on the same source and target, by model."""
    source, model, target = task
    architecture = model.split("-")[0]
    found = {}
    for (other_source, other, other_target), rows in scores.items():
        same_network = other == model or (architecture == "squeezenet" and other.startswith("squeezenet"))
        if (other_source, other_target) == (source, target) and not same_network:
            found[other] = product_ranking(rows)
    return found
