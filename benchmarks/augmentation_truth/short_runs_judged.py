"""What short runs say about the targets against the truth: estimates, the combined score, and what is advised."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.augmentation_truth.judge import regret_of
from benchmarks.augmentation_truth.recipes import CANDIDATES
from benchmarks.augmentation_truth.scores import ScoreRow
from benchmarks.augmentation_truth.short_runs import CLEAN, Run
from benchmarks.augmentation_truth.statistics import best_first, spearman
from benchmarks.augmentation_truth.truth import Truth
from eyeshot.core import draw_half_samples, half_means
from eyeshot.core.files import make_folder, replacing
from eyeshot.predictions import accuracy_over_halves, fit_temperature, temperature_by_image, with_temperature
from eyeshot.rankings.augmentations.combined import Gains, combine
from eyeshot.rankings.augmentations.evaluate import balance_of, scaled_log_loss
from eyeshot.rankings.augmentations.ranking import better_than_zero, rank_gains

TRIVIAL = "trivial-augment"
SCORES = ("target_accuracy", "score", "target_term", "coverage_gain", "validation", "evenness")
ALL = "target_accuracy, all candidates"
COLUMNS = ("source", "model", "target", "candidate", "weight", "group", "beats_clean", "advised", *SCORES)
Table = list[dict[str, str]]


def score_targets(
    source: str, model: str, runs: Mapping[str, Run], scores: Sequence[ScoreRow], *, classes: int
) -> list[dict[str, object]]:
    """A row for each target and candidate, scored as the product does; one seed, so noise is that of images alone.

    Args:
        source, model: which table.
        runs: of `short_runs`.
        scores: the committed scores of this table: coverage gain and measured shift by target.
        classes: C; the source's classes are even among its training images to a few per cent, but the shares used
            are those of validation, which was drawn with them.
    """
    clean = runs[CLEAN]
    labels = clean["labels"].astype(np.int64)
    shares = np.bincount(labels, minlength=classes) / len(labels)
    val_halves = draw_half_samples(len(labels), 2, seed=1).target
    losses = {name: np.exp(-scaled_log_loss(run["val"], labels)) for name, run in runs.items()}
    rows: list[dict[str, object]] = []
    for target in [key for key in clean if key not in ("labels", "val", "epochs", "seconds")]:
        of_target = {row["candidate"]: row for row in scores if row["target"] == target}
        weight = float(next(iter(of_target.values()))["shift_weight"] or 0)
        names = [name for name in CANDIDATES if of_target.get(name, {}).get("role") == "ranked"]
        halves = draw_half_samples(len(clean[target]), 2, seed=0).target
        estimates, over, evenness = {}, {}, {}
        for name in (CLEAN, *CANDIDATES):
            temperature = fit_temperature(runs[name]["val"], labels)
            scaled = with_temperature(runs[name][target], temperature)
            moved = temperature_by_image(with_temperature(runs[name]["val"], temperature), labels)
            evenness[name] = balance_of(scaled)
            estimates[name], over[name] = accuracy_over_halves(
                scaled, shares, moved, target_halves=halves, validation_halves=val_halves
            )
        gains = np.array([estimates[name] - estimates[CLEAN] for name in names])
        gains_over_halves = np.column_stack([over[name] - over[CLEAN] for name in names])
        by_val = np.stack([losses[name] - losses[CLEAN] for name in names])
        coverage = np.array([float(of_target[name]["coverage_gain"]) for name in names])
        parts = {
            "target_accuracy": Gains(gains, gains_over_halves, 1 / halves.shape[1]),
            # The committed scores hold no half-samples of coverage gain, so its noise is not in the groups.
            "coverage_gain": Gains(coverage, np.tile(coverage, (len(halves), 1)), 1 / halves.shape[1]),
            "validation": Gains(
                by_val.mean(1),
                np.column_stack([half_means(values, val_halves) for values in by_val]),
                1 / val_halves.shape[1],
            ),
        }
        halved = {"target_accuracy": weight / 2, "coverage_gain": weight / 2, "validation": 1 - weight}
        combined, over_halves, terms = combine(parts, [(share, [name]) for name, share in halved.items()])
        _, groups, beats, _ = rank_gains(combined, over_halves, may_beat=better_than_zero(combined, over_halves))
        advised = _advised(names, combined, groups, beats)
        # Regularisers and label-breaking candidates have an estimate too, but no place in the product's ranking.
        others = [name for name in CANDIDATES if name not in names]
        rows += [
            {"source": source, "model": model, "target": target, "candidate": name, "weight": weight}
            | {"target_accuracy": estimates[name], "evenness": evenness[name]}
            for name in (CLEAN, *others)
        ]
        for number, name in enumerate(names):
            rows.append(
                {
                    "source": source, "model": model, "target": target, "candidate": name, "weight": weight,
                    "group": int(groups[number]), "beats_clean": int(beats[number]), "advised": int(name == advised),
                    "target_accuracy": estimates[name], "score": float(combined[number]),
                    "target_term": float((terms[0][number] + terms[1][number]) / 2),
                    "coverage_gain": float(coverage[number]), "validation": float(by_val[number].mean()),
                    "evenness": evenness[name],
                }
            )  # fmt: skip
    return rows


def _advised(
    names: Sequence[str], combined: NDArray[np.float64], groups: NDArray[np.int64], beats: NDArray[np.bool_]
) -> str:
    """TrivialAugment where it may be the best or nothing beats clean; otherwise the first that beats clean."""
    order = np.lexsort((-combined, groups))
    winner = next((names[number] for number in order if beats[number]), None)
    may_be_best = TRIVIAL in names and groups[names.index(TRIVIAL)] == 1
    return TRIVIAL if winner is None or may_be_best else winner


def write_rows(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write the rows of a table."""
    make_folder(file.parent)
    with replacing(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            values = [row.get(name, "") for name in COLUMNS]
            writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in values])


