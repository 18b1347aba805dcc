"""A ledger with experiments of every kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from eyeshot.ledger import Ledger, open_ledger

HOSTILE = "<img src=x onerror=\"document.title='hacked'\"> & </td> 'quoted' \u202eright"


def write_metrics(root: Path, run: str, accuracies: list[float]) -> None:
    """The metrics of a run: four steps and one line an epoch."""
    lines = []
    for epoch, accuracy in enumerate(accuracies, 1):
        for step in range(4):
            number = (epoch - 1) * 4 + step
            lines.append({"step": number, "epoch": epoch, "learning_rate": 1e-3 / epoch, "loss": 2 / (number + 1)})
        lines.append({"epoch": epoch, "step": epoch * 4, "train_loss": 1 / epoch, "train_accuracy": accuracy - 0.02,
                      "val_accuracy": accuracy, "seconds": 1.0})  # fmt: skip
    folder = root / "runs" / run
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def got(
    value: float, change: float | None = None, *, half: float = 0.012, p: float = 0.01, **more: Any
) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        "value": value, "low": value - 0.01, "high": value + 0.01, "n": 3004, "seeds": [0, 1, 2], "noise": 0.004,
        "seconds": 812.0, **more,
    }  # fmt: skip
    if change is not None:
        numbers |= {
            "difference": change, "difference_low": change - half, "difference_high": change + half, "p": p,
            "allowed_p": 0.025, "comparisons": 2,
        }  # fmt: skip
    return numbers


def finish(
    ledger: Ledger, name: str, numbers: dict[str, Any], gain: str | None, verdict: str | None, words: str = ""
) -> None:
    """A run, its result and its verdict."""
    rates = np.linspace(0.5, numbers["value"], 6)
    write_metrics(ledger.root, f"{name}-s0", [float(rate) for rate in rates])
    ledger.append(name, "run", run=f"{name}-s0", seed=0)
    ledger.append(name, "rung", rung="full", value=numbers["value"], n=3004, seconds=812.0)
    ledger.append(name, "got", got=numbers)
    if verdict:
        ledger.append(name, "verdict", verdict=verdict, gain=gain, words=words)
    ledger.append(name, "state", state="done")


def make_ledger(root: Path) -> dict[str, str]:
    """Seven experiments; returns their ids by what they stand for."""
    ids: dict[str, str] = {}
    with open_ledger(root, write=True) as ledger:

        def add(what: str, why: str, **stated: Any) -> str:
            ids[what] = ledger.add(why, author=stated.pop("author", "ann"), **stated).id
            return ids[what]

        base = add(
            "baseline",
            "A baseline to compare with",
            config={"model": "resnet18.a1_in1k", "training": {"optimizer": "adamw"}},
        )
        finish(ledger, base, got(0.81), None, None)
        radam = add(
            "better", "RAdam warms up by itself, so a short run should profit", parent=base,
            difference={"training.optimizer": ["adamw", "radam"]}, tags=["optimizer"],
            config={"model": "resnet18.a1_in1k", "training": {"optimizer": "radam"}},
            expected={"direction": "up", "size": 0.02, "words": "+2 accuracy"}, cost_planned_s=900,
            code={"commit": "0123456789abcdef", "difference": "+ a line"},
        )  # fmt: skip
        finish(
            ledger,
            radam,
            got(0.832, 0.022, comparisons=1),
            "better",
            "as expected",
            "As expected: +2.2 points (95 %: +1.0 to +3.4).",
        )
        ledger.append(radam, "learned", text="Short runs profit.", author="ann")
        ledger.append(radam, "insight", insight_id="abc123", text="Try it for the large model", author="ann")
        invert = add(
            "noise", "Sketches are dark on bright", parent=radam, author="bob",
            difference={"augmentation": ["none", "invert"], "training.epochs": [10, 12]},
            expected={"direction": "up", "words": "up accuracy"},
        )  # fmt: skip
        shifted = {"estimate": 0.7, "estimate_difference": -0.05, "estimate_disagrees": True}
        numbers = got(0.835, 0.003, p=0.41, **shifted)
        finish(ledger, invert, numbers, "not distinguishable", "not distinguishable")
        worse = add("worse", "A larger rate", parent=radam, author="night agent", author_kind="agent",
                    difference={"training.learning_rate": [0.001, 0.01]},
                    expected={"direction": "up", "size": 0.01, "words": "+1 accuracy"})  # fmt: skip
        finish(ledger, worse, got(0.79, -0.042, p=0.0002), "worse", "worse")
        running = add("running", "Longer training", parent=radam, difference={"training.epochs": [10, 30]},
                      author_kind="sweep", sweep="20261130-0900-night",
                      hypothesis="Loss still falls at the end")  # fmt: skip
        write_metrics(root, f"{running}-s0", [0.5, 0.7])
        ledger.append(running, "run", run=f"{running}-s0", seed=0)
        ledger.append(running, "rung", rung="probe", value=0.7, n=500, seconds=12.0)
        failed = add(
            "failed", "A batch that is too large", parent=radam, difference={"training.batch_size": [64, 4096]}
        )
        ledger.append(failed, "state", state="failed", words="CUDA ran out of memory with batches of 4096.")
        add("hostile", HOSTILE, parent=base, difference={"augmentation": ["none", HOSTILE]}, tags=["<b>tag</b>"])
    return ids
