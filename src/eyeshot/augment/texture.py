"""Texture exchanged, shapes kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.operation import Mixing, Operation, Parameters
from eyeshot.augment.pixels import in_order, pad_mirrored, per_image, to_uint8


@dataclass(frozen=True)
class RandomConvolution(Operation):
    """Mixed with its convolution by a random kernel, new for each view (Xu et al. 2021, RandConv).

    Weights are normal with variance 1 / (3 k k), so that flat areas keep their range on average; grey levels count
    from middle grey, as the paper's normalised ones do.

    Attributes:
        sizes: sides k of the kernel, odd; each image takes one of these.
    """

    sizes: tuple[int, ...] = (1, 3, 5, 7)

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The side, the kernel (output, input, k, k) in the middle of one of the greatest side, the image's weight."""
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


def candidates() -> tuple[Augmentation, ...]:
    """Other texture, same shapes."""
    return (
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
