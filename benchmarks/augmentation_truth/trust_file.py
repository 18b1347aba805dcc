"""The small file that ships in the package: how far the ranking can be trusted, as measured, by situation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.augmentation_truth.judge import CURE_LEFT_OUT, Judged, pool_worlds, ranked_by_situation
from benchmarks.augmentation_truth.rankings import ADVICE, CLEAN, PRETRAINED_MODEL, RANKING, TRIVIAL
from eyeshot.core.files import replacing

Rankings = dict[str, dict[str, Any]]
LEAST_SOURCES = 2
"""A single source says nothing about another person's images."""


def trust_of(
    judged: Sequence[Judged], *, trainings: int, short_runs: Mapping[float, Sequence[Judged]]
) -> dict[str, Any]:
    """Figures of the product's ranking by situation: "from scratch, shifted" and so on; what was not judged is absent.

    Args:
        judged: all tasks, ranked by coverage.
        trainings: number of trainings in the tables.
        short_runs: tasks ranked with short runs too, by their share of the steps of training.
    """
    with_runs = [{"share": share, "situations": _situations(tasks)} for share, tasks in short_runs.items()]
    return {
        "version": 2,
        "trainings": trainings,
        "situations": _situations(judged),
        "short_runs": [each for each in with_runs if each["situations"]],
    }


def _situations(judged: Sequence[Judged]) -> dict[str, Any]:
    situations = {}
    worlds, tasks = pool_worlds(judged), ranked_by_situation(judged)
    for situation, rankings in worlds.items():
        product = rankings[RANKING]
        if CURE_LEFT_OUT in situation or product["sources"] < LEAST_SOURCES:
            continue
        situations[situation] = {
            "models": sorted({task.model for task in tasks[situation]}),
            "tasks": product["tasks"],
            "sources": product["sources"],
            "spearman": _rounded(product["spearman"]),
            "regret": _rounded(product["regret"]),
            "regret_of_advice": _rounded(rankings[ADVICE]["regret"]),
            "regret_of_trivial_augment": _rounded(rankings[TRIVIAL]["regret"]),
            "regret_of_clean": _rounded(rankings[CLEAN]["regret"]),
            **_nothing_matched(worlds.get(f"{situation}, cure left out", {})),
            **_by_pretrained(rankings, worlds.get(f"{situation}, cure left out", {})),
            "hit": _rounded(product["hit"]),
            "right_signs": _rounded(product["right_signs"]),
        }
    return situations


def _nothing_matched(without_cure: Rankings) -> dict[str, Any]:
    """What the first candidate, TrivialAugment and clean images lose if the cure is left out of the catalogue."""
    product = without_cure.get(RANKING)
    if product is None or product["sources"] < LEAST_SOURCES:
        return {}
    figures: dict[str, Any] = {"tasks": product["tasks"], "regret": _rounded(product["regret"])}
    others = [("regret_of_trivial_augment", TRIVIAL), ("regret_of_clean", CLEAN)]
    if ADVICE in without_cure:
        others.append(("regret_of_advice", ADVICE))
    for name, ranking in others:
        figures[name] = _rounded(without_cure[ranking]["regret"])
    return {"nothing_matched": figures}


def _by_pretrained(rankings: Rankings, without_cure: Rankings) -> dict[str, Any]:
    """What a pretrained model's first candidate loses, with the cure in the catalogue and without.

    Only if it ranked all tasks that the model itself ranked; otherwise there is no comparison.
    """
    found = {}
    for name, some in (("by_pretrained_model", rankings), ("without_cure", without_cure)):
        own, other = some.get(RANKING), some.get(PRETRAINED_MODEL)
        if own is not None and other is not None and other["tasks"] == own["tasks"]:
            found[name] = {"regret": _rounded(other["regret"]), "regret_of_own": _rounded(own["regret"])}
    return found if "by_pretrained_model" in found else {}


def write_trust(file: Path, trust: dict[str, Any]) -> None:
    """Write the file completely or not at all."""
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(trust, indent=2) + "\n", encoding="utf-8", newline="\n")


def _rounded(estimate: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 3) for name, value in estimate.items()}
