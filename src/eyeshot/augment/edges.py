"""Edge and texture operations: what is left when colour and shading are gone. They can fail, and say so."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from eyeshot.augment.blur_noise import gaussian
from eyeshot.augment.operation import FixedOperation
from eyeshot.augment.pixels import grey, pad_mirrored, per_image, to_uint8


@dataclass(frozen=True)
class Edges(FixedOperation):
    """Strength of the brightness gradient (Sobel), bright lines on black, scaled to the strongest edge.

    Fails where there is no edge of `faintest` grey levels, or where the share of edge pixels (a quarter of
    the strongest and more) is outside of `share`.
    """

    faintest: float
    share: tuple[float, float]

    def change(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Edge images, and which succeeded."""
        strength = sobel(grey(images.float()))
        strongest = strength.amax((1, 2, 3))
        scaled = strength / per_image(strongest.clamp(min=1e-6))
        edge_share = (scaled >= 0.25).float().mean((1, 2, 3))
        success = (strongest >= self.faintest) & _within(edge_share, self.share)
        return to_uint8(scaled.mul_(255)).repeat(1, 3, 1, 1), success


@dataclass(frozen=True)
class Pencil(FixedOperation):
    """Dark lines on white: brightness divided by its blurred surroundings, and darkened.

    Fails where the share of line pixels (darker than `line`) is outside of `share`.

    Attributes:
        sigma: of the blur, as a share of the image's shorter side; one pixel at least.
        darkness: power that the quotient is raised to.
        line: grey level under which a pixel counts as line.
        share: least and greatest share of line pixels.
    """

    sigma: float
    darkness: float
    line: int
    share: tuple[float, float]

    def change(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Sketches, and which succeeded."""
        brightness = grey(images.float())
        sigma = max(1.0, self.sigma * min(images.shape[2:]))
        sigmas = torch.full((len(images),), sigma, device=images.device)
        around = gaussian(brightness, sigmas, radius=math.ceil(2.5 * sigma))
        # The offset keeps grain in the shadows from becoming lines.
        quotient = ((brightness + 16) / (around + 16)).clamp_(max=1)
        sketch = to_uint8(quotient.pow_(self.darkness).mul_(255))
        line_share = (sketch < self.line).float().mean((1, 2, 3))
        return sketch.repeat(1, 3, 1, 1), _within(line_share, self.share)


def sobel(brightness: Tensor) -> Tensor:
    """Length of the gradient in grey levels per pixel, times two, of float (n, 1, H, W)."""
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=brightness.device)
    kernels = torch.stack([across, across.T]).unsqueeze(1) / 4
    gradient = F.conv2d(pad_mirrored(brightness, 1, 1), kernels)
    return torch.hypot(gradient[:, :1], gradient[:, 1:])


def _within(values: Tensor, limits: tuple[float, float]) -> Tensor:
    return (values >= limits[0]) & (values <= limits[1])
