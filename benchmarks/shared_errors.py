"""Labels that all runs contradict: how many of them are wrong, where 5 % of the labels are wrong by plan.

PACS photographs (1,670 images, 7 classes). Of 5 % of the images, drawn by `--seed`, the label is replaced by any other
class, in training and validation alike. Two small ResNets of other seeds and a small ViT are trained from scratch, and
`eyeshot.find_errors` looks at what they share. Nothing was tuned on it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

import eyeshot
from benchmarks.common import keep, shared
from eyeshot.core import wilson

SHARE = 0.05


def plant(source: Path, folder: Path, seed: int) -> dict[str, str]:
    """Copies of class folders with wrong labels: id -> the right class."""
    random = np.random.default_rng(seed)
    classes = sorted(each.name for each in source.iterdir() if each.is_dir())
    wrong = {}
    for name in classes:
        for file in sorted((source / name).iterdir()):
            label = name
            if random.random() < SHARE:
                label = str(random.choice([other for other in classes if other != name]))
                wrong[f"{label}/{name}-{file.name}"] = name
            target = folder / label / f"{name}-{file.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return wrong


def main() -> None:
    """Train three networks and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args()
    source = shared() / "data" / "pacs" / "photo"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        wrong = plant(source, Path("train"), given.seed)
        eyeshot.init("train", progress=False)
        eyeshot.split(folds=5, leakage=False, progress=False).write("split.json")
        for model, seed in (("test_resnet.r160_in1k", 0), ("test_resnet.r160_in1k", 1), ("test_vit.r160_in1k", 0)):
            eyeshot.train(model=model, from_scratch=True, size=48, epochs=given.epochs, seed=seed, progress=False)
        report = eyeshot.find_errors(network=False, progress=False).report
        found = [finding for finding in report.findings if finding.images[0].id in wrong]
        named = sum(wrong[finding.images[0].id] == finding.evidence["proposed"] for finding in found)
        runs = Path("eyeshot-out/runs")
        ids = np.load(next(runs.iterdir()) / "validation.npz")["ids"].tolist()
        os.chdir(source)  # Windows deletes no folder that somebody is in
    count, hits = len(report.findings), len(found)
    result = {
        "seed": given.seed,
        "epochs": given.epochs,
        "accuracies": [run.accuracy.value for run in report.runs],
        "n_val": len(ids),
        "planted": len(set(ids) & set(wrong)),
        "contradicted": count,
        "wrong": hits,
        "interval": wilson(hits, count),
        "right_class_named": named,
        "shared_errors": report.shared,
    }
    keep("shared_errors", result)


if __name__ == "__main__":
    main()
