"""Candidates by model: an augmentation that fits one model may not fit another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from eyeshot.core import listing, spearman, spearman_interval
from eyeshot.rankings.augmentations.report import Candidate, ModelPair, ModelRow, ModelTable, RankingReport, Role

FEWEST = 4


def compare_models(reports: Mapping[str, RankingReport], pages: Mapping[str, str]) -> ModelTable:
    """All candidates under every model in one table, and how similarly the models rank them.

    Args:
        reports: the report of each model, all on the same data.
        pages: address of each model's page.
    """
    by_name = {
        model: {candidate.name: candidate for candidate in report.candidates} for model, report in reports.items()
    }
    names = list(dict.fromkeys(name for candidates in by_name.values() for name in candidates))
    rows = []
    for name in names:
        under = {model: by_name[model][name] for model in reports if name in by_name[model]}
        roles: dict[str, Role] = {model: candidate.role for model, candidate in under.items()}
        rows.append(
            ModelRow(
                name=name,
                family=next(iter(under.values())).family,
                ranks={model: under[model].rank if model in under else None for model in reports},
                scores={model: ranking_score(under[model]) if model in under else None for model in reports},
                roles=roles,
            )
        )
    # The best mean rank comes first. Regularisers have ranks of their own and follow; unranked candidates are last.
    rows.sort(key=_mean_rank)
    pairs = [_pair(first, second, reports) for first, second in combinations(reports, 2)]
    advice = {model: report.advice for model, report in reports.items()}
    return ModelTable(
        models=list(reports), pages=dict(pages), advice=advice, rows=rows, pairs=pairs,
        words=_words(reports, advice, pairs),
    )  # fmt: skip


def ranking_score(candidate: Candidate) -> float | None:
    """The score that ranks a candidate: the combined score after short runs, otherwise its coverage gain."""
    return candidate.score if candidate.combined is None else candidate.combined


def _pair(first: str, second: str, reports: Mapping[str, RankingReport]) -> ModelPair:
    values = [
        {candidate.name: ranking_score(candidate) for candidate in reports[model].of("ranked")}
        for model in (first, second)
    ]
    both = [name for name in values[0] if name in values[1]]
    of_first, of_second = (np.array([value[name] or 0.0 for name in both]) for value in values)
    correlation = spearman(of_first, of_second) if len(both) >= FEWEST else None
    interval = None if correlation is None else spearman_interval(correlation, len(both))
    return ModelPair(first=first, second=second, spearman=correlation, interval=interval, n=len(both))


def _words(reports: Mapping[str, RankingReport], advice: Mapping[str, str], pairs: Sequence[ModelPair]) -> str:
    sentences = []
    if len(set(advice.values())) == 1:
        sentences.append(f"The advice is the same for all {len(reports)} models: {next(iter(advice.values()))}.")
    else:
        sentences.append(
            "The advice differs: " + "; ".join(f"{name} for {model}" for model, name in advice.items()) + "."
        )
    for pair in pairs:
        if pair.interval is None or pair.interval[0] > 0:
            continue
        relation = "contradicts" if pair.interval[1] < 0 else "does not predict"
        sentences.append(
            f"The order for {pair.first} {relation} the order for {pair.second} (Spearman {pair.spearman:.2f}, 95 % "
            f"interval {pair.interval[0]:.2f} to {pair.interval[1]:.2f})."
        )
    sizes = {model: report.size for model, report in reports.items()}
    if len(set(sizes.values())) > 1:
        listed = listing([f"{model} {size} px" for model, size in sizes.items()])
        sentences.append(f"Image sizes differ ({listed}), so the differences come from model and size together.")
    return " ".join(sentences)


def _mean_rank(row: ModelRow) -> tuple[int, float]:
    ranked = [rank for model, rank in row.ranks.items() if rank is not None and row.roles[model] == "ranked"]
    places = ranked or [rank for rank in row.ranks.values() if rank is not None]
    return (0 if ranked else 1 if places else 2, float(np.mean(places)) if places else math.inf)
