"""The fourteen operations that policies choose from, each image its own one at its own strength."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from eyeshot.augment.colour import brighten, contrast, equalizing_tables, saturate, sharpen, stretch
from eyeshot.augment.pixels import at_least, in_order, look_up, per_image, to_uint8
from eyeshot.augment.warp import warp


class Range(NamedTuple):
    """Magnitudes of one operation in a policy.

    Shears are the tangent; translations in pixels, or in shares of the side; turns in degrees; brightness,
    saturation, contrast and sharpness are what is added to the factor 1; posterize drops so many bits; solarize
    inverts so large a share of the levels. The rest takes no magnitude.
    """

    least: float = 0.0
    greatest: float = 0.0
    signed: bool = False
    of_side: bool = False


NAMES = (
    "identity",
    "shear-x",
    "shear-y",
    "translate-x",
    "translate-y",
    "rotate",
    "brightness",
    "saturation",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
)
"""In torchvision's order."""

_NUMBER = {name: number for number, name in enumerate(NAMES)}
_WARPS = ("shear-x", "shear-y", "translate-x", "translate-y", "rotate")


def draw_step(
    random: np.random.Generator,
    space: dict[str, Range],
    shape: tuple[int, int],
    strength: Callable[[np.random.Generator], float],
) -> tuple[int, float]:
    """Number of an operation, all of the space equally likely, and its magnitude.

    Args:
        random: where all choices come from.
        space: ranges by name.
        shape: height and width of the image.
        strength: draws the place in the range, 0 to 1.
    """
    names = tuple(space)
    name = names[int(random.integers(len(names)))]
    chosen = space[name]
    magnitude = chosen.least + (chosen.greatest - chosen.least) * strength(random)
    if chosen.of_side:
        magnitude *= shape[1] if name == "translate-x" else shape[0]
    if chosen.signed and random.random() < 0.5:
        magnitude = -magnitude
    return _NUMBER[name], magnitude


def apply_steps(images: Tensor, numbers: Tensor, magnitudes: Tensor) -> Tensor:
    """Images uint8 (n, 3, H, W), each changed by operation `numbers` (n,) at its magnitude (n,)."""
    rows_of: dict[str, list[int]] = {}
    for row, number in enumerate(numbers.tolist()):
        name = NAMES[number]
        rows_of.setdefault("warp" if name in _WARPS else name, []).append(row)
    groups = []
    for name, listed in rows_of.items():
        rows = torch.tensor(listed, device=images.device)
        chosen = images.index_select(0, rows)
        if name == "warp":
            matrices = _matrices(numbers[rows], magnitudes[rows], images.shape[2], images.shape[3])
            chosen = warp(chosen, matrices)
        elif name != "identity":
            chosen = _CHANGES[name](chosen, magnitudes[rows])
        groups.append((rows, chosen))
    return in_order(groups) if groups else images.clone()


def _matrices(numbers: Tensor, magnitudes: Tensor, height: int, width: int) -> Tensor:
    zero = torch.zeros_like(magnitudes)

    def only(name: str) -> Tensor:
        return torch.where(numbers == _NUMBER[name], magnitudes, zero)

    angle = only("rotate") * (math.pi / 180)
    shear_x, shear_y = only("shear-x"), only("shear-y")
    cosine, sine = angle.cos(), angle.sin()
    # Shears keep the upper left corner in place, as torchvision's do; whole pixels for translations.
    x = shear_x * (height / 2) - only("translate-x").trunc()
    y = shear_y * (width / 2) - only("translate-y").trunc()
    entries = [cosine, shear_x - sine, x, shear_y + sine, cosine, y, zero, zero, torch.ones_like(zero)]
    return torch.stack(entries, dim=1).view(-1, 3, 3)


def _posterize(images: Tensor, magnitudes: Tensor) -> Tensor:
    dropped = magnitudes.round().long()
    return images & (256 - (1 << dropped)).to(torch.uint8).view(-1, 1, 1, 1)


def _solarize(images: Tensor, magnitudes: Tensor) -> Tensor:
    threshold = per_image(((1 - magnitudes) * 255).ceil().to(torch.uint8))
    return images ^ at_least(images, threshold).neg_()


def _by_factor(step: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda images, magnitudes: to_uint8(step(images.float(), 1 + magnitudes))


_CHANGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": _by_factor(brighten),
    "saturation": _by_factor(saturate),
    "contrast": _by_factor(contrast),
    "sharpness": _by_factor(sharpen),
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": lambda images, _: stretch(images),
    "equalize": lambda images, _: look_up(images, equalizing_tables(images)),
}
