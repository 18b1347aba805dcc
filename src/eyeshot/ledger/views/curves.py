"""Curves of experiments: what their runs measured while they trained, few enough points for a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from eyeshot.core import InputError, listing
from eyeshot.ledger.store.database import Ledger
from eyeshot.training import METRICS_FILE, binned, read_metrics

Metric = Literal["val_accuracy", "train_accuracy", "train_loss", "loss", "learning_rate"]
OF_STEPS = ("loss", "learning_rate")
MOST_RUNS = 40
"""Lines of one picture."""


def experiment_curves(ledger: Ledger, ids: Sequence[str], metric: str = "val_accuracy") -> dict[str, Any]:
    """The curves of some experiments over each other.

    Args:
        ledger: opened.
        ids: of experiments; a parent that is a run is taken too.
        metric: "val_accuracy", "train_accuracy" or "train_loss" by epoch, "loss" or "learning_rate" by step.

    Returns:
        `series`: for each run `id` (of the experiment), `run`, `name`, `dash` (not the first run of its experiment),
        `x` and `y` (null where a number is not finite); `without`: experiments whose runs have no such curve;
        `running`: whether some will grow.

    Raises:
        InputError: the metric is unknown.
    """
    if metric not in get_args(Metric):
        raise InputError(f"A curve must be one of {listing(get_args(Metric))}, got {metric!r}.")
    series: list[dict[str, Any]] = []
    without: list[str] = []
    running = False
    for name in dict.fromkeys(ids):
        try:
            record = ledger.experiment(name)
            own, runs = record.id, record.runs
            running = running or record.state == "running"
        except InputError:
            own, runs = name, (name,)
        before = len(series)
        for run in runs:
            points = _points(ledger.root / "runs" / run / METRICS_FILE, metric)
            if points is not None and len(series) < MOST_RUNS:
                second = len(series) > before
                label = f"{own} ({run})" if second else own
                series.append({"id": own, "run": run, "name": label, "dash": second, "x": points[0], "y": points[1]})
        if len(series) == before:
            without.append(own)
    return {"metric": metric, "series": series, "without": without, "running": running}


def _points(file: Path, metric: str) -> tuple[list[float], list[float | None]] | None:
    # Only names of folders beside each other are followed, whatever an event of another machine says.
    if file.parent.name in ("", "..") or not file.is_file():
        return None
    status = file.stat()
    points = _read(os.fspath(file), metric, status.st_mtime_ns, status.st_size)
    return points if points[0] else None


@lru_cache(maxsize=512)
def _read(file: str, metric: str, changed: int, size: int) -> tuple[list[float], list[float | None]]:
    """The points of a file in the state that its time and size name."""
    steps, epochs = read_metrics(Path(file).parent)
    if metric in OF_STEPS:
        at, values = binned(steps, metric)
        return at.tolist(), [float(f"{value:.6g}") for value in values]
    pairs = [(line["epoch"], line.get(metric)) for line in epochs]
    if all(value is None for _, value in pairs):
        return [], []
    return [float(epoch) for epoch, _ in pairs], [None if value is None else float(value) for _, value in pairs]
