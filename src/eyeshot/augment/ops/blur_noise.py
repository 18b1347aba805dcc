"""Blur, noise, compression, lost resolution and the thickness of strokes."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.operation import FixedOperation, Operation, Parameters
from eyeshot.augment.ops.pixels import in_order, pad_mirrored, to_uint8
from eyeshot.augment.ops.warp import centred
from eyeshot.augment.random import random_bytes


@dataclass(frozen=True)
class GaussianBlur(Operation):
    """Gaussian blur.

    Attributes:
        sigma: least and greatest standard deviation in pixels.
    """

    sigma: tuple[float, float]

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The standard deviation in pixels."""
        return {"sigma": random.uniform(*self.sigma)}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Blurs the images."""
        return to_uint8(gaussian(images.float(), parameters["sigma"], radius=kernel_radius(self.sigma)))


def kernel_radius(sigma: tuple[float, float]) -> int:
    """Half the width of a Gaussian kernel without its centre: three greatest standard deviations."""
    return math.ceil(3 * sigma[1])


@dataclass(frozen=True)
class MotionBlur(Operation):
    """Blur along a line, as of a moved camera.

    Attributes:
        length: least and greatest length of the line in pixels.
    """

    length: tuple[float, float]

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Length in pixels and direction in radians."""
        return {"length": random.uniform(*self.length), "angle": random.uniform(0, math.pi)}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Blurs the images."""
        radius = math.ceil(self.length[1] / 2)
        along = centred(2 * radius + 1, images.device)
        x, y = along.view(1, 1, -1), along.view(1, -1, 1)
        cosine, sine = parameters["angle"].cos().view(-1, 1, 1), parameters["angle"].sin().view(-1, 1, 1)
        length = parameters["length"].view(-1, 1, 1)
        # A line one pixel wide with soft edges and ends.
        across = (1 - (x * sine - y * cosine).abs()).clamp_(min=0)
        along_line = (length / 2 + 0.5 - (x * cosine + y * sine).abs()).clamp_(0, 1)
        kernels = across * along_line
        kernels = kernels / kernels.sum((1, 2), keepdim=True)
        count, channels = images.shape[:2]
        padded = pad_mirrored(images.float(), radius, radius).reshape(1, count * channels, *_grown(images, radius))
        weight = kernels.unsqueeze(1).repeat_interleave(channels, 0)
        return to_uint8(F.conv2d(padded, weight, groups=count * channels).view(images.shape))


@dataclass(frozen=True)
class GaussianNoise(Operation):
    """Independent Gaussian noise on every value.

    Attributes:
        sigma: standard deviation as a share of the range 0-255.
    """

    sigma: float

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The noise in whole grey levels."""
        # Five times as fast as drawing normal numbers, and the same once rounded to grey levels.
        numbers = np.frombuffer(random_bytes(random, 2 * 3 * shape[0] * shape[1]), dtype="<u2")
        return {"noise": _noise_levels(self.sigma).take(numbers).reshape(3, *shape)}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Adds the noise."""
        return (images.to(torch.int16) + parameters["noise"]).clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Jpeg(Operation):
    """Written as JPEG and read again.

    Attributes:
        quality: least and greatest quality, 1 to 100.
    """

    quality: tuple[int, int]

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The quality."""
        return {"quality": int(random.integers(self.quality[0], self.quality[1] + 1))}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Compresses the images, one after another on the CPU: there is no batched encoder."""
        pixels = images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        result = np.empty_like(pixels)
        for number, quality in enumerate(parameters["quality"].tolist()):
            file = io.BytesIO()
            PIL.Image.fromarray(pixels[number]).save(file, "JPEG", quality=quality)
            result[number] = PIL.Image.open(file)
        return torch.from_numpy(result).to(images.device).permute(0, 3, 1, 2).contiguous()


def dilate(images: Tensor, share: float) -> Tensor:
    """The greatest value in a square around each pixel: bright strokes get thicker, dark ones thinner.

    Args:
        images: uint8 (n, 3, H, W).
        share: how far the square goes to either side, as a share of the image's shorter side; one pixel at least.
    """
    radius = max(1, round(min(images.shape[2:]) * share))
    for axis in (2, 3):
        size = images.shape[axis]
        result = images.clone()
        # A running maximum in place: in bytes it is nearly free. Outside of the image counts as black.
        for step in range(1, min(radius, size - 1) + 1):
            near, far = images.narrow(axis, 0, size - step), images.narrow(axis, step, size - step)
            first, last = result.narrow(axis, 0, size - step), result.narrow(axis, step, size - step)
            torch.maximum(first, far, out=first)
            torch.maximum(last, near, out=last)
        images = result
    return images


def erode(images: Tensor, share: float) -> Tensor:
    """The least value in such a square: dark strokes get thicker, bright ones thinner."""
    return 255 - dilate(255 - images, share)


def gaussian(pixels: Tensor, sigma: Tensor, *, radius: int) -> Tensor:
    """Float images (n, c, H, W), each blurred by its own `sigma` (n,) in pixels; edges are mirrored."""
    count, channels = pixels.shape[:2]
    distances = centred(2 * radius + 1, pixels.device)
    # Below a tenth of a pixel the kernel is a single one anyway; the floor keeps it finite.
    kernels = torch.exp(-0.5 * (distances / sigma.clamp(min=0.05).unsqueeze(1)) ** 2)
    kernels = (kernels / kernels.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    padded = pad_mirrored(pixels, radius, radius).reshape(1, count * channels, *_grown(pixels, radius))
    along = F.conv2d(padded, kernels.view(-1, 1, 1, 2 * radius + 1), groups=count * channels)
    down = F.conv2d(along, kernels.view(-1, 1, 2 * radius + 1, 1), groups=count * channels)
    return down.view(pixels.shape)


@functools.lru_cache(maxsize=8)
def _noise_levels(sigma: float) -> NDArray[np.integer[Any]]:
    """65,536 equally likely values of Gaussian noise, rounded to grey levels."""
    shares = (torch.arange(1 << 16, dtype=torch.float64) + 0.5) / (1 << 16)
    levels = (torch.special.ndtri(shares) * (sigma * 255)).round().clamp(-255, 255)
    table: NDArray[np.integer[Any]] = levels.to(torch.int8 if levels.abs().max() < 128 else torch.int16).numpy()
    return table


def _grown(images: Tensor, radius: int) -> tuple[int, int]:
    return images.shape[2] + 2 * radius, images.shape[3] + 2 * radius


@dataclass(frozen=True)
class Downscale(Operation):
    """Shrunk and enlarged again, both bilinear; shrinking averages over all pixels, as Pillow does.

    Attributes:
        scale: least and greatest factor of the side.
    """

    scale: tuple[float, float]

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Height and width of the small picture in pixels."""
        factor = random.uniform(*self.scale)
        return {"size": np.array([max(1, round(side * factor)) for side in shape])}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Takes away detail; images of the same small size are resized together."""
        groups = []
        rows_of: dict[tuple[int, ...], list[int]] = {}
        for row, size in enumerate(parameters["size"].tolist()):
            rows_of.setdefault(tuple(size), []).append(row)
        for size, listed in rows_of.items():
            rows = torch.tensor(listed, device=images.device)
            pixels = images.index_select(0, rows).float()
            small = F.interpolate(pixels, list(size), mode="bilinear", antialias=True).round_()
            groups.append((rows, to_uint8(F.interpolate(small, images.shape[2:], mode="bilinear"))))
        return in_order(groups)


def entries() -> tuple[Augmentation, ...]:
    """Blur, noise, compression, lost resolution and the thickness of strokes."""
    return (
        Augmentation(
            name="gaussian-blur",
            family="blur and noise",
            strength="sigma 0.1-2 pixels",
            probability=0.5,
            description="Out of focus.",
            may_destroy="fine texture, thin lines",
            source="SimCLR (Chen et al. 2020)",
            operation=GaussianBlur((0.1, 2.0)),
        ),
        Augmentation(
            name="gaussian-blur-strong",
            family="blur and noise",
            strength="sigma 2-4 pixels",
            probability=0.5,
            description="Far out of focus.",
            may_destroy="texture, lines, small objects",
            source="ImageNet-C severity 2 to 4 (Hendrycks and Dietterich 2019)",
            operation=GaussianBlur((2.0, 4.0)),
        ),
        Augmentation(
            name="motion-blur",
            family="blur and noise",
            strength="3-7 pixels, any direction",
            probability=0.5,
            description="The camera moved.",
            may_destroy="fine texture, thin lines",
            source="albumentations MotionBlur (blur_limit 3 to 7)",
            operation=MotionBlur((3.0, 7.0)),
        ),
        Augmentation(
            name="gaussian-noise",
            family="blur and noise",
            strength="sigma 0.1 of the range",
            probability=0.5,
            description="Grain on every value.",
            may_destroy="faint texture",
            source="torchvision GaussianNoise; ImageNet-C severity 1 to 2 (Hendrycks and Dietterich 2019)",
            operation=GaussianNoise(0.1),
        ),
        Augmentation(
            name="gaussian-noise-mild",
            family="blur and noise",
            strength="sigma 0.05 of the range",
            probability=0.5,
            description="Faint grain on every value.",
            may_destroy="little",
            source="half of gaussian-noise",
            operation=GaussianNoise(0.05),
        ),
        Augmentation(
            name="jpeg",
            family="blur and noise",
            strength="quality 5-50",
            probability=0.5,
            description="Written as a small JPEG file and read again.",
            may_destroy="fine texture",
            source="torchvision's gallery (JPEG)",
            operation=Jpeg((5, 50)),
        ),
        Augmentation(
            name="erosion",
            family="blur and noise",
            strength="1/64 of the side to each side, 1 pixel at least",
            probability=0.5,
            description="Least value around: dark strokes on white thicker, bright ones on black thinner.",
            may_destroy="thin bright lines, small gaps between dark ones: e from c",
            source="the smallest window, 3 x 3, up to 95 pixels; thickness as in Morpho-MNIST (Castro et al. 2019)",
            operation=FixedOperation("blur_noise.Erode", partial(erode, share=1 / 64)),
        ),
        Augmentation(
            name="dilation",
            family="blur and noise",
            strength="1/64 of the side to each side, 1 pixel at least",
            probability=0.5,
            description="Greatest value around: bright strokes on black thicker, dark ones on white thinner.",
            may_destroy="thin dark lines, small gaps between bright ones: e from c",
            source="the smallest window, 3 x 3, up to 95 pixels; thickness as in Morpho-MNIST (Castro et al. 2019)",
            operation=FixedOperation("blur_noise.Dilate", partial(dilate, share=1 / 64)),
        ),
        Augmentation(
            name="downscale",
            family="blur and noise",
            strength="to 1/4-1/2 of the side and back",
            probability=0.5,
            description="Shrunk and enlarged again.",
            may_destroy="fine texture, thin lines",
            source="albumentations Downscale (scale 0.25); ImageNet-C pixelate (Hendrycks and Dietterich 2019)",
            operation=Downscale((0.25, 0.5)),
        ),
    )
