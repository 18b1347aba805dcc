"""Is a pair of look-alikes one picture? Their fine detail is compared, block by block.

Of two encodings of one picture nearly all blocks with detail agree closely, of a picture and its watermarked copy
those that the watermark spares; of two guitars drawn alike hardly any. So the score is the share of the detail that
lies in blocks that agree, from 0 to 1. A pair that this leaves open is looked at again at a higher resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from eyeshot.auditing.describing import oriented

GRID = 8  # blocks along a side
COARSE = 64  # pixels
FINE = 96
BLUR = 3.0  # pixels: what varies more slowly is shading, no detail
AGREES = 0.92  # correlation of two blocks of one picture, at least
SAME_GAIN = 1.5  # and their contrasts differ by the same factor as those of other blocks, up to this
LEAST_DETAIL = 0.05  # of the picture's mean power: emptier blocks say nothing
SOFTENING = 0.02
BLOCK = 256  # pairs
MOST_KEPT = 30_000  # pictures, half a gigabyte of detail
# Measured on PACS photographs and drawings (n = 5,599): at 96 pixels different drawings reach 0.32, watermarked ones
# (250) at least 0.37 but for one, watermarked photographs (250) 0.35, other planted copies 0.60. At 64 pixels two
# guitars reach 0.53: what lies between these scores there is decided at 96.
OPEN = (0.12, 0.7)

Images = NDArray[np.uint8]
Scores = NDArray[np.float32]
ReadFine = Callable[[NDArray[np.int64]], Images]


def detail_of(images: Images | NDArray[np.float32]) -> NDArray[np.float32]:
    """High-pass of images (n, S, S), each with mean power 1."""
    values = images.astype(np.float32)
    for start in range(0, len(values), BLOCK):
        part = values[start : start + BLOCK]
        part -= gaussian_filter(part, (0, BLUR, BLUR), truncate=2.5)
        part /= np.maximum(np.sqrt(np.square(part).mean(axis=(1, 2), keepdims=True)), 0.5)
    return values


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Detail of pictures by blocks: values float32 (n, 8, 8, k, k), each block's mean taken off, power (n, 8, 8)."""

    values: NDArray[np.float32]
    power: NDArray[np.float32]

    def __getitem__(self, rows: NDArray[np.int64]) -> _Blocks:
        return _Blocks(self.values[rows], self.power[rows])

    def turned(self, orientation: NDArray[np.int64]) -> _Blocks:
        """Those of the pictures, each in its orientation."""
        values, power = self.values.copy(), self.power.copy()
        for number in range(1, 8):
            which = orientation == number
            if which.any():
                power[which] = oriented(self.power[which], number)
                # A picture is turned by turning where its blocks lie, and then each of them.
                places = self.values[which]
                if number >= 4:
                    places = places[:, :, ::-1, :, ::-1]
                values[which] = np.rot90(np.rot90(places, number % 4, axes=(1, 2)), number % 4, axes=(3, 4))
        return _Blocks(values, power)


def _blocks_of(detail: NDArray[np.float32]) -> _Blocks:
    count, side = detail.shape[:2]
    step = side // GRID
    values = np.ascontiguousarray(detail.reshape(count, GRID, step, GRID, step).transpose(0, 1, 3, 2, 4))
    values -= values.mean(axis=(3, 4), keepdims=True)
    return _Blocks(values, np.einsum("nbcij,nbcij->nbc", values, values) / step**2)


def agreement(one: NDArray[np.float32], other: NDArray[np.float32]) -> Scores:
    """Share of the detail of each pair that lies in blocks that agree, float32 (n,), of `detail_of` (n, S, S) twice."""
    return _agreement(_blocks_of(one), _blocks_of(other))


def _agreement(one: _Blocks, other: _Blocks) -> Scores:
    count = len(one.power)
    a, b = (blocks.values.reshape(count, GRID * GRID, -1) for blocks in (one, other))
    power = one.power.reshape(count, -1), other.power.reshape(count, -1)
    common = np.einsum("nbp,nbp->nb", a, b) / a.shape[2]
    both = power[0] + power[1]
    weight = np.where(both > LEAST_DETAIL, np.sqrt(both), 0.0)
    alike = (common > AGREES * (np.sqrt(power[0] * power[1]) + SOFTENING / 2)) & (weight > 0)
    # A watermark adds to the power of the picture and so takes from that of all other blocks, by the same factor.
    gain = np.log((power[1] + SOFTENING / 4) / (power[0] + SOFTENING / 4)) / 2
    usual = np.nanmedian(np.where(alike.any(axis=1, keepdims=True), np.where(alike, gain, np.nan), 0.0), axis=1)
    agrees = alike & (np.abs(gain - usual[:, None]) < np.log(SAME_GAIN))
    return np.asarray((weight * agrees).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9), np.float32)


def score_pairs(
    grey: Images,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    orientation: NDArray[np.int64],
    read_fine: ReadFine | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Scores:
    """Scores of pairs, float32 (m,), from 0 to 1.

    Args:
        grey: uint8 (n, 64, 64), thumbnails.
        first, second: int64 (m,), positions in `grey`.
        orientation: int64 (m,), what turns the second one into the first.
        read_fine: gives uint8 (k, 96, 96) of positions, for pairs that the thumbnails leave open.
        progress: called with (pairs done, pairs in all).
    """
    scores = np.zeros(len(first), np.float32)
    # A picture stands in several pairs: its detail is computed once, as far as memory allows.
    wanted, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    kept = _blocks_of(detail_of(grey[wanted])) if len(wanted) <= MOST_KEPT else None
    for start in range(0, len(first), BLOCK):
        part = slice(start, start + BLOCK)
        if kept is None:
            one, other = (_blocks_of(detail_of(grey[end[part]])) for end in (first, second))
        else:
            one, other = kept[place[: len(first)][part]], kept[place[len(first) :][part]]
        scores[part] = _agreement(one, other.turned(orientation[part]))
        if progress is not None:
            progress(min(start + BLOCK, len(first)), len(first))
    unsure = np.flatnonzero((scores >= OPEN[0]) & (scores < OPEN[1]))
    if read_fine is not None and len(unsure):
        wanted, place = np.unique(np.concatenate([first[unsure], second[unsure]]), return_inverse=True)
        fine = _blocks_of(detail_of(read_fine(wanted)))
        one, other = fine[place[: len(unsure)]], fine[place[len(unsure) :]]
        scores[unsure] = _agreement(one, other.turned(orientation[unsure]))
    return scores
