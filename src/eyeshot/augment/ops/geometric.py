"""Geometric operations: exact flips and turns, and warps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.operation import DrawnOperation, FixedOperation, Operation, Parameters
from eyeshot.augment.ops.pixels import in_order
from eyeshot.augment.ops.warp import affine_matrices, warp

USUAL_RATIOS = (3 / 4, 4 / 3)


def flip(images: Tensor, *, sideways: bool, upside_down: bool) -> Tensor:
    """Left and right exchanged, or top and bottom, or both, which is a half turn."""
    axes = [axis for axis, flipped in ((3, sideways), (2, upside_down)) if flipped]
    return images.flip(axes)


def draw_quarter_turns(random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
    """Number of quarter turns, 1 to 3, counter-clockwise."""
    return {"turns": int(random.integers(1, 4))}


def turn_by_quarters(images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """A turn by 90, 180 or 270 degrees; exact on square images.

    An image that is not square keeps its shape: it is turned about its centre, cut where it is too long and
    continued by its reflection where it is too short.
    """
    turns = parameters["turns"]
    if images.shape[2] != images.shape[3]:
        return _turn(images, turns * (math.pi / 2))
    groups = []
    for count in (1, 2, 3):
        rows = (turns == count).nonzero().squeeze(1)
        groups.append((rows, torch.rot90(images.index_select(0, rows), count, (2, 3))))
    return in_order(groups)


QUARTER_TURNS = DrawnOperation("geometric.QuarterTurns", draw_quarter_turns, turn_by_quarters)


@dataclass(frozen=True)
class Rotate(Operation):
    """A turn about the centre by up to `degrees` either way."""

    degrees: float

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The angle in degrees, counter-clockwise."""
        return {"angle": random.uniform(-self.degrees, self.degrees)}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Turns the images."""
        return _turn(images, parameters["angle"] * (math.pi / 180))


@dataclass(frozen=True)
class Affine(Operation):
    """Scale, turn and shift together, drawn independently and uniformly.

    Attributes:
        degrees: greatest turn either way.
        scale: least and greatest factor of size.
        shift: greatest shift either way, as a share of width and height.
        stretch: least and greatest factor of the ratio of width to height, drawn on a logarithmic scale; the
            area stays. (1, 1) keeps the ratio.
    """

    degrees: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    stretch: tuple[float, float] = (1.0, 1.0)

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Angle in degrees, size and ratio as factors, shifts as shares."""
        low, high = self.stretch
        return {
            "angle": random.uniform(-self.degrees, self.degrees),
            "scale": random.uniform(*self.scale),
            "shift_x": random.uniform(-self.shift, self.shift),
            "shift_y": random.uniform(-self.shift, self.shift),
            "ratio": math.exp(random.uniform(math.log(low), math.log(high))),
        }

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Warps the images."""
        widening = parameters["ratio"].sqrt()
        matrices = affine_matrices(
            angle=parameters["angle"] * (math.pi / 180),
            scale_x=parameters["scale"] * widening,
            scale_y=parameters["scale"] / widening,
            shift_x=parameters["shift_x"] * images.shape[3],
            shift_y=parameters["shift_y"] * images.shape[2],
        )
        return warp(images, matrices)


@dataclass(frozen=True)
class Perspective(Operation):
    """Each corner moves inwards by up to half of `distortion` of the side (as in torchvision)."""

    distortion: float

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The warp's matrix."""
        height, width = shape
        inwards = random.random((4, 2)) * (self.distortion / 2)
        corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        size = np.array([width, height], dtype=np.float64)
        moved = (corners - np.sign(corners) * inwards) * size
        return {"matrix": homography(moved, corners * size).astype(np.float32)}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Warps the images."""
        return warp(images, parameters["matrix"])


@dataclass(frozen=True)
class ResizedCrop(Operation):
    """A part of the image, brought back to the image's size: Inception's crop (Szegedy et al. 2015).

    Attributes:
        scale: least and greatest share of the area.
        ratio: least and greatest ratio of width to height, drawn on a logarithmic scale.
    """

    scale: tuple[float, float]
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Top, left, height and width in pixels, drawn as torchvision's RandomResizedCrop does."""
        rows, columns = shape
        for _ in range(10):
            area = rows * columns * random.uniform(*self.scale)
            ratio = math.exp(random.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < width <= columns and 0 < height <= rows:
                top = int(random.integers(0, rows - height + 1))
                left = int(random.integers(0, columns - width + 1))
                return {"top": top, "left": left, "height": height, "width": width}
        width = max(1, min(columns, round(rows * self.ratio[1])))
        height = max(1, min(rows, round(columns / self.ratio[0])))
        return {"top": (rows - height) // 2, "left": (columns - width) // 2, "height": height, "width": width}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Crops and resizes the images."""
        rows, columns = images.shape[2:]
        top, left, height, width = (parameters[name].to(torch.float32) for name in ("top", "left", "height", "width"))
        zeros, ones = torch.zeros_like(top), torch.ones_like(top)
        x = left + (width - columns) / 2
        y = top + (height - rows) / 2
        entries = [width / columns, zeros, x, zeros, height / rows, y, zeros, zeros, ones]
        return warp(images, torch.stack(entries, dim=1).view(-1, 3, 3))


def homography(origins: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """The projective matrix (3, 3) that takes four points (4, 2) to four others."""
    rows = []
    for (x, y), (u, v) in zip(origins, targets, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    return np.append(np.linalg.solve(np.array(rows), targets.reshape(-1)), 1.0).reshape(3, 3)


def _turn(images: Tensor, angle: Tensor) -> Tensor:
    zeros, ones = torch.zeros_like(angle), torch.ones_like(angle)
    matrices = affine_matrices(angle=angle, scale_x=ones, scale_y=ones, shift_x=zeros, shift_y=zeros)
    return warp(images, matrices)


def entries(aspect_ratios: tuple[float, float] | None) -> tuple[Augmentation, ...]:
    """Flips, turns, warps and crops."""
    stretch, origin = _stretch(aspect_ratios)
    return (
        Augmentation(
            name="mirror",
            family="geometric",
            strength="left-right",
            probability=0.5,
            description="Left and right exchanged.",
            may_destroy="left from right: text, digits, hands, signs",
            source="torchvision RandomHorizontalFlip",
            operation=FixedOperation("geometric.Flip", partial(flip, sideways=True, upside_down=False)),
        ),
        Augmentation(
            name="vertical-flip",
            family="geometric",
            strength="top-bottom",
            probability=0.5,
            description="Top and bottom exchanged.",
            may_destroy="up from down: text, digits, scenes with a horizon",
            source="torchvision RandomVerticalFlip",
            operation=FixedOperation("geometric.Flip", partial(flip, sideways=False, upside_down=True)),
        ),
        Augmentation(
            name="half-turns",
            family="geometric",
            strength="180°",
            probability=0.5,
            description="Turned upside down.",
            may_destroy="6 from 9, arrows, scenes with a horizon",
            source="orientations of Cohen and Welling 2016 (group p4)",
            operation=FixedOperation("geometric.Flip", partial(flip, sideways=True, upside_down=True)),
        ),
        Augmentation(
            name="quarter-turns",
            family="geometric",
            strength="90°, 180° or 270°",
            probability=0.5,
            description="Turned by one, two or three quarters of a circle.",
            may_destroy="6 from 9, arrows, - from |",
            source="orientations of Cohen and Welling 2016 (group p4)",
            operation=QUARTER_TURNS,
        ),
        Augmentation(
            name="rotate-15",
            family="geometric",
            strength="up to 15° either way",
            probability=0.5,
            description="A small turn.",
            may_destroy="little",
            source="Cireşan et al. 2010 (handwritten digits)",
            operation=Rotate(15.0),
        ),
        Augmentation(
            name="rotate-30",
            family="geometric",
            strength="up to 30° either way",
            probability=0.5,
            description="A turn.",
            may_destroy="little",
            source="AutoAugment, RandAugment (Cubuk et al. 2019, 2020)",
            operation=Rotate(30.0),
        ),
        Augmentation(
            name="rotate-180",
            family="geometric",
            strength="up to 180° either way",
            probability=0.5,
            description="Turned to any angle.",
            may_destroy="6 from 9, arrows, scenes with a horizon",
            source="Dieleman et al. 2015 (galaxies)",
            operation=Rotate(180.0),
        ),
        Augmentation(
            name="translate",
            family="geometric",
            strength="up to 20 % of the side either way",
            probability=0.5,
            description="Shifted across and down.",
            may_destroy="what stands at the edge",
            source="Keras blog, small image data sets (Chollet 2016)",
            operation=Affine(shift=0.2),
        ),
        Augmentation(
            name="affine",
            family="geometric",
            strength="turn 15°, size 0.8-1.2, shift 10 %",
            probability=0.5,
            description="Turned, resized and shifted; the ratio of width to height is kept.",
            may_destroy="little",
            source="Cireşan et al. 2010 (turn), Chollet 2016 (size), Simard et al. 2003 (the idea)",
            operation=Affine(degrees=15.0, scale=(0.8, 1.2), shift=0.1),
        ),
        Augmentation(
            name="affine-stretch",
            family="geometric",
            strength=f"turn 15°, size 0.8-1.2, shift 10 %, ratio {stretch[0]:.2f}-{stretch[1]:.2f}",
            probability=0.5,
            description=f"Like affine, and stretched: the ratio of width to height changes ({origin}).",
            may_destroy="classes defined by proportions: 0 from o, circle from ellipse",
            source="as affine; ratios of the data, or of torchvision's RandomResizedCrop",
            operation=Affine(degrees=15.0, scale=(0.8, 1.2), shift=0.1, stretch=stretch),
        ),
        Augmentation(
            name="perspective",
            family="geometric",
            strength="corners up to 25 % inwards",
            probability=0.5,
            description="Seen at an angle.",
            may_destroy="little",
            source="torchvision RandomPerspective (distortion_scale 0.5)",
            operation=Perspective(0.5),
        ),
        Augmentation(
            name="crop-mild",
            family="geometric",
            strength="70-100 % of the area, ratio 3/4-4/3",
            probability=1.0,
            description="A large part of the image, brought to full size.",
            may_destroy="little",
            source="DomainBed (Gulrajani and Lopez-Paz 2021)",
            operation=ResizedCrop(scale=(0.7, 1.0)),
        ),
        Augmentation(
            name="crop-strong",
            family="geometric",
            strength="20-100 % of the area, ratio 3/4-4/3",
            probability=1.0,
            description="A part of the image, brought to full size.",
            may_destroy="small objects, classes defined by size",
            source="MoCo (He et al. 2020); torchvision's own default begins at 8 %",
            operation=ResizedCrop(scale=(0.2, 1.0)),
        ),
    )


def _stretch(aspect_ratios: tuple[float, float] | None) -> tuple[tuple[float, float], str]:
    """Limits of the stretch, and where they come from. They always include 1, which is no stretch."""
    if aspect_ratios is None:
        return USUAL_RATIOS, "by 3/4 to 4/3, since the data's ratios are not known"
    low, high = aspect_ratios
    if low == high:
        return USUAL_RATIOS, "by 3/4 to 4/3, since all images have one ratio"
    return (min(low, 1.0), max(high, 1.0)), "by the ratios seen in the data, 5th to 95th percentile, and none"
