"""Exact nearest neighbours in blocks: distances of one block of target points at a time, never all of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCK_BYTES = 48 * 2**20
ROUNDING = 2e-6  # of float32 in a squared distance, relative to the squared norm; measured at most 1.2e-6


def distance_blocks(points: Tensor, others: Tensor, *, columns_per_other: int = 1) -> Iterator[tuple[slice, Tensor]]:
    """Squared Euclidean distances in blocks of rows.

    Yields:
        the rows of `points` (M, d) in this block, and float32 (b, len(others)) squared distances to `others`.

    Time O(M · len(others) · d); memory 48 MiB, whatever M.
    """
    norms = others.square().sum(dim=1)
    height = max(16, BLOCK_BYTES // (4 * max(1, len(others)) * columns_per_other))
    for start in range(0, len(points), height):
        rows = slice(start, min(start + height, len(points)))
        block = points[rows]
        squared = torch.addmm(norms, block, others.T, beta=1, alpha=-2)
        # A little less, so that what cannot be told from 0 is 0: else chance decides whether a copy lies in a ball
        # of radius 0. All distances of a row, its ball's radius too, are less by the same.
        squared += (1 - ROUNDING) * block.square().sum(dim=1, keepdim=True)
        yield rows, squared.clamp_(min=0)


def nearest_neighbours(
    points: NDArray[np.float32],
    others: NDArray[np.float32] | None,
    neighbours: int,
    *,
    groups: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k nearest of `others` to each point, nearest first.

    Args:
        points: float32 (M, d)
        others: float32 (n, d); None: the points themselves, each without itself.
        neighbours: k; fewer are returned where there are fewer others.
        groups: int64 (M,) and (n,); a point and another of the same group, as copies, are no neighbours.

    Returns:
        int64 (M, k) rows of `others`, and float32 (M, k) squared Euclidean distances, infinite where no other is left.
    """
    rest = torch.from_numpy(points if others is None else others)
    wanted = min(neighbours, len(rest) - (others is None))
    order = torch.empty((len(points), wanted), dtype=torch.int64)
    nearest = torch.empty((len(points), wanted))
    group_of = None if groups is None else tuple(torch.from_numpy(side) for side in groups)
    for rows, squared in distance_blocks(torch.from_numpy(points), rest):
        if others is None:
            _forget_self(squared, rows)
        if group_of is not None:
            squared.masked_fill_(group_of[0][rows, None] == group_of[1], torch.inf)
        nearest[rows], order[rows] = squared.topk(wanted, dim=1, largest=False, sorted=True)
    return order.numpy(), nearest.numpy()


def radii(target: NDArray[np.float32], neighbours: int) -> NDArray[np.float32]:
    """Distance of each target point to its k-th nearest neighbour among the other target points.

    Args:
        target: float32 (M, d), M > k.
        neighbours: k.

    Returns:
        float32 (M,), not squared.
    """
    return np.sqrt(nearest_neighbours(target, None, neighbours)[1][:, -1])


def radii_in_halves(target: NDArray[np.float32], neighbours: int, halves: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The same within each half of the target.

    Args:
        target: float32 (M, d)
        neighbours: k, less than half of M.
        halves: bool (B, M)

    Returns:
        float32 (B, M); meaningless where a point is not in the half.
    """
    points = torch.from_numpy(target)
    chosen = torch.from_numpy(halves)
    radius = torch.empty(halves.shape)
    for rows, squared in distance_blocks(points, points):
        _forget_self(squared, rows)
        nearest, order = nearest_sorted(squared, chosen, neighbours)
        picked = first_in_halves(order, chosen, neighbours)
        last = picked[..., -1]
        radius[:, rows] = torch.gather(nearest.expand(len(chosen), -1, -1), 2, last[..., None])[..., 0].sqrt()
    return radius.numpy()


def nearest_sorted(squared: Tensor, halves: Tensor, needed: int) -> tuple[Tensor, Tensor]:
    """The nearest columns of each row in order: so many that every half holds `needed` of them.

    Args:
        squared: (b, n)
        halves: bool (B, n)
        needed: how many of a half's columns are wanted.

    Returns:
        distances (b, K) and column numbers (b, K).
    """
    width = min(squared.shape[1], 8 * needed + 16)
    while True:
        nearest, order = squared.topk(width, dim=1, largest=False, sorted=True)
        # A half misses all but a few of 56 columns once in 10^9 draws; then look further.
        if width == squared.shape[1] or bool((halves[:, order].sum(dim=2) >= needed).all()):
            return nearest, order
        width = min(squared.shape[1], width * 2)


def first_in_halves(order: Tensor, halves: Tensor, needed: int) -> Tensor:
    """Which of the sorted columns are the first `needed` of each half: int64 (B, b, needed), positions in K."""
    member = halves[:, order]  # (B, b, K)
    place = member.cumsum(dim=2, dtype=torch.int32)
    slot = torch.where(member & (place <= needed), place - 1, needed).long()
    positions = torch.arange(order.shape[1]).expand_as(slot)
    # The last slot collects all that is not wanted and is thrown away.
    return torch.zeros((*slot.shape[:2], needed + 1), dtype=torch.long).scatter_(2, slot, positions)[..., :needed]


def _forget_self(squared: Tensor, rows: slice) -> None:
    index = torch.arange(rows.start, rows.stop)
    squared[index - rows.start, index] = torch.inf
