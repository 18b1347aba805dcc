"""Views of images: parameters are drawn per image, applied in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.operation import Mixing, Parameters, stack
from eyeshot.augment.random import combine, stream


@dataclass(frozen=True)
class Pool:
    """The images that views are made of and that partners are drawn from.

    Attributes:
        images: array-like uint8 (N, H, W, 3), RGB, 0-255; read by fancy indexing (a memory map will do).
        keys: N content keys; what is drawn for an image follows from its key.
    """

    images: Any
    keys: Sequence[str]

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        if len(shape) != 4 or shape[3] != 3 or np.dtype(self.images.dtype) != np.uint8:
            raise ValueError(f"images must be uint8 (N, H, W, 3), got {self.images.dtype} {shape}")
        if len(self.keys) != shape[0]:
            raise ValueError(f"keys must be as many as images ({shape[0]}), got {len(self.keys)}")

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the images."""
        return int(self.images.shape[1]), int(self.images.shape[2])

    def take(self, rows: NDArray[np.int64], *, device: torch.device | str = "cpu") -> Tensor:
        """The images of `rows` as uint8 (n, 3, H, W)."""
        pixels = torch.from_numpy(np.ascontiguousarray(self.images[rows]))
        return pixels.to(device).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class Views:
    """Augmented copies of images.

    Attributes:
        images: uint8 (n, 3, H, W), RGB, 0-255.
        sources: int64 (n, P), positions in the pool of the images that entered each view; the image itself first.
        weights: float32 (n, P), label weights of the sources; rows sum to 1.
        success: bool (n,); where False the operation failed and the view is the clean image.
    """

    images: Tensor
    sources: Tensor
    weights: Tensor
    success: Tensor


def make_views(
    augmentation: Augmentation,
    pool: Pool,
    rows: ArrayLike,
    *,
    seed: int,
    draw: int,
    device: torch.device | str = "cpu",
    always: bool = True,
) -> Views:
    """Views of the images at `rows` of the pool."""
    positions = np.asarray(rows, dtype=np.int64).reshape(-1)
    images = pool.take(positions, device=device)
    sources, weights, parameters = _plan(augmentation, pool, positions, seed=seed, draw=draw, always=always)
    success = torch.ones(len(positions), dtype=torch.bool, device=device)
    changed = [number for number, drawn in enumerate(parameters) if drawn is not None]
    if changed:
        stacked = stack([cast(Parameters, parameters[number]) for number in changed], device)
        subset = torch.tensor(changed, device=device)
        result = augmentation.operation.apply(images[subset], stacked)
        if isinstance(result, tuple):
            success[subset] = result[1]
            result = torch.where(result[1].view(-1, 1, 1, 1), result[0], images[subset])
        images[subset] = result
    return Views(images, sources.to(device), weights.to(device), success)


def view_keys(augmentation: Augmentation, pool: Pool, rows: ArrayLike, *, seed: int, draw: int) -> list[str]:
    """A key (32 hexadecimal digits) of all that each view depends on."""
    positions = np.asarray(rows, dtype=np.int64).reshape(-1)
    when = ("fixed",) if augmentation.deterministic else (seed, draw)
    return [combine(augmentation.fingerprint, pool.shape, *when, pool.keys[row]) for row in positions]


def _plan(
    augmentation: Augmentation,
    pool: Pool,
    positions: NDArray[np.int64],
    *,
    seed: int,
    draw: int,
    always: bool,
) -> tuple[Tensor, Tensor, list[Parameters | None]]:
    parameters: list[Parameters | None] = []
    for row in positions:
        key = pool.keys[row]
        if not always:
            coin = stream(seed, augmentation.name, draw, key, purpose="coin").random()
            if coin >= augmentation.probability:
                parameters.append(None)
                continue
        parameters.append(augmentation.operation.draw(stream(seed, augmentation.name, draw, key), pool.shape))
    sources = torch.from_numpy(positions.copy()).unsqueeze(1)
    assert not isinstance(augmentation.operation, Mixing)
    return sources, torch.ones(len(positions), 1), parameters
