"""Warps: one batched resampling for all geometry that is not an exact flip or turn, and elastic distortion.

A warp is a matrix per image that gives the source of each output pixel. Coordinates are in pixels, from
the centre of the image, x to the right and y down. Outside the image lies its reflection, so that no black
corner becomes a cue.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.operation import Operation, Parameters
from eyeshot.augment.ops.pixels import to_uint8


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """The warped images, bilinear.

    Args:
        images: uint8 (n, 3, H, W).
        matrices: float32 (n, 3, 3), homogeneous, from output to input coordinates.
    """
    grid = sampling_grid(matrices, images.shape[2], images.shape[3])
    return to_uint8(sample(images.float(), grid))


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Float images sampled at `grid` (n, H, W, 2), in the convention of `torch.nn.functional.grid_sample`."""
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def sampling_grid(matrices: Tensor, height: int, width: int) -> Tensor:
    """Where each output pixel comes from, float32 (n, H, W, 2), scaled so that the image spans -1 to 1."""
    x = centred(width, matrices.device).view(1, 1, -1)
    y = centred(height, matrices.device).view(1, -1, 1)
    if bool((matrices[:, 2, :2] == 0).all()):
        return _affine_grid(matrices, x, y)
    (a, b, c), (d, e, f), (g, h, i) = ((entry.view(-1, 1, 1) for entry in row.unbind(1)) for row in matrices.unbind(1))
    across, down = a * x + (b * y + c), d * x + (e * y + f)
    grid = torch.empty(*across.shape, 2, device=matrices.device)
    # Beyond the horizon nothing is seen; a small positive depth keeps the sampling finite there.
    depth = (g * x + (h * y + i)).clamp_(min=1e-3)
    torch.div(across.mul_(2 / width), depth, out=grid[..., 0])
    torch.div(down.mul_(2 / height), depth, out=grid[..., 1])
    return grid


def _affine_grid(matrices: Tensor, x: Tensor, y: Tensor) -> Tensor:
    # Both coordinates as one complex number: the sum is written in one go, six times as fast as each by itself.
    along = matrices[:, None, None, :2, 0] * x.unsqueeze(3)
    down = matrices[:, None, None, :2, 1] * y.unsqueeze(3) + matrices[:, None, None, :2, 2]
    grid = torch.view_as_real(torch.view_as_complex(along) + torch.view_as_complex(down))
    height, width = grid.shape[1:3]
    scale = torch.tensor([2 / width, 2 / height], device=matrices.device).repeat(width)
    grid.flatten(2).mul_(scale)
    return grid


def centred(size: int, device: torch.device) -> Tensor:
    """Centres of `size` pixels, counted from the middle of the image."""
    return torch.arange(size, device=device, dtype=torch.float32) - (size - 1) / 2


def affine_matrices(*, angle: Tensor, scale_x: Tensor, scale_y: Tensor, shift_x: Tensor, shift_y: Tensor) -> Tensor:
    """Matrices (n, 3, 3) that scale, then turn, then shift what is seen.

    Args:
        angle: radians, counter-clockwise.
        scale_x: over 1 widens.
        scale_y: over 1 heightens.
        shift_x: pixels to the right.
        shift_y: pixels down.
    """
    cosine, sine = angle.cos(), angle.sin()
    a, b = cosine / scale_x, -sine / scale_x
    d, e = sine / scale_y, cosine / scale_y
    zeros, ones = torch.zeros_like(angle), torch.ones_like(angle)
    entries = [a, b, -(a * shift_x + b * shift_y), d, e, -(d * shift_x + e * shift_y), zeros, zeros, ones]
    return torch.stack(entries, dim=1).view(-1, 3, 3)


@dataclass(frozen=True)
class Elastic(Operation):
    """Every pixel moves along a smooth random field (Simard et al. 2003).

    The paper draws a step of -1 to 1 for each pixel, smooths the steps with a Gaussian and multiplies them. Here
    the steps stand at every half standard deviation of that Gaussian instead, which gives the same fields, and
    their size is a parameter.

    Attributes:
        reach: standard deviation of the moves, across and down, as a share of the shorter side.
        smoothness: standard deviation of the Gaussian, as a share of the shorter side.
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
    """Number of steps along one side."""
    return math.ceil(2 * size / sigma) + 13


def _smoothing(size: int, sigma: float, device: torch.device) -> Tensor:
    """Weight of each step in the move of each pixel, (size, places); rows have unit length, so variance stays."""
    places = (torch.arange(_places(size, sigma), device=device) - 6) * (sigma / 2)
    pixels = torch.arange(size, device=device) + 0.5
    weights = torch.exp(-0.5 * ((pixels.unsqueeze(1) - places) / sigma) ** 2)
    unit: Tensor = weights / weights.norm(dim=1, keepdim=True)
    return unit


def entries() -> tuple[Augmentation, ...]:
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
