"""The optimizer that is advised first against always AdamW: three real tasks, five seeds, each at its best rate.

Learning rates are chosen on an inner validation; other images judge. With --work DIR the same command continues a run
that was cut off. `--smoke` makes one short run of each task and keeps nothing.

Usage: python -m benchmarks.optimizer_advice --work DIR [--task photographs|sketches|digits] [--smoke]
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import eyeshot
from benchmarks.common import hash_of, keep, option, said, shared
from eyeshot.core import student_mean
from eyeshot.core.files import make_folder
from eyeshot.data.digits import large_digits

SEEDS, RATES = 5, 3
PLENTY_S = 1e6
"""The number of epochs is the task's, so no budget shortens it."""
TASKS: dict[str, dict[str, Any]] = {
    "photographs": {  # pretrained, 210 images train
        "model": "tf_efficientnet_lite0.in1k", "size": 64, "epochs": 4, "batch_size": 32, "train": 30, "val": 70,
    },
    "sketches": {  # a small network from scratch, 420 images train
        "model": "test_resnet.r160_in1k", "from_scratch": True, "size": 48, "epochs": 15, "batch_size": 32,
        "train": 60, "val": 100,
    },
    "digits": {  # a small network from scratch, 600 images train
        "model": "test_resnet.r160_in1k", "from_scratch": True, "size": 32, "epochs": 10, "batch_size": 32,
        "train": 60, "val": 100,
    },
}  # fmt: skip


def main() -> None:
    """Run each task, and keep the numbers of those asked for."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    folder, smoke, only = shared(), "--smoke" in sys.argv, option("--task")
    with tempfile.TemporaryDirectory() as passing:
        work = make_folder(Path(option("--work", passing)).absolute())
        results = {
            name: run_task(folder, work / ("smoke" if smoke else "whole") / name, name, smoke=smoke)
            for name in TASKS
            if only in ("", name)
        }
    differences = [result["difference"]["value"] for result in results.values()]
    summary = {
        "tasks": results,
        "mean_difference": {"value": float(np.mean(differences)), "half_interval_over_tasks": over_tasks(differences)},
        "better": [name for name, result in results.items() if result["difference"]["verdict"] == "better"],
        "worse": [name for name, result in results.items() if result["difference"]["verdict"] == "worse"],
    }
    if smoke or only:
        print(summary)
    else:
        keep("optimizer_advice", summary)


def over_tasks(differences: list[float]) -> float | None:
    """Half the 95 % interval of the mean by Student's t over tasks alone; None with one task."""
    half = student_mean(np.array(differences))[1]
    return half if np.isfinite(half) else None


def run_task(folder: Path, work: Path, name: str, *, smoke: bool) -> dict[str, Any]:
    """The optimizer advised first against AdamW on one task."""
    task = dict(TASKS[name])
    counts = (task.pop("train"), task.pop("val"))
    train, val = write_images(folder, work, name, *((12, 6) if smoke else counts))
    if name == "photographs":
        task["weights"] = folder / "weights" / "tf_efficientnet_lite0-imagenet.safetensors"
        task |= {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    task |= {"val": val, "decisions": False, "split": False, "cache": work / "cache", "progress": said()}
    task |= {"epochs": 1, "batch_size": 16} if smoke else {}
    advice = eyeshot.rank_optimizers(train, **task, budget_s=0).report
    first = advice.advised[0]
    seeds, rates = (1, 1) if smoke else (SEEDS, RATES)
    report = eyeshot.rank_optimizers(
        train, **task, optimizer=first.optimizer, budget_s=PLENTY_S, seeds=seeds, rates=rates
    ).report
    adamw, other = report.tried
    assert other.difference is not None
    return {
        "model": task["model"],
        "advised": [each.optimizer for each in advice.advised],
        "reason": first.reason,
        "situation": advice.situation.model_dump(include={"kind", "pretrained", "batch_size", "heavy_tailed",
                                                          "noise_scale", "spread_words"}),
        "n_train": report.n_train, "n_val": report.n_val, "epochs": report.epochs, "seeds": report.seeds,
        "adamw": numbers(adamw), "first": numbers(other), "difference": other.difference.model_dump(),
        "verdict": other.verdict, "seconds": report.seconds,
    }  # fmt: skip


def numbers(tried: Any) -> dict[str, Any]:
    """What is kept of an optimizer."""
    names = {"optimizer", "learning_rate", "at_edge", "accuracies", "seconds"}
    return {**tried.model_dump(include=names), "rates": [rate.learning_rate for rate in tried.rates]}


def write_images(folder: Path, work: Path, name: str, train: int, val: int) -> tuple[Path, Path]:
    """Folders of so many training and validation images a class: links to PACS, or digits."""
    parts = {"train": (0, train), "val": (train, train + val)}
    for part, (begin, end) in parts.items():
        if name == "digits":
            images, labels = large_digits()
            order = np.random.default_rng(0).permutation(len(images))
            for label in range(10):
                place = make_folder(work / part / str(label))
                for row in order[labels[order] == label][begin:end]:
                    if not (place / f"{row}.png").exists():
                        Image.fromarray(images[row]).save(place / f"{row}.png")
            continue
        source = folder / "data" / "pacs" / ("photo" if name == "photographs" else "sketch")
        for of_class in sorted(source.iterdir()):
            files = sorted(
                (file for file in of_class.iterdir() if file.suffix in (".jpg", ".png")), key=lambda file: hash_of(file)
            )
            place = make_folder(work / part / of_class.name)
            for file in files[begin:end]:
                if not (place / file.name).is_symlink():
                    (place / file.name).symlink_to(file.resolve())
    return work / "train", work / "val"


if __name__ == "__main__":
    main()
