"""Small pictures of images."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


def shrink(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize uint8 (n, S, S, 3), RGB, to (n, side, side, 3); antialiased, and never enlarged blurrily."""
    if not len(images):
        return np.empty((0, side, side, 3), np.uint8)
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    larger = side > pixels.shape[-1]
    sized = torch.nn.functional.interpolate(
        pixels,
        size=(side, side),
        **({"mode": "nearest"} if larger else {"mode": "bilinear", "antialias": True}),
    )
    return sized.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
