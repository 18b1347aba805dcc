"""Elastic distortion: the image as drawn on rubber."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.operation import Operation, Parameters
from eyeshot.augment.pixels import to_uint8
from eyeshot.augment.warp import sample, sampling_grid


@dataclass(frozen=True)
class Elastic(Operation):
    """Every pixel moves along a smooth random field (Simard et al. 2003).

    The paper draws a step of -1 to 1 for each pixel, smooths the steps with a Gaussian and multiplies them. Here
    the steps stand at every half standard deviation of that Gaussian instead, which gives the same fields, and
    their size is said outright.

    Attributes:
        reach: standard deviation of the moves, across and down, as a share of the shorter side.
        smoothness: standard deviation of the Gaussian, likewise.
    """

    reach: float
    smoothness: float

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Steps of unit variance on a coarse grid that goes three standard deviations beyond the image."""
        height, width = (_places(size, self._sigma(shape)) for size in shape)
        steps = random.random((2, height, width), dtype=np.float32)
        return {"steps": (steps - 0.5) * np.float32(math.sqrt(12))}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Moves the pixels."""
        count, _, height, width = images.shape
        moves = self.moves(parameters["steps"], (height, width))
        unmoved = torch.eye(3, device=images.device).expand(count, 3, 3)
        grid = sampling_grid(unmoved, height, width)
        grid[..., 0].add_(moves[:, 0], alpha=2 / width)
        grid[..., 1].add_(moves[:, 1], alpha=2 / height)
        return to_uint8(sample(images.float(), grid))

    def moves(self, steps: Tensor, shape: tuple[int, int]) -> Tensor:
        """Moves in pixels, across and down, float32 (n, 2, H, W)."""
        sigma = self._sigma(shape)
        down, along = (_smoothing(size, sigma, steps.device) for size in shape)
        return down @ steps @ along.T * (self.reach * min(shape))

    def _sigma(self, shape: tuple[int, int]) -> float:
        return max(0.5, self.smoothness * min(shape))


def _places(size: int, sigma: float) -> int:
    """How many steps there are along one side."""
    return math.ceil(2 * size / sigma) + 13


def _smoothing(size: int, sigma: float, device: torch.device) -> Tensor:
    """What each step adds to the move of each pixel, (size, places); rows have unit length, so variance stays."""
    places = (torch.arange(_places(size, sigma), device=device) - 6) * (sigma / 2)
    pixels = torch.arange(size, device=device) + 0.5
    weights = torch.exp(-0.5 * ((pixels.unsqueeze(1) - places) / sigma) ** 2)
    unit: Tensor = weights / weights.norm(dim=1, keepdim=True)
    return unit


def candidates() -> tuple[Augmentation, ...]:
    """Smooth random distortions."""
    return (
        Augmentation(
            name="elastic",
            family="geometric",
            strength="moves of 5 % of the side, smooth over 1/7 of it",
            probability=0.5,
            description="Bent as if drawn on rubber.",
            may_destroy="straight lines, exact proportions",
            source="Simard et al. 2003 (alpha 34, sigma 4 on 28 pixels)",
            # A uniform step has deviation 1/sqrt(3); the Gaussian divides it by 2 sqrt(pi) sigma.
            operation=Elastic(reach=34 / math.sqrt(3) / (2 * math.sqrt(math.pi) * 4) / 28, smoothness=4 / 28),
        ),
    )
