"""Does the order of `rank models` hold for full fine-tuning? PACS photographs and drawings, the five shared networks.

    python -m benchmarks.model_ranking --work DIR [--tasks photo,sketch] [--size 64] [--per-class 60] [--epochs 6]
                                       [--seeds 3] [--budget 4m] [--limit 25m]

Each task is a domain with its own classes. Up to 90 images a class are put aside before anything else: they are the
truth, and no part of `rank models` sees them. Of the rest `--per-class` images a class are ranked on, with `--budget`,
as a user would. Then each network is fully fine-tuned on all of these images (`--epochs` passes, no augmentation, with
its own recipe and the learning rate that rung 2 chose, or the recipe's where it was not reached) with several seeds,
and judged on the truth.

Written to `results/model_ranking_TASK.json`: Spearman of the order by probe and by short fine-tuning with the order by
full fine-tuning, over networks, and the regret of the advised network: the truth of the best one less its own, in
points, with an interval over images and seeds. Beside it the regrets of other rules: the most accurate probe, the most
parameters, a network by chance.

The same command continues: finished trainings are read from DIR. After `--limit` no training is begun. Seeds come
outermost, so that what is there is complete for some seeds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import keep, option, said, shared
from benchmarks.shared_models import MODELS
from eyeshot.augment import Pool
from eyeshot.core import make_folder, seconds_of, spearman, spearman_interval, student_mean
from eyeshot.data import ImageTable, PixelStore, read_images
from eyeshot.models import load_backbone, model_recipe
from eyeshot.predictions import compare_members
from eyeshot.rankings import ModelsReport, RankedModel, rank_models
from eyeshot.rankings.models.fine_tuning import recipe_settings
from eyeshot.training import TrainConfig, discard_damaged, read_validation, train

TRUTH_PER_CLASS = 90
BATCH = 32

Right = NDArray[np.bool_]


def divide(labels: NDArray[np.int64], per_class: int, *, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to rank on and rows of the truth: at most `TRUTH_PER_CLASS` and half of each class are the truth."""
    random = np.random.default_rng(seed)
    ranked, truth = [], []
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        aside = min(TRUTH_PER_CLASS, len(rows) // 2)
        truth.append(rows[:aside])
        ranked.append(rows[aside : aside + per_class])
    return np.sort(np.concatenate(ranked)), np.sort(np.concatenate(truth))


def link(images: ImageTable, rows: NDArray[np.int64], folder: Path) -> Path:
    """A folder of links to some images, CLASS/NAME; made once."""
    for row in rows.tolist():
        file = Path(images.paths[row])
        place = make_folder(folder / images.classes[images.labels[row]]) / file.name
        if not place.exists():
            place.symlink_to(file.resolve())
    return folder


def full_settings(model: RankedModel, image_count: int, epochs: int, seed: int) -> TrainConfig:
    """The recipe of a full fine-tuning: that of rung 2, or the model's own, for more epochs."""
    if model.fine_tuning is not None:
        settings = model.fine_tuning.settings
    else:
        recipe, _ = model_recipe(model.name)
        settings, _ = recipe_settings(recipe, image_count=image_count, seed=seed)
    return settings.model_copy(update={"epochs": epochs, "seed": seed, "batch_size": min(BATCH, image_count // 2)})


def fine_tune_fully(
    model: str, images: ImageTable, rows: tuple[NDArray[np.int64], NDArray[np.int64]], settings: TrainConfig,
    *, size: int, weights: Path, work: Path, seed: int, begin: bool,
) -> Right | None:  # fmt: skip
    """Which images of the truth a training answers right; None if it is not there and shall not begin."""
    folder = work / "runs" / f"{model.replace(':', '-')}-{size}-{settings.epochs}-{len(rows[0])}-{seed}"
    if not begin and not (folder / "result.json").is_file():
        return None
    backbone = load_backbone(model, weights=weights, size=size)
    everything = np.concatenate(rows)
    pixels = PixelStore(work / "cache", backbone.geometry).load(images, everything)
    place = {row: number for number, row in enumerate(pixels.rows.tolist())}
    parts = [np.array([place[row] for row in part.tolist()]) for part in rows]
    discard_damaged(folder)
    train(
        backbone, Pool(pixels.images, pixels.keys), images.labels[pixels.rows], *parts,
        classes=images.classes, settings=settings, folder=folder, command="",
    )  # fmt: skip
    return read_validation(folder).right


def agreement(measured: Mapping[str, float], truth: Mapping[str, float]) -> dict[str, Any]:
    """Spearman of an order with the truth over the networks that have both, with its interval."""
    both = [name for name in measured if name in truth]
    value = spearman(np.array([measured[name] for name in both]), np.array([truth[name] for name in both]))
    if value is None:
        return {"networks": len(both), "spearman": None, "interval": None}
    return {"networks": len(both), "spearman": value, "interval": spearman_interval(value, len(both))}


def regret(name: str, truth: Mapping[str, Right]) -> dict[str, Any]:
    """By how many points the best network of the truth is better than `name`, with an interval over images and seeds.

    The best is picked by the same images, so the regret is rather too large than too small.

    Args:
        truth: by network, bool (seeds, n).
    """
    best = max(truth, key=lambda other: float(truth[other].mean()))
    if best == name:
        return {"best": best, "points": 0.0, "interval": (0.0, 0.0)}
    _, (_, difference) = compare_members([truth[best], truth[name]], reference=0)
    assert difference is not None
    return {
        "best": best,
        "points": -100 * difference.value,
        "interval": (-100 * difference.high, -100 * difference.low),
    }


def summarise(report: ModelsReport, truth: Mapping[str, Right]) -> dict[str, Any]:
    """Agreement of the orders and regrets of the rules, for one task.

    Args:
        report: of `rank_models`.
        truth: by network, bool (seeds, n): which images of the truth it answers right after full fine-tuning.
    """
    accuracies = {name: float(right.mean()) for name, right in truth.items()}
    models = [model for model in report.models if model.name in truth]
    probes = {model.name: float(model.probe.accuracy.value or 0.0) for model in models}
    tuned = {
        model.name: float(model.fine_tuning.accuracy.value or 0.0) for model in models if model.fine_tuning is not None
    }
    best = max(accuracies.values())
    largest = max(models, key=lambda model: model.cost.parameters).name
    by_rule = {
        "advised": report.advised.name,
        "cheap": report.cheap.name,
        "best probe": max(probes, key=probes.__getitem__),
        "most parameters": largest,
    }
    return {
        "networks": {
            model.name: {
                "probe": probes[model.name],
                "short_fine_tuning": tuned.get(model.name),
                "short_less_probe": None if model.fine_tuning is None else model.fine_tuning.difference,
                "rate": None if model.fine_tuning is None else model.fine_tuning.rate,
                "truth": student_of(truth[model.name]),
                "seconds_per_1000": model.cost.seconds_per_1000,
            }
            for model in models
        },
        "order_by_probe": agreement(probes, accuracies),
        "order_by_short_fine_tuning": agreement(tuned, accuracies),
        "regret": {rule: {"network": name} | regret(name, truth) for rule, name in by_rule.items() if name in truth},
        "regret_by_chance_points": 100 * (best - float(np.mean(list(accuracies.values())))),
        "advised": report.advised.model_dump(),
        "cheap": report.cheap.model_dump(),
        "ranking_s": report.used_s,
        "n_ranked": report.n_images,
        "n_truth": len(next(iter(truth.values()))[0]),
        "seeds": min(len(right) for right in truth.values()),
    }


def student_of(right: Right) -> dict[str, Any]:
    """Mean accuracy over seeds, and half its interval by Student's t over the seeds alone (null with one seed)."""
    mean, half = student_mean(right.mean(axis=1))
    return {"mean": mean, "half_interval": half if np.isfinite(half) else None, "seeds": len(right)}


def complete(runs: Mapping[str, Sequence[Right]]) -> dict[str, Right]:
    """By network, bool (seeds, n), of as many seeds as all networks have."""
    count = min(len(rights) for rights in runs.values())
    return {name: np.stack(rights[:count]) for name, rights in runs.items()} if count else {}


def main() -> None:
    """Rank, fine-tune fully, compare, keep."""
    begin = time.monotonic()
    data = shared().resolve()
    work = make_folder(Path(option("--work", "model-ranking"))).resolve()
    size, per_class, epochs = (
        int(option(name, usual)) for name, usual in (("--size", "64"), ("--per-class", "60"), ("--epochs", "6"))
    )
    seeds = int(option("--seeds", "3"))
    limit_s = seconds_of(option("--limit", "25m"), "--limit")
    budget_s = seconds_of(option("--budget", "4m"), "--budget")
    names = option("--models", ",".join(MODELS)).split(",")
    tasks = option("--tasks", "photo,sketch").split(",")
    weights = data / "weights"
    ready: dict[str, tuple[ImageTable, tuple[NDArray[np.int64], NDArray[np.int64]], ModelsReport]] = {}
    for task in tasks:
        images = read_images(data / "data" / "pacs" / task)
        rows = divide(images.labels, per_class)
        place = link(images, rows[0], work / f"{task}-{per_class}")
        print(f"{task}: {len(rows[0])} images to rank on, {len(rows[1])} of the truth", file=sys.stderr, flush=True)
        report = rank_models(
            place, models=names, weights_dir=weights, size=size, budget_s=budget_s, decisions=False, split=False,
            cache=work / "cache", progress=said(),
        )  # fmt: skip
        ready[task] = images, rows, report
    runs: dict[str, dict[str, list[Right]]] = {
        task: {model.name: [] for model in report.models} for task, (*_, report) in ready.items()
    }
    for seed in range(seeds):
        for task, (images, rows, report) in ready.items():
            for model in report.models:
                spent = time.monotonic() - begin
                right = fine_tune_fully(
                    model.name, images, rows, full_settings(model, len(rows[0]), epochs, seed),
                    size=size, weights=weights, work=work / task, seed=seed, begin=spent < limit_s,
                )  # fmt: skip
                if right is None:
                    continue
                runs[task][model.name].append(right)
                print(
                    f"{task}, seed {seed}, {model.name}: {right.mean():.3f}, {spent:.0f} s", file=sys.stderr, flush=True
                )
    results = {
        task: summarise(report, truth) for task, (*_, report) in ready.items() if (truth := complete(runs[task]))
    }
    for task, result in results.items():
        keep(
            f"model_ranking_{task}",
            {
                "size": size, "epochs": epochs, "budget_s": budget_s, "load": os.getloadavg(),
                "wall_s": round(time.monotonic() - begin), "tasks": {task: result},
            },
        )  # fmt: skip


if __name__ == "__main__":
    main()
