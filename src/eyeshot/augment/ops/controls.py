"""Controls: clean images, an identity control that hardly changes them, and one that breaks every label."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.operation import DrawnOperation, FixedOperation, Parameters

IDENTITY = FixedOperation("controls.Identity", torch.clone)


def draw_level_steps(random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
    """A step of -1, 0 or 1 grey level for every value of the image."""
    return {"steps": random.integers(-1, 2, (3, *shape), dtype=np.int8)}


def add_level_steps(images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """The images with their steps: a change that nobody sees and no model should."""
    return (images.to(torch.int16) + parameters["steps"]).clamp_(0, 255).to(torch.uint8)


ONE_LEVEL_NOISE = DrawnOperation("controls.OneLevelNoise", draw_level_steps, add_level_steps)


def draw_pixel_order(random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
    """A permutation of the pixel positions."""
    return {"order": random.permutation(shape[0] * shape[1])}


def permute_pixels(images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """Every pixel at another place; colours are kept."""
    order = parameters["order"].unsqueeze(1).expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, order).view_as(images)


SHUFFLED_PIXELS = DrawnOperation("controls.ShuffledPixels", draw_pixel_order, permute_pixels)


def entries() -> tuple[Augmentation, ...]:
    """The controls that every run contains."""
    return (
        Augmentation(
            name="clean",
            family="control",
            strength="none",
            probability=1.0,
            description="The image as it is.",
            may_destroy="nothing",
            source="control",
            operation=IDENTITY,
        ),
        Augmentation(
            name="no-op",
            family="control",
            strength="1 grey level",
            probability=0.5,
            description="Noise of one grey level: the identity control.",
            may_destroy="nothing",
            source="control",
            operation=ONE_LEVEL_NOISE,
        ),
        Augmentation(
            name="shuffled-pixels",
            family="control",
            strength="all pixels",
            probability=0.5,
            description="Pixels in a new random order for every sample: a planted label-breaking control.",
            may_destroy="every label that needs more than colours",
            source="control",
            operation=SHUFFLED_PIXELS,
        ),
    )
