"""One batched warp for all geometry that is not an exact flip or turn.

A warp is a matrix per image that says where each output pixel comes from. Coordinates are in pixels, from
the centre of the image, x to the right and y down. What lies outside of the image is its reflection: no black
corner becomes a cue.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eyeshot.augment.pixels import to_uint8


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """The warped images, bilinear.

    Args:
        images: uint8 (n, 3, H, W).
        matrices: float32 (n, 3, 3), homogeneous, from output to input coordinates.
    """
    grid = sampling_grid(matrices, images.shape[2], images.shape[3])
    return to_uint8(sample(images.float(), grid))


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Float images at the places of `grid` (n, H, W, 2), as `torch.nn.functional.grid_sample` wants them."""
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
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    entries = [a, b, -(a * shift_x + b * shift_y), d, e, -(d * shift_x + e * shift_y), zero, zero, one]
    return torch.stack(entries, dim=1).view(-1, 3, 3)
