"""Edges and texture: shapes are kept, texture is exchanged or lost. Edge operations can fail, and report it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.operation import FixedOperation, Mixing, Operation, Parameters
from eyeshot.augment.ops.blur_noise import gaussian
from eyeshot.augment.ops.pixels import grey, in_order, pad_mirrored, per_image, to_uint8


@dataclass(frozen=True)
class RandomConvolution(Operation):
    """Mixed with its convolution by a random kernel, new for each sample (Xu et al. 2021, RandConv).

    Weights are normal with variance 1 / (3 k k), so that flat areas keep their range on average; grey levels count
    from middle grey, as the paper's normalised ones do.

    Attributes:
        sizes: sides k of the kernel, odd; each image takes one of these.
    """

    sizes: tuple[int, ...] = (1, 3, 5, 7)

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The side, the kernel (output, input, k, k) centred in one of the greatest side, and the image's weight."""
        side, most = self.sizes[int(random.integers(len(self.sizes)))], max(self.sizes)
        kernel = np.zeros((3, 3, most, most), dtype=np.float32)
        margin = (most - side) // 2
        inner = slice(margin, margin + side)
        kernel[:, :, inner, inner] = random.standard_normal((3, 3, side, side)) / math.sqrt(3 * side * side)
        return {"side": side, "kernel": kernel, "own": random.random()}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Convolves and mixes; edges are mirrored."""
        groups = []
        most = max(self.sizes)
        for side in self.sizes:
            rows = (parameters["side"] == side).nonzero().squeeze(1)
            if not len(rows):
                continue
            margin, radius = (most - side) // 2, side // 2
            pixels = images.index_select(0, rows).float().sub_(127.5)
            kernels = parameters["kernel"][rows, :, :, margin : margin + side, margin : margin + side]
            padded = pad_mirrored(pixels, radius, radius)
            convolved = F.conv2d(padded.flatten(0, 1).unsqueeze(0), kernels.flatten(0, 1), groups=len(rows))
            mixed = torch.lerp(convolved.view_as(pixels), pixels, per_image(parameters["own"][rows]))
            groups.append((rows, to_uint8(mixed.add_(127.5))))
        return in_order(groups)


@dataclass(frozen=True)
class AmplitudeMix(Mixing):
    """Amplitudes of the Fourier transform mixed with another image's; phases, and so shapes, are kept.

    The label stays that of the image (FACT, Xu et al. 2021, equation 3; Yang and Soatto 2020 take all of the low
    frequencies instead).

    Attributes:
        greatest: of the other image's weight, drawn uniformly from 0.
    """

    greatest: float = 1.0
    partners: ClassVar[int] = 1
    mixes_labels: ClassVar[bool] = False

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The other image's weight."""
        return {"other": random.uniform(0, self.greatest)}

    def weights(self, parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
        """All of the label is the image's own."""
        own = torch.ones_like(parameters["other"])
        return torch.stack([own, torch.zeros_like(own)], dim=1)

    def mix(self, images: Tensor, partners: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The images with mixed amplitudes."""
        own, other = torch.fft.rfft2(images.float()), torch.fft.rfft2(partners[:, 0].float())
        amplitude = own.abs()
        mixed = torch.lerp(amplitude, other.abs(), per_image(parameters["other"]))
        # Scaled rather than turned back from an angle; where there is no amplitude the phase is 0.
        phase = torch.where(amplitude > 0, own / amplitude.clamp(min=1e-12), torch.ones_like(own))
        return to_uint8(torch.fft.irfft2(phase * mixed, s=images.shape[2:]))


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
        coarse: sigma of the surroundings, as a share of the shorter side.
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


def entries() -> tuple[Augmentation, ...]:
    """Edges without shading, and other texture on the same shapes."""
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
        Augmentation(
            name="random-convolution",
            family="edge and texture",
            strength="random kernels of 1, 3, 5 or 7 pixels, mixed in by 0-1",
            probability=0.5,
            description="Mixed with its convolution by a random kernel: other colours and texture, same shapes.",
            may_destroy="classes told by colour or texture",
            source="RandConv (Xu et al. 2021), mixing variant with kernels 1 to 7",
            operation=RandomConvolution(),
        ),
        Augmentation(
            name="amplitude-mix",
            family="edge and texture",
            strength="weight 0-1 of another image's amplitudes",
            probability=0.5,
            description="Fourier amplitudes mixed with another image's: its style, the own shapes and label.",
            may_destroy="classes told by colour or texture",
            source="FACT (Xu et al. 2021); the idea: Yang and Soatto 2020",
            operation=AmplitudeMix(),
        ),
    )
