"""How far the estimate of accuracy without labels is off, on the networks and targets of the truth tables.

Heads on frozen SqueezeNet features, each trained with another augmentation, predict the source's own held-out images,
the other domain and the made shifts. Labels of the targets are used for the true accuracy alone, and nothing was tuned
on it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.augmentation_truth.frozen_head import fit_and_read
from benchmarks.augmentation_truth.recipes import MODELS, choose_candidates
from benchmarks.augmentation_truth.sources import OWN
from benchmarks.augmentation_truth.tasks import decode, open_task
from benchmarks.common import keep, option, shared
from eyeshot.core import spearman, student_mean
from eyeshot.predictions import estimate_target_accuracy

CANDIDATES = (
    *("mirror", "rotate-30", "translate", "crop-strong", "grey", "invert", "gaussian-blur-strong", "gaussian-noise"),
    *("edges", "amplitude-mix", "trivial-augment"),
)
VALIDATION = "validation"
SCORES = ("estimate", "confidence", "validation_accuracy")


def read_source(source: str, work: Path) -> list[dict[str, Any]]:
    """One row for each network and target of a source: true accuracy, the estimate, confidence, validation accuracy."""
    model = MODELS["squeezenet-head"]
    backbone = model.load(source, seed=0)
    task = open_task(source, (), work)
    data = decode(task, backbone.geometry, work / "cache")
    data = replace(data, targets=data.targets | {VALIDATION: data.val})
    rows = []
    for name, candidate in choose_candidates(CANDIDATES, data.aspect_ratios).items():
        if name not in (*CANDIDATES, "clean"):
            continue
        accuracy, found = fit_and_read(backbone, data, candidate, seed=0, draws=model.draws, cache=work / "cache")
        for target in task.targets:
            labels = data.targets[target].labels
            estimate = estimate_target_accuracy(found[target], validation=(found[VALIDATION], data.val.labels))
            rows.append(
                {
                    "source": source,
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
        print(source, name, f"{time.process_time():.0f} s of CPU", flush=True)
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
        mean, half = student_mean(np.array(correlations))
        found[score] = {
            "mean_absolute_error": float(np.abs(error).mean()),
            "bias": float(error.mean()),
            "spearman_within_targets": mean,
            "spearman_low": mean - half,
            "spearman_high": mean + half,
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


def main() -> None:
    """Measure all sources and keep the figures."""
    shared()
    work = Path(option("--work", "eyeshot-out/target-accuracy"))
    sources = option("--sources", "photo,sketch,digits").split(",")
    rows = [row for source in sources for row in read_source(source, work)]
    shifted = [row for row in rows if row["target"] != OWN]
    keep(
        "target_accuracy",
        {
            "model": "squeezenet-head",
            "networks": ["clean", *CANDIDATES],
            "cpu_s": round(time.process_time()),
            "shifted": figures(shifted),
            "own": figures([row for row in rows if row["target"] == OWN]),
            "rows": [
                {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}
                for row in rows
            ],
        },
    )


if __name__ == "__main__":
    main()
