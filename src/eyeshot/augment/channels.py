"""Colour channels exchanged or lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.operation import Operation, Parameters


@dataclass(frozen=True)
class ChannelShuffle(Operation):
    """Red, green and blue in another order: one of the five, each as likely."""

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Which channel each of the three is taken from."""
        return {"order": np.array(_ORDERS[int(random.integers(len(_ORDERS)))])}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Reorders the channels."""
        first = torch.arange(len(images), device=images.device).unsqueeze(1) * 3
        return images.flatten(0, 1).index_select(0, (first + parameters["order"]).flatten()).view(images.shape)


@dataclass(frozen=True)
class ChannelDropout(Operation):
    """One or two of the three channels are black."""

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Which channels are kept, 1 or 0."""
        order = random.permutation(3)
        return {"kept": (order >= int(random.integers(1, 3))).astype(np.uint8)}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Drops the channels."""
        return images * parameters["kept"].view(-1, 3, 1, 1)


_ORDERS = ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def candidates() -> tuple[Augmentation, ...]:
    """Exchanged and lost channels.

    Dropout of channels changes the colour of every place and hides none, so it is colour, not masking: views
    reach new places, and cover can see it.
    """
    return (
        Augmentation(
            name="channel-shuffle",
            family="colour",
            strength="another order of the three",
            probability=0.5,
            description="Red, green and blue exchanged.",
            may_destroy="classes told by colour",
            source="torchvision RandomChannelPermutation, albumentations ChannelShuffle",
            operation=ChannelShuffle(),
        ),
        Augmentation(
            name="channel-dropout",
            family="colour",
            strength="one or two of three channels",
            probability=0.5,
            description="One or two colour channels black.",
            may_destroy="classes told by colour",
            source="albumentations ChannelDropout; the idea: Tompson et al. 2015 (on feature maps)",
            operation=ChannelDropout(),
        ),
    )
