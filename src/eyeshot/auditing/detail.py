"""Fine detail of pictures, and where that of two agrees, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.describing import oriented

GRID = 8  # blocks along a side
BLUR = 3.0  # pixels: what varies more slowly is shading, no detail
REACH = 2.5  # times the blur: pixels to either side that a blurred one is made of
AGREES = 0.92  # correlation of two blocks of one picture, at least
SAME_GAIN = 1.5  # and their contrasts differ by the same factor as those of other blocks, up to this
LEAST_DETAIL = 0.05  # of the mean power of both pictures: emptier blocks say nothing
SOFTENING = 0.02
AT_ONCE = 256  # pictures filtered at a time: they stay in the processor's cache
HOPELESS = 0.08  # share of the detail in blocks that correlate: no need to compare their contrasts

Images = NDArray[np.uint8] | NDArray[np.float32]
Grids = NDArray[np.float32]


def detail_of(images: Images, blur: float = BLUR) -> NDArray[np.float32]:
    """High-pass of images (n, S, S), each with mean power 1; `blur` in pixels."""
    values = images.astype(np.float32)
    side = values.shape[2]
    matrix = _blur(side, blur)
    for start in range(0, len(values), AT_ONCE):
        part = values[start : start + AT_ONCE]
        part -= matrix @ (part.reshape(-1, side) @ matrix.T).reshape(part.shape)
        power = np.einsum("nij,nij->n", part, part) / side**2
        part /= np.maximum(np.sqrt(power), 0.5)[:, None, None]
    return values


@lru_cache(maxsize=4)
def _blur(side: int, blur: float) -> NDArray[np.float32]:
    """The Gaussian blur of a line of pixels, mirrored at its ends, as a matrix (side, side)."""
    reach = round(REACH * blur)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * np.square(offsets / blur))
    place = np.arange(side)[:, None] + offsets
    place = np.where(place < 0, -1 - place, np.where(place >= side, 2 * side - 1 - place, place))
    matrix = np.zeros((side, side))
    np.add.at(matrix, (np.arange(side)[:, None], place), weights / weights.sum())
    return matrix.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Detail of pictures by blocks.

    Attributes:
        values: float32 (n, g, g, k, k), each block's mean taken off.
        power: float32 (n, g, g)
    """

    values: NDArray[np.float32]
    power: Grids

    def __getitem__(self, rows: NDArray[np.int64]) -> Blocks:
        return Blocks(self.values[rows], self.power[rows])

    def turned(self, orientation: int) -> Blocks:
        """Those of the pictures in an orientation."""
        return Blocks(_turned(self.values, orientation), np.asarray(oriented(self.power, orientation), np.float32))

    def halved(self) -> Halved:
        """The same at half the resolution."""
        values = self.values[..., ::2] + self.values[..., 1::2]
        small = np.asarray((values[..., ::2, :] + values[..., 1::2, :]) / 4, np.float32)
        kept = np.einsum("nbcij,nbcij->nbc", small, small) / small.shape[3] ** 2
        return Halved(small, self.power, np.maximum(self.power - kept, 0))


@dataclass(frozen=True, eq=False)
class Halved:
    """Blocks at half their resolution, a quarter of the work to compare, which tells how much can agree at most.

    Attributes:
        values: float32 (n, g, g, k / 2, k / 2)
        power: float32 (n, g, g), of the blocks as they were.
        lost: float32 (n, g, g), power that halving took from them.
    """

    values: NDArray[np.float32]
    power: Grids
    lost: Grids

    def __getitem__(self, rows: NDArray[np.int64]) -> Halved:
        return Halved(self.values[rows], self.power[rows], self.lost[rows])

    def turned(self, orientation: int) -> Halved:
        """Those of the pictures in an orientation."""
        grids = (np.asarray(oriented(grid, orientation), np.float32) for grid in (self.power, self.lost))
        return Halved(_turned(self.values, orientation), *grids)


