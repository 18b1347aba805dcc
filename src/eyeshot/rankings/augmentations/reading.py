"""What a trained state says: on validation images, hidden or not, and on the target without its labels."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from eyeshot.augment import Pool
from eyeshot.core import HalfSamples, ModelError, replacing
from eyeshot.models import Backbone
from eyeshot.rankings.augmentations.coverage import fit_reference_space, make_target, measure_coverage
from eyeshot.training import State, read_images_with

GREY = 128
LEAST_PROBABILITY = 1e-12
TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True, eq=False)
class Reading:
    """One trained state, read.

    Attributes:
        log_loss: float64 (n_val,), of each validation image, in nats, after temperature scaling.
        right: bool (n_val,)
        hidden_right: bool (n_val,), the same images with a half of each grey; empty where it was not asked.
        cover: label-consistent coverage of the target by clean training images in the space of this state.
        cover_halves: float64 (B,), the same on half-samples of both.
        balance: entropy of the mean prediction on the target over its maximum, 0-1.
        confidence: mean of the largest probability on the target.
    """

    log_loss: NDArray[np.float64]
    right: NDArray[np.bool_]
    hidden_right: NDArray[np.bool_]
    cover: float
    cover_halves: NDArray[np.float64]
    balance: float
    confidence: float

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **{field.name: getattr(self, field.name) for field in fields(self)})


def load_reading(path: Path) -> Reading:
    """What `Reading.save` wrote."""
    with np.load(path) as stored:
        return Reading(
            stored["log_loss"],
            stored["right"],
            stored["hidden_right"],
            float(stored["cover"]),
            stored["cover_halves"],
            float(stored["balance"]),
            float(stored["confidence"]),
        )


@dataclass(frozen=True, eq=False)
class Desk:
    """What every state is read with: the same images for all of them.

    Attributes:
        backbone: the architecture.
        sources, source_labels: clean training images, and int64 (n,) their classes.
        target: the images to be covered.
        val, val_labels: validation images.
        halves: of target and sources.
        class_count: C.
        device, batch_size: for the forward pass.
        seed: of the reference spaces.
    """

    backbone: Backbone
    sources: Pool
    source_labels: NDArray[np.int64]
    target: Pool
    val: Pool
    val_labels: NDArray[np.int64]
    halves: HalfSamples
    class_count: int
    device: str
    batch_size: int
    seed: int


def read_state(desk: Desk, state: State, *, hidden: bool) -> Reading:
    """Three or four forward passes, a new reference space, and cover in it.

    Args:
        desk: with what.
        state: of a classifier.
        hidden: whether partly hidden validation images are read too.

    Raises:
        ModelError: features or probabilities are not finite.
    """
    val = np.asarray(desk.val.images)
    groups = [np.asarray(desk.sources.images), np.asarray(desk.target.images), val]
    if hidden:
        groups.append(hide_half(val))
    read = read_images_with(
        desk.backbone, state, groups,
        class_count=desk.class_count, device=torch.device(desk.device), batch_size=desk.batch_size,
    )  # fmt: skip
    if not all(np.isfinite(one.features).all() and np.isfinite(one.probabilities).all() for one in read):
        raise ModelError("Features or probabilities are not finite after the run.")
    sources, target, clean = read[:3]
    space = fit_reference_space(sources.features, target.features, seed=desk.seed)
    cover = measure_coverage(
        make_target(space.transform(target.features), halves=desk.halves),
        space.transform(sources.features)[:, None],
        desk.source_labels,
    )
    labels = desk.val_labels
    return Reading(
        scaled_log_loss(clean.probabilities, labels),
        clean.probabilities.argmax(1) == labels,
        read[3].probabilities.argmax(1) == labels if hidden else np.empty(0, bool),
        cover.consistent_coverage,
        cover.half_consistent,
        balance_of(target.probabilities),
        float(target.probabilities.max(axis=1).mean()),
    )


def hide_half(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images uint8 (n, S, S, 3), a half of each grey: left, right, upper and lower by turns."""
    hidden = np.array(images)
    side = images.shape[1]
    first, second = slice(0, side // 2), slice(side // 2, side)
    hidden[0::4, :, first] = GREY
    hidden[1::4, :, second] = GREY
    hidden[2::4, first] = GREY
    hidden[3::4, second] = GREY
    return hidden


def scaled_log_loss(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log loss of each image (n,) in nats, its temperature fitted on the other half of the images.

    One temperature divides all class scores: Guo et al., "On calibration of modern neural networks", ICML 2017,
    section 4.2. Without it, a run that is only less sure than another would look worse or better than it is. Of n
    images that it was fitted on, all right, no more can be said than that one in n + 1 may be wrong: so much of
    every prediction is spread over all classes, or a single miss would cost without bound.

    Args:
        probabilities: (n, C), rows sum to 1.
        labels: int64 (n,)
    """
    scores = np.log(np.maximum(np.asarray(probabilities, np.float64), LEAST_PROBABILITY))
    losses = np.empty(len(labels))
    odd = np.arange(len(labels)) % 2 == 1
    for judged in (odd, ~odd):
        temperature = fit_temperature(scores[~judged], labels[~judged])
        unknown = 1 / (1 + int((~judged).sum()))
        own = np.exp(-_log_loss(scores[judged] / temperature, labels[judged]))
        losses[judged] = -np.log((1 - unknown) * own + unknown / scores.shape[1])
    return losses


def fit_temperature(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The temperature of least log loss, 0.05 to 20, for class scores (n, C)."""
    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(
        lambda log: float(_log_loss(scores / np.exp(log), labels).mean()), bounds=(low, high), method="bounded"
    )
    return float(np.exp(found.x))


def balance_of(probabilities: NDArray[np.floating]) -> float:
    """Entropy of the mean prediction (n, C) over log C: 1 where all classes are predicted alike often."""
    mean = probabilities.mean(axis=0, dtype=np.float64)
    mean = mean[mean > 0]
    return float(-(mean * np.log(mean)).sum() / np.log(probabilities.shape[1]))


def _log_loss(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    top = scores.max(axis=1)
    total = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
    losses: NDArray[np.float64] = total - scores[np.arange(len(labels)), labels]
    return losses
