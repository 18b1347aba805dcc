"""Blur, noise, compression and the thickness of strokes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from eyeshot.augment.operation import Operation, Parameters


@dataclass(frozen=True)
class Dilate(Operation):
    """The largest value in a square around each pixel: bright strokes get thicker, dark ones thinner."""

    share: float = 1 / 64
    deterministic: ClassVar[bool] = True

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Nothing to draw."""
        return {}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Dilates the images."""
        radius = max(1, round(min(images.shape[2:]) * self.share))
        return F.max_pool2d(images.float(), 2 * radius + 1, stride=1, padding=radius).to(images.dtype)
