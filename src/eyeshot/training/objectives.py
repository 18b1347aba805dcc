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
    model: nn.Module, images: Tensor, targets: Tensor, *, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """The objective of classification: cross-entropy with soft labels.

    Args:
        model, images, targets: as for every `Objective`.
        label_smoothing: share of each label that is spread over all classes.

    Returns:
        the mean cross-entropy, and the number of images whose highest score is that of the largest label.
    """
    smoothed = targets
    if label_smoothing:
        smoothed = targets.lerp(torch.full_like(targets, 1 / targets.shape[1]), label_smoothing)
    scores = model(images).float()  # in float32, in whatever format the network computes
    return torch.nn.functional.cross_entropy(scores, smoothed), (scores.argmax(1) == targets.argmax(1)).sum()
