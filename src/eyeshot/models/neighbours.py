"""Exact nearest neighbours, computed block by block, so the full distance matrix is never in memory."""

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
        # Reduced by the rounding error, so a distance that is 0 up to rounding becomes 0; otherwise rounding would
        # decide whether a duplicate lies in a ball of radius 0. All distances of a row, including the radius of its
        # ball, are reduced by the same amount.
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
        others: float32 (n, d); None: the points themselves, without the point itself.
        neighbours: k; fewer are returned if there are fewer others.
        groups: int64 (M,) and (n,); points of the same group, as duplicates, are not neighbours of each other.

    Returns:
        int64 (M, k) rows of `others`, and float32 (M, k) squared Euclidean distances, infinite where there is none.
    """
    candidates = torch.from_numpy(points if others is None else others)
    count = min(neighbours, len(candidates) - (others is None))
    order = torch.empty((len(points), count), dtype=torch.int64)
    nearest = torch.empty((len(points), count))
    group_of = None if groups is None else tuple(torch.from_numpy(side) for side in groups)
    for rows, squared in distance_blocks(torch.from_numpy(points), candidates):
        if others is None:
            _forget_self(squared, rows)
        if group_of is not None:
            squared.masked_fill_(group_of[0][rows, None] == group_of[1], torch.inf)
        nearest[rows], order[rows] = squared.topk(count, dim=1, largest=False, sorted=True)
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
    """`radii` within each half of the target.

    Args:
        target: float32 (M, d)
        neighbours: k, less than half of M.
        halves: bool (B, M)

    Returns:
        float32 (B, M); meaningless for a point that is not in the half.
    """
    points = torch.from_numpy(target)
    members = torch.from_numpy(halves)
    radius = torch.empty(halves.shape)
    for rows, squared in distance_blocks(points, points):
        _forget_self(squared, rows)
        nearest, order = nearest_sorted(squared, members, neighbours)
        picked = first_in_halves(order, members, neighbours)
        last = picked[..., -1]
        radius[:, rows] = torch.gather(nearest.expand(len(members), -1, -1), 2, last[..., None])[..., 0].sqrt()
    return radius.numpy()


def nearest_sorted(squared: Tensor, halves: Tensor, needed: int) -> tuple[Tensor, Tensor]:
    """The nearest columns of each row in order, enough of them that every half holds `needed`.

    Args:
        squared: (b, n)
        halves: bool (B, n)
        needed: how many columns each half needs.

    Returns:
        distances (b, K) and column numbers (b, K).
    """
    width = min(squared.shape[1], 8 * needed + 16)
    while True:
        nearest, order = squared.topk(width, dim=1, largest=False, sorted=True)
        # With 56 columns, a half lacks enough of them about once in 10^9 draws; then look at more columns.
        if width == squared.shape[1] or bool((halves[:, order].sum(dim=2) >= needed).all()):
            return nearest, order
        width = min(squared.shape[1], width * 2)


def first_in_halves(order: Tensor, halves: Tensor, needed: int) -> Tensor:
    """Positions (0 to K - 1) of the first `needed` sorted columns of each half: int64 (B, b, needed)."""
    member = halves[:, order]  # (B, b, K)
    place = member.cumsum(dim=2, dtype=torch.int32)
    slot = torch.where(member & (place <= needed), place - 1, needed).long()
    positions = torch.arange(order.shape[1]).expand_as(slot)
    # The last slot collects all other columns and is discarded.
    return torch.zeros((*slot.shape[:2], needed + 1), dtype=torch.long).scatter_(2, slot, positions)[..., :needed]


def _forget_self(squared: Tensor, rows: slice) -> None:
    index = torch.arange(rows.start, rows.stop)
    squared[index - rows.start, index] = torch.inf
