"""The small file that ships in the package: how far the ranking can be trusted, as measured, by situation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.augmentation_truth.judge import Judged, pool_worlds
from benchmarks.augmentation_truth.rankings import ADVICE, PRETRAINED_MODEL, RANKING, TRIVIAL
from benchmarks.augmentation_truth.readme_table import situation_of
from eyeshot.workspace import replacing

LEAST_SOURCES = 2
"""One source alone says nothing about another person's images."""


def trust_of(judged: Sequence[Judged], *, trainings: int) -> dict[str, Any]:
    """Figures of the product's ranking by situation: "from scratch, shifted" and so on; what was not judged is absent.

    Args:
        judged: all tasks.
        trainings: how many stand in the tables.
    """
    situations = {}
    for situation, rankings in pool_worlds(judged).items():
        product = rankings.get(RANKING)
        if product is None or "cure left out" in situation or product["sources"] < LEAST_SOURCES:
            continue
        models = {one.model for one in judged if situation_of(one) == situation and RANKING in one.rankings}
        situations[situation] = {
            "models": sorted(models),
            "tasks": product["tasks"],
            "sources": product["sources"],
            "spearman": _rounded(product["spearman"]),
            "regret": _rounded(product["regret"]),
            "regret_of_advice": _rounded(rankings[ADVICE]["regret"]),
            "regret_of_trivial_augment": _rounded(rankings[TRIVIAL]["regret"]),
            **_by_pretrained(rankings.get(PRETRAINED_MODEL), tasks=product["tasks"]),
            "hit": _rounded(product["hit"]),
            "right_signs": _rounded(product["right_signs"]),
        }
    return {"version": 1, "trainings": trainings, "budget_s": 0, "situations": situations}


def _by_pretrained(ranking: dict[str, Any] | None, *, tasks: int) -> dict[str, Any]:
    """What a pretrained model's first candidate loses, where it ranked all these tasks: else it is no comparison."""
    if ranking is None or ranking["tasks"] < tasks:
        return {}
    return {"regret_by_pretrained_model": _rounded(ranking["regret"])}


def write_trust(file: Path, trust: dict[str, Any]) -> None:
    """Write it, whole or not at all."""
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(trust, indent=2) + "\n", encoding="utf-8", newline="\n")


def _rounded(estimate: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 3) for name, value in estimate.items()}
