"""Policies: another operation for each view."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.colour import (
    brighten,
    contrast,
    equalizing_tables,
    saturate,
    sharpen,
    stretching_tables,
)
from eyeshot.augment.operation import Operation, Parameters
from eyeshot.augment.pixels import look_up, to_uint8
from eyeshot.augment.warp import warp

# Name, greatest magnitude, whether its sign is random; the order is torchvision's.
_SPACE: tuple[tuple[str, float, bool], ...] = (
    ("identity", 0.0, False),
    ("shear-x", 0.99, True),
    ("shear-y", 0.99, True),
    ("translate-x", 32.0, True),
    ("translate-y", 32.0, True),
    ("rotate", 135.0, True),
    ("brightness", 0.99, True),
    ("saturation", 0.99, True),
    ("contrast", 0.99, True),
    ("sharpness", 0.99, True),
    ("posterize", 6.0, False),
    ("solarize", 1.0, False),
    ("autocontrast", 0.0, False),
    ("equalize", 0.0, False),
)
_NUMBER = {name: number for number, (name, _, _) in enumerate(_SPACE)}
_WARPS = ("shear-x", "shear-y", "translate-x", "translate-y", "rotate")


@dataclass(frozen=True)
class TrivialAugment(Operation):
    """One of 14 operations at one of 31 strengths (TrivialAugmentWide, Müller and Hutter 2021).

    Magnitudes are those of torchvision's TrivialAugmentWide. Unlike there, warps are bilinear and edges are
    filled by reflection. Translations are in pixels, whatever the image's size, as in the paper.
    """

    bins: int = 31

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Number of the operation, and its signed magnitude."""
        number = int(random.integers(len(_SPACE)))
        _, greatest, signed = _SPACE[number]
        magnitude = greatest * int(random.integers(self.bins)) / (self.bins - 1)
        if signed and random.random() < 0.5:
            magnitude = -magnitude
        return {"operation": number, "magnitude": magnitude}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Applies each operation to the images that drew it."""
        operation, magnitude = parameters["operation"], parameters["magnitude"]
        result = images.clone()

        def where(*names: str) -> Tensor:
            numbers = torch.tensor([_NUMBER[name] for name in names], device=images.device)
            return torch.isin(operation, numbers).nonzero().squeeze(1)

        def replace(rows: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> None:
            if len(rows):
                result[rows] = change(images[rows], magnitude[rows])

        warped = where(*_WARPS)
        if len(warped):
            matrices = _matrices(operation[warped], magnitude[warped], images.shape[2], images.shape[3])
            result[warped] = warp(images[warped], matrices)
        for name, change in _CHANGES.items():
            replace(where(name), change)
        return result


def _matrices(operation: Tensor, magnitude: Tensor, height: int, width: int) -> Tensor:
    zero = torch.zeros_like(magnitude)

    def only(name: str) -> Tensor:
        return torch.where(operation == _NUMBER[name], magnitude, zero)

    angle = only("rotate") * (math.pi / 180)
    shear_x, shear_y = only("shear-x"), only("shear-y")
    cosine, sine = angle.cos(), angle.sin()
    # Shears keep the upper left corner in place, as torchvision's do; whole pixels for translations.
    x = shear_x * (height / 2) - only("translate-x").trunc()
    y = shear_y * (width / 2) - only("translate-y").trunc()
    entries = [cosine, shear_x - sine, x, shear_y + sine, cosine, y, zero, zero, torch.ones_like(zero)]
    return torch.stack(entries, dim=1).view(-1, 3, 3)


def _posterize(images: Tensor, magnitude: Tensor) -> Tensor:
    dropped = magnitude.round().long()
    return images & (256 - (1 << dropped)).to(torch.uint8).view(-1, 1, 1, 1)


def _solarize(images: Tensor, magnitude: Tensor) -> Tensor:
    threshold = ((1 - magnitude) * 255).view(-1, 1, 1, 1)
    return images ^ (images >= threshold).to(torch.uint8).neg_()


def _by_factor(step: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda images, magnitude: to_uint8(step(images.float(), 1 + magnitude))


def _by_table(tables: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda images, _: look_up(images, tables(images))


_CHANGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": _by_factor(brighten),
    "saturation": _by_factor(saturate),
    "contrast": _by_factor(contrast),
    "sharpness": _by_factor(sharpen),
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _by_table(stretching_tables),
    "equalize": _by_table(equalizing_tables),
}


def candidates() -> tuple[Augmentation, ...]:
    """Another operation for each view."""
    return (
        Augmentation(
            name="trivial-augment",
            family="policy",
            strength="one of 14 operations at one of 31 strengths",
            probability=1.0,
            description="TrivialAugmentWide: the control to beat.",
            may_destroy="little; some shears and turns are strong",
            source="Müller and Hutter 2021; magnitudes of torchvision",
            operation=TrivialAugment(),
        ),
    )
