"""Images in, pooled features out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eyeshot.errors import ModelError
from eyeshot.models.backbone import Backbone


def memory_layout(module: nn.Module, device: torch.device) -> torch.memory_format:
    """Channels last for networks of convolutions on CPU, where it is faster (benchmarks/)."""
    convolutions = sum(isinstance(part, nn.Conv2d) for part in module.modules())
    return torch.channels_last if device.type == "cpu" and convolutions > 2 else torch.contiguous_format


def to_batch(images: Tensor | NDArray[np.uint8]) -> Tensor:
    """uint8 (n, 3, S, S) from that or from an array (n, S, S, 3)."""
    if isinstance(images, Tensor):
        return images
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)


def normalise(
    images: Tensor,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    device: torch.device,
    layout: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """uint8 (n, 3, S, S), 0-255 -> float32 of the same shape on `device`, as the model wants it."""
    values = images.to(device).to(torch.float32, memory_format=layout)
    shift = torch.tensor(mean, device=device).mul(255).view(1, -1, 1, 1)
    scale = torch.tensor(std, device=device).mul(255).view(1, -1, 1, 1)
    return values.sub_(shift).div_(scale)


def extract(
    backbone: Backbone,
    images: Tensor | NDArray[np.uint8],
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
) -> NDArray[np.float32]:
    """Features of images.

    Args:
        backbone: the model; it is moved to `device`.
        images: uint8 tensor (N, 3, S, S) or array (N, S, S, 3), RGB, 0-255, of the backbone's own size.
        device: where the forward pass runs.
        batch_size: images at once; changes nothing but speed and memory.

    Returns:
        float32 (N, D).

    Raises:
        ModelError: some features are NaN or infinite.
    """
    device = torch.device(device)
    layout = memory_layout(backbone.module, device)
    module = backbone.module.to(device, memory_format=layout).eval()
    features = np.empty((len(images), backbone.feature_count), np.float32)
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = to_batch(images[start : start + batch_size])
            values = normalise(batch, backbone.mean, backbone.std, device=device, layout=layout)
            features[start : start + batch_size] = module(values).float().cpu().numpy()
    unusable = int((~np.isfinite(features)).any(axis=1).sum())
    if unusable:
        raise ModelError(
            f"Features must be finite, but {backbone.name} gave NaN or infinite ones for {unusable} of "
            f"{len(images)} images. Check its weights, and --mean and --std."
        )
    return features
