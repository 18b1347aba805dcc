"""Operations: the parameters of each image are drawn first, then applied to a batch.

To write one, subclass `Operation` (a frozen dataclass whose fields are its strengths), give it `draw` and
`apply`, and run `eyeshot.testing.AugmentationContract` on it. Operations of the catalogue that draw nothing, or have
one strength only, are made of plain functions instead: `FixedOperation` and `DrawnOperation`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eyeshot.augment.ops.pixels import with_rows
from eyeshot.core import source_hash

Parameters = dict[str, "float | int | bool | NDArray[Any]"]
"""Parameters of one image; every image of an operation has the same names and array shapes."""


# Features are cached under fingerprints, which hold the module that a class was first written in: a class that moves to
# another file keeps its name here, so that moving it voids no cache.
_FIRST_MODULES = {"Downscale": "resolution", "Elastic": "elastic"}


class Operation(ABC):
    """One way to change images, at fixed strength."""

    version: ClassVar[int] = 1
    """Raise it when the same parameters give other pixels: cached features are then computed again."""

    deterministic: ClassVar[bool] = False
    """Whether an image has one augmented sample only, whatever the draw."""

    partners: ClassVar[int] = 0
    """How many other images enter each augmented sample."""

    mixes_labels: ClassVar[bool] = False
    """Whether the partners' labels enter as well."""

    seeds_globally: ClassVar[bool] = False
    """Whether `apply` sets the random state of the process, so that no other thread may draw from it meanwhile."""

    @abstractmethod
    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Draws the parameters of ONE image of `shape` (height, width); everything random comes from `random`."""

    @abstractmethod
    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor | tuple[Tensor, Tensor]:
        """Changes images by drawn parameters.

        Args:
            images: uint8 (n, 3, H, W), RGB, 0-255, on any device; must not be modified.
            parameters: the n results of `draw`, one per image, stacked along the first axis.

        Returns:
            uint8 (n, 3, H, W); where the operation can fail also a bool (n,) mask of those that succeeded.
        """

    def settings(self) -> dict[str, object]:
        """The strengths by name; the fingerprint is made of them."""
        fields: Any = getattr(self, "__dataclass_fields__", vars(self))
        return {name: getattr(self, name) for name in fields}

    @property
    def fingerprint(self) -> str:
        """Changes with the operation's class, strengths or version; for the user's classes also with their file."""
        values = ", ".join(f"{name}={value!r}" for name, value in sorted(self.settings().items()))
        operation_class = type(self)
        if not operation_class.__module__.startswith("eyeshot."):
            return f"{self.kind()}.{self.version}({values}) of {source_hash(operation_class)}"
        return f"eyeshot.augment.{self.kind()}.{self.version}({values})"

    def kind(self) -> str:
        """What the operation does, whatever its strengths: module and name, for instance "colour.Solarize"."""
        module, name = type(self).__module__, type(self).__qualname__
        if not module.startswith("eyeshot."):
            return f"{module}.{name}"
        return f"{_FIRST_MODULES.get(name, module.rpartition('.')[2])}.{name}"


@dataclass(frozen=True)
class FixedOperation(Operation):
    """An operation without anything random: a function of the images.

    Attributes:
        name: its `kind`. Cached features are found by it, so it stays when the function is renamed or moved.
        change: takes images uint8 (n, 3, H, W), which it must not modify, and returns what `apply` returns. Strengths
            are the keywords of a `functools.partial`. A function of a module, since workers get it by pickle.
    """

    name: str
    change: Callable[[Tensor], Tensor | tuple[Tensor, Tensor]]

    deterministic: ClassVar[bool] = True

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Draws nothing."""
        return {}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor | tuple[Tensor, Tensor]:
        """Changes the images."""
        return self.change(images)

    def settings(self) -> dict[str, object]:
        """The strengths by name."""
        return strengths_of(self.change)

    def kind(self) -> str:
        """The name."""
        return self.name


@dataclass(frozen=True)
class DrawnOperation(Operation):
    """An operation made of two functions: one draws the parameters, one applies them.

    Attributes:
        name: as for `FixedOperation`.
        draw_parameters: does what `Operation.draw` does. Strengths are the keywords of a `functools.partial`.
        change: does what `Operation.apply` does, from the images and the parameters alone.
    """

    name: str
    draw_parameters: Callable[[np.random.Generator, tuple[int, int]], Parameters]
    change: Callable[[Tensor, Mapping[str, Tensor]], Tensor]

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The parameters of one image."""
        return self.draw_parameters(random, shape)

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Changes the images."""
        return self.change(images, parameters)

    def settings(self) -> dict[str, object]:
        """The strengths by name."""
        return strengths_of(self.draw_parameters)

    def kind(self) -> str:
        """The name."""
        return self.name


def strengths_of(function: Callable[..., object]) -> dict[str, object]:
    """The keywords that a `functools.partial` holds; none for a plain function."""
    return dict(function.keywords) if isinstance(function, partial) else {}


class Mixing(Operation):
    """An operation that mixes each image with partners from the pool; labels follow the weights.

    `mixes_labels` is false where the image keeps all of its label.
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


def apply_to_rows(
    operation: Operation, images: Tensor, rows: NDArray[np.int64], parameters: Sequence[Parameters]
) -> tuple[Tensor, Tensor]:
    """Applies an operation to some images of a batch.

    Args:
        operation: what to apply; one without partners.
        images: uint8 (n, 3, H, W); may be overwritten.
        rows: int64 (k,), ascending, numbers of the images to change.
        parameters: of those k images.

    Returns:
        uint8 (n, 3, H, W), and bool (n,): False where the operation failed; such an image stays as it was.

    Raises:
        TypeError: `operation.apply` returned another shape or type.
    """
    success = torch.ones(len(images), dtype=torch.bool, device=images.device)
    if not len(rows):
        return images, success
    all_rows = len(rows) == len(images)
    places = torch.from_numpy(rows).to(images.device)
    before = images if all_rows else images.index_select(0, places)
    result = operation.apply(before, stack(parameters, images.device))
    if isinstance(result, tuple):
        result, succeeded = result
        if succeeded.shape != (len(before),) or succeeded.dtype != torch.bool:
            raise _broken(operation, f"a success mask bool ({len(before)},)", succeeded)
        success[places] = succeeded
        failed = (~succeeded).nonzero().squeeze(1)
        result[failed] = before[failed]
    if result.shape != before.shape or result.dtype != torch.uint8:
        raise _broken(operation, f"images uint8 {tuple(before.shape)}", result)
    return (result if all_rows else with_rows(images, places, result)), success


def _broken(operation: Operation, rule: str, result: Tensor) -> TypeError:
    return TypeError(
        f"{type(operation).__name__}.apply must return {rule}, got {result.dtype} {tuple(result.shape)}. "
        "Run eyeshot.testing.AugmentationContract on it."
    )


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
