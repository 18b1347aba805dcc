"""A composed policy against TrivialAugment, RandAugment, the first single candidate of the ranking, and clean images.

    python -m benchmarks.augmentation_policy [--seeds 8] [--work DIR] [--figures]

Images, networks and recipes are those of the truth tables. A policy is composed as a user gets it, without short runs
(what they reach depends on how busy the machine is), on the half of the target that the truth does not use; accuracy is
measured on the other half. Seeds are paired: the arms of one see the same images in the same order. A finished training
is a few lines of `augmentation_policy.csv`, so the same command continues; `--figures` computes from these lines.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.augmentation_truth.recipes import MODELS
from benchmarks.augmentation_truth.runner import Bench, Runner, open_bench
from benchmarks.augmentation_truth.scores import cover_settings
from benchmarks.augmentation_truth.trained import accuracies, train_and_read
from benchmarks.augmentation_truth.work_list import Wanted
from benchmarks.common import RESULTS, ROOT, keep, option
from eyeshot.augment import augmentation
from eyeshot.core import describe_hardware, key_of, student_mean
from eyeshot.core.files import make_folder, replacing
from eyeshot.rankings import prepare, run_ranking
from eyeshot.rankings.augmentations.settings import check_settings

POLICY, SINGLE = "policy", "first single"
USUAL = {"clean": ("clean",), "TrivialAugment": ("trivial-augment",), "RandAugment": ("rand-augment",)}
SEEDS = 8
FILE = RESULTS / "augmentation_policy.csv"
POLICIES = RESULTS / "augmentation_policy_composed.json"
FIRST_ATTEMPT = RESULTS / "augmentation_policy_first_attempt.json"
"""Policies of the first attempt, which was stopped; see docs/ranking-log.md."""
COLUMNS = (
    "source",
    "model",
    "augmentations",
    "seed",
    "target",
    "n_target",
    "accuracy",
    "val_accuracy",
    "seconds",
    "hardware",
)


@dataclass(frozen=True)
class Task:
    """A source, a network and the target that policy and first single candidate are chosen for."""

    source: str
    model: str
    target: str

    @property
    def name(self) -> str:
        """In tables."""
        return f"{self.source} -> {self.target}, {self.model}"


TASKS = (
    Task("photo", "squeezenet-tuned", "sketch"),
    Task("photo", "squeezenet-tuned", "own"),
    Task("digits", "small-cnn", "off-centre"),
)
"""Photographs -> drawings, the same without a shift, and a made shift of the digits; fixed before any was trained."""


def compose(task: Task, bench: Bench, work: Path) -> dict[str, Any]:
    """What the ranking says for a task: the policy's operations, the first candidate, and the covered shares."""
    settings = cover_settings(bench.task, bench.model, task.target, candidates=(), budget_s=0.0)
    plan = prepare(bench.task.folder / "train", check_settings(**settings, policy=True), cache=work / "policy-cache")
    result = run_ranking(plan)
    report, steps = result.report, result.policy
    assert steps is not None
    assert report.policy is not None
    return {
        "policy": [step.name for step in steps] or ["clean"],
        "first": report.of("ranked")[0].name,
        "advice": report.advice,
        "shift": report.shift.ratio,
        "record": report.policy.model_dump(),
        "seconds": report.seconds,
        "hardware": report.hardware,
    }


