"""Candidate by model: a good augmentation for one model is not so for another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from eyeshot.core import listing, spearman, spearman_interval
from eyeshot.rankings.augmentations.report import Candidate, ModelPair, ModelRow, ModelTable, RankingReport, Role

FEWEST = 4


def compare_models(reports: Mapping[str, RankingReport], pages: Mapping[str, str]) -> ModelTable:
    """The table of all candidates under every model, and how alike the models rank them.

    Args:
        reports: by model, of the same data.
        pages: where each model's page lies.
    """
    names = list(dict.fromkeys(one.name for report in reports.values() for one in report.candidates))
    found = {model: {one.name: one for one in report.candidates} for model, report in reports.items()}
    rows = []
    for name in names:
        ones = {model: found[model][name] for model in reports if name in found[model]}
        roles: dict[str, Role] = {model: one.role for model, one in ones.items()}
        rows.append(
            ModelRow(
                name=name,
                family=next(iter(ones.values())).family,
                ranks={model: ones[model].rank if model in ones else None for model in reports},
                scores={model: worth(ones[model]) if model in ones else None for model in reports},
                roles=roles,
            )
        )
    # Best mean place first; harder ones have places of their own and stand behind, what no model ranks stands last.
    rows.sort(key=lambda row: _mean_rank(row))
    pairs = [_pair(one, other, reports) for one, other in combinations(reports, 2)]
    advice = {model: report.advice for model, report in reports.items()}
    return ModelTable(
        models=list(reports), pages=dict(pages), advice=advice, rows=rows, pairs=pairs,
        words=_words(reports, advice, pairs),
    )  # fmt: skip


def worth(candidate: Candidate) -> float | None:
    """What ranks it: the ranking of all where there is one, else its score."""
    return candidate.score if candidate.combined is None else candidate.combined


def _pair(one: str, other: str, reports: Mapping[str, RankingReport]) -> ModelPair:
    values = [{each.name: worth(each) for each in reports[model].of("ranked")} for model in (one, other)]
    both = [name for name in values[0] if name in values[1]]
    first, second = (np.array([value[name] or 0.0 for name in both]) for value in values)
    found = spearman(first, second) if len(both) >= FEWEST else None
    if found is None:
        return ModelPair(first=one, second=other, spearman=None, interval=None, n=len(both))
    return ModelPair(first=one, second=other, spearman=found, interval=spearman_interval(found, len(both)), n=len(both))


def _words(reports: Mapping[str, RankingReport], advice: Mapping[str, str], pairs: Sequence[ModelPair]) -> str:
    found = []
    if len(set(advice.values())) == 1:
        found.append(f"The advice is the same for all {len(reports)} models: {next(iter(advice.values()))}.")
    else:
        found.append("The advice differs: " + "; ".join(f"{name} for {model}" for model, name in advice.items()) + ".")
    for pair in pairs:
        if pair.interval is None or pair.interval[0] > 0:
            continue
        said = "runs against" if pair.interval[1] < 0 else "says nothing sure about"
        found.append(
            f"The order for {pair.first} {said} that for {pair.second} (Spearman {pair.spearman:.2f}, 95 % interval "
            f"{pair.interval[0]:.2f} to {pair.interval[1]:.2f})."
        )
    sizes = {model: report.size for model, report in reports.items()}
    if len(set(sizes.values())) > 1:
        listed = listing([f"{model} {size} px" for model, size in sizes.items()])
        found.append(f"Image sizes differ ({listed}), so differences are of model and size together.")
    return " ".join(found)


def _mean_rank(row: ModelRow) -> tuple[int, float]:
    ranked = [rank for model, rank in row.ranks.items() if rank is not None and row.roles[model] == "ranked"]
    places = ranked or [rank for rank in row.ranks.values() if rank is not None]
    return (0 if ranked else 1 if places else 2, float(np.mean(places)) if places else math.inf)
