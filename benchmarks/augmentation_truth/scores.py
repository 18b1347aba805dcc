"""The product's scores of a task, as a user gets them: from other seeds than the truth, and without target labels.

`eyeshot rank augmentations` gets the training and validation folders of the truth and, as its target, the half of the
target's images that the truth does not use, in a flat folder whose file names contain no class.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.augmentation_truth.baselines import frechet_distances, short_trainings
from benchmarks.augmentation_truth.recipes import Model, choose_candidates
from benchmarks.augmentation_truth.table import table_file
from benchmarks.augmentation_truth.tasks import Task, decode
from benchmarks.common import shared
from eyeshot.core.files import make_folder, replacing
from eyeshot.rankings import RankingReport, prepare, run_ranking
from eyeshot.rankings.augmentations.report import Candidate, Scores
from eyeshot.rankings.augmentations.settings import check_settings

SCORE_SEED = 1000
SINGLE = tuple(Scores.model_fields)
BEFORE = ("source", "target", "model", "seed", "budget_s", "candidate", "family", "role", "rank", "advice")
AFTER = ("score", "combined", "post_training_coverage", "validation", *SINGLE, "frechet", "one_epoch", "equal_cost")
COLUMNS = (*BEFORE, *AFTER, "equal_cost_epochs", "shift_weight", "seconds", "commit")
NUMBERS = {*AFTER, "rank", "advice", "seed", "budget_s", "equal_cost_epochs", "shift_weight", "seconds"}
ScoreRow = dict[str, Any]


def cover_settings(
    task: Task, model: Model, target: str, *, candidates: Sequence[str], budget_s: float
) -> dict[str, Any]:
    """Fields of `RankingSettings`."""
    options = dict(model.options)
    if isinstance(options.get("weights"), str):
        options["weights"] = shared() / "weights" / options["weights"]
    return {
        **options,
        "test": task.folder / "targets" / target / "score",
        "val": task.folder / "val",
        "size": model.size_for(task.name),
        "candidates": tuple(candidates),
        "seed": SCORE_SEED,
        "budget_s": budget_s,
        "device": "cpu",
        "projections": (),
        "images": False,
    }


def score_task(
    task: Task,
    model: Model,
    *,
    candidates: Sequence[str],
    epoch_s: float,
    work: Path,
    commit: str,
    budget_s: float = 0.0,
) -> list[ScoreRow]:
    """Scores of all candidates on all targets of a task.

    Args:
        task: its folders.
        model: scored under its own name.
        candidates: their names; controls are added.
        epoch_s: seconds of an epoch of the truth, to train baselines at the cost of the scores.
        work: folder of the caches.
        commit: recorded in the rows.
        budget_s: seconds for short runs; 0 ranks by coverage alone.
    """
    rows: list[ScoreRow] = []
    costs = []
    for target in task.targets:
        settings = cover_settings(task, model, target, candidates=candidates, budget_s=budget_s)
        begin = time.process_time()
        plan = prepare(task.folder / "train", check_settings(**settings), cache=work / "score-cache")
        found = run_ranking(plan).report
        costs.append(time.process_time() - begin)
        distances = frechet_distances(plan)
        rows += [
            _row(task, model, target, found, candidate, distances, budget_s, commit) for candidate in found.candidates
        ]
    # The targets share samples: the first target pays for them, like a user with a single target.
    cost = max(costs)
    short = {} if model.frozen else _short(task, model, candidates, epoch_s=epoch_s, cost=cost, work=work)
    for row in rows:
        row["seconds"] = cost
        row |= short.get(row["candidate"], {})
    return rows


def _short(
    task: Task, model: Model, candidates: Sequence[str], *, epoch_s: float, cost: float, work: Path
) -> dict[str, dict[str, float]]:
    data = decode(task, model.load(task.name, seed=SCORE_SEED).geometry, work / "cache")
    chosen = choose_candidates(tuple(candidates), data.aspect_ratios)
    epochs = max(1, round(cost / (len(chosen) * epoch_s)))
    once = short_trainings(task, model, data, chosen, epochs=1, seed=SCORE_SEED, work=work)
    longer = once
    if epochs > 1:
        longer = short_trainings(task, model, data, chosen, epochs=epochs, seed=SCORE_SEED, work=work)
    return {name: {"one_epoch": once[name], "equal_cost": longer[name], "equal_cost_epochs": epochs} for name in chosen}


def _row(
    task: Task,
    model: Model,
    target: str,
    report: RankingReport,
    candidate: Candidate,
    distances: Mapping[str, float],
    budget_s: float,
    commit: str,
) -> ScoreRow:
    run = candidate.run
    return {
        "source": task.name,
        "target": target,
        "model": model.name,
        "seed": SCORE_SEED,
        "budget_s": budget_s,
        "candidate": candidate.name,
        "family": candidate.family,
        "role": candidate.role,
        "rank": candidate.rank,
        "advice": int(report.advice == candidate.name),
        "score": candidate.score,
        "combined": candidate.combined,
        "post_training_coverage": None if run is None else run.post_training_coverage_gain,
        "validation": None if run is None else run.log_loss_gain,
        **candidate.scores.model_dump(),
        "frechet": distances.get(candidate.name),
        "shift_weight": report.shift.weight,
        "commit": commit,
    }


def score_file(folder: Path, source: str, model: str, budget_s: float = 0.0) -> Path:
    """The file with the scores of a source, a model and a budget."""
    file = table_file(folder, source, model)
    return file.with_name(f"{file.stem}-budget{budget_s:g}.csv") if budget_s else file


def write_scores(file: Path, rows: Sequence[ScoreRow]) -> None:
    """Write a row for each candidate, target and budget; empty if a score is not defined."""
    make_folder(file.parent)
    with replacing(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([_text(row.get(name)) for name in COLUMNS])


def read_scores(file: Path) -> list[ScoreRow]:
    """The rows of a file; None if a score is not defined."""
    with open(file, encoding="utf-8", newline="") as text:
        return [{name: _value(name, value) for name, value in row.items()} for row in csv.DictReader(text)]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _value(name: str, text: str) -> object:
    if name not in NUMBERS:
        return text
    return None if text == "" else float(text)