def arms_of(composed: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Names of the augmentations of each arm of a task."""
    return {POLICY: tuple(composed["policy"]), SINGLE: (composed["first"],), **USUAL}


def trainings(composed: dict[str, dict[str, Any]], seeds: int) -> Iterator[tuple[str, str, tuple[str, ...], int]]:
    """Source, model, augmentations and seed of each training: all arms of all tasks of a seed, then the next seed."""
    for seed in range(seeds):
        wanted = [(task.source, task.model, names) for task in TASKS for names in arms_of(composed[task.name]).values()]
        for source, model, names in dict.fromkeys(wanted):
            yield source, model, names, seed


def train_arm(bench: Bench, names: tuple[str, ...], seed: int, work: Path) -> list[dict[str, Any]]:
    """Train with these augmentations; a row for each target."""
    backbone = bench.model.load(bench.task.name, seed=seed)
    settings = bench.model.settings(backbone, len(bench.data.train.labels), seed=seed)
    text = "+".join(names)
    folder = make_folder(work / "policy-runs") / key_of(bench.task.name, bench.model.name, text, seed)
    begin = time.process_time()
    val, found = train_and_read(backbone, bench.data, [augmentation(name) for name in names], settings, folder=folder)
    seconds = round(time.process_time() - begin, 1)
    rows = []
    for target, probabilities in found.items():
        labelled = bench.data.targets[target]
        right, _ = accuracies(probabilities, labelled, len(bench.data.classes))
        values = (
            bench.task.name,
            bench.model.name,
            text,
            seed,
            target,
            len(labelled.labels),
            right,
            val,
            seconds,
            describe_hardware("cpu"),
        )
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def read_composed(file: Path = POLICIES) -> dict[str, dict[str, Any]]:
    """The policies that were composed, by task."""
    return dict(json.loads(file.read_text(encoding="utf-8"))["tasks"]) if file.is_file() else {}


def read_rows(file: Path = FILE) -> list[dict[str, Any]]:
    """The rows of finished trainings."""
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        numbers = {"seed": int, "n_target": int, "accuracy": float, "val_accuracy": float, "seconds": float}
        return [{name: numbers.get(name, str)(value) for name, value in row.items()} for row in csv.DictReader(lines)]


def write_rows(rows: list[dict[str, Any]], file: Path = FILE) -> None:
    """Write all rows."""
    with replacing(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def figures(composed: dict[str, dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each task: mean accuracy of each arm over the seeds that all arms have, and the policy's paired lead
    with half of its 95 % interval (Student's, over seeds)."""
    found = []
    for task in TASKS:
        if task.name not in composed:
            continue
        accuracy = {
            (row["augmentations"], row["seed"]): row["accuracy"]
            for row in rows
            if (row["source"], row["model"], row["target"]) == (task.source, task.model, task.target)
        }
        arms = {arm: "+".join(names) for arm, names in arms_of(composed[task.name]).items()}
        seeds = sorted({seed for _, seed in accuracy})
        paired = [seed for seed in seeds if all((text, seed) in accuracy for text in arms.values())]
        values = {arm: np.array([accuracy[text, seed] for seed in paired]) for arm, text in arms.items()}
        entry: dict[str, Any] = {"task": task.name, "seeds": paired, "augmentations": arms}
        if paired:
            entry["accuracy"] = {arm: float(each.mean()) for arm, each in values.items()}
        if len(paired) > 1:
            entry["lead"] = {
                arm: list(student_mean(values[POLICY] - each)) for arm, each in values.items() if arm != POLICY
            }
        found.append(entry)
    return found


def main() -> None:
    """Compose what is not composed yet, train what is missing, and print and keep the figures."""
    work = Path(option("--work", str(ROOT / "eyeshot-out" / "policy")))
    seeds = int(option("--seeds", str(SEEDS)))
    composed: dict[str, dict[str, Any]] = read_composed()
    rows = read_rows()
    if "--figures" not in sys.argv:
        benches: dict[tuple[str, str], Bench] = {}

        def bench_of(source: str, model: str) -> Bench:
            if (source, model) not in benches:
                wanted = Wanted(source, model, ("trivial-augment",), seeds)
                benches[source, model] = open_bench(wanted, MODELS[model], Runner(work / "tables", work))
            return benches[source, model]

        for task in TASKS:
            if task.name not in composed:
                print(f"composing: {task.name}", flush=True)
                composed[task.name] = compose(task, bench_of(task.source, task.model), work)
                keep(POLICIES.stem, {"tasks": composed})
            print(f"{task.name}: {arms_of(composed[task.name])}", flush=True)
        if "--compose" in sys.argv:
            return
        done = {(row["source"], row["model"], row["augmentations"], row["seed"]) for row in rows}
        for source, model, names, seed in trainings(composed, seeds):
            if (source, model, "+".join(names), seed) in done:
                continue
            new = train_arm(bench_of(source, model), names, seed, work)
            rows += new
            write_rows(rows)
            print(
                f"{source} {model} seed {seed} {'+'.join(names)}: {new[0]['seconds']} s",
                flush=True,
            )
    found = figures(composed, rows)
    keep(FILE.stem, {"tasks": found})


if __name__ == "__main__":
    main()