def _turned(values: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """A picture is turned by turning where its blocks lie, and then each of them."""
    values = values[:, :, ::-1, :, ::-1] if orientation >= 4 else values
    turns = orientation % 4
    return np.ascontiguousarray(np.rot90(np.rot90(values, turns, axes=(1, 2)), turns, axes=(3, 4)))


def blocks_of(detail: NDArray[np.float32], grid: int = GRID) -> Blocks:
    """Blocks, `grid` along a side, of `detail_of`, float32 (n, S, S)."""
    count, side = detail.shape[:2]
    step = side // grid
    values = np.ascontiguousarray(detail.reshape(count, grid, step, grid, step).transpose(0, 1, 3, 2, 4))
    flat = values.reshape(-1, step**2)
    flat -= (flat @ np.full(step**2, 1 / step**2, np.float32))[:, None]
    return Blocks(values, (np.einsum("bi,bi->b", flat, flat) / step**2).reshape(count, grid, grid))


def keep_blocks(images: Images, rows: NDArray[np.int64], blur: float = BLUR, grid: int = GRID) -> Blocks:
    """Blocks of some of images (n, S, S).

    A few at a time: memory that was never touched costs more than the arithmetic.
    """
    count, step = len(rows), images.shape[1] // grid
    grids = (count, grid, grid)
    kept = Blocks(np.empty((*grids, step, step), np.float32), np.empty(grids, np.float32))
    for part, blocks in _some_blocks(images, rows, blur, grid):
        kept.values[part], kept.power[part] = blocks.values, blocks.power
    return kept


def keep_halved(images: Images, rows: NDArray[np.int64]) -> Halved:
    """The same at half the resolution, in a quarter of the memory."""
    grids, step = (len(rows), GRID, GRID), images.shape[1] // GRID // 2
    kept = Halved(np.empty((*grids, step, step), np.float32), *(np.empty(grids, np.float32) for _ in range(2)))
    for part, blocks in _some_blocks(images, rows, BLUR, GRID):
        some = blocks.halved()
        kept.values[part], kept.power[part], kept.lost[part] = some.values, some.power, some.lost
    return kept


def _some_blocks(images: Images, rows: NDArray[np.int64], blur: float, grid: int) -> Iterator[tuple[slice, Blocks]]:
    for start in range(0, len(rows), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        yield part, blocks_of(detail_of(images[rows[part]], blur), grid)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Pairs compared, all float32 (n, g, g).

    Attributes:
        weights: how much detail both have in a block.
        agreeing: the same where the block agrees, else 0.
        first, second: how much detail one of them has.
    """

    weights: Grids
    agreeing: Grids
    first: Grids
    second: Grids

    def scores(self) -> NDArray[np.float32]:
        """Share of the detail in blocks that agree, float32 (n,)."""
        return np.asarray(_sum(self.agreeing) / np.maximum(_sum(self.weights), 1e-9), np.float32)


def _sum(grids: Grids) -> NDArray[np.float32]:
    return np.asarray(grids.sum(axis=(1, 2)))


def compare_blocks(one: Blocks, other: Blocks) -> Comparison:
    """Which blocks of pairs agree."""
    power = one.power, other.power
    common = np.einsum("nbcij,nbcij->nbc", one.values, other.values) / one.values.shape[3] ** 2
    weights, alike = _alike(common, *power)
    agreeing = np.where(alike, weights, np.float32(0))
    hopeful = np.flatnonzero(_sum(agreeing) > HOPELESS * _sum(weights))
    # A watermark adds to the power of the picture and so takes from that of all other blocks, by the same factor.
    gain = np.log((power[1][hopeful] + SOFTENING / 4) / (power[0][hopeful] + SOFTENING / 4)) / 2
    usual = _medians(gain, alike[hopeful])
    agreeing[hopeful] *= np.abs(gain - usual[:, None, None]) < np.log(SAME_GAIN)
    first, second = (np.where(each > LEAST_DETAIL / 2, np.sqrt(each), np.float32(0)) for each in power)
    return Comparison(weights, agreeing, first, second)


def _medians(values: NDArray[np.floating], which: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Median of those of each grid, at least one; numpy's own for gaps is ten times as slow."""
    ordered = np.sort(np.where(which, values, np.inf).reshape(len(values), values.shape[1] * values.shape[2]), axis=1)
    count = which.sum(axis=(1, 2))
    rows = np.arange(len(values))
    return np.asarray((ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2, np.float32)


def most_alike(one: Halved, other: Halved) -> NDArray[np.float32]:
    """What `compare_blocks` of the same blocks scores at most, float32 (n,): all that was lost may agree.

    No product of what was lost is larger than the root of both powers (Cauchy and Schwarz).
    """
    common = np.einsum("nbcij,nbcij->nbc", one.values, other.values) / one.values.shape[3] ** 2
    weights, alike = _alike(common + np.sqrt(one.lost * other.lost), one.power, other.power)
    return np.asarray(_sum(weights * alike) / np.maximum(_sum(weights), 1e-9), np.float32)


def _alike(common: Grids, one: Grids, other: Grids) -> tuple[Grids, NDArray[np.bool_]]:
    """How much detail both have in a block, and whether it correlates."""
    both = one + other
    weights = np.where(both > LEAST_DETAIL, np.sqrt(both), np.float32(0))
    return weights, (common > AGREES * (np.sqrt(one * other) + SOFTENING / 2)) & (weights > 0)


def agreement(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of the detail of each pair that lies in blocks that agree, float32 (n,), of `detail_of` (n, S, S) twice."""
    return compare_blocks(blocks_of(one), blocks_of(other)).scores()
