"""What an operation is: parameters of one image are drawn first, then applied to a batch.

To write one, subclass `Operation` (a frozen dataclass whose fields are its strengths), give it `draw` and
`apply`, and run `eyeshot.testing.AugmentationContract` on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eyeshot.own_code import source_hash

Parameters = dict[str, "float | int | bool | NDArray[Any]"]
"""Parameters of one image; every image of an operation has the same names and array shapes."""


class Operation(ABC):
    """One way to change images, at fixed strength."""

    version: ClassVar[int] = 1
    """Raise it when the same parameters give other pixels: cached features are then computed again."""

    deterministic: ClassVar[bool] = False
    """Whether an image has one view only, whatever the draw."""

    partners: ClassVar[int] = 0
    """How many other images enter each view."""

    mixes_labels: ClassVar[bool] = False
    """Whether the labels of those enter as well."""

    @abstractmethod
    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Parameters of ONE image of `shape` (height, width); everything random comes from `random`."""

    @abstractmethod
    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor | tuple[Tensor, Tensor]:
        """The changed images.

        Args:
            images: uint8 (n, 3, H, W), RGB, 0-255, on any device; must not be modified.
            parameters: what `draw` gave for each of the n images, stacked along the first axis.

        Returns:
            uint8 (n, 3, H, W); where the operation can fail also a bool (n,) mask of those that succeeded.
        """

    def settings(self) -> dict[str, object]:
        """The strengths, by name: what the fingerprint is made of."""
        fields: Any = getattr(self, "__dataclass_fields__", vars(self))
        return {name: getattr(self, name) for name in fields}

    @property
    def fingerprint(self) -> str:
        """Changes whenever the operation's class, strengths or version do; the user's own also with their file."""
        kind = type(self)
        values = ", ".join(f"{name}={value!r}" for name, value in sorted(self.settings().items()))
        file = "" if kind.__module__.startswith("eyeshot.") else f" of {source_hash(kind)}"
        return f"{kind.__module__}.{kind.__qualname__}.{self.version}({values}){file}"


class FixedOperation(Operation):
    """An operation without anything random: every image has one view. Subclasses give `change`."""

    deterministic: ClassVar[bool] = True

    @abstractmethod
    def change(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """What `apply` returns, of `images` uint8 (n, 3, H, W), which must not be modified."""

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Nothing to draw."""
        return {}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor | tuple[Tensor, Tensor]:
        """Changes the images."""
        return self.change(images)


class Mixing(Operation):
    """An operation that mixes each image with partners from the pool; labels follow the weights.

    Where the image keeps all of its label, `mixes_labels` is false.
    """

    mixes_labels: ClassVar[bool] = True

    @abstractmethod
    def weights(self, parameters: Mapping[str, Tensor], shape: tuple[int, int]) -> Tensor:
        """Label weights, float32 (n, 1 + partners), rows sum to 1; the image's own weight comes first."""

    @abstractmethod
    def mix(self, images: Tensor, partners: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The mixed images, uint8 (n, 3, H, W), of `images` and `partners` uint8 (n, partners, 3, H, W)."""

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Not defined without partners."""
        raise TypeError(f"{type(self).__name__} mixes images: call mix(images, partners, parameters).")


def stack(parameters: Sequence[Parameters], device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """The parameters of n images as tensors with n rows; floats become float32, whole numbers int64."""
    if not parameters:
        return {}
    return {name: _column([row[name] for row in parameters]).to(device) for name in parameters[0]}


def _column(values: Sequence[Any]) -> Tensor:
    first = values[0]
    if isinstance(first, np.ndarray):
        rows = np.stack(values)
        # NumPy 1 counts in int32 on Windows; torch wants int64 to index with.
        return torch.from_numpy(rows.astype(np.int64) if rows.dtype == np.int32 else rows)
    if isinstance(first, (bool, np.bool_)):
        return torch.tensor(values, dtype=torch.bool)
    if isinstance(first, (int, np.integer)):
        return torch.tensor(values, dtype=torch.int64)
    return torch.tensor(values, dtype=torch.float32)
