"""What views depend on before any pixel is touched: drawn parameters, partners, labels and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.operation import Mixing, Parameters, stack
from eyeshot.augment.random import Streams, combine


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
        """The images of `rows`, a copy, uint8 (n, 3, H, W)."""
        pixels = np.asarray(self.images[rows])
        if torch.device(device).type != "cpu":
            return torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(0, 3, 1, 2).contiguous()
        # NumPy reorders bytes in half the time of torch.
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


@dataclass(frozen=True)
class Plan:
    """What was drawn for one augmentation of some images, before any pixel is touched."""

    chosen: NDArray[np.int64]  # numbers of the images that are changed, ascending
    parameters: list[Parameters]  # of those
    partners: NDArray[np.int64]  # of those, positions in the pool (chosen, partners)


def draw_plan(step: Augmentation, pool: Pool, positions: NDArray[np.int64], seed: int, draw: int, always: bool) -> Plan:
    """Tosses the coins, and draws the parameters and partners of one augmentation."""
    name, operation, shape = step.name, step.operation, pool.shape
    chosen, parameters, partners, streams = [], [], [], Streams()
    # What draws nothing needs no stream for each image.
    fixed = operation.draw(streams.start(seed, name, draw, ""), shape) if step.deterministic else None
    for number, position in enumerate(positions.tolist()):
        key = pool.keys[position]
        if not always and streams.start(seed, name, draw, key, purpose="coin").random() >= step.probability:
            continue
        chosen.append(number)
        drawn = operation.draw(streams.start(seed, name, draw, key), shape) if fixed is None else fixed
        parameters.append(drawn)
        if operation.partners:
            others = streams.start(seed, name, draw, key, purpose="partners").random(operation.partners)
            # Any image but itself; alone in the pool it is its own partner.
            partner = (others * (len(pool) - 1)).astype(np.int64)
            partners.append(np.where(partner >= position, partner + 1, partner) % len(pool))
    return Plan(
        np.array(chosen, dtype=np.int64),
        parameters,
        np.array(partners, dtype=np.int64).reshape(len(chosen), operation.partners),
    )


def labels_of(
    steps: tuple[Augmentation, ...],
    pool: Pool,
    positions: NDArray[np.int64],
    seed: int,
    draw: int,
    always: bool,
) -> tuple[Tensor, Tensor]:
    """Sources and label weights of the images at `positions` after all `steps`; `always` is of the last one."""
    if not steps:
        return own_labels(positions)
    before, step = steps[:-1], steps[-1]
    own = labels_of(before, pool, positions, seed, draw, False)
    if not isinstance(step.operation, Mixing):
        return own
    plan = draw_plan(step, pool, positions, seed, draw, always)
    partners = labels_of(before, pool, plan.partners.reshape(-1), seed, draw, False)
    return mixed_labels(step.operation, plan, own, partners, pool.shape)


def own_labels(positions: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Each image is its own only source."""
    return torch.from_numpy(positions.copy()).unsqueeze(1), torch.ones(len(positions), 1)


def mixed_labels(
    operation: Mixing,
    plan: Plan,
    own: tuple[Tensor, Tensor],
    partners: tuple[Tensor, Tensor],
    shape: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Labels after mixing; images that were not mixed keep all their weight."""
    count, width = own[0].shape
    # Unused columns name the image's own sources, with no weight.
    sources = own[0].repeat(1, 1 + operation.partners)
    weights = torch.cat([own[1], torch.zeros(count, width * operation.partners)], dim=1)
    if len(plan.chosen):
        rows = torch.from_numpy(plan.chosen)
        shares = operation.weights(stack(plan.parameters), shape)
        sources[rows, width:] = partners[0].view(len(rows), -1)
        each = torch.cat([own[1][rows].unsqueeze(1), partners[1].view(len(rows), -1, width)], dim=1)
        weights[rows] = (shares.unsqueeze(2) * each).flatten(1)
    return sources, weights


def keys_of(
    steps: tuple[Augmentation, ...],
    pool: Pool,
    positions: NDArray[np.int64],
    seed: int,
    draw: int,
    always: bool = True,
) -> list[str]:
    """Keys of the views of the images at `positions` after all `steps`; `always` is of the last one."""
    if not steps:
        return [combine("image", *pool.shape, pool.keys[position]) for position in positions.tolist()]
    before, step = steps[:-1], steps[-1]
    own = keys_of(before, pool, positions, seed, draw, False)
    what = step.fingerprint if always else f"{step.fingerprint}@{step.probability}"
    if step.deterministic and (always or step.probability >= 1):
        return [combine(what, key) for key in own]
    width = step.operation.partners
    if not width:
        return [combine(what, seed, draw, key) for key in own]
    plan = draw_plan(step, pool, positions, seed, draw, always)
    others = keys_of(before, pool, plan.partners.reshape(-1), seed, draw, False)
    drawn: list[list[str]] = [[] for _ in own]
    for number, row in enumerate(plan.chosen.tolist()):
        drawn[row] = others[number * width : (number + 1) * width]
    return [combine(what, seed, draw, key, *drawn[number]) for number, key in enumerate(own)]


def checked_rows(rows: ArrayLike, pool: Pool) -> NDArray[np.int64]:
    """`rows` as positions in the pool, int64 (n,)."""
    positions = np.asarray(rows).reshape(-1)
    if len(positions) and (positions.dtype.kind not in "iu" or positions.min() < 0 or positions.max() >= len(pool)):
        raise ValueError(f"rows must be positions in the pool, 0 to {len(pool) - 1}, got {positions!r}")
    return positions.astype(np.int64)
