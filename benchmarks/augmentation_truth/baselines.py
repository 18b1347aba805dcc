"""What a ranking must beat: Fréchet distance, and short trainings from scratch at as little or the same cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from benchmarks.augmentation_truth.recipes import Model
from benchmarks.augmentation_truth.tasks import Decoded, Task
from eyeshot.augment import Augmentation
from eyeshot.core import SILENT
from eyeshot.models import FeatureBank
from eyeshot.rankings import Plan
from eyeshot.rankings.augmentations.context import make_context, trained_backbone
from eyeshot.rankings.augmentations.data import decode_tables
from eyeshot.rankings.augmentations.settings import samples_of
from eyeshot.training import joined, read_validation, train

Array = NDArray[np.float64]


def frechet(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Distance of two clouds (n, d), (m, d) as normal distributions (Dowson and Landau 1982), squared as in FID."""
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    values, vectors = np.linalg.eigh(np.cov(first.T))
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    both = np.linalg.eigvalsh(root @ np.cov(second.T) @ root).clip(0)
    spread = np.trace(np.cov(first.T)) + np.trace(np.cov(second.T)) - 2 * np.sqrt(both).sum()
    return float(np.square(first.mean(0) - second.mean(0)).sum() + spread)


def frechet_distances(plan: Plan) -> dict[str, float]:
    """From the target to what training sees (clean images and views of them), in the space of `eyeshot cover`.

    Takes features and baseline from the cache that `cover` left.
    """
    data = decode_tables(plan.tables, plan.backbone.geometry, plan.settings, cache=plan.cache)
    backbone, head, _, _ = trained_backbone(plan, data, SILENT, "")
    bank = FeatureBank(plan.cache, backbone, device=plan.device, batch_size=plan.settings.batch_size)
    context = make_context(plan, data, bank, head, SILENT)
    found = {}
    for candidate in plan.candidates:
        samples = samples_of((candidate,), plan.settings.samples_per_image)
        points, present, _ = context.source_samples(candidate, samples)
        found[candidate.name] = frechet(np.concatenate([context.probe.sources, points[present]]), context.target.points)
    return found


def short_trainings(
    task: Task,
    model: Model,
    data: Decoded,
    candidates: Mapping[str, Augmentation],
    *,
    epochs: int,
    seed: int,
    work: Path,
) -> dict[str, float]:
    """Minus the validation loss after so many epochs from the start of a whole training, learning rate annealed."""
    backbone = model.load(task.name, seed=seed)
    count = len(data.train.labels)
    settings = model.settings(backbone, count, seed=seed).model_copy(update={"epochs": epochs})
    pool = joined([data.train.pool, data.val.pool])
    labels = np.concatenate([data.train.labels, data.val.labels])
    found = {}
    for name, candidate in candidates.items():
        folder = work / "short" / f"{task.name}-{model.name}-{name}-{seed}-{epochs}"
        train(
            backbone, pool, labels, np.arange(count), np.arange(count, len(pool)),
            classes=data.classes, settings=settings, folder=folder,
            augmentations=() if name == "clean" else (candidate,), command="",
        )  # fmt: skip
        said = read_validation(folder)
        found[name] = -float(log_loss(said.labels, said.probabilities, labels=range(len(data.classes))))
    return found
