"""Mixing: each image is combined with others of the pool, and its label with theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.operation import Mixing, Parameters
from eyeshot.augment.ops.pixels import blend, halved, inside_boxes, per_image, to_uint8
from eyeshot.augment.ops.warp import sample


@dataclass(frozen=True)
class MixUp(Mixing):
    """A weighted mean of two images (Zhang et al. 2018).

    Attributes:
        alpha: both parameters of the Beta distribution of the weight.
    """

    alpha: float
    partners: ClassVar[int] = 1

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The image's own weight."""
        return {"own": random.beta(self.alpha, self.alpha)}

    def weights(self, parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
        """The weights of the mean."""
        return torch.stack([parameters["own"], 1 - parameters["own"]], dim=1)

    def mix(self, images: Tensor, partners: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The means."""
        return to_uint8(torch.lerp(partners[:, 0].float(), images.float(), per_image(parameters["own"])))


@dataclass(frozen=True)
class CutMix(Mixing):
    """A rectangle of another image pasted at the same place (Yun et al. 2019).

    Attributes:
        alpha: both parameters of the Beta distribution of the share that is kept.
    """

    alpha: float
    partners: ClassVar[int] = 1

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The rectangle: its centre is anywhere, and it is cut off at the edges, as in the paper's code."""
        rows, columns = shape
        half = 0.5 * np.sqrt(1.0 - random.beta(self.alpha, self.alpha))
        y, x = int(random.integers(0, rows)), int(random.integers(0, columns))
        down, along = int(half * rows), int(half * columns)
        box = [max(y - down, 0), max(x - along, 0), min(y + down, rows), min(x + along, columns)]
        return {"box": np.array(box)}

    def weights(self, parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
        """Shares of the area."""
        top, left, bottom, right = parameters["box"].unbind(1)
        pasted = ((bottom - top) * (right - left)).float() / (shape[0] * shape[1])
        return torch.stack([1 - pasted, pasted], dim=1)

    def mix(self, images: Tensor, partners: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The pasted images."""
        region = inside_boxes(parameters["box"], images.shape[2], images.shape[3])
        return blend(partners[:, 0], images, region)


@dataclass(frozen=True)
class Mosaic(Mixing):
    """Four images in the four quarters that a cross makes; each keeps its ratio and fills its quarter.

    The picture is that of Bochkovskiy et al. 2020, the labels by area those of Takahashi et al. 2018.

    Attributes:
        centre: least and greatest place of the cross, as a share of height and width.
    """

    centre: tuple[float, float]
    partners: ClassVar[int] = 3

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The cross in pixels, and the quarter of each of the four images."""
        down, along = random.uniform(*self.centre, 2)
        return {
            "row": round(down * shape[0]),
            "column": round(along * shape[1]),
            "quarters": random.permutation(4),
        }

    def weights(self, parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
        """Shares of the area."""
        row, column = parameters["row"].unsqueeze(1), parameters["column"].unsqueeze(1)
        quarters = parameters["quarters"]
        height = torch.where(quarters < 2, row, shape[0] - row)
        width = torch.where(quarters % 2 == 0, column, shape[1] - column)
        return (height * width).float() / (shape[0] * shape[1])

    def mix(self, images: Tensor, partners: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The mosaics."""
        count, channels, rows, columns = images.shape
        # Quarters are about half as large, and sampling alone drops thin lines: so shrink once by averaging.
        four = torch.cat([images.unsqueeze(1), partners], dim=1).view(-1, channels, rows, columns)
        small = halved(four.float())
        height, width = small.shape[2:]
        four = small.view(count, 4, channels, height, width)
        tall = four.transpose(1, 2).reshape(count, channels, 4 * height, width)
        return to_uint8(sample(tall, _mosaic_grid(parameters, (rows, columns), (height, width))))


def _mosaic_grid(parameters: Mapping[str, Tensor], shape: tuple[int, int], small: tuple[int, int]) -> Tensor:
    """Where each pixel of the mosaic comes from in four images of size `small` stacked into one column."""
    rows, columns = shape
    height, width = small
    device = parameters["row"].device
    row, column = parameters["row"].view(-1, 1, 1), parameters["column"].view(-1, 1, 1)
    y = torch.arange(rows, device=device).view(1, -1, 1)
    x = torch.arange(columns, device=device).view(1, 1, -1)
    lower, right = y >= row, x >= column
    # Size of the quarter around each row and column; its image is scaled to fill it, ratio kept.
    tall = torch.where(lower, rows - row, row).float()
    wide = torch.where(right, columns - column, column).float()
    scale = torch.maximum(tall / rows, wide / columns).clamp(min=1e-6)
    from_middle_y = y + 0.5 - torch.where(lower, row, 0) - tall / 2
    from_middle_x = x + 0.5 - torch.where(right, column, 0) - wide / 2
    source_y = from_middle_y * (height / rows) / scale + height / 2
    source_x = from_middle_x * (width / columns) / scale + width / 2
    # Half a pixel inside, so that no neighbour in the column bleeds in.
    source_y = source_y.clamp(0.5, height - 0.5)
    which = parameters["quarters"].argsort(1).float()
    number = which.gather(1, (lower * 2 + right * 1).flatten(1)).view(source_y.shape)
    place_y = (source_y + number * height) * (2 / (4 * height)) - 1
    place_x = source_x.clamp(0.5, width - 0.5) * (2 / width) - 1
    return torch.stack([place_x, place_y], dim=3)


def entries() -> tuple[Augmentation, ...]:
    """Mixtures of several images, with shares of their labels."""
    return (
        Augmentation(
            name="mixup",
            family="mixing",
            strength="alpha 0.2",
            probability=0.5,
            description="Weighted mean with another image.",
            may_destroy="labels are mixed by weight",
            source="Zhang et al. 2018 (ImageNet)",
            operation=MixUp(0.2),
        ),
        Augmentation(
            name="mixup-strong",
            family="mixing",
            strength="alpha 1",
            probability=0.5,
            description="Mean with another image, all weights as likely.",
            may_destroy="labels are mixed by weight",
            source="Zhang et al. 2018 (CIFAR-10)",
            operation=MixUp(1.0),
        ),
        Augmentation(
            name="cutmix",
            family="mixing",
            strength="alpha 1",
            probability=0.5,
            description="A rectangle of another image pasted in.",
            may_destroy="labels are mixed by area, also where the object is hidden",
            source="Yun et al. 2019",
            operation=CutMix(1.0),
        ),
        Augmentation(
            name="mosaic",
            family="mixing",
            strength="cross at 25-75 % of the side",
            probability=0.5,
            description="Four images in the four quarters of one.",
            may_destroy="labels are mixed by area; objects become small",
            source="YOLOv4 (Bochkovskiy et al. 2020); labels as RICAP (Takahashi et al. 2018)",
            operation=Mosaic((0.25, 0.75)),
        ),
    )
