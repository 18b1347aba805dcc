"""Controls: what counts as nothing, and what destroys every label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.operation import FixedOperation, Operation, Parameters


@dataclass(frozen=True)
class Identity(FixedOperation):
    """The image as it is."""

    def change(self, images: Tensor) -> Tensor:
        """The same images."""
        return images.clone()


@dataclass(frozen=True)
class OneLevelNoise(Operation):
    """Adds -1, 0 or 1 grey level to every value: a change that nobody sees and no model should."""

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """One step per value of the image."""
        return {"steps": random.integers(-1, 2, (3, *shape), dtype=np.int8)}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Adds the steps."""
        return (images.to(torch.int16) + parameters["steps"]).clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class ShuffledPixels(Operation):
    """Moves every pixel to another place, by a new permutation per sample; colours are kept."""

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """A permutation of the pixel positions."""
        return {"order": random.permutation(shape[0] * shape[1])}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Permutes the pixels."""
        order = parameters["order"].unsqueeze(1).expand(-1, images.shape[1], -1)
        return images.flatten(2).gather(2, order).view_as(images)


def entries() -> tuple[Augmentation, ...]:
    """What every run holds: the images as they are, next to nothing, and the end of all labels."""
    return (
        Augmentation(
            name="clean",
            family="control",
            strength="none",
            probability=1.0,
            description="The image as it is.",
            may_destroy="nothing",
            source="control",
            operation=Identity(),
        ),
        Augmentation(
            name="no-op",
            family="control",
            strength="1 grey level",
            probability=0.5,
            description="Noise of one grey level: shows what counts as nothing.",
            may_destroy="nothing",
            source="control",
            operation=OneLevelNoise(),
        ),
        Augmentation(
            name="shuffled-pixels",
            family="control",
            strength="all pixels",
            probability=0.5,
            description="Pixels in a new random order for every sample: a planted label destroyer.",
            may_destroy="every label but those that colour alone tells",
            source="control",
            operation=ShuffledPixels(),
        ),
    )
