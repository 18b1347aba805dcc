"""A linear head on frozen features, whose views are computed once and kept in the product's feature bank.

The head sees what a training would see over as many epochs as there are draws: in each, every image once, augmented
with the candidate's own probability. It is the exact minimum, so seeds differ by samples and coins alone, and clean is
the same for all seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.augmentation_truth.tasks import Decoded
from benchmarks.augmentation_truth.trained import Probabilities
from eyeshot.augment import Augmentation
from eyeshot.models import Backbone, FeatureBank, fit_head


def fit_and_read(
    backbone: Backbone,
    data: Decoded,
    candidate: Augmentation,
    *,
    seed: int,
    draws: int,
    cache: Path,
    device: str = "cpu",
    each_step: Callable[[], None] = lambda: None,
) -> tuple[float, Probabilities]:
    """Accuracy on validation images, and probabilities float32 (n, C) for each target."""
    bank = FeatureBank(cache, backbone, device=device)
    count, class_count = len(data.train.labels), len(data.classes)
    rows = np.arange(count)
    clean = np.asarray(bank.clean(data.train.pool, rows), np.float32)
    hot = np.eye(class_count)[data.train.labels]
    features, targets = [], []
    for draw in range(draws):
        each_step()
        if candidate.name == "clean":
            features.append(clean)
            targets.append(hot)
            continue
        views = bank.views(candidate, data.train.pool, rows, seed=seed, draw=draw)
        # The same coins for all candidates with the same probability, so that pairs differ by the operation alone.
        changed = (np.random.default_rng([seed, draw, 5]).random(count) < candidate.probability) & views.success
        features.append(np.where(changed[:, None], np.asarray(views.features, np.float32), clean))
        mixed = np.einsum("np,npc->nc", views.weights, hot[views.sources])
        targets.append(np.where(changed[:, None], mixed, hot))
    head = fit_head(np.concatenate(features), np.concatenate(targets))
    val = bank.clean(data.val.pool, np.arange(len(data.val.labels)))
    found = {}
    for name, target in data.targets.items():
        each_step()
        found[name] = head.predict_proba(bank.clean(target.pool, np.arange(len(target.labels))))
    return float((head.predict(val) == data.val.labels).mean()), found
