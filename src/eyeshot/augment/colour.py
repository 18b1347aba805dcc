"""Colour operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from eyeshot.augment.operation import Operation, Parameters


@dataclass(frozen=True)
class Invert(Operation):
    """The negative: 255 minus each value."""

    deterministic: ClassVar[bool] = True

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Nothing to draw."""
        return {}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Inverts the images."""
        return 255 - images
