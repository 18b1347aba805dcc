"""Losses that a training minimises."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn


class Objective(Protocol):
    """Any loss of a batch of images and soft labels."""

    def __call__(self, model: nn.Module, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Run the model on a batch.

        Args:
            model: in training mode.
            images: float32 (n, 3, S, S), normalised.
            targets: float32 (n, C), rows sum to 1.

        Returns:
            the mean loss to minimise, and how many images were predicted right: both scalars on the device.
        """
        ...


def classification(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The objective of classification: cross-entropy with soft labels.

    Args:
        model, images, targets: as for every `Objective`.
        label_smoothing: share of each label that is spread over all classes.
        class_weights: float32 (C,), of the loss of an image of each class, see `inverse_frequencies`; None: all 1.

    Returns:
        the mean cross-entropy, and the number of images whose highest score is that of the largest label.
    """
    smoothed = targets
    if label_smoothing:
        smoothed = targets.lerp(torch.full_like(targets, 1 / targets.shape[1]), label_smoothing)
    scores = model(images).float()  # in float32, in whatever format the network computes
    right = (scores.argmax(1) == targets.argmax(1)).sum()
    if class_weights is None:
        return torch.nn.functional.cross_entropy(scores, smoothed), right
    losses = torch.nn.functional.cross_entropy(scores, smoothed, reduction="none")
    return (losses * (targets @ class_weights)).mean(), right


def inverse_frequencies(labels: Tensor, class_count: int) -> Tensor:
    """Weights of classes by the inverse of their number of images: float32 (C,), with mean 1 over the images.

    A class of n images gets N / (C n), as scikit-learn's `class_weight="balanced"` (King and Zeng 2001, "Logistic
    regression in rare events data"). Classes without images get 0 and do not count.

    Args:
        labels: int64 (N,), class numbers of the training images.
        class_count: C.
    """
    counts = torch.bincount(labels, minlength=class_count).float()
    present = counts > 0
    return torch.where(present, len(labels) / (present.sum() * counts.clamp(min=1)), torch.zeros_like(counts))
