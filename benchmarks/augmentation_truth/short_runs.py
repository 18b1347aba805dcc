"""Short runs of a table's candidates: a share of its steps, read on the half of each target that the truth leaves.

Each share is a run of its own, whose learning rate rises and falls within its steps: half of a longer run would be read
at a high learning rate. One run of a candidate is read on all targets of its source. Its probabilities are kept in the
work folder, so the same command continues, and a score that is changed is computed again without training.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.augmentation_truth.recipes import (
    CANDIDATES,
    Model,
    candidate_fingerprint,
    choose_candidates,
    recipe_fingerprint,
)
from benchmarks.augmentation_truth.scores import SCORE_SEED
from benchmarks.augmentation_truth.tasks import Task, decode, score_halves
from eyeshot.core.files import make_folder, replacing
from eyeshot.models import extract
from eyeshot.rankings.augmentations.plan import SCRATCH_RATE
from eyeshot.training import TrainingRun, read_images_with, start_state, warm_up_cosine

CLEAN = "clean"
SHARES = (0.1,)
NO_TARGET = ("val", "labels", "steps", "share", "seconds")
"""What a run holds besides its targets."""
Start = Literal["own", "clean"]
Run = dict[str, NDArray[Any]]
"""`val` float16 (n_val, C) and `labels` int64 (n_val,); float16 (M, C) for each target; `steps`, `share`, `seconds`."""


def short_runs(
    task: Task,
    model: Model,
    *,
    work: Path,
    say: Callable[[str], None],
    share: float,
    start: Start = "own",
    seed: int = SCORE_SEED,
) -> dict[str, Run]:
    """The short run of each candidate and of clean training, by name.

    Args:
        task: the source and its targets.
        model: network and recipe; not a frozen one.
        work: folder of images, caches and what was read.
        say: called with a line for each training.
        share: of the recipe's steps; at least one step.
        start: "own": untrained weights, or pretrained ones with the best linear head on clean features. "clean": a
            network that was trained on clean images to the end, at a quarter of the learning rate.
        seed: of weights, order and samples; not one of the truth's.
    """
    backbone = model.load(task.name, seed=seed)
    data = decode(task, backbone.geometry, work / "cache")
    settings = model.settings(backbone, len(data.train.labels), seed=seed)
    recipe, classes = recipe_fingerprint(model, task, settings), len(data.classes)
    all_steps = settings.epochs * (len(data.train.labels) // settings.batch_size)
    steps = max(1, round(share * all_steps))
    rate = settings.learning_rate
    weights = None
    if backbone.pretrained:
        features = extract(backbone, np.asarray(data.train.pool.images[:]), batch_size=settings.batch_size)
        weights = start_state(backbone, features, data.train.labels, class_count=classes)
    if start == "clean":
        clean = TrainingRun(
            backbone, data.train.pool, data.train.labels, class_count=classes, config=settings, start=weights
        )
        clean.advance(all_steps, schedule=warm_up_cosine(rate, all_steps, warm_up_share=settings.warm_up_share))
        weights, rate = clean.weights(), rate * (1 if backbone.pretrained else SCRATCH_RATE)
    chosen = choose_candidates(CANDIDATES, data.aspect_ratios)
    names = [CLEAN, *CANDIDATES]
    images = {"val": np.asarray(data.val.pool.images[:])} | {
        name: np.asarray(target.images[:])
        for name, target in score_halves(task, backbone.geometry, work / "cache").items()
    }
    folder = make_folder(work / "short-runs" / f"{task.name}-{model.name}-{recipe}-{start}-{steps}-{seed}")
    runs: dict[str, Run] = {}
    for number, name in enumerate(names, start=1):
        file = folder / f"{name}-{candidate_fingerprint(chosen[name])}.npz"
        if not file.is_file():
            begin = time.process_time()
            run = TrainingRun(
                backbone, data.train.pool, data.train.labels,
                class_count=classes, config=settings, start=weights,
                augmentations=() if name == CLEAN else (chosen[name],),
            )  # fmt: skip
            run.advance(steps, schedule=warm_up_cosine(rate, steps, warm_up_share=settings.warm_up_share))
            trained_s = time.process_time() - begin
            read = read_images_with(backbone, run.weights(), list(images.values()), class_count=classes)
            outputs = {name: output.probabilities.astype(np.float16) for name, output in zip(images, read, strict=True)}
            about = {"labels": data.val.labels, "steps": steps, "share": steps / all_steps, "seconds": trained_s}
            with replacing(file) as temporary, open(temporary, "wb") as out:
                np.savez(out, **about, **outputs)  # type: ignore[arg-type]
            say(
                f"{task.name}, {model.name}, {steps} of {all_steps} steps: {name} ({number} of {len(names)}), "
                f"{time.process_time() - begin:.1f} s"
            )
        with np.load(file) as stored:
            runs[name] = {key: stored[key] for key in stored.files}
    return runs
