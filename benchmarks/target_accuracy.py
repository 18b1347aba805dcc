"""How far the estimate of accuracy without labels is off, on the networks and targets of the truth tables.

Networks, each trained with another augmentation, predict the source's own held-out images, the other domain and the
made shifts. Labels of the targets are used for the true accuracy alone, and nothing was tuned on it.

Without options the networks are heads on frozen SqueezeNet features. With `--trained` all weights are trained, by the
recipes of the truth; a finished training is a few lines in `trained.csv` of the work folder, so the same command
continues, and `--cpu-minutes 0` gives the figures of what is there.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.augmentation_truth.frozen_head import fit_and_read
from benchmarks.augmentation_truth.recipes import MODELS
from benchmarks.augmentation_truth.runner import Bench, Runner, open_bench
from benchmarks.augmentation_truth.sources import OWN
from benchmarks.augmentation_truth.trained import train_and_read
from benchmarks.augmentation_truth.work_list import Wanted
from benchmarks.common import keep, option, shared
from eyeshot.core import spearman, student_mean
from eyeshot.core.files import make_folder, replacing
from eyeshot.predictions import estimate_target_accuracy

CANDIDATES = (
    *("mirror", "rotate-30", "translate", "crop-strong", "grey", "invert", "gaussian-blur-strong", "gaussian-noise"),
    *("edges", "amplitude-mix", "trivial-augment"),
)
TRAINED = (
    ("small-vit", "digits"),
    ("small-vit", "photo"),
    ("small-cnn", "digits"),
    ("squeezenet-tuned", "photo"),
    ("small-cnn", "photo"),
)
"""Networks of which all weights are trained, and their sources: the cheapest first."""
TRAINED_CANDIDATES = ("clean", "trivial-augment", "invert", "translate", "jitter-strong")
SEED = 0
VALIDATION = "validation"
SCORES = ("estimate", "confidence", "validation_accuracy")


def open_source(source: str, model: str, candidates: tuple[str, ...], work: Path) -> Bench:
    """The images of a source, with validation among the targets to be read, and the candidates."""
    bench = open_bench(Wanted(source, model, candidates, SEED + 1), MODELS[model], Runner(work / "tables", work))
    return replace(bench, data=replace(bench.data, targets=bench.data.targets | {VALIDATION: bench.data.val}))


def read_network(bench: Bench, name: str, work: Path) -> list[dict[str, Any]]:
    """Train a network; one row for each target: true accuracy, the estimate, confidence, validation accuracy."""
    model, data, begin = bench.model, bench.data, time.process_time()
    backbone = model.load(bench.task.name, seed=SEED)
    if model.frozen:
        accuracy, found = fit_and_read(
            backbone, data, bench.candidates[name], seed=SEED, draws=model.draws, cache=work / "cache"
        )
    else:
        settings = model.settings(backbone, len(data.train.labels), seed=SEED)
        folder = work / "runs" / f"{bench.task.name}-{model.name}-{name}"
        accuracy, found = train_and_read(backbone, data, bench.candidates[name], settings, folder=folder)
    rows = []
    for target in bench.task.targets:
        labels = data.targets[target].labels
        estimate = estimate_target_accuracy(found[target], validation=(found[VALIDATION], data.val.labels))
        rows.append(
            {
                "source": bench.task.name,
                "target": target,
                "network": name,
                "n": len(labels),
                "true": float((found[target].argmax(1) == labels).mean()),
                "estimate": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "warned": any("either the shares are others" in warning for warning in estimate.warnings),
                "confidence": estimate.confidence,
                "validation_accuracy": accuracy,
            }
        )
    print(bench.task.name, model.name, name, f"{time.process_time() - begin:.0f} s of CPU", flush=True)
    return rows


def read_trained(work: Path, cpu_minutes: float) -> list[dict[str, Any]]:
    """The rows of all finished trainings; none begins after `cpu_minutes` of this process."""
    file = make_folder(work) / "trained.csv"
    rows = pl.read_csv(file).to_dicts() if file.is_file() else []
    for model, source in TRAINED:
        if time.process_time() > 60 * cpu_minutes:
            break
        bench = open_source(source, model, TRAINED_CANDIDATES, work)
        for name in TRAINED_CANDIDATES:
            # Rows of other images, another recipe or another candidate are of another training.
            which = {"model": model, "training": f"{bench.recipe}-{bench.catalogue[name]}"}
            is_done = any(row["source"] == source and row.items() >= which.items() for row in rows)
            if is_done or time.process_time() > 60 * cpu_minutes:
                continue
            begin = time.process_time()
            new = read_network(bench, name, work)
            rows += [which | row | {"cpu_s": time.process_time() - begin} for row in new]
            with replacing(file) as temporary:
                pl.DataFrame(rows).write_csv(temporary)
    return rows


def figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean absolute error and bias over all rows, and Spearman's correlation over the networks of each target."""

    def column(name: str, some: list[dict[str, Any]]) -> NDArray[np.float64]:
        return np.array([row[name] for row in some], np.float64)

    true = column("true", rows)
    tasks = sorted({(row["source"], row["target"]) for row in rows})
    found: dict[str, Any] = {"rows": len(rows), "targets": len(tasks)}
    for score in SCORES:
        error = column(score, rows) - true
        correlations = []
        for task in tasks:
            some = [row for row in rows if (row["source"], row["target"]) == task]
            correlation = spearman(column(score, some), column("true", some))
            if correlation is not None:
                correlations.append(correlation)
        mean, half = student_mean(np.array(correlations)) if correlations else (math.nan, math.nan)
        found[score] = {
            "mean_absolute_error": float(np.abs(error).mean()),
            "bias": float(error.mean()),
            "spearman_within_targets": mean if correlations else None,
            "spearman_low": mean - half if len(correlations) > 1 else None,
            "spearman_high": mean + half if len(correlations) > 1 else None,
            "spearman_targets": len(correlations),
            "spearman_over_all": spearman(column(score, rows), true),
        }
    inside = (column("low", rows) <= true) & (true <= column("high", rows))
    found["true_in_interval"] = float(inside.mean())
    warned = column("warned", rows).astype(bool)
    off = np.abs(column("estimate", rows) - true)
    found["warned"] = float(warned.mean())
    found["mean_absolute_error_where_warned"] = float(off[warned].mean()) if warned.any() else None
    found["mean_absolute_error_elsewhere"] = float(off[~warned].mean()) if (~warned).any() else None
    return found


