"""Masking: part of each image is hidden, which regularises and adds no coverage."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.operation import Operation, Parameters, strengths_of
from eyeshot.augment.ops.pixels import blend, inside_boxes
from eyeshot.augment.random import random_bytes

Fill = Literal["black", "white", "mean", "border", "noise"]
"""What fills the hidden region: a grey level; the image's mean colour; the median colour of its outermost pixels, which
is the colour of the paper on drawings and scans; or random values."""


@dataclass(frozen=True)
class Masking(Operation):
    """An operation that hides a region.

    Attributes:
        name: its `kind`, as of a `DrawnOperation`.
        fill: what the region is filled with.
        draw_region: draws the region's parameters for one image of a shape. Strengths are the keywords of a
            `functools.partial`.
        region: which pixels those parameters hide in images of a shape, bool (n, 1, H, W); strengths likewise.
    """

    name: str
    fill: Fill
    draw_region: Callable[[np.random.Generator, tuple[int, int]], Parameters]
    region: Callable[[Mapping[str, Tensor], tuple[int, int]], Tensor]

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

    def settings(self) -> dict[str, object]:
        """The fill and the strengths by name."""
        return {"fill": self.fill, **strengths_of(self.draw_region), **strengths_of(self.region)}

    def kind(self) -> str:
        """The name."""
        return self.name


def fill_colours(images: Tensor, fill: Fill) -> Tensor:
    """One colour per image, uint8 (n, 3, 1, 1), or one for all, uint8 (1, 1, 1, 1)."""
    if fill == "mean":
        return images.float().mean((2, 3), keepdim=True).round_().to(torch.uint8)
    if fill == "border":
        sides = [images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1]]
        return torch.cat(sides, dim=2).median(2).values.unsqueeze(2).unsqueeze(3)
    level = 255 if fill == "white" else 0
    return torch.full((1, 1, 1, 1), level, dtype=torch.uint8, device=images.device)


def erasing(
    fill: Fill = "black", *, scale: tuple[float, float] = (0.02, 0.33), ratio: tuple[float, float] = (0.3, 3.3)
) -> Masking:
    """Hides a rectangle of random size, shape and place (Zhong et al. 2020), as torchvision draws it.

    Args:
        fill: what it is filled with.
        scale: least and greatest share of the area.
        ratio: least and greatest ratio of height to width.
    """
    return Masking("masking.Erasing", fill, partial(_draw_rectangle, scale=scale, ratio=ratio), _inside_box)


def _draw_rectangle(
    random: np.random.Generator, shape: tuple[int, int], *, scale: tuple[float, float], ratio: tuple[float, float]
) -> Parameters:
    """The rectangle; empty when none fits in ten tries."""
    rows, columns = shape
    for _ in range(10):
        area = rows * columns * random.uniform(*scale)
        drawn_ratio = math.exp(random.uniform(math.log(ratio[0]), math.log(ratio[1])))
        height, width = round(math.sqrt(area * drawn_ratio)), round(math.sqrt(area / drawn_ratio))
        if height < rows and width < columns:
            top = int(random.integers(0, rows - height + 1))
            left = int(random.integers(0, columns - width + 1))
            return {"box": np.array([top, left, top + height, left + width])}
    return {"box": np.zeros(4, dtype=np.int64)}


def _inside_box(parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
    return inside_boxes(parameters["box"], *shape)


def cutout(fill: Fill = "black", *, side: float = 0.5) -> Masking:
    """Hides a square whose centre is anywhere, cut off at the image's edges (DeVries and Taylor 2017).

    Args:
        fill: what it is filled with.
        side: of the square, as a share of the image's shorter side.
    """
    return Masking("masking.Cutout", fill, partial(_draw_square, side=side), _inside_box)


def _draw_square(random: np.random.Generator, shape: tuple[int, int], *, side: float) -> Parameters:
    pixels = max(1, round(min(shape) * side))
    top = int(random.integers(0, shape[0])) - pixels // 2
    left = int(random.integers(0, shape[1])) - pixels // 2
    return {"box": np.array([top, left, top + pixels, left + pixels])}


def grid_mask(fill: Fill = "black", *, period: tuple[float, float] = (96 / 224, 1.0), kept: float = 0.6) -> Masking:
    """Hides squares in a regular grid (Chen et al. 2020).

    Args:
        fill: what they are filled with.
        period: least and greatest distance of the squares, as a share of the image's shorter side.
        kept: share of the period, down and across, that lies between the squares.
    """
    return Masking("masking.GridMask", fill, partial(_draw_grid, period=period), partial(_grid_squares, kept=kept))


def _draw_grid(random: np.random.Generator, shape: tuple[int, int], *, period: tuple[float, float]) -> Parameters:
    """Period and offsets of the grid in pixels."""
    pixels = max(1, round(min(shape) * random.uniform(*period)))
    offsets = random.integers(0, pixels, 2)
    return {"period": pixels, "down": int(offsets[0]), "along": int(offsets[1])}


def _grid_squares(parameters: Mapping[str, Tensor], shape: tuple[int, int], *, kept: float) -> Tensor:
    period = parameters["period"].unsqueeze(1)
    between = (period * kept).round()

    def hidden(size: int, offset: Tensor) -> Tensor:
        places = torch.arange(size, device=period.device) + offset.unsqueeze(1)
        return places % period >= between

    rows, columns = hidden(shape[0], parameters["down"]), hidden(shape[1], parameters["along"])
    return (rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1)


def patch_mask(fill: Fill = "black", *, patches: int = 14, hidden: float = 0.75) -> Masking:
    """Hides random patches of a regular grid, as in masked pre-training (He et al. 2022).

    Args:
        fill: what they are filled with.
        patches: of the grid, down and across.
        hidden: share of the patches.
    """
    return Masking("masking.PatchMask", fill, partial(_draw_patches, patches=patches, hidden=hidden), _patches)


def _draw_patches(random: np.random.Generator, shape: tuple[int, int], *, patches: int, hidden: float) -> Parameters:
    """Which patches are hidden."""
    count = patches**2
    order = random.permutation(count)
    return {"patches": (order < round(count * hidden)).reshape(patches, patches)}


def _patches(parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
    patches = parameters["patches"]
    count = patches.shape[1]
    down = torch.arange(shape[0], device=patches.device) * count // shape[0]
    along = torch.arange(shape[1], device=patches.device) * count // shape[1]
    return patches.index_select(1, down).index_select(2, along).unsqueeze(1)


def hide_and_seek(fill: Fill = "black", *, grids: tuple[int, ...] = (4, 5, 7, 14), hidden: float = 0.5) -> Masking:
    """Hides each patch of a grid by an independent coin (Singh and Lee 2017).

    Args:
        fill: what they are filled with.
        grids: patches down and across; each image takes one of these.
        hidden: probability of each patch.
    """
    return Masking("scattered.HideAndSeek", fill, partial(_draw_coins, grids=grids, hidden=hidden), _coin_patches)


def _draw_coins(
    random: np.random.Generator, shape: tuple[int, int], *, grids: tuple[int, ...], hidden: float
) -> Parameters:
    """The grid, and which patches are hidden."""
    grid, most = grids[int(random.integers(len(grids)))], max(grids)
    return {"grid": grid, "patches": random.random((most, most), dtype=np.float32) < hidden}


def _coin_patches(parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
    patches, grid = parameters["patches"], parameters["grid"].unsqueeze(1)
    down = torch.arange(shape[0], device=grid.device) * grid // shape[0]
    along = torch.arange(shape[1], device=grid.device) * grid // shape[1]
    rows = patches.gather(1, down.unsqueeze(2).expand(-1, -1, patches.shape[2]))
    return rows.gather(2, along.unsqueeze(1).expand(-1, shape[0], -1)).unsqueeze(1)


def coarse_dropout(fill: Fill = "black", *, squares: int = 8, side: float = 1 / 8) -> Masking:
    """Hides several small squares; they lie inside the image and may overlap.

    Args:
        fill: what they are filled with.
        squares: number of squares.
        side: of each square, as a share of the image's shorter side.
    """
    draw_region = partial(_draw_corners, squares=squares, side=side)
    return Masking("scattered.CoarseDropout", fill, draw_region, partial(_scattered_squares, side=side))


def _draw_corners(random: np.random.Generator, shape: tuple[int, int], *, squares: int, side: float) -> Parameters:
    """Upper left corners of the squares."""
    pixels = max(1, round(min(shape) * side))
    return {"corners": random.integers(0, [shape[0] - pixels + 1, shape[1] - pixels + 1], (squares, 2))}


def _scattered_squares(parameters: Mapping[str, Tensor], shape: tuple[int, int], *, side: float) -> Tensor:
    pixels, corners = max(1, round(min(shape) * side)), parameters["corners"]

    def within(size: int, first: Tensor) -> Tensor:
        places = torch.arange(size, device=first.device) - first.unsqueeze(2)
        return ((places >= 0) & (places < pixels)).float()

    rows, columns = within(shape[0], corners[..., 0]), within(shape[1], corners[..., 1])
    return (rows.transpose(1, 2) @ columns > 0).unsqueeze(1)


def entries() -> tuple[Augmentation, ...]:
    """Augmentations that hide parts of the image."""
    return (
        Augmentation(
            name="erasing",
            family="masking",
            strength="2-33 % of the area, ratio 0.3-3.3, random values",
            probability=0.5,
            description="A rectangle filled with random values.",
            may_destroy="classes defined by one small part",
            source="Zhong et al. 2020; limits of torchvision RandomErasing",
            operation=erasing(fill="noise"),
        ),
        Augmentation(
            name="cutout",
            family="masking",
            strength="a square of half the side, mean colour",
            probability=0.5,
            description="A square filled with the image's mean colour.",
            may_destroy="classes defined by one small part",
            source="DeVries and Taylor 2017 (16 of 32 pixels, CIFAR-10)",
            operation=cutout(fill="mean"),
        ),
        Augmentation(
            name="grid-mask",
            family="masking",
            strength="squares of 0.4 at every 0.43-1 of the side, black",
            probability=0.5,
            description="Squares in a regular grid filled with black.",
            may_destroy="classes defined by small parts",
            source="Chen et al. 2020 (96 to 224 of 224 pixels, ratio 0.6)",
            operation=grid_mask(fill="black"),
        ),
        Augmentation(
            name="patch-mask",
            family="masking",
            strength="75 % of 14 x 14 patches, colour of the border",
            probability=0.5,
            description="Three of four patches hidden by the paper's own colour, as in masked pre-training.",
            may_destroy="fine shapes",
            source="masked autoencoders (He et al. 2022)",
            operation=patch_mask(fill="border"),
        ),
        Augmentation(
            name="hide-and-seek",
            family="masking",
            strength="half of 4 x 4 to 14 x 14 patches, mean colour",
            probability=0.5,
            description="Patches hidden by independent coins, filled with the image's mean colour.",
            may_destroy="classes defined by small parts",
            source="Singh and Lee 2017 (patches of 16, 32, 44 and 56 of 224 pixels; the data's mean colour there)",
            operation=hide_and_seek(fill="mean"),
        ),
        Augmentation(
            name="coarse-dropout",
            family="masking",
            strength="8 squares of 1/8 of the side, black",
            probability=0.5,
            description="Several small squares filled with black.",
            may_destroy="classes defined by one small part",
            source="albumentations CoarseDropout (8 holes); the idea: DeVries and Taylor 2017",
            operation=coarse_dropout(fill="black"),
        ),
    )
