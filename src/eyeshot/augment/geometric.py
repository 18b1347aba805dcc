"""Geometric operations: exact flips and turns, and one batched warp for all the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eyeshot.augment.operation import Operation, Parameters


@dataclass(frozen=True)
class Mirror(Operation):
    """Left and right exchanged."""

    deterministic: ClassVar[bool] = True

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Nothing to draw."""
        return {}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Mirrors the images."""
        return images.flip(3)


@dataclass(frozen=True)
class Rotate(Operation):
    """A turn about the centre by up to `degrees` either way."""

    degrees: float

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The angle in degrees, counter-clockwise."""
        return {"angle": random.uniform(-self.degrees, self.degrees)}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Turns the images."""
        angle = parameters["angle"] * (math.pi / 180)
        zero = torch.zeros_like(angle)
        matrix = torch.stack([angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero], dim=1).view(
            -1, 2, 3
        )
        grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
        warped = F.grid_sample(images.float(), grid, padding_mode="reflection", align_corners=False)
        return warped.round_().clamp_(0, 255).to(torch.uint8)
