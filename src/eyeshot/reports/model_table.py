"""Candidate by model: where each model ranks each candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eyeshot.reports.wording import number

if TYPE_CHECKING:
    from eyeshot.rankings import RankingReport

UNRANKED = {"label-breaking": "label-breaking", "control": "control", "ranked": "–", "regulariser": "–"}


@dataclass(frozen=True)
class ModelCell:
    """One candidate under one model: its rank and score, or why there is none.

    Attributes:
        rank: place in its list, None where it has none.
        score: as the model's page shows it, None where it has none.
        why: stands in the place of a rank.
        shade: 0 to 1, 1 for the best of the list; None without a rank.
        regulariser: ranked among the regularisers.
    """

    rank: int | None
    score: float | None
    why: str
    shade: float | None
    regulariser: bool


@dataclass(frozen=True)
class ModelLine:
    """One row of the table."""

    name: str
    family: str
    cells: list[ModelCell]


def model_lines(report: RankingReport) -> list[ModelLine]:
    """The rows of the report's table in the order of the mean rank; regularisers after, the unranked last."""
    table = report.model_table
    if table is None:
        return []
    longest = {
        (model, role): max([1, *(row.ranks.get(model) or 0 for row in table.rows if row.roles.get(model) == role)])
        for model in table.models
        for role in ("ranked", "regulariser")
    }
    lines = []
    for row in table.rows:
        cells = []
        for model in table.models:
            role, rank = row.roles.get(model), row.ranks.get(model)
            length = longest.get((model, role or ""), 1)
            cells.append(
                ModelCell(
                    rank=rank,
                    score=row.scores.get(model),
                    why="" if rank is not None else UNRANKED.get(role or "ranked", "–"),
                    shade=None if rank is None else 1 - (rank - 1) / max(1, length - 1),
                    regulariser=role == "regulariser",
                )
            )
        lines.append(ModelLine(row.name, row.family, cells))

    def place(line: ModelLine) -> tuple[int, float]:
        ranks = [cell.rank for cell in line.cells if cell.rank is not None]
        kind = 2 if not ranks else int(all(cell.regulariser for cell in line.cells if cell.rank is not None))
        return kind, sum(ranks) / len(ranks) if ranks else 0.0

    return sorted(lines, key=place)


def correlation_text(spearman: float | None, interval: tuple[float, float] | None, n: int) -> str:
    """ "0.61 (0.28 to 0.81), n = 22"."""
    if spearman is None:
        return f"not known, n = {n}"
    ends = "" if interval is None else f" ({number(interval[0])} to {number(interval[1])})"
    return f"{number(spearman)}{ends}, n = {n}"
