"""The probe of many classes against scikit-learn's LogisticRegression: CPU time to the same loss, and folds of models.

`python -m benchmarks.probe_speed [--classes 500] [--images 30] [--features 1024] [--penalty 1] [--apart 0.5] [--folds]`

Features are made: class centres and noise in a random basis, variances falling as 1 / k, standardised. scikit-learn
gets them as float64, and again as float32, and stops by its default tolerance; ours does the fewest steps whose loss is
not above that (both losses are computed in float64). CPU time is that of the process, so threads and other programs do
not matter much. With `--apart 0.5`, the spread of class centres relative to the noise, a probe is right on every
held-out image; with 0.15 classes overlap. Written to `results/probe_speed_APART.json`.

`--folds` measures ten folds of the same features with one chosen penalty instead, as the ranking of models does per
model. Written to `results/probe_folds_APART.json`.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.common import keep
from eyeshot.models import cross_fit
from eyeshot.models.softmax_regression import Curvature, minimise

APART = 0.5
"""Spread of the class centres relative to the noise."""


def made_features(
    classes: int, images: int, width: int, *, apart: float = APART, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Standardised features float64 (classes * images, width), and labels."""
    random = np.random.default_rng(seed)
    spectrum = np.arange(1, width + 1) ** -0.5
    labels = np.repeat(np.arange(classes), images)
    centres = random.normal(size=(classes, width)) * apart
    values = (centres[labels] + random.normal(size=(len(labels), width))) * spectrum
    values = values @ np.linalg.qr(random.normal(size=(width, width)))[0]
    return (values - values.mean(0)) / values.std(0), labels


def loss_of(values: np.ndarray, labels: np.ndarray, weight: np.ndarray, bias: np.ndarray, penalty: float) -> float:
    """Mean cross entropy and penalty / (2 n) times the squared weights, in float64."""
    scores = values @ weight.T.astype(np.float64) + bias
    top = scores.max(1)
    logs = top + np.log(np.exp(scores - top[:, None]).sum(1)) - scores[np.arange(len(labels)), labels]
    return float(logs.mean() + 0.5 * penalty / len(labels) * np.square(weight, dtype=np.float64).sum())


def main() -> None:
    """Run one comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("classes", 500), ("images", 30), ("features", 1024)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--penalty", type=float, default=1.0)
    parser.add_argument("--apart", type=float, default=APART)
    parser.add_argument("--folds", action="store_true")
    chosen = parser.parse_args()
    values, labels = made_features(chosen.classes, chosen.images, chosen.features, apart=chosen.apart)
    print(f"{len(labels)} images, {chosen.classes} classes, {chosen.features} features", flush=True)
    result: dict[str, Any] = {**vars(chosen), "load": os.getloadavg()}
    if chosen.folds:
        keep(f"probe_folds_{chosen.apart:g}", result | time_folds(values.astype(np.float32), labels, chosen.classes))
        return
    for given in (values, values.astype(np.float32)):
        result[str(given.dtype)] = compare(given, values, labels, chosen.classes, chosen.penalty)
        print(given.dtype, result[str(given.dtype)], flush=True)
    keep(f"probe_speed_{chosen.apart:g}", result)


def compare(given: np.ndarray, values: np.ndarray, labels: np.ndarray, classes: int, penalty: float) -> dict[str, Any]:
    """CPU seconds of scikit-learn on `given`, and of ours to a loss not above."""
    begin = time.process_time()
    model = LogisticRegression(C=1 / penalty, max_iter=1000).fit(given, labels)
    theirs_s = time.process_time() - begin
    theirs = loss_of(values, labels, model.coef_, model.intercept_, penalty)
    single = values.astype(np.float32)
    for steps in range(1, 200):
        begin = time.process_time()
        weights, _ = minimise(
            single, labels, classes,
            ridge=penalty / len(labels), curvature=Curvature(single, classes), decrement=0.0, steps=steps,
        )  # fmt: skip
        ours_s = time.process_time() - begin
        ours = loss_of(values, labels, weights[:, :-1], weights[:, -1], penalty)
        if ours <= theirs:
            break
    return {
        "scikit_learn": {"loss": theirs, "iterations": int(np.max(model.n_iter_)), "cpu_s": theirs_s},
        "eyeshot": {"loss": ours, "steps": steps, "cpu_s": ours_s},
        "ratio": theirs_s / ours_s,
    }


def time_folds(values: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, Any]:
    """Seconds of ten folds, and what comes out."""
    fold = np.random.default_rng(0).permutation(len(labels)) % 10
    rows = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(10)]
    begin, wall = time.process_time(), time.perf_counter()
    probabilities, penalty = cross_fit(values, labels, rows, class_count=classes)
    return {
        "cpu_s": time.process_time() - begin,
        "wall_s": time.perf_counter() - wall,
        "chosen_penalty": penalty,
        "accuracy": float((probabilities.argmax(1) == labels).mean()),
    }


if __name__ == "__main__":
    main()
