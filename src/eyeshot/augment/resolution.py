"""Lost resolution: what a small picture that was enlarged still shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.operation import Operation, Parameters
from eyeshot.augment.pixels import in_order, to_uint8


@dataclass(frozen=True)
class Downscale(Operation):
    """Shrunk and enlarged again, both bilinear; shrinking averages over all pixels, as Pillow does.

    Attributes:
        scale: least and greatest factor of the side.
    """

    scale: tuple[float, float]

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Height and width of the small picture in pixels."""
        factor = random.uniform(*self.scale)
        return {"size": np.array([max(1, round(side * factor)) for side in shape])}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Takes away detail; images of one small size go together."""
        groups = []
        rows_of: dict[tuple[int, ...], list[int]] = {}
        for row, size in enumerate(parameters["size"].tolist()):
            rows_of.setdefault(tuple(size), []).append(row)
        for size, listed in rows_of.items():
            rows = torch.tensor(listed, device=images.device)
            pixels = images.index_select(0, rows).float()
            small = F.interpolate(pixels, list(size), mode="bilinear", antialias=True).round_()
            groups.append((rows, to_uint8(F.interpolate(small, images.shape[2:], mode="bilinear"))))
        return in_order(groups)


def candidates() -> tuple[Augmentation, ...]:
    """Lost resolution."""
    return (
        Augmentation(
            name="downscale",
            family="blur and noise",
            strength="to 1/4-1/2 of the side and back",
            probability=0.5,
            description="Shrunk and enlarged again.",
            may_destroy="fine texture, thin lines",
            source="albumentations Downscale (scale 0.25); ImageNet-C pixelate (Hendrycks and Dietterich 2019)",
            operation=Downscale((0.25, 0.5)),
        ),
    )
