"""Short runs of a table's candidates: a tenth of its epochs, read on the half of each target that the truth leaves.

One training of a candidate is read on all targets of its source. Its probabilities are kept in the work folder, so the
same command continues, and a score that is changed is computed again without training.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.augmentation_truth.recipes import CANDIDATES, Model, choose_candidates, recipe_fingerprint
from benchmarks.augmentation_truth.scores import SCORE_SEED
from benchmarks.augmentation_truth.tasks import Task, decode, score_halves
from eyeshot.core.files import make_folder, replacing
from eyeshot.training import joined, load_classifier, read_images_with, train

CLEAN = "clean"
SHARE = 0.1
Run = dict[str, NDArray[Any]]
"""`val` float16 (n_val, C) and `labels` int64 (n_val,); float16 (M, C) for each target; `epochs`, `seconds`."""


def short_runs(
    task: Task, model: Model, *, work: Path, say: Callable[[str], None], share: float = SHARE, seed: int = SCORE_SEED
) -> dict[str, Run]:
    """The short run of each candidate and of clean training, by name.

    Args:
        task: the source and its targets.
        model: network and recipe; not a frozen one.
        work: folder of images, caches and what was read.
        say: called with a line for each training.
        share: of the recipe's epochs; at least one epoch.
        seed: of weights, order and samples; not one of the truth's.
    """
    backbone = model.load(task.name, seed=seed)
    data = decode(task, backbone.geometry, work / "cache")
    targets = score_halves(task, backbone.geometry, work / "cache")
    count = len(data.train.labels)
    settings = model.settings(backbone, count, seed=seed)
    epochs = max(1, round(share * settings.epochs))
    recipe = recipe_fingerprint(model, task, settings)
    settings = settings.model_copy(update={"epochs": epochs})
    pool = joined([data.train.pool, data.val.pool])
    labels = np.concatenate([data.train.labels, data.val.labels])
    chosen = choose_candidates(CANDIDATES, data.aspect_ratios)
    names = [CLEAN, *CANDIDATES]
    images = {"val": np.asarray(data.val.pool.images[:])} | {
        name: np.asarray(target.images[:]) for name, target in targets.items()
    }
    folder = make_folder(work / "short-runs" / f"{task.name}-{model.name}-{recipe}-{epochs}-{seed}")
    found: dict[str, Run] = {}
    for number, name in enumerate(names, start=1):
        file = folder / f"{name}.npz"
        if not file.is_file():
            begin = time.process_time()
            run = folder / f"{name}-run"
            train(
                backbone, pool, labels, np.arange(count), np.arange(count, len(pool)),
                classes=data.classes, settings=settings, folder=run,
                augmentations=() if name == CLEAN else (chosen[name],), command="",
            )  # fmt: skip
            read = read_images_with(
                backbone,
                load_classifier(backbone, run, len(data.classes)),
                list(images.values()),
                class_count=len(data.classes),
            )
            outputs = {name: output.probabilities.astype(np.float16) for name, output in zip(images, read, strict=True)}
            seconds = time.process_time() - begin
            with replacing(file) as temporary, open(temporary, "wb") as out:
                np.savez(out, labels=data.val.labels, epochs=epochs, seconds=seconds, **outputs)  # type: ignore[arg-type]
            shutil.rmtree(run, ignore_errors=True)
            say(f"{task.name}, {model.name}: {name} ({number} of {len(names)}), {seconds:.1f} s")
        with np.load(file) as stored:
            found[name] = {key: stored[key] for key in stored.files}
    return found
