"""Masking of many small places at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.masking import Masking
from eyeshot.augment.operation import Parameters


@dataclass(frozen=True)
class HideAndSeek(Masking):
    """Every patch of a grid is hidden by a coin of its own (Singh and Lee 2017).

    Attributes:
        grids: patches down and across; each image takes one of these.
        hidden: probability of each patch.
    """

    grids: tuple[int, ...] = (4, 5, 7, 14)
    hidden: float = 0.5

    def draw_region(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The grid, and which patches are hidden."""
        grid, most = self.grids[int(random.integers(len(self.grids)))], max(self.grids)
        return {"grid": grid, "patches": random.random((most, most), dtype=np.float32) < self.hidden}

    def region(self, parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
        """The patches."""
        patches, grid = parameters["patches"], parameters["grid"].unsqueeze(1)
        down = torch.arange(shape[0], device=grid.device) * grid // shape[0]
        along = torch.arange(shape[1], device=grid.device) * grid // shape[1]
        rows = patches.gather(1, down.unsqueeze(2).expand(-1, -1, patches.shape[2]))
        return rows.gather(2, along.unsqueeze(1).expand(-1, shape[0], -1)).unsqueeze(1)


@dataclass(frozen=True)
class CoarseDropout(Masking):
    """Several small squares are hidden; they lie inside the image and may overlap.

    Attributes:
        squares: how many.
        side: of each, as a share of the image's shorter side.
    """

    squares: int = 8
    side: float = 1 / 8

    def draw_region(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Upper left corners of the squares."""
        side = self._pixels(shape)
        corners = random.integers(0, [shape[0] - side + 1, shape[1] - side + 1], (self.squares, 2))
        return {"corners": corners}

    def region(self, parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
        """The squares."""
        side, corners = self._pixels(shape), parameters["corners"]

        def within(size: int, first: Tensor) -> Tensor:
            places = torch.arange(size, device=first.device) - first.unsqueeze(2)
            return ((places >= 0) & (places < side)).float()

        rows, columns = within(shape[0], corners[..., 0]), within(shape[1], corners[..., 1])
        return (rows.transpose(1, 2) @ columns > 0).unsqueeze(1)

    def _pixels(self, shape: tuple[int, int]) -> int:
        return max(1, round(min(shape) * self.side))


def candidates() -> tuple[Augmentation, ...]:
    """Many small parts hidden."""
    return (
        Augmentation(
            name="hide-and-seek",
            family="masking",
            strength="half of 4 x 4 to 14 x 14 patches, mean colour",
            probability=0.5,
            description="Patches hidden by a coin each, in the image's mean colour.",
            may_destroy="classes told by small parts",
            source="Singh and Lee 2017 (patches of 16, 32, 44 and 56 of 224 pixels; the data's mean colour there)",
            operation=HideAndSeek(fill="mean"),
        ),
        Augmentation(
            name="coarse-dropout",
            family="masking",
            strength="8 squares of 1/8 of the side, black",
            probability=0.5,
            description="Several small squares filled with black.",
            may_destroy="classes told by one small part",
            source="albumentations CoarseDropout (8 holes); the idea: DeVries and Taylor 2017",
            operation=CoarseDropout(fill="black"),
        ),
    )
