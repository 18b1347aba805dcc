"""The wrap-up report of a project of 200 runs: seconds and bytes of each format.

`python -m benchmarks.report`: experiments with expectation, result and verdict, a run folder each, made in a temporary
folder; a process of its own writes each format, start of Python included; seconds of the processor are those of an idle
core. `--count` is the number of experiments.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import keep
from eyeshot.ledger import create_run, open_ledger
from eyeshot.predictions import Accuracy, Predictions
from eyeshot.training import TrainConfig, TrainResult

CLASSES = tuple(f"class {number}" for number in range(500))
SETTINGS = ("training.learning_rate", "augmentation", "training.optimizer", "model")
IMAGES = 3000


def fill(folder: Path, count: int) -> None:
    """A project of `count` experiments with a run each, of 500 classes."""
    dice = random.Random(0)
    (folder / "eyeshot.toml").write_text('[data]\ntrain = "train"\n', encoding="utf-8")
    root = folder / "eyeshot-out"
    with open_ledger(root, write=True) as ledger:
        first = ""
        for number in range(count):
            value = 0.8 + dice.gauss(0, 0.01)
            run = _run(root / "runs", number, value)
            setting = SETTINGS[number % len(SETTINGS)]
            stated: dict[str, Any] = {"author": f"author {number % 5}"}
            if first:
                stated |= {"parent": first, "difference": {setting: ["before", f"after {number}"]}}
                stated["expected"] = {"direction": "up", "size": 0.01, "words": "+1 accuracy"}
            name = ledger.add(f"Reason number {number}: a sentence as people write it", **stated).id
            ledger.append(name, "run", run=run, seed=0)
            change = {} if not first else {
                "difference": value - 0.8, "difference_low": value - 0.81, "difference_high": value - 0.79, "p": 0.04,
                "allowed_p": 0.05, "comparisons": number,
            }  # fmt: skip
            got = {"value": value, "low": value - 0.014, "high": value + 0.014, "n": IMAGES, "seeds": [0], **change}
            ledger.append(name, "got", got=got)
            if first:
                gain = dice.choice(("better", "worse", "not distinguishable"))
                ledger.append(name, "verdict", verdict=gain, gain=gain, words="As it came.")
                ledger.append(name, "learned", text=f"Lesson {number}.")
            ledger.append(name, "state", state="done")
            first = first or name


def _run(runs: Path, number: int, value: float) -> str:
    config = TrainConfig(seed=number)
    folder = create_run(
        runs, kind="train", key=str(number), model="resnet50.a1_in1k", augmentations=("invert",), seed=number,
        config={"seed": number}, command=f"eyeshot train train --seed {number}",
    )  # fmt: skip
    accuracy = Accuracy.of_counts(round(value * IMAGES), IMAGES)
    TrainResult(
        key=str(number), model="resnet50.a1_in1k", pretrained=True, classes=CLASSES, augmentations=("invert",),
        settings=config, size=224, fit="crop", interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3, data={},
        n_train=12_000, n_val=IMAGES, epoch_val_images=IMAGES, accuracy=accuracy,
        per_class={name: Accuracy.of_counts(5, 6) for name in CLASSES}, epochs=10, steps=1900, seconds=900.0,
        ended_early=None, alarms=(), failed_samples=0, history=(), hardware="cpu", versions={"torch": "2"}, weights={},
        command="eyeshot train train",
    ).write(folder)  # fmt: skip
    ids = tuple(f"{place}.jpg" for place in range(12))
    labels = np.arange(12, dtype=np.int64)
    Predictions(ids, np.eye(12), CLASSES[:12], labels, run=folder.name).save(folder / "validation.npz")
    return folder.name


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    measured: dict[str, Any] = {"experiments": options.count, "formats": {}}
    with tempfile.TemporaryDirectory(prefix="eyeshot-") as place:
        folder = Path(place)
        fill(folder, options.count)
        for kind, language in (("html", "en"), ("html", "ko"), ("docx", "ko"), ("pdf", "ko")):
            command = [sys.executable, "-m", "eyeshot", "report", "--format", kind, "--lang", language, "--json"]
            seconds, processor, result = [], [], {}
            for _ in range(options.times):
                began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=dict(os.environ))
                seconds.append(time.perf_counter() - began)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
                result = json.loads(done.stdout)
            if kind not in result.get("files", {}):
                print(f"{kind}: {result.get('not_written') or result}")
                continue
            size = Path(result["files"][kind]).stat().st_size
            row = {
                "seconds": sorted(round(each, 1) for each in seconds),
                "processor_seconds": sorted(round(each, 1) for each in processor),
                "mebibytes": round(size / 2**20, 2),
                "load": round(os.getloadavg()[0], 1),
            }
            measured["formats"][f"{kind} {language}"] = row
            print(f"{kind} {language}: {row}")
    keep("report", measured)


if __name__ == "__main__":
    main()
