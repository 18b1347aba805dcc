"""Ensembles of five pretrained networks with linear heads on PACS drawings, over five folds, against the best of them.

Each member predicts out of fold: its head was fitted on the four other folds. The networks are frozen.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np

import eyeshot
from benchmarks.common import keep, shared, squeezenet
from eyeshot.data import PixelStore, read_images
from eyeshot.models import extract, fit_head, load_backbone
from eyeshot.predictions import Predictions
from eyeshot.predictions.ensemble_judging import stratified_folds

SIZE, PER_CLASS, FOLDS, PENALTY = 64, 160, 5, 100.0
HALF = (0.5, 0.5, 0.5)
MODELS = {
    "squeezenet": None,
    "mobilenetv2": ("mobilenetv2_100", "tf2_mobilenetv2_100-imagenet.safetensors"),
    "mobilenetv2-birds": ("mobilenetv2_100", "tf_mobilenetv2_100-inat_bird.safetensors"),
    "efficientnet-lite0": ("tf_efficientnet_lite0.in1k", "tf_efficientnet_lite0-imagenet.safetensors"),
    "efficientnet-lite2": ("tf_efficientnet_lite2.in1k", "tf_efficientnet_lite2-imagenet.safetensors"),
}


def main() -> None:
    """Predict, combine, keep."""
    folder, begin = shared(), time.process_time()
    images = read_images(folder / "data" / "pacs" / "sketch")
    random = np.random.default_rng(0)
    rows = np.sort(
        np.concatenate(
            [
                random.permutation(np.flatnonzero(images.labels == label))[:PER_CLASS]
                for label in range(len(images.classes))
            ]
        )
    )
    images = images.take(rows)
    labels = np.asarray(images.labels, np.int64)
    folds = stratified_folds(labels, FOLDS, seed=1)
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        files = []
        for name, source in MODELS.items():
            options = (
                squeezenet(folder)
                if source is None
                else {"model": source[0], "weights": folder / "weights" / source[1], "mean": HALF, "std": HALF}
            )
            backbone = load_backbone(**{**options, "size": SIZE})
            pixels = PixelStore(Path("cache"), backbone.geometry).load(images, np.arange(len(images)))
            features = extract(backbone, np.asarray(pixels.images))
            probabilities = np.empty((len(labels), len(images.classes)), np.float32)
            for fold in range(FOLDS):
                own = folds == fold
                head = fit_head(features[~own], labels[~own], class_count=len(images.classes), penalty=PENALTY)
                scores = features[own] @ head.weight.T + head.bias
                values = np.exp(scores - scores.max(1, keepdims=True))
                probabilities[own] = values / values.sum(1, keepdims=True)
            files.append(Path(f"{name}.npz"))
            Predictions(tuple(images.ids), probabilities, tuple(images.classes), labels, run=name).save(files[-1])
            print(name, round(time.process_time() - begin, 1), flush=True)
        report = eyeshot.ensemble(files, progress=False)
        keep(
            "ensembles_pacs",
            {
                "n": report.n,
                "size": SIZE,
                "answer": report.answer,
                "method": report.method,
                "gain": report.gain.model_dump(),
                "members": {member.name: member.accuracy.model_dump() for member in report.members},
                "weights": {member.name: round(member.weight, 3) for member in report.members},
                "methods": {
                    row.method: {"accuracy": row.accuracy.model_dump(), "members": row.members, **row.gain.model_dump()}
                    for row in report.methods
                },
                "cpu_s": round(time.process_time() - begin, 1),
            },
        )


if __name__ == "__main__":
    main()
