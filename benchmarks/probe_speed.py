"""The probe of many classes against scikit-learn's LogisticRegression: CPU time to the same loss, and folds of models.

`python -m benchmarks.probe_speed [--classes 500] [--images 30] [--features 1024] [--penalty 1]`

Features are made: class centres and noise in a random basis, variances falling as 1 / k, standardised. scikit-learn
gets them as float64 and stops by its default tolerance; ours does the fewest steps whose loss is not above that
(both losses are computed in float64). CPU time is that of the process, so threads and other programs do not matter
much. `--folds` adds ten folds of the same features with one chosen penalty, as the ranking of models does per model.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.linear_model import LogisticRegression

from eyeshot.core import describe_hardware
from eyeshot.models import cross_fit
from eyeshot.models.softmax_regression import Curvature, minimise

NOISE = 0.5
"""Spread of the class centres relative to the noise: the classes overlap."""


def made_features(classes: int, images: int, width: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Standardised features float64 (classes * images, width), and labels."""
    random = np.random.default_rng(seed)
    spectrum = np.arange(1, width + 1) ** -0.5
    labels = np.repeat(np.arange(classes), images)
    centres = random.normal(size=(classes, width)) * NOISE
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
    parser.add_argument("--folds", action="store_true")
    chosen = parser.parse_args()
    values, labels = made_features(chosen.classes, chosen.images, chosen.features)
    single = values.astype(np.float32)
    print(
        f"{len(labels)} images, {chosen.classes} classes, {chosen.features} features; {describe_hardware()}", flush=True
    )

    begin = time.process_time()
    model = LogisticRegression(C=1 / chosen.penalty, max_iter=1000).fit(values, labels)
    theirs_s = time.process_time() - begin
    theirs = loss_of(values, labels, model.coef_, model.intercept_, chosen.penalty)
    print(f"scikit-learn: loss {theirs:.5f}, {int(model.n_iter_[0])} iterations, {theirs_s:.1f} CPU s", flush=True)

    for steps in range(1, 200):
        begin = time.process_time()
        weights, _ = minimise(
            single, labels, chosen.classes,
            ridge=chosen.penalty / len(labels), curvature=Curvature(single, chosen.classes), decrement=0.0, steps=steps,
        )  # fmt: skip
        ours_s = time.process_time() - begin
        ours = loss_of(values, labels, weights[:, :-1], weights[:, -1], chosen.penalty)
        if ours <= theirs:
            break
    print(f"eyeshot: loss {ours:.5f}, {steps} steps, {ours_s:.1f} CPU s, ratio {theirs_s / ours_s:.1f}", flush=True)
    if chosen.folds:
        fold = np.random.default_rng(0).permutation(len(labels)) % 10
        rows = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(10)]
        begin, wall = time.process_time(), time.perf_counter()
        probabilities, penalty = cross_fit(single, labels, rows, class_count=chosen.classes)
        took, wall = time.process_time() - begin, time.perf_counter() - wall
        right = float((probabilities.argmax(1) == labels).mean())
        print(f"10 folds of one model: {took:.1f} CPU s, {wall:.1f} s, penalty {penalty:g}, accuracy {right:.3f}")


if __name__ == "__main__":
    main()
