"""The command `judge`: missing scores, then all figures, the table of docs/evidence.md and its picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.augmentation_truth import figures
from benchmarks.augmentation_truth.evidence_table import evidence_table, put_into
from benchmarks.augmentation_truth.judge import Judged, as_json, judge_all, pool_worlds
from benchmarks.augmentation_truth.rankings import Task, task_of
from benchmarks.augmentation_truth.recipes import CANDIDATES, CONTROLS, MODELS
from benchmarks.augmentation_truth.scores import ScoreRow, read_scores, score_file, score_task, write_scores
from benchmarks.augmentation_truth.short_runs_table import BEGIN, END, judge_short_runs, short_runs_table
from benchmarks.augmentation_truth.sources import BUILT_IN
from benchmarks.augmentation_truth.table import read_table, table_file
from benchmarks.augmentation_truth.tasks import open_task
from benchmarks.augmentation_truth.trust_file import trust_of, write_trust
from benchmarks.augmentation_truth.truth import Truth, read_truths
from eyeshot.core.files import make_folder, replacing


@dataclass(frozen=True)
class Judgement:
    """Everything that was read and judged."""

    truths: list[Truth]
    scores: dict[Task, list[ScoreRow]]
    judged: list[Judged]
    problems: list[str]


def read_judgement(tables: Path, scores: Path, *, budget_s: float = 0.0) -> Judgement:
    """Join the committed files for a budget of short runs; nothing is trained or scored."""
    truths, problems = read_truths(tables)
    rows: dict[Task, list[ScoreRow]] = {}
    for file in sorted(scores.glob("*.csv")):
        for row in read_scores(file):
            if row["budget_s"] == budget_s:
                rows.setdefault(task_of(row), []).append(row)
    return Judgement(truths, rows, judge_all(truths, rows), problems)


def score_missing(
    tables: Path, scores: Path, *, work: Path, commit: str, say: Callable[[str], None], budget_s: float = 0.0
) -> None:
    """Score every built-in table that has all candidates with at least one seed, and no scores yet."""
    truths, _ = read_truths(tables)
    for source, model in dict.fromkeys((truth.source, truth.model) for truth in truths):
        file = score_file(scores, source, model, budget_s)
        of = [truth for truth in truths if (truth.source, truth.model) == (source, model)]
        # Scores of a table that is being filled would lack the candidates that are still missing.
        begun = not set(CANDIDATES) <= set(of[0].names)
        if file.exists() or begun or source not in BUILT_IN or model not in MODELS:
            continue
        epochs = next(row.epochs for row in read_table(table_file(tables, source, model)).rows)
        say(f"scores of {source}, {model}: {len(of)} targets")
        rows = score_task(
            open_task(source, (), work),
            MODELS[model],
            candidates=[name for name in of[0].names if name not in CONTROLS],
            epoch_s=of[0].seconds / epochs,
            work=work,
            commit=commit,
            budget_s=budget_s,
        )
        write_scores(file, rows)


def count_trainings(tables: Path) -> int:
    """Number of trainings in the tables of a folder."""
    return sum(len({row.key for row in read_table(file).rows}) for file in tables.glob("*.csv"))


def hours(tables: Path) -> float:
    """Processor hours of these trainings."""
    total = 0.0
    for file in tables.glob("*.csv"):
        total += sum({row.key: row.seconds for row in read_table(file).rows}.values())
    return total / 3600


def publish(
    judgement: Judgement,
    *,
    tables: Path,
    results: Path,
    picture: Path | None,
    evidence: Path | None,
    trust: Path | None,
    estimates: Path,
) -> str:
    """Write the results, and if asked the picture, the published table and the shipped file; returns the table."""
    table = evidence_table(judgement.judged)
    make_folder(results.parent)
    everything = {
        "trainings": count_trainings(tables),
        "hours": round(hours(tables), 2),
        "problems": judgement.problems,
        "pooled": pool_worlds(judgement.judged),
        "tasks": as_json(judgement.judged),
    }
    with replacing(results) as temporary:
        temporary.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    if picture is not None:
        with replacing(picture) as temporary:
            drawn = figures.draw(judgement.judged, judgement.truths, judgement.scores)
            temporary.write_text(drawn, encoding="utf-8", newline="\n")
    short_runs = judge_short_runs(judgement.truths, judgement.scores, estimates)
    of_short_runs = short_runs_table(short_runs)
    if evidence is not None:
        put_into(evidence, table)
        put_into(evidence, of_short_runs, begin=BEGIN, end=END)
    if trust is not None:
        shipped = trust_of(judgement.judged, trainings=count_trainings(tables), short_runs=short_runs)
        write_trust(trust, shipped)
    return f"{table}\n\n{of_short_runs}"


def lines_of(judged: Sequence[Judged]) -> list[str]:
    """A line for each task, for the terminal."""
    from benchmarks.augmentation_truth.rankings import ADVICE, RANKING, TRIVIAL

    lines = []
    for task in judged:
        product = task.rankings.get(RANKING)
        if product is None:
            continue
        advice = task.rankings[ADVICE].regret if ADVICE in task.rankings else None
        lines.append(
            f"{task.source:8s} {task.model:17s} {task.target:14s} {task.world:24s} reliability {_of(task.reliability)} "
            f"clean {task.clean:.3f} best {task.best:.3f} ({task.best_name}); "
            f"regret {_of(product.regret, 1)}, advice {_of(advice, 1)}, "
            f"TrivialAugment {_of(task.rankings[TRIVIAL].regret, 1)}; "
            f"Spearman {_of(product.spearman)} ({_of(product.low)} to {_of(product.high)}) {task.remark}"
        )
    return lines


def _of(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
