"""The figures of "Models and trainings" in the evidence follow from the committed results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyeshot.core import student_mean

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture(scope="module")
def text() -> str:
    words = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    return " ".join(words.partition("## Models and trainings")[2].partition("\n## ")[0].split())


def result(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def signed(value: float, digits: int = 1) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def plain(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def test_the_table_of_optimizers_is_that_of_the_results(text: str) -> None:
    for name, task in result("optimizer_advice")["tasks"].items():
        difference = task["difference"]
        means = [100 * float(np.mean(task[side]["accuracies"])) for side in ("adamw", "first")]
        rates = [f"{task[side]['learning_rate']:g}" for side in ("adamw", "first")]
        low, high = (plain(100 * difference[end]) for end in ("low", "high"))
        change = f"{signed(100 * difference['value'])} ({low} to {high}) | {difference['verdict']}"
        row = (
            f"| {name}: {task['n_train']} | {task['n_val']} | {task['first']['optimizer']} at {rates[1]} | "
            f"{means[0]:.1f} % at {rates[0]} | {means[1]:.1f} % | {change} |"
        )
        assert row in text
        assert task["seeds"] == 5


def test_the_mean_of_the_tasks_is_that_of_the_results(text: str) -> None:
    tasks = result("optimizer_advice")["tasks"].values()
    mean, half = student_mean(100 * np.array([task["difference"]["value"] for task in tasks]))
    assert f"{signed(mean)} points ({plain(mean - half)} to {plain(mean + half)}" in text


RANKED = sorted(file.stem.removeprefix("model_ranking_") for file in RESULTS.glob("model_ranking_*.json"))


@pytest.mark.parametrize("task", RANKED)
def test_the_orders_of_models_are_those_of_the_results(text: str, task: str) -> None:
    found = result(f"model_ranking_{task}")["tasks"][task]
    order = found["order_by_probe"]
    low, high = order["interval"]
    interval = f"the interval is {plain(low, 2)} to {plain(high, 2)}"
    assert f"{plain(order['spearman'], 2)}, and with five networks {interval}" in text
    assert f"regret of {plain(found['regret']['advised']['points'])} points" in text
    for network in found["networks"].values():
        truth = f"{100 * network['truth']['mean']:.1f} % ± {100 * network['truth']['half_interval']:.1f}"
        assert f"| {100 * network['probe']:.1f} % | {truth} |" in text
    short = found["order_by_short_fine_tuning"]
    if short.get("spearman") is not None:
        low, high = (plain(end, 2) for end in short["interval"])
        assert f"Short fine-tuning orders them by {plain(short['spearman'], 2)} ({low} to {high})" in text


def test_the_speed_of_probes_is_that_of_the_results(text: str) -> None:
    speed, folds, overlapping = (result(f"probe_{name}") for name in ("speed_0.5", "folds_0.5", "folds_0.15"))
    for kind in ("float64", "float32"):
        theirs, ours = speed[kind]["scikit_learn"], speed[kind]["eyeshot"]
        assert ours["loss"] <= theirs["loss"]
        assert f"{theirs['cpu_s']:.1f} against {ours['cpu_s']:.1f} CPU-s, {speed[kind]['ratio']:.1f} times" in text
    assert f"ten folds take {folds['cpu_s']:.0f} CPU-s" in text
    assert f"and {overlapping['cpu_s']:.0f} where classes overlap" in text
    minutes = [20 * each["cpu_s"] / 2 / 60 for each in (folds, overlapping)]
    assert f"{minutes[0]:.0f} to {minutes[1]:.0f} minutes of two cores" in text
