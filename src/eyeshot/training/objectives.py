"""What a step makes smaller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


class Objective(Protocol):
    """Any loss that a batch of images and soft labels decides."""

    def __call__(self, model: nn.Module, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Run the model on a batch.

        Args:
            model: in training mode.
            images: float32 (n, 3, S, S), normalised.
            targets: float32 (n, C), rows sum to 1.

        Returns:
            the mean loss to go down, and how many images were predicted right: both scalars on the device.
        """
        ...


@dataclass(frozen=True)
class Classification:
    """Cross-entropy with soft labels.

    Attributes:
        label_smoothing: share of each label that is spread over all classes.
    """

    label_smoothing: float = 0.0

    def __call__(self, model: nn.Module, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy, and for how many images the highest score is that of the largest label."""
        smoothed = targets
        if self.label_smoothing:
            smoothed = targets.lerp(torch.full_like(targets, 1 / targets.shape[1]), self.label_smoothing)
        scores = model(images)
        return torch.nn.functional.cross_entropy(scores, smoothed), (scores.argmax(1) == targets.argmax(1)).sum()