def divided(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of the shifted targets and of the own targets."""
    kinds = {
        "shifted": [row for row in rows if row["target"] != OWN],
        "own": [row for row in rows if row["target"] == OWN],
    }
    return {kind: figures(some) for kind, some in kinds.items() if some}


def rounded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows for the file of the result."""
    return [
        {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()} for row in rows
    ]


def measure_heads(work: Path, sources: list[str]) -> None:
    """Measure heads on frozen features, and keep the figures."""
    rows = []
    for source in sources:
        bench = open_source(source, "squeezenet-head", CANDIDATES, work)
        names = [name for name in bench.candidates if name in (*CANDIDATES, "clean")]
        rows += [row for name in names for row in read_network(bench, name, work)]
    keep(
        "target_accuracy",
        {
            "model": "squeezenet-head",
            "networks": ["clean", *CANDIDATES],
            "cpu_s": round(time.process_time()),
            **divided(rows),
            "rows": rounded(rows),
        },
    )


def measure_trained(work: Path, cpu_minutes: float) -> None:
    """Measure networks of which all weights are trained, and keep the figures of all that are finished."""
    rows = read_trained(work, cpu_minutes)
    seconds = {(row["model"], row["source"], row["network"]): row["cpu_s"] for row in rows}
    keep(
        "target_accuracy_trained",
        {
            "seed": SEED,
            "trainings": len(seconds),
            "cpu_s": round(sum(seconds.values())),
            "all": divided(rows),
            "models": {
                model: divided([row for row in rows if row["model"] == model])
                for model in dict.fromkeys(row["model"] for row in rows)
            },
            "rows": rounded(rows),
        },
    )


def main() -> None:
    """Measure the networks and keep the figures."""
    shared()
    work = Path(option("--work", "eyeshot-out/target-accuracy"))
    if "--trained" in sys.argv:
        measure_trained(work, float(option("--cpu-minutes", "inf")))
    else:
        measure_heads(work, option("--sources", "photo,sketch,digits").split(","))


if __name__ == "__main__":
    main()
