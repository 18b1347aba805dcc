"""Edge and texture operations: what is left when colour and shading are gone. They can fail, and say so."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eyeshot.augment.blur_noise import gaussian
from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.operation import FixedOperation
from eyeshot.augment.pixels import grey, pad_mirrored, per_image, to_uint8


@dataclass(frozen=True)
class Edges(FixedOperation):
    """Length of the brightness gradient (Sobel), bright on black.

    Twice the gradient's root mean square is white: the threshold of Pratt's edge detector (Digital Image
    Processing, 1978; MATLAB's `edge`), here a scale, so that faint edges are not lost.

    Attributes:
        fine: sigma of a blur that takes grain away first, as a share of the shorter side.
        faintest: fails where no step between pixels is as large, in grey levels: an empty edge map.
        fullest: fails where a larger share of the pixels lies over the root mean square: a full edge map.
            Grain gives 0.37; in 418 photographs and 328 drawings the share was 0.08 to 0.33.
    """

    fine: float
    faintest: float
    fullest: float

    def change(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Edge images, and which succeeded."""
        gradient = sobel(_smoothed(grey(images.float()), self.fine))
        mean_square = per_image(gradient.square().mean((1, 2, 3)).sqrt().clamp(min=1e-6))
        edge_share = (gradient >= mean_square).float().mean((1, 2, 3))
        success = (gradient.amax((1, 2, 3)) >= self.faintest) & (edge_share <= self.fullest)
        return to_uint8(gradient * (127.5 / mean_square)).repeat(1, 3, 1, 1), success


@dataclass(frozen=True)
class Pencil(FixedOperation):
    """A pencil sketch, dark lines on white: brightness divided by that of its surroundings, and darkened.

    Attributes:
        fine: sigma of a blur that takes grain away first, as a share of the shorter side.
        coarse: sigma of the surroundings, likewise.
        darkness: power that the quotient is raised to.
        line: grey level under which a pixel counts as line.
        lines: fails where the share of line pixels is outside of these limits.
    """

    fine: float
    coarse: float
    darkness: float
    line: int
    lines: tuple[float, float]

    def change(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Sketches, and which succeeded."""
        brightness = grey(images.float())
        near, around = _smoothed(brightness, self.fine), _smoothed(brightness, self.coarse)
        # The offset keeps grain in the shadows from becoming lines.
        quotient = ((near + 16) / (around + 16)).clamp_(max=1)
        sketch = to_uint8(quotient.pow_(self.darkness).mul_(255))
        line_share = (sketch < self.line).float().mean((1, 2, 3))
        success = (line_share >= self.lines[0]) & (line_share <= self.lines[1])
        return sketch.repeat(1, 3, 1, 1), success


def sobel(brightness: Tensor) -> Tensor:
    """Length of the gradient, float (n, 1, H, W); a step of one grey level between pixels has length 1."""
    padded = pad_mirrored(brightness, 1, 1)
    rows = padded[..., :-2] + padded[..., 2:]
    rows.add_(padded[..., 1:-1], alpha=2)
    columns = padded[:, :, :-2] + padded[:, :, 2:]
    columns.add_(padded[:, :, 1:-1], alpha=2)
    down = rows[:, :, 2:] - rows[:, :, :-2]
    across = columns[..., 2:] - columns[..., :-2]
    return down.square_().add_(across.square_()).sqrt_().div_(4)


def _smoothed(brightness: Tensor, share: float) -> Tensor:
    sigma = share * min(brightness.shape[2:])
    sigmas = torch.full((len(brightness),), sigma, device=brightness.device)
    return gaussian(brightness, sigmas, radius=max(1, math.ceil(3 * sigma)))


def candidates() -> tuple[Augmentation, ...]:
    """Lines without shading."""
    return (
        Augmentation(
            name="edges",
            family="edge and texture",
            strength="Sobel; twice the mean gradient is white",
            probability=0.5,
            description="Edges as bright lines on black.",
            may_destroy="classes told by colour or texture",
            source="Pratt 1978 (threshold of the Sobel detector); as a shape cue: Geirhos et al. 2019",
            operation=Edges(fine=1 / 128, faintest=16.0, fullest=0.35),
        ),
        Augmentation(
            name="pencil",
            family="edge and texture",
            strength="lines of 1/50 of the side",
            probability=0.5,
            description="A pencil sketch: dark lines on white.",
            may_destroy="classes told by colour or texture",
            source="colour-dodge sketch of image editors",
            operation=Pencil(fine=1 / 128, coarse=1 / 50, darkness=4.0, line=128, lines=(0.002, 0.5)),
        ),
    )
