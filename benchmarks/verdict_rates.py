"""How often the rule of the ledger calls identical recipes "better", and how many real gains it keeps; and where its
guess about the noise between seeds comes from.

`python -m benchmarks.verdict_rates [--simulations 1000]` takes about 2 minutes on a core.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from benchmarks.common import ROOT, keep, option
from eyeshot.predictions import paired_gain

CASES = ((1, 0), (1, 1), (1, 8), (2, 2), (3, 4), (5, 8))
"""Seeds of each, and degrees of freedom of the measured noise: with one seed of each, of other runs of the recipe."""


def answers(
    random: np.random.Generator, chances: NDArray[np.float64], seeds: int, shift: float
) -> NDArray[np.bool_]:  # fmt: skip
    """bool (seeds, n): luck on each image, and a shift that all images of a seed share."""
    return random.random((seeds, len(chances))) < chances + random.normal(0, shift, (seeds, 1))


def better(*, images: int, shift: float, seeds: int, freedom: int, gain: float, simulations: int) -> int:
    """In how many of so many simulations the child is called better."""
    told = 0
    for number in range(simulations):
        random = np.random.default_rng([number, images, int(1000 * shift), seeds, freedom, int(1000 * gain)])
        chances = random.beta(2.4, 0.6, images)
        child = answers(random, np.minimum(1, chances + gain), seeds, shift)
        parent = answers(random, chances, seeds, shift)
        sides = [child, parent] if seeds > 1 else [answers(random, chances, freedom + 1, shift)]
        variance = np.mean([side.mean(1).var(ddof=1) for side in sides]) if freedom else 0.0
        told += paired_gain(child, parent, noise=(float(variance), freedom)).verdict == "better"
    return told


def guess_of(folder: Path) -> dict[str, float]:
    """Degrees of freedom and size of the noise between seeds, over recipes: a scaled F, by maximum likelihood.

    Smyth 2004, section 4. The size is in units of the binomial variance of the accuracy.
    """
    seeds: dict[tuple[str, ...], list[tuple[float, int]]] = defaultdict(list)
    for file in sorted(folder.glob("*.csv")):
        for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()):
            if row["target"] == "own":
                recipe = tuple(row[name] for name in ("source", "model", "candidate", "recipe"))
                seeds[recipe].append((float(row["target_accuracy"]), int(row["n_target"])))
    ratios, freedoms = [], []
    for runs in seeds.values():
        accuracies = np.array([accuracy for accuracy, _ in runs])
        mean = accuracies.mean()
        if len(runs) > 1 and mean < 1 and accuracies.var():
            ratios.append(accuracies.var(ddof=1) * runs[0][1] / (mean * (1 - mean)))
            freedoms.append(len(runs) - 1)
    ratio, freedom = np.array(ratios), np.array(freedoms)

    def loss(logs: NDArray[np.float64]) -> float:
        scale = np.exp(logs[1])
        return float(-(stats.f.logpdf(ratio / scale, freedom, np.exp(logs[0])) - logs[1]).sum())

    fitted = np.exp(optimize.minimize(loss, [1.0, 0.0], method="Nelder-Mead").x)
    return {"recipes": len(ratio), "degrees_of_freedom": float(fitted[0]), "size": float(fitted[1])}


if __name__ == "__main__":
    count = int(option("--simulations", "1000"))
    kinds = (("identical", 0.0, count), ("two_points", 0.02, count // 4), ("ten_points", 0.1, count // 4))
    rows = []
    for images, shift, (seeds, freedom) in product((300, 3000), (0.0, 0.04), CASES):
        row: dict[str, float] = {"images": images, "shift": shift, "seeds": seeds, "freedom": freedom}
        for name, gain, least in kinds:
            told = better(images=images, shift=shift, seeds=seeds, freedom=freedom, gain=gain, simulations=least)
            row[name] = told / least
        rows.append(row)
        print(row, flush=True)
    guess = guess_of(ROOT / "benchmarks" / "augmentation_truth" / "tables")
    keep("verdict_rates", {"simulations": count, "guess": guess, "better": rows})
