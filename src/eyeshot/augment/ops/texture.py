"""Edges and texture: shapes are kept, texture is replaced or lost. Edge operations can fail, and report it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.operation import DrawnOperation, FixedOperation, Mixing, Parameters
from eyeshot.augment.ops.blur_noise import gaussian
from eyeshot.augment.ops.pixels import grey, in_order, pad_mirrored, per_image, to_uint8


def draw_kernel(random: np.random.Generator, shape: tuple[int, int], *, sizes: tuple[int, ...]) -> Parameters:
    """A random kernel and the weight of the image itself (Xu et al. 2021, RandConv).

    Kernel weights are normal with variance 1 / (3 k k), so that flat areas keep their range on average.

    Args:
        random: where all choices come from.
        shape: height and width of the image.
        sizes: sides k of the kernel, odd; each image takes one of these.

    Returns:
        `side`; `kernel`, (output, input, k, k) centred in one of the greatest side; `own`, the image's weight.
    """
    side, most = sizes[int(random.integers(len(sizes)))], max(sizes)
    kernel = np.zeros((3, 3, most, most), dtype=np.float32)
    margin = (most - side) // 2
    inner = slice(margin, margin + side)
    kernel[:, :, inner, inner] = random.standard_normal((3, 3, side, side)) / math.sqrt(3 * side * side)
    return {"side": side, "kernel": kernel, "own": random.random()}


def mix_with_convolution(images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """Each image mixed with its convolution; edges are mirrored.

    Grey levels count from middle grey, as the paper's normalised ones do.
    """
    groups = []
    most = parameters["kernel"].shape[-1]
    for side in sorted(set(parameters["side"].tolist())):
        rows = (parameters["side"] == side).nonzero().squeeze(1)
        margin, radius = (most - side) // 2, side // 2
        pixels = images.index_select(0, rows).float().sub_(127.5)
        kernels = parameters["kernel"][rows, :, :, margin : margin + side, margin : margin + side]
        padded = pad_mirrored(pixels, radius, radius)
        convolved = F.conv2d(padded.flatten(0, 1).unsqueeze(0), kernels.flatten(0, 1), groups=len(rows))
        mixed = torch.lerp(convolved.view_as(pixels), pixels, per_image(parameters["own"][rows]))
        groups.append((rows, to_uint8(mixed.add_(127.5))))
    return in_order(groups)


RANDOM_CONVOLUTION = DrawnOperation(
    "texture.RandomConvolution", partial(draw_kernel, sizes=(1, 3, 5, 7)), mix_with_convolution
)


NO_AMPLITUDE = 1e-7
"""Amplitude, as a share of the largest, below which there is none. Rounding in float32 leaves up to 4e-8 of the largest
(40 photographs and 40 drawings of 224 px), also in the frequencies that a regular pattern lacks, with a phase that
differs from processor to processor, and the other image's amplitude would show it. Half of these images have no
amplitude below 5e-7 at all. The operation's version stayed as it was: of 2,400 digits, photographs and drawings 7
changed, by one grey level, which is what processors differ by."""


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
        spectrum, partner_spectrum = torch.fft.rfft2(images.float()), torch.fft.rfft2(partners[:, 0].float())
        amplitude = spectrum.abs()
        mixed = torch.lerp(amplitude, partner_spectrum.abs(), per_image(parameters["other"]))
        # Scaled rather than turned back from an angle; where there is no amplitude but rounding the phase is 0.
        least = NO_AMPLITUDE * amplitude.amax((2, 3), keepdim=True)
        phase = torch.where(amplitude > least, spectrum / amplitude.clamp(min=1e-12), torch.ones_like(spectrum))
        return to_uint8(torch.fft.irfft2(phase * mixed, s=images.shape[2:]))


def edges(images: Tensor, *, fine: float, faintest: float, fullest: float) -> tuple[Tensor, Tensor]:
    """Length of the brightness gradient (Sobel), bright on black.

    Twice the gradient's root mean square is white. That is the threshold of Pratt's edge detector (Digital Image
    Processing, 1978; MATLAB's `edge`); here it is a scale, so that faint edges are not lost.

    Args:
        images: uint8 (n, 3, H, W).
        fine: sigma of a blur that takes grain away first, as a share of the shorter side.
        faintest: in grey levels; an image without so large a step between pixels fails, as its edge map is empty.
        fullest: an image with a larger share of its pixels over the root mean square fails, as its edge map is full.
            Grain gives 0.37; in 418 photographs and 328 drawings the share was 0.08 to 0.33.

    Returns:
        uint8 (n, 3, H, W), and bool (n,), which succeeded.
    """
    gradient = sobel(_smoothed(grey(images.float()), fine))
    root_mean_square = per_image(gradient.square().mean((1, 2, 3)).sqrt().clamp(min=1e-6))
    edge_share = (gradient >= root_mean_square).float().mean((1, 2, 3))
    success = (gradient.amax((1, 2, 3)) >= faintest) & (edge_share <= fullest)
    return to_uint8(gradient * (127.5 / root_mean_square)).repeat(1, 3, 1, 1), success


def pencil(
    images: Tensor, *, fine: float, coarse: float, darkness: float, line: int, lines: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """A pencil sketch, dark lines on white: brightness divided by that of its surroundings, and darkened.

    Args:
        images: uint8 (n, 3, H, W).
        fine: sigma of a blur that takes grain away first, as a share of the shorter side.
        coarse: sigma of the surroundings, as a share of the shorter side.
        darkness: power that the quotient is raised to.
        line: grey level below which a pixel counts as line.
        lines: an image whose share of line pixels is outside of these limits fails.

    Returns:
        uint8 (n, 3, H, W), and bool (n,), which succeeded.
    """
    brightness = grey(images.float())
    near, around = _smoothed(brightness, fine), _smoothed(brightness, coarse)
    # The offset keeps grain in the shadows from becoming lines.
    quotient = ((near + 16) / (around + 16)).clamp_(max=1)
    sketch = to_uint8(quotient.pow_(darkness).mul_(255))
    line_share = (sketch < line).float().mean((1, 2, 3))
    success = (line_share >= lines[0]) & (line_share <= lines[1])
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
            may_destroy="classes defined by colour or texture",
            source="Pratt 1978 (threshold of the Sobel detector); as a shape cue: Geirhos et al. 2019",
            operation=FixedOperation("edges.Edges", partial(edges, fine=1 / 128, faintest=16.0, fullest=0.35)),
        ),
        Augmentation(
            name="pencil",
            family="edge and texture",
            strength="lines of 1/50 of the side",
            probability=0.5,
            description="A pencil sketch: dark lines on white.",
            may_destroy="classes defined by colour or texture",
            source="colour-dodge sketch of image editors",
            operation=FixedOperation(
                "edges.Pencil",
                partial(pencil, fine=1 / 128, coarse=1 / 50, darkness=4.0, line=128, lines=(0.002, 0.5)),
            ),
        ),
        Augmentation(
            name="random-convolution",
            family="edge and texture",
            strength="random kernels of 1, 3, 5 or 7 pixels, mixed in by 0-1",
            probability=0.5,
            description="Mixed with its convolution by a random kernel: other colours and texture, same shapes.",
            may_destroy="classes defined by colour or texture",
            source="RandConv (Xu et al. 2021), mixing variant with kernels 1 to 7",
            operation=RANDOM_CONVOLUTION,
        ),
        Augmentation(
            name="amplitude-mix",
            family="edge and texture",
            strength="weight 0-1 of another image's amplitudes",
            probability=0.5,
            description="Fourier amplitudes mixed with another image's: its style, the own shapes and label.",
            may_destroy="classes defined by colour or texture",
            source="FACT (Xu et al. 2021); the idea: Yang and Soatto 2020",
            operation=AmplitudeMix(),
        ),
    )
