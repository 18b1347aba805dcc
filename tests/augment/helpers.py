"""Images and shortcuts that the tests of this room share."""

import numpy as np
import torch

from eyeshot.augment import Pool, stack


def textured(count=6, height=32, width=32, seed=0):
    """Smooth random colours with a little grain, uint8 (n, 3, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator) * 255
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    grain = torch.randn(count, 3, height, width, generator=generator) * 6
    return (smooth + grain).round().clamp(0, 255).to(torch.uint8)


def pool_of(images):
    """A pool of uint8 images (n, 3, H, W)."""
    return Pool(images.permute(0, 2, 3, 1).numpy(), [f"{number:032x}" for number in range(len(images))])


def drawn(operation, images, *, seed=0):
    """Parameters of each image from generators of their own."""
    shape = tuple(images.shape[2:])
    return [operation.draw(np.random.default_rng([seed, number]), shape) for number in range(len(images))]


def applied(operation, images, /, **parameters):
    """What `operation` makes of `images` with the same given parameters for all."""
    return operation.apply(images, stack([parameters] * len(images)))


def largest_difference(one, other):
    """In grey levels."""
    return int((one.int() - other.int()).abs().max())
