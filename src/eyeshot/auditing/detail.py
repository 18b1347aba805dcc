"""Fine detail of pictures, and where that of two agrees, block by block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from eyeshot.auditing.describing import oriented

GRID = 8  # blocks along a side
BLUR = 3.0  # pixels: what varies more slowly is shading, no detail
AGREES = 0.92  # correlation of two blocks of one picture, at least
SAME_GAIN = 1.5  # and their contrasts differ by the same factor as those of other blocks, up to this
LEAST_DETAIL = 0.05  # of the mean power of both pictures: emptier blocks say nothing
SOFTENING = 0.02
AT_ONCE = 1024  # pictures filtered at a time
HOPELESS = 0.08  # share of the detail in blocks that correlate: no need to compare their contrasts

Images = NDArray[np.uint8] | NDArray[np.float32]
Grids = NDArray[np.float32]


def detail_of(images: Images) -> NDArray[np.float32]:
    """High-pass of images (n, S, S), each with mean power 1."""
    values = images.astype(np.float32)
    for start in range(0, len(values), AT_ONCE):
        part = values[start : start + AT_ONCE]
        part -= gaussian_filter(part, (0, BLUR, BLUR), truncate=2.5)
        part /= np.maximum(np.sqrt(np.square(part).mean(axis=(1, 2), keepdims=True)), 0.5)
    return values


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
        # A picture is turned by turning where its blocks lie, and then each of them.
        values = self.values[:, :, ::-1, :, ::-1] if orientation >= 4 else self.values
        turns = orientation % 4
        turned = np.rot90(np.rot90(values, turns, axes=(1, 2)), turns, axes=(3, 4))
        return Blocks(np.ascontiguousarray(turned), np.asarray(oriented(self.power, orientation), np.float32))


def blocks_of(detail: NDArray[np.float32], grid: int = GRID) -> Blocks:
    """Blocks, `grid` along a side, of `detail_of`, float32 (n, S, S)."""
    count, side = detail.shape[:2]
    step = side // grid
    values = np.ascontiguousarray(detail.reshape(count, grid, step, grid, step).transpose(0, 1, 3, 2, 4))
    values -= values.mean(axis=(3, 4), keepdims=True)
    return Blocks(values, np.einsum("nbcij,nbcij->nbc", values, values) / step**2)


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
    both = power[0] + power[1]
    weights = np.where(both > LEAST_DETAIL, np.sqrt(both), np.float32(0))
    alike = (common > AGREES * (np.sqrt(power[0] * power[1]) + SOFTENING / 2)) & (weights > 0)
    agreeing = np.where(alike, weights, np.float32(0))
    hopeful = np.flatnonzero(_sum(agreeing) > HOPELESS * _sum(weights))
    # A watermark adds to the power of the picture and so takes from that of all other blocks, by the same factor.
    gain = np.log((power[1][hopeful] + SOFTENING / 4) / (power[0][hopeful] + SOFTENING / 4)) / 2
    usual = np.nanmedian(np.where(alike[hopeful], gain, np.nan), axis=(1, 2), keepdims=True)
    agreeing[hopeful] *= np.abs(gain - usual) < np.log(SAME_GAIN)
    first, second = (np.where(each > LEAST_DETAIL / 2, np.sqrt(each), np.float32(0)) for each in power)
    return Comparison(weights, agreeing, first, second)


def agreement(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of the detail of each pair that lies in blocks that agree, float32 (n,), of `detail_of` (n, S, S) twice."""
    return compare_blocks(blocks_of(one), blocks_of(other)).scores()
