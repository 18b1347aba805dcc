"""Figures of short runs by situation and share of the training, as `docs/evidence.md` and `trust.json` have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.augmentation_truth.evidence_table import number_words
from benchmarks.augmentation_truth.judge import Judged, judge_all, pool, ranked_by_situation
from benchmarks.augmentation_truth.rankings import ADVICE, CLEAN, RANKING, TRIVIAL, Task, task_of
from benchmarks.augmentation_truth.scores import ScoreRow
from benchmarks.augmentation_truth.short_runs_judged import PRODUCT, Table, read_rows
from benchmarks.augmentation_truth.truth import Truth

BEGIN, END = "<!-- short runs: begin -->", "<!-- short runs: end -->"
BY_COVERAGE = "coverage_gain"
HEADER = (
    "| situation | share of the steps | tasks | Spearman | regret, points: first | advised | first by coverage alone "
    "| TrivialAugment | clean |"
)


def judge_short_runs(
    truths: Sequence[Truth], scores: Mapping[Task, Sequence[ScoreRow]], estimates: Path
) -> dict[float, list[Judged]]:
    """All tasks of the committed estimates, by share; candidates that coverage does not rank keep their roles.

    Args:
        truths: of all tables.
        scores: of the ranking by coverage, by task.
        estimates: folder of the files that `short-runs` writes, for networks that start from their own weights.
    """
    rows = [row for file in sorted(estimates.glob("*.csv")) if "-start" not in file.stem for row in read_rows(file)]
    judged = {}
    for share in sorted({float(row["share"]) for row in rows}):
        of_share = [row for row in rows if float(row["share"]) == share]
        whole = _scored(scores, [row for row in of_share if not row["without"]])
        left_out = _scored(scores, [row for row in of_share if row["without"]])
        some = [truth for truth in truths if (truth.source, truth.model, truth.target) in whole]
        judged[share] = judge_all(some, whole, left_out=left_out)
    return judged


def _scored(scores: Mapping[Task, Sequence[ScoreRow]], estimates: Table) -> dict[Task, list[ScoreRow]]:
    """The scores by coverage, with rank, combined score and advice of the short runs."""
    by_task: dict[Task, dict[str, dict[str, str]]] = {}
    for row in estimates:
        by_task.setdefault(task_of(row), {})[row["candidate"]] = row
    found: dict[Task, list[ScoreRow]] = {}
    for task, of_task in by_task.items():
        # Clean has no row where a family is left out; it is advised where nothing else is.
        advised = next((name for name, row in of_task.items() if row[f"{PRODUCT}_advised"] == "1"), CLEAN)
        for row in scores[task]:
            estimate = of_task.get(row["candidate"], {})
            rank, score = estimate.get("rank"), estimate.get(PRODUCT)
            found.setdefault(task, []).append(
                row
                | {
                    "rank": float(rank) if rank else None,
                    "combined": float(score) if score else None,
                    "advice": float(row["candidate"] == advised),
                    "seconds": None,
                }
            )
    return found


def short_runs_table(judged: Mapping[float, Sequence[Judged]]) -> str:
    """Markdown: a line for each situation and share."""
    lines: dict[str, list[str]] = {}
    for share, tasks in judged.items():
        for situation, some in ranked_by_situation(tasks).items():
            product = pool(some, RANKING)
            spearman = product["spearman"]
            low, high = spearman["low"], spearman["high"]
            interval = "" if low is None else f" ({number_words(max(-1.0, low))} to {number_words(min(1.0, high))})"
            lost = [pool(some, name)["regret"]["value"] for name in (RANKING, ADVICE, BY_COVERAGE, TRIVIAL, CLEAN)]
            cells = [
                situation,
                f"{100 * share:.0f} %",
                f"{product['tasks']} of {product['sources']} {'sources' if product['sources'] > 1 else 'source'}",
                number_words(spearman["value"]) + interval,
                *(number_words(value, digits=1) for value in lost),
            ]
            lines.setdefault(situation, []).append("| " + " | ".join(cells) + " |")
    header = [HEADER, "|" + "---|" * (HEADER.count("|") - 1)]
    return "\n".join([*header, *(line for of_situation in lines.values() for line in of_situation)])
