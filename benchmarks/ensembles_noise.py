"""How often a gain is claimed for ensembles of members that are noise: no ensemble of them can be better than a member.

All members are right on the same 60 % of the images and guess on the rest.
"""

from __future__ import annotations

import numpy as np

from benchmarks.common import keep
from eyeshot.core import wilson
from eyeshot.predictions import EnsembleJudge, combine, gain

REPEATS, MEMBERS, IMAGES, CLASSES = 500, 12, 100, 3
METHODS = ["soft", "hard", "geometric", "rank", "per-class", "greedy"]

if __name__ == "__main__":
    random = np.random.default_rng(0)
    differences, claimed, inside = [], 0, 0
    for _ in range(REPEATS):
        labels = random.integers(0, CLASSES, IMAGES)
        easy = random.random(IMAGES) < 0.6
        members = []
        for _ in range(MEMBERS):
            scores = random.normal(size=(IMAGES, CLASSES))
            scores[easy, labels[easy]] += 20
            values = np.exp(scores)
            members.append((values / values.sum(1, keepdims=True)).astype(np.float16))
        judge = EnsembleJudge(members, labels, METHODS, seed=int(random.integers(1_000_000)))
        best_run = judge.best_run()
        found = gain(judge.best_method(), best_run)
        differences.append(found.difference)
        claimed += found.real
        selected = combine(judge.fit("greedy"), members).argmax(1) == labels
        inside += gain(selected, best_run).real
    keep(
        "ensembles_noise",
        {
            "n": REPEATS,
            "members": MEMBERS,
            "images": IMAGES,
            "gains_claimed": claimed / REPEATS,
            "gains_claimed_interval": list(wilson(claimed, REPEATS)),
            "mean_gain": float(np.mean(differences)),
            "mean_gain_standard_error": float(np.std(differences, ddof=1) / REPEATS**0.5),
            "gains_claimed_on_images_that_greedy_saw": inside / REPEATS,
        },
    )
