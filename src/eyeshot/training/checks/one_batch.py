"""Overfit one batch: whether network, labels and learning rate can learn at all, in a minute and before a long run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from eyeshot.augment import Pool
from eyeshot.core import SILENT, CallbackProgress, InputError, ModelError, Progress, listing, plural
from eyeshot.data import PixelStore
from eyeshot.models import Backbone, gpu_errors_explained
from eyeshot.training.classifier import predict
from eyeshot.training.config import TrainConfig
from eyeshot.training.folders import TrainPlan
from eyeshot.training.loop import StepRecord, TrainingRun

MOST_STEPS = 200
"""Small networks fit 32 images in 20 to 60 steps of their usual learning rate; what has not learned in 200 will not."""
FITTED_STEPS = 3
"""All images right so many times in a row: once may be luck with two classes and few images."""
EVALUATED, AVERAGES_FOLLOW = 0.5, 50
"""Share of the fitted images that must be right in evaluation mode, after so many steps: running averages have followed
by then (0.9 to the power of 50 is 0.005)."""
OTHER_RATES = (0.1, 10.0, 100.0)
"""Tried where the given learning rate does not fit the batch, to tell it from the network and the labels."""


@dataclass(frozen=True)
class OneBatch:
    """What came of fitting one batch.

    Attributes:
        fitted: whether all its images were learned at the given learning rate.
        steps: how many it took, or how many were tried.
        images, classes: in the batch.
        loss: of the last step.
        learning_rate: as given.
        fitting_rate: one that fitted the batch: the given one or one of `OTHER_RATES` times it; None if none did.
        words: all of it in a sentence, with the next step.
    """

    fitted: bool
    steps: int
    images: int
    classes: int
    loss: float
    learning_rate: float
    fitting_rate: float | None
    words: str


@gpu_errors_explained()
def overfit_one_batch(plan: TrainPlan, *, progress: Progress | None = None) -> OneBatch:
    """Train on one batch of clean training images until all of them are right; no run is written.

    The learning rate is constant, and label smoothing, dropout, mixing and weight decay are off, since each of them
    keeps a network from fitting a batch. Where it does not fit, a tenth, ten and a hundred times the learning rate are
    tried.

    Args:
        plan: of `plan_training`.
        progress: called after each step.

    Raises:
        InputError: all training images have the same label.
        ModelError: the GPU is lost or full.
    """
    steps = progress or SILENT
    dataset = plan.dataset
    rows = _batch_of(dataset.images.labels[dataset.train_rows], plan.settings)
    store = PixelStore(plan.cache, plan.backbone.geometry)
    pixels = store.load(dataset.images, np.sort(dataset.train_rows[rows]), progress=steps.sub("decoding images"))
    labels = dataset.images.labels[pixels.rows]
    return fit_batch(
        plan.backbone, Pool(pixels.images, pixels.keys), labels,
        class_count=len(dataset.classes), settings=plan.settings, device=plan.device, progress=steps,
    )  # fmt: skip


def fit_batch(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    *,
    class_count: int,
    settings: TrainConfig,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
) -> OneBatch:
    """The same for a batch of decoded images: `pool` and int64 (n,) their labels."""
    count = len(pool)
    contradicting = _contradicting(pool, labels)
    if contradicting:
        raise InputError(
            f"The same image must not have two labels, but {contradicting} of the {count} images of the batch do. "
            "Run first: eyeshot audit."
        )
    changes: dict[str, object] = {
        "label_smoothing": 0.0, "weight_decay": 0.0, "dropout": 0.0, "drop_path": 0.0, "batch_size": max(2, count),
        "small_size": None, "small_share": 0.0, "sampling": "shuffled",
    }  # fmt: skip
    plain = settings.model_copy(update=changes)
    step_progress = progress.sub("fitting one batch")
    fitted, done, loss, average_right = _fit(backbone, pool, labels, class_count, plain, device, step_progress)
    rate = settings.learning_rate
    fitting_rate = rate if fitted else None
    if not fitted:
        for factor in OTHER_RATES:
            other = plain.model_copy(update={"learning_rate": rate * factor})
            again = progress.sub(f"fitting one batch at {rate * factor:g}")
            if _fit(backbone, pool, labels, class_count, other, device, again)[0]:
                fitting_rate = rate * factor
                break
    words = _words(count, labels, fitted, done, loss, rate, fitting_rate, average_right)
    return OneBatch(fitted, done, count, len(np.unique(labels)), loss, rate, fitting_rate, words)


def _fit(
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    class_count: int,
    config: TrainConfig,
    device: torch.device | str,
    progress: Progress,
) -> tuple[bool, int, float, float]:
    """Whether the batch was fitted, after how many steps, the last loss, and the share right in evaluation mode."""
    run = TrainingRun(backbone, pool, labels, class_count=class_count, config=config, device=device)
    records: list[StepRecord] = []

    def fitted() -> bool:
        last = records[-FITTED_STEPS:]
        return len(last) == FITTED_STEPS and all(record.right == record.seen for record in last)

    def tell(done: int, most: int, text: str) -> None:  # most batches are fitted long before the last step
        progress(0, 0, f"step {done} of at most {most}, {text}")

    try:
        run.advance(
            MOST_STEPS, schedule=lambda step: config.learning_rate, stop=fitted, progress=CallbackProgress(tell),
            on_step=records.append,
        )  # fmt: skip
        done, fits = run.step, fitted()
        if fits:  # in evaluation mode, only after the running averages could follow
            follow = progress.sub("running averages follow")
            run.advance(max(done, AVERAGES_FOLLOW), schedule=lambda step: config.learning_rate, progress=follow)
    except ModelError:  # the loss is not finite
        return False, len(records), float("inf"), 0.0
    everything = np.arange(len(pool))
    probabilities = predict(
        run.model, backbone, pool, everything,
        class_count=class_count, device=run.device, batch_size=config.batch_size,
    )  # fmt: skip
    return fits, done, records[-1].loss, float((probabilities.argmax(1) == labels).mean())


def _words(
    count: int,
    labels: NDArray[np.int64],
    fitted: bool,
    steps: int,
    loss: float,
    rate: float,
    fitting_rate: float | None,
    average_right: float,
) -> str:
    classes = len(np.unique(labels))
    batch = f"{count} clean images of {classes} {plural(classes, 'class', 'classes')}"
    if fitted:
        forgets = (
            " In evaluation mode only {:.0%} of them are right, though: its running averages (BatchNorm) do not follow."
        )
        return (
            f"One batch of {batch} was fitted in {steps} steps: network, labels and learning rate ({rate:g}) can learn."
        ) + (forgets.format(average_right) if average_right < EVALUATED else "")
    tried = f"One batch of {batch} was not fitted in {steps} steps at a learning rate of {rate:g} (loss {loss:.2f})"
    if fitting_rate is not None:
        return (
            f"{tried}, but at {fitting_rate:g} it is: network and labels can learn, the learning rate is too "
            f"{'low' if fitting_rate > rate else 'high'}. Give --learning-rate {fitting_rate:g}."
        )
    others = listing([f"{rate * factor:g}" for factor in OTHER_RATES])
    return (
        f"{tried}, nor at {others}: the network does not learn from "
        "these images. Check that they show what is needed (`eyeshot preview`), the normalisation and, of a model of "
        "your own, that gradients reach its weights."
    )


def _batch_of(labels: NDArray[np.int64], settings: TrainConfig) -> NDArray[np.int64]:
    """Positions of one batch, with images of as many classes as there are, drawn by the seed."""
    if len(np.unique(labels)) < 2:
        raise InputError(
            "Training images must be of at least two classes, got one. Check the folder or the label file."
        )
    random = np.random.default_rng([settings.seed, 4])
    order = random.permutation(len(labels))
    # One image of each class, then a second one, and so on: in a batch of one class nothing can be told apart.
    turn = np.empty(len(labels), np.int64)
    for number in np.unique(labels):
        own = order[labels[order] == number]
        turn[own] = np.arange(len(own))
    return order[np.argsort(turn[order], kind="stable")][: min(settings.batch_size, len(labels))]


def _contradicting(pool: Pool, labels: NDArray[np.int64]) -> int:
    """Images that lie under more than one label."""
    named: dict[str, set[int]] = {}
    for key, label in zip(pool.keys, labels.tolist(), strict=True):
        named.setdefault(key, set()).add(label)
    return sum(len(named[key]) > 1 for key in pool.keys)
