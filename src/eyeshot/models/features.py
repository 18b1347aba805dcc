"""Images in, pooled features out."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eyeshot.core import ModelError
from eyeshot.models.backbone import Backbone
from eyeshot.models.device import Precision, autocast
from eyeshot.models.memory import out_of_memory

Module = TypeVar("Module", bound=nn.Module)

CACHED_PIXELS = 1 << 18  # pixels of a batch whose feature maps fit into a CPU's caches: 16 images of 128 px
FEWEST = 8  # images in a batch on a CPU, however large they are
CONSTANT_CHECK_IMAGES = 16  # with fewer images, equal features may be chance and are not an error
LEAST_SPREAD = 1e-6  # of features, relative to the largest feature; smaller differences are float32 rounding
LEAST_HALF_SPREAD = 1e-2  # the same for 16-bit formats: bfloat16 has eight bits of a number
FLOAT16_LARGEST = 65504.0


def place(module: Module, device: torch.device) -> tuple[Module, torch.memory_format]:
    """Move `module` to `device`, in the memory layout that is fast there.

    Convolutions on a CPU are up to three times faster with channels last (resnet18 at 224 px: 41 against 13
    images a second on two cores; of eleven networks none lost more than a tenth). The choice depends on
    the module only, not on a timing, so a run is repeatable.
    """
    convolutions = sum(isinstance(part, nn.Conv2d) for part in module.modules())
    last = device.type == "cpu" and convolutions > 2
    layout = torch.channels_last if last else torch.contiguous_format
    module.to(device)
    module.to(memory_format=layout)
    return module, layout


def to_batch(images: Tensor | NDArray[np.uint8]) -> Tensor:
    """A tensor uint8 (n, 3, S, S), from such a tensor or from an array (n, S, S, 3)."""
    if isinstance(images, Tensor):
        return images
    # Copied, because a memory map is read-only and torch has no read-only tensors.
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)


def normalise(
    images: Tensor,
    backbone: Backbone,
    *,
    device: torch.device,
    layout: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """uint8 (n, 3, S, S), 0-255 -> float32 of the same shape on `device`, with the mean and std of the model."""
    values = images.to(device, non_blocking=True).to(torch.float32, memory_format=layout)
    if values.data_ptr() == images.data_ptr():  # float32 already, and the caller's own
        values = values.clone(memory_format=layout)
    shift, scale = _mean_and_std(backbone.mean, backbone.std, device)
    return values.sub_(shift).div_(scale)


@lru_cache(maxsize=32)
def _mean_and_std(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """For images in 0-255, (1, 3, 1, 1). Kept, because a GPU ends all work in progress to take a number from Python."""
    shift, scale = (torch.tensor(values, device=device).mul(255).view(1, -1, 1, 1) for values in (mean, std))
    return shift, scale


def forward(module: nn.Module, values: Tensor, precision: Precision) -> tuple[Tensor, Precision]:
    """Features of a batch in a 16-bit format where it holds them, otherwise in float32.

    Args:
        module: float (n, 3, S, S), normalised -> float (n, D); in evaluation mode.
        values: its images, on its device.
        precision: of the products and convolutions.

    Returns:
        float32 (n, D), and the format for the next batch: float32 once another did not do.
    """
    if precision != "fp32":
        try:
            with autocast(values.device, precision):
                features = module(values).float()
        except RuntimeError as error:  # a network of the user's own may not take mixed formats
            if out_of_memory(error):
                raise
        else:
            if fits_half(features) and features.any():  # all 0: perhaps too small for the format
                return features, precision
    return module(values).float(), "fp32"


def fits_half(features: Tensor) -> bool:
    """Whether float16 holds features: no overflow, with a factor of 4 to spare, and no loss of small values."""
    if not features.numel():
        return True
    size = features.abs()
    largest = float(size.max())
    return largest == 0 or (largest < FLOAT16_LARGEST / 4 and float((size > 1e-3).float().mean()) > 0.05)


def extract(
    backbone: Backbone,
    images: Tensor | NDArray[np.uint8],
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    precision: Precision = "fp32",
) -> NDArray[np.float32]:
    """Features of images.

    Args:
        backbone: the model; its module is moved to `device` and left in evaluation mode.
        images: uint8 tensor (N, 3, S, S) or array (N, S, S, 3), RGB, 0-255, of the backbone's input size.
        device: where the forward pass runs.
        batch_size: largest number of images per forward pass; features change only by rounding. On a CPU the batches
            of large images are smaller: 16 images of 128 px instead of 64 are a quarter faster, because feature maps
            stay in its caches.
        precision: number format of the forward pass, see `feature_precision`. From the first batch on that a 16-bit
            format does not hold, the rest is computed in float32; and all of it, where rounding hides how the images
            differ.

    Returns:
        float32 (N, D).

    Raises:
        ModelError: some features are NaN or infinite, or 16 or more different images have the same features.
    """
    device = torch.device(device)
    module, layout = place(backbone.module, device)
    module.eval()
    batch_size = images_at_once(batch_size, backbone.geometry.size, device)
    features = np.empty((len(images), backbone.feature_count), np.float32)
    chosen = precision
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = to_batch(images[start : start + batch_size])
            values = normalise(batch, backbone, device=device, layout=layout)
            found, chosen = forward(module, values, chosen)
            features[start : start + batch_size] = found.cpu().numpy()
    unusable = int((~np.isfinite(features)).any(axis=1).sum())
    if unusable:
        raise ModelError(
            f"Features must be finite, but {backbone.name} gave NaN or infinite values for {unusable} "
            f"of {len(images)} images. Check its weights, and --mean and --std."
        )
    least = LEAST_SPREAD if chosen == "fp32" else LEAST_HALF_SPREAD
    if len(features) >= CONSTANT_CHECK_IMAGES and _is_constant(features, least) and _differ(images):
        if chosen != "fp32":
            return extract(backbone, images, device=device, batch_size=batch_size)
        raise ModelError(
            f"Features must differ between images, but {backbone.name} gave the same for all {len(images)} images. "
            "Check its weights (a dead network, a file that does not belong to it), --mean and --std, or "
            "choose another --model."
        )
    return features


def images_at_once(batch_size: int, size: int, device: torch.device) -> int:
    """Images in a forward pass: at most `batch_size`, and on a CPU so few of `size` pixels that they fit its caches."""
    return batch_size if device.type != "cpu" else min(batch_size, max(FEWEST, CACHED_PIXELS // size**2))


def _differ(images: Tensor | NDArray[np.uint8]) -> bool:
    return any(bool((image != images[0]).any()) for image in images[1:])


def _is_constant(features: NDArray[np.float32], least: float) -> bool:
    return bool(np.ptp(features, axis=0).max() <= least * np.abs(features).max())
