"""Masking: part of each image is hidden, which regularises and adds no coverage."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.operation import Operation, Parameters
from eyeshot.augment.ops.pixels import blend, inside_boxes
from eyeshot.augment.random import random_bytes

Fill = Literal["black", "white", "mean", "border", "noise"]
"""What fills the hidden region: a grey level; the image's mean colour; the median colour of its outermost pixels, which
is the colour of the paper on drawings and scans; or random values."""


@dataclass(frozen=True)
class Masking(Operation):
    """An operation that hides a region. Subclasses draw the region's parameters and say where it is.

    Attributes:
        fill: what is put there.
    """

    fill: Fill = "black"

    @abstractmethod
    def draw_region(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Parameters of the region of one image."""

    @abstractmethod
    def region(self, parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
        """Which pixels are hidden, bool (n, 1, H, W)."""

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The region, and random values where they are the fill."""
        parameters = self.draw_region(random, shape)
        if self.fill == "noise":
            values = np.frombuffer(random_bytes(random, 3 * shape[0] * shape[1]), dtype=np.uint8)
            parameters["noise"] = values.reshape(3, *shape)
        return parameters

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Hides the region."""
        region = self.region(parameters, (images.shape[2], images.shape[3]))
        if self.fill == "noise":
            return blend(parameters["noise"], images, region)
        return blend(fill_colours(images, self.fill), images, region)


@dataclass(frozen=True)
class Erasing(Masking):
    """A rectangle of random size, shape and place (Zhong et al. 2020), as torchvision draws it.

    Attributes:
        scale: least and greatest share of the area.
        ratio: least and greatest ratio of height to width.
    """

    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)

    def draw_region(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The rectangle; empty when none fits in ten tries."""
        rows, columns = shape
        for _ in range(10):
            area = rows * columns * random.uniform(*self.scale)
            ratio = math.exp(random.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if height < rows and width < columns:
                top = int(random.integers(0, rows - height + 1))
                left = int(random.integers(0, columns - width + 1))
                return {"box": np.array([top, left, top + height, left + width])}
        return {"box": np.zeros(4, dtype=np.int64)}

    def region(self, parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
        """The rectangle."""
        return inside_boxes(parameters["box"], *shape)


@dataclass(frozen=True)
class Cutout(Masking):
    """A square whose centre is anywhere, cut off at the image's edges (DeVries and Taylor 2017).

    Attributes:
        side: of the square, as a share of the image's shorter side.
    """

    side: float = 0.5

    def draw_region(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The square."""
        side = max(1, round(min(shape) * self.side))
        top = int(random.integers(0, shape[0])) - side // 2
        left = int(random.integers(0, shape[1])) - side // 2
        return {"box": np.array([top, left, top + side, left + side])}

    def region(self, parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
        """The square."""
        return inside_boxes(parameters["box"], *shape)


@dataclass(frozen=True)
class GridMask(Masking):
    """Squares in a regular grid are hidden (Chen et al. 2020).

    Attributes:
        period: least and greatest distance of the squares, as a share of the image's shorter side.
        kept: share of the period, down and across, that lies between the squares.
    """

    period: tuple[float, float] = (96 / 224, 1.0)
    kept: float = 0.6

    def draw_region(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Period and offsets of the grid in pixels."""
        period = max(1, round(min(shape) * random.uniform(*self.period)))
        offsets = random.integers(0, period, 2)
        return {"period": period, "down": int(offsets[0]), "along": int(offsets[1])}

    def region(self, parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
        """The squares."""
        period = parameters["period"].unsqueeze(1)
        between = (period * self.kept).round()

        def hidden(size: int, offset: Tensor) -> Tensor:
            places = torch.arange(size, device=period.device) + offset.unsqueeze(1)
            return places % period >= between

        rows, columns = hidden(shape[0], parameters["down"]), hidden(shape[1], parameters["along"])
        return (rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1)


@dataclass(frozen=True)
class PatchMask(Masking):
    """Random patches of a regular grid are hidden, as in masked pre-training (He et al. 2022).

    Attributes:
        patches: of the grid, down and across.
        hidden: share of the patches.
    """

    patches: int = 14
    hidden: float = 0.75

    def draw_region(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Which patches are hidden."""
        count = self.patches**2
        order = random.permutation(count)
        return {"patches": (order < round(count * self.hidden)).reshape(self.patches, self.patches)}

    def region(self, parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
        """The patches."""
        patches = parameters["patches"]
        down = torch.arange(shape[0], device=patches.device) * self.patches // shape[0]
        along = torch.arange(shape[1], device=patches.device) * self.patches // shape[1]
        return patches.index_select(1, down).index_select(2, along).unsqueeze(1)


def fill_colours(images: Tensor, fill: Fill) -> Tensor:
    """One colour per image, uint8 (n, 3, 1, 1), or one for all, uint8 (1, 1, 1, 1)."""
    if fill == "mean":
        return images.float().mean((2, 3), keepdim=True).round_().to(torch.uint8)
    if fill == "border":
        sides = [images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1]]
        return torch.cat(sides, dim=2).median(2).values.unsqueeze(2).unsqueeze(3)
    level = 255 if fill == "white" else 0
    return torch.full((1, 1, 1, 1), level, dtype=torch.uint8, device=images.device)


@dataclass(frozen=True)
class HideAndSeek(Masking):
    """Each patch of a grid is hidden by an independent coin (Singh and Lee 2017).

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
        squares: number of squares.
        side: of each square, as a share of the image's shorter side.
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


def entries() -> tuple[Augmentation, ...]:
    """Parts hidden."""
    return (
        Augmentation(
            name="erasing",
            family="masking",
            strength="2-33 % of the area, ratio 0.3-3.3, random values",
            probability=0.5,
            description="A rectangle filled with random values.",
            may_destroy="classes told by one small part",
            source="Zhong et al. 2020; limits of torchvision RandomErasing",
            operation=Erasing(fill="noise"),
        ),
        Augmentation(
            name="cutout",
            family="masking",
            strength="a square of half the side, mean colour",
            probability=0.5,
            description="A square filled with the image's mean colour.",
            may_destroy="classes told by one small part",
            source="DeVries and Taylor 2017 (16 of 32 pixels, CIFAR-10)",
            operation=Cutout(fill="mean"),
        ),
        Augmentation(
            name="grid-mask",
            family="masking",
            strength="squares of 0.4 at every 0.43-1 of the side, black",
            probability=0.5,
            description="Squares in a regular grid filled with black.",
            may_destroy="classes told by small parts",
            source="Chen et al. 2020 (96 to 224 of 224 pixels, ratio 0.6)",
            operation=GridMask(fill="black"),
        ),
        Augmentation(
            name="patch-mask",
            family="masking",
            strength="75 % of 14 x 14 patches, colour of the border",
            probability=0.5,
            description="Three of four patches hidden by the paper's own colour, as in masked pre-training.",
            may_destroy="fine shapes",
            source="masked autoencoders (He et al. 2022)",
            operation=PatchMask(fill="border"),
        ),
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