def read_rows(file: Path) -> Table:
    """The rows of a table as text."""
    with open(file, encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def figures(rows: Table, truths: Sequence[Truth]) -> dict[str, dict[str, float]]:
    """Mean Spearman correlation and regret (points) over the targets of some rows, by score; regret of what is advised.

    Regret is against the best of all candidates and clean, on another seed than the best was chosen on.
    """
    found: dict[str, list[tuple[float | None, float | None]]] = {}
    for target in dict.fromkeys(row["target"] for row in rows):
        of_target = [row for row in rows if row["target"] == target]
        truth = next(
            each
            for each in truths
            if (each.source, each.model, each.target) == (of_target[0]["source"], of_target[0]["model"], target)
        )
        known = [row for row in of_target if row["candidate"] in truth.names and row["candidate"] != CLEAN]
        is_ranked = np.array([row["score"] != "" for row in known])
        ranked = [row for row, kept in zip(known, is_ranked, strict=True) if kept]
        means = dict(zip(truth.names, truth.mean.tolist(), strict=True))
        accuracy = np.array([means[row["candidate"]] for row in known])
        for name in SCORES:
            values = np.array([float(row[name]) for row in ranked])
            first = ranked[best_first(values)]["candidate"]
            found.setdefault(name, []).append((spearman(values, accuracy[is_ranked]).value, regret_of(first, truth)))
        values = np.array([float(row["target_accuracy"]) for row in known])
        first = known[best_first(values)]["candidate"]
        found.setdefault(ALL, []).append((spearman(values, accuracy).value, regret_of(first, truth)))
        advised = next(row["candidate"] for row in of_target if row["advised"] == "1")
        for label, name in (("advised", advised), ("always TrivialAugment", TRIVIAL), (CLEAN, CLEAN)):
            found.setdefault(label, []).append((None, regret_of(name, truth)))
    return {name: _means(pairs) for name, pairs in found.items()}


def _means(pairs: Sequence[tuple[float | None, float | None]]) -> dict[str, float]:
    columns = {"spearman": [pair[0] for pair in pairs], "regret": [pair[1] for pair in pairs]}
    known = {name: [value for value in values if value is not None] for name, values in columns.items()}
    return {name: float(np.mean(values)) for name, values in known.items() if values} | {"targets": len(pairs)}
