"""The network that is trained: a backbone with a linear head."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eyeshot.augment import Pool
from eyeshot.models import Backbone, Head, extract, feature_precision, fit_head, forward, normalise, place, to_batch

HEAD_IMAGES = 5000

State = dict[str, Tensor]
"""Weights of a `Classifier` by name."""


class Classifier(nn.Module):
    """A backbone with a linear head on its standardised features: float (n, 3, S, S) -> class scores (n, C).

    Features of some networks reach into the hundreds. `shift` and `scale` standardise them, so that one learning rate
    suits the head of any network. `start_head` sets them once; training does not change them. `dropout` is the share of
    these features that the head does not see in a training step.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: Backbone, class_count: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.backbone = copy.deepcopy(backbone.module)
        self.head = nn.Linear(backbone.feature_count, class_count)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("shift", torch.zeros(backbone.feature_count))
        self.register_buffer("scale", torch.ones(backbone.feature_count))

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of a batch."""
        features = (self.backbone(images) - self.shift) / self.scale
        if self.dropout:
            features = torch.nn.functional.dropout(features, self.dropout, self.training)
        scores: Tensor = self.head(features)
        return scores

    def linear_head(self) -> Head:
        """The head for features as they are."""
        weight = self.head.weight / self.scale
        bias = self.head.bias - weight @ self.shift
        return Head(weight.detach().cpu().numpy(), bias.detach().cpu().numpy())

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that the architecture exempts from weight decay; timm calls this."""
        ask = getattr(self.backbone, "no_weight_decay", None)
        return {f"backbone.{name}" for name in ask()} if callable(ask) else set()


def predict(
    model: nn.Module,
    backbone: Backbone,
    pool: Pool,
    rows: NDArray[np.int64],
    *,
    class_count: int,
    device: torch.device,
    batch_size: int,
) -> NDArray[np.float32]:
    """Class probabilities of clean images: float32 (n, C)."""
    model, layout = place(model, device)
    model.eval()
    probabilities = np.empty((len(rows), class_count), np.float32)
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            batch = to_batch(pool.images[rows[start : start + batch_size]])
            images = normalise(batch, backbone, device=device, layout=layout)
            probabilities[start : start + batch_size] = model(images).float().softmax(1).cpu().numpy()
    return probabilities


def start_head(
    model: Classifier,
    backbone: Backbone,
    pool: Pool,
    labels: NDArray[np.int64],
    *,
    class_count: int,
    device: torch.device,
    batch_size: int,
    seed: int,
) -> None:
    """Set the head to the best linear head on the pretrained features.

    With a random head, the first steps would distort the features before the head is useful (Kumar et al. 2022,
    "Fine-tuning can distort pretrained features and underperform out-of-distribution").

    Args:
        model: changed in place.
        backbone: what the model was made of.
        pool: the training images; a few thousand of them are enough.
        labels: int64 (N,), their class numbers.
        class_count: C.
        device: where the forward pass runs.
        batch_size: images at once.
        seed: which images, where there are more than enough.
    """
    rows = np.random.default_rng(seed).permutation(len(pool))[:HEAD_IMAGES]
    parts = [rows[start : start + 512] for start in range(0, len(rows), 512)]
    features = np.concatenate(
        [extract(backbone, np.asarray(pool.images[part]), device=device, batch_size=batch_size) for part in parts]
    )
    set_head(model, features, fit_head(features, labels[rows], class_count=class_count))


def set_head(model: Classifier, features: NDArray[np.floating], head: Head) -> None:
    """Set the model's head to `head`, and `shift` and `scale` from the `features` (n, D) it was fitted on; in place."""
    set_head_at(model, head, shift=features.mean(0, dtype=np.float64), spread=features.std(0, dtype=np.float64))


def set_head_at(model: Classifier, head: Head, *, shift: NDArray[np.float64], spread: NDArray[np.float64]) -> None:
    """Set the head of a model from mean and spread, each float64 (D,), of the features; in place."""
    scale = np.where(spread > 1e-6 * spread.max(), spread, 1.0)
    with torch.no_grad():
        model.shift.copy_(torch.from_numpy(shift))
        model.scale.copy_(torch.from_numpy(scale))
        model.head.weight.copy_(torch.from_numpy(head.weight * scale))
        model.head.bias.copy_(torch.from_numpy(head.bias + head.weight @ shift))


def start_state(
    backbone: Backbone, features: NDArray[np.floating], labels: NDArray[np.int64], *, class_count: int
) -> State:
    """State of a classifier whose head is the best linear one on `features` (n, D) of clean images.

    Args:
        backbone: pretrained, or the baseline.
        features: what it gives for n clean training images.
        labels: int64 (n,)
        class_count: C.
    """
    model = Classifier(backbone, class_count)
    set_head(model, np.asarray(features, np.float32), fit_head(features, labels, class_count=class_count))
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


class Outputs(NamedTuple):
    """Outputs of a classifier: pooled features float32 (n, D), and probabilities float32 (n, C)."""

    features: NDArray[np.float32]
    probabilities: NDArray[np.float32]


def read_images_with(
    backbone: Backbone,
    state: State,
    images: Sequence[NDArray[np.uint8]],
    *,
    class_count: int,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
) -> list[Outputs]:
    """Features and probabilities of several sets of images (n, S, S, 3) by a classifier in `state`.

    The features are computed as `feature_precision` says: they compare short trainings with each other.
    """
    target_device = torch.device(device)
    model = Classifier(backbone, class_count)
    model.load_state_dict(state)
    model, layout = place(model, target_device)
    model.eval()
    precision = feature_precision(target_device)
    outputs = []
    with torch.inference_mode():
        for group in images:
            features, scores = [], []
            for start in range(0, len(group), batch_size):
                images_of_batch = to_batch(group[start : start + batch_size])
                batch = normalise(images_of_batch, backbone, device=target_device, layout=layout)
                pooled, precision = forward(model.backbone, batch, precision)
                features.append(pooled.cpu().numpy())
                scores.append(model.head((pooled - model.shift) / model.scale).float().softmax(1).cpu().numpy())
            outputs.append(Outputs(np.concatenate(features), np.concatenate(scores)))
    return outputs
