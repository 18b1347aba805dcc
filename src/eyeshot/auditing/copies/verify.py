"""Is a pair of look-alikes one picture? Their fine detail is compared, block by block.

Of two encodings of one picture nearly all blocks with detail agree closely, of a picture and its watermarked copy
those that the watermark spares; of two guitars drawn alike hardly any. So the score is the share of the detail that
lies in blocks that agree, from 0 to 1. A pair that this leaves open is looked at again at a higher resolution, and
there a band that something was written across is left out, if all the rest agrees. What is nearly a copy then is
looked at a last time, at about the size of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeshot.auditing.copies.descriptors import oriented
from eyeshot.auditing.copies.search import Pairs
from eyeshot.auditing.copies.threshold import BASE, LEAST_LOOKED_AT
from eyeshot.core import SILENT, Progress, default_workers, in_parallel
from eyeshot.data import UnreadableImageError, decode_upright, strict_pillow

FINE = 96  # pixels
FULL = 224
PAIRS_AT_ONCE = 128
MOST_KEPT = 30_000  # pictures at a time, a quarter of a gigabyte of detail at half the resolution
MOST_KEPT_FINE = 16_000  # and 1.2 gigabytes at the higher resolution, where each is kept twice
MOST_KEPT_FULL = 3_000  # and 0.6 gigabytes at the size of the files
# Measured on PACS photographs and drawings (n = 5,599): at 96 pixels different drawings reach 0.36, watermarked ones
# (3,529) at least 0.38 but for those that the band below is for, watermarked photographs (1,270) too, other planted
# copies 0.60. At 64 pixels two guitars reach 0.53: what lies between these scores there is decided at 96.
OPEN = (0.12, 0.7)
# Of thin drawings writing holds most of the detail. A band of 2 or 3 of 16 rows or columns is left out, as writing lies
# across blocks anyhow, and detail is finer there, as writing changes what lies as near as the blur reaches. Drawings
# watermarked in six ways that have a score under 0.38 then agree in at least 0.8 of the rest (9,529, all but one of
# those that thumbnails leave open), different drawings in up to 0.39 and two with the same writing in up to 0.79.
BAND_GRID = 16
BANDS = (2, 3)
BAND_BLUR = 1.0  # pixels
BAND_WORTH = BASE / 0.8
# Writing that covers most of a small drawing reaches into the rows beside the band, so that 0.74 of the rest agrees; at
# 224 pixels 0.84 does. Of different drawings with the same writing (36,729 pairs) 40 have 0.67 to 0.79 at 96 pixels,
# and at 224 none has more than 0.55.
NEARLY = 0.6 * BAND_WORTH
MOST_NEARLY = 20_000  # pairs, the best of them: each may have two files read again
LEAST_LEFT = 0.2  # of the detail of one of the pictures
LEAST_BLOCKS = 12  # with detail
LEAST_SPREAD = 0.15  # of what agrees lies outside every band, or it may be the writing that agrees
GRID = 8  # blocks along a side
BLUR = 3.0  # pixels: what varies more slowly is shading, no detail
REACH = 2.5  # times the blur: pixels to either side that a blurred one is made of
AGREES = 0.92  # correlation of two blocks of one picture, at least
SAME_GAIN = 1.5  # and their contrasts differ by the same factor as those of other blocks, up to this
LEAST_DETAIL = 0.05  # of the mean power of both pictures: emptier blocks say nothing
SOFTENING = 0.02
AT_ONCE = 256  # pictures filtered at a time: they stay in the processor's cache
HOPELESS = 0.08  # share of the detail in blocks that correlate: no need to compare their contrasts

GreyImages = NDArray[np.uint8]
Images = NDArray[np.uint8] | NDArray[np.float32]
Grids = NDArray[np.float32]
Scores = NDArray[np.float32]
ReadGrey = Callable[[NDArray[np.int64], int], GreyImages]


def score_pairs(grey: GreyImages, pairs: Pairs, read: ReadGrey | None = None, progress: Progress = SILENT) -> Scores:
    """Scores of pairs, float32 (m,), from 0 to 1; 0 also for those under the least that `choose_cut_off` looks at.

    Args:
        grey: uint8 (n, 64, 64), thumbnails.
        pairs: m pairs of rows of `grey`; their own scores are not used.
        read: gives uint8 (k, side, side) of k rows, for pairs that the thumbnails leave open.
        progress: called with (what, pairs done, pairs in all).
    """
    scores = np.zeros(len(pairs), np.float32)
    for rows in _tiles(pairs, len(grey), MOST_KEPT, "verifying pairs", progress):
        scores[rows] = _score_coarse(grey, pairs[rows])
    if read is None:
        return scores
    unsure = np.flatnonzero((scores >= OPEN[0]) & (scores < OPEN[1]))
    picture_rows, unsure_pairs = _renumbered(pairs[unsure])
    images = read(picture_rows, FINE)
    for rows in _tiles(unsure_pairs, len(picture_rows), MOST_KEPT_FINE, "looking closer at pairs", progress):
        tile_rows, in_tile = _renumbered(unsure_pairs[rows])
        scores[unsure[rows]] = _score_fine(images[tile_rows], in_tile)
    nearly = np.flatnonzero((scores >= NEARLY) & (scores < BASE))
    nearly = nearly[np.argsort(-scores[nearly], kind="stable")[:MOST_NEARLY]]
    picture_rows, nearly_pairs = _renumbered(pairs[nearly])
    for rows in _tiles(nearly_pairs, len(picture_rows), MOST_KEPT_FULL, "looking at pairs at full size", progress):
        tile_rows, in_tile = _renumbered(nearly_pairs[rows])
        full_size = _score_without_band(read(picture_rows[tile_rows], FULL), in_tile)
        scores[nearly[rows]] = np.maximum(scores[nearly[rows]], full_size)
    return scores


def _tiles(pairs: Pairs, count: int, most: int, task: str, progress: Progress) -> Iterator[NDArray[np.int64]]:
    """Which pairs to compare together: a picture stands in several, and its detail is computed once for all of a tile.

    All of them, or tiles with their first pictures among one half of `most` neighbours and their second ones among
    another half. `progress` is called when a tile is done.
    """
    tiles = [np.arange(len(pairs))] if len(pairs) else []
    if count > most:
        side = most // 2
        tile = pairs.first // side * (count // side + 1) + pairs.second // side
        order = np.argsort(tile, kind="stable")
        tiles = np.split(order, np.flatnonzero(np.diff(tile[order])) + 1)
    pairs_done = 0
    for rows in tiles:
        yield rows
        pairs_done += len(rows)
        progress(pairs_done, len(pairs), task)


def _renumbered(pairs: Pairs) -> tuple[NDArray[np.int64], Pairs]:
    """The pictures that stand in pairs, and the pairs by their places among these."""
    picture_rows, place = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
    return picture_rows, Pairs(place[: len(pairs)], place[len(pairs) :], pairs.orientation, pairs.score)


def _score_coarse(grey: GreyImages, pairs: Pairs) -> Scores:
    """Scores at 64 pixels. Most pairs are seen to be none at half of that."""
    picture_rows, numbered = _renumbered(pairs)
    halved = keep_halved(grey, picture_rows)
    most, scores = np.zeros(len(pairs), np.float32), np.zeros(len(pairs), np.float32)
    for orientation in range(8):
        rows = np.flatnonzero(numbered.orientation == orientation)
        second, place = np.unique(numbered.second[rows], return_inverse=True)  # turned once, not for each pair
        turned = halved[second].turned(orientation)
        for start in range(0, len(rows), PAIRS_AT_ONCE):
            block = slice(start, start + PAIRS_AT_ONCE)
            most[rows[block]] = most_alike(halved[numbered.first[rows[block]]], turned[place[block]])
    remaining = np.flatnonzero(most >= LEAST_LOOKED_AT)
    picture_rows, numbered = _renumbered(pairs[remaining])
    for rows, compared in _compared(keep_blocks(grey, picture_rows), numbered):
        scores[remaining[rows]] = compared.scores()
    return scores


def _score_fine(images: GreyImages, pairs: Pairs) -> Scores:
    """Scores at 96 pixels, with a band left out where that is better."""
    scores = _score_without_band(images, pairs)
    for rows, compared in _compared(keep_blocks(images, np.arange(len(images))), pairs):
        scores[rows] = np.maximum(scores[rows], compared.scores())
    return scores


def _score_without_band(images: GreyImages, pairs: Pairs) -> Scores:
    """Scores with a band left out."""
    blocks = keep_blocks(images, np.arange(len(images)), BAND_BLUR, BAND_GRID)
    scores = np.zeros(len(pairs), np.float32)
    for rows, compared in _compared(blocks, pairs):
        scores[rows] = BAND_WORTH * without_band(compared)
    return scores


def _compared(blocks: Blocks, pairs: Pairs) -> Iterator[tuple[NDArray[np.int64], BlockComparison]]:
    """Which pairs, some with the same orientation at a time, and how they compare."""
    for orientation in range(8):
        same = np.flatnonzero(pairs.orientation == orientation)
        for start in range(0, len(same), PAIRS_AT_ONCE):
            rows = same[start : start + PAIRS_AT_ONCE]
            turned = blocks[pairs.second[rows]].turned(orientation)
            yield rows, compare_blocks(blocks[pairs.first[rows]], turned)


def without_band(pairs: BlockComparison) -> Scores:
    """Share of the detail that agrees outside the best band of rows or columns, float32 (n,).

    0 where it is too small to matter, or too little is left.

    Args:
        pairs: compared by blocks, 16 along a side, of detail finer than `BAND_BLUR`.
    """
    return np.maximum(*(_without_band(pairs, height) for height in BANDS))


def _without_band(pairs: BlockComparison, height: int) -> Scores:
    grids = (pairs.weights, pairs.agreeing, pairs.first, pairs.second)
    weights, agreeing, first, second = (grid.reshape(len(grid), -1) for grid in grids)
    bands = _bands(height)
    rest = 1 - bands
    agree = agreeing @ rest.T
    left = np.maximum(*(own @ rest.T / np.maximum(own.sum(axis=1, keepdims=True), 1e-9) for own in (first, second)))
    share = agree / np.maximum(weights @ rest.T, 1e-9)
    eligible = (left >= LEAST_LEFT) & ((weights > 0) @ rest.T >= LEAST_BLOCKS) & (share * BAND_WORTH >= LEAST_LOOKED_AT)
    # Of what agrees outside one band, the most that lies in another.
    worth = np.flatnonzero(eligible.any(axis=1))
    overlaps = (rest[:, None] * bands[None]).reshape(-1, bands.shape[1])
    densest = (agreeing[worth] @ overlaps.T).reshape(len(worth), len(bands), len(bands)).max(axis=2)
    eligible[worth] &= densest <= (1 - LEAST_SPREAD) * agree[worth]
    return np.asarray(np.where(eligible, share, 0).max(axis=1), np.float32)


def _bands(height: int) -> NDArray[np.float32]:
    """All bands, one a row, 1 inside and 0 elsewhere."""
    bands = []
    for start in range(BAND_GRID - height + 1):
        rows = np.zeros((BAND_GRID, BAND_GRID), np.float32)
        rows[start : start + height] = 1
        bands += [rows.ravel(), rows.T.ravel()]
    return np.stack(bands)


def detail_of(images: Images, blur: float = BLUR) -> NDArray[np.float32]:
    """High-pass of images (n, S, S), each with mean power 1; `blur` in pixels."""
    values = images.astype(np.float32)
    side = values.shape[2]
    matrix = blur_matrix(side, blur)
    for start in range(0, len(values), AT_ONCE):
        part = values[start : start + AT_ONCE]
        part -= matrix @ (part.reshape(-1, side) @ matrix.T).reshape(part.shape)
        power = np.einsum("nij,nij->n", part, part) / side**2
        part /= np.maximum(np.sqrt(power), 0.5)[:, None, None]
    return values


@lru_cache(maxsize=16)
def blur_matrix(side: int, blur: float) -> NDArray[np.float32]:
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
        halved = blocks.halved()
        kept.values[part], kept.power[part], kept.lost[part] = halved.values, halved.power, halved.lost
    return kept


def _some_blocks(images: Images, rows: NDArray[np.int64], blur: float, grid: int) -> Iterator[tuple[slice, Blocks]]:
    for start in range(0, len(rows), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        yield part, blocks_of(detail_of(images[rows[part]], blur), grid)


@dataclass(frozen=True, eq=False)
class BlockComparison:
    """Pairs compared, all float32 (n, g, g).

    Attributes:
        weights: how much detail both have in a block.
        agreeing: the same where the block agrees, else 0.
        first, second: how much detail the one and the other has.
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


def compare_blocks(first: Blocks, second: Blocks) -> BlockComparison:
    """Which blocks of pairs agree."""
    common = np.einsum("nbcij,nbcij->nbc", first.values, second.values) / first.values.shape[3] ** 2
    weights, alike = _alike(common, first.power, second.power)
    agreeing = np.where(alike, weights, np.float32(0))
    hopeful = np.flatnonzero(_sum(agreeing) > HOPELESS * _sum(weights))
    # A watermark adds to the power of the picture and so takes from that of all other blocks, by the same factor.
    gain = np.log((second.power[hopeful] + SOFTENING / 4) / (first.power[hopeful] + SOFTENING / 4)) / 2
    usual = _medians(gain, alike[hopeful])
    agreeing[hopeful] *= np.abs(gain - usual[:, None, None]) < np.log(SAME_GAIN)
    details = (
        np.where(power > LEAST_DETAIL / 2, np.sqrt(power), np.float32(0)) for power in (first.power, second.power)
    )
    return BlockComparison(weights, agreeing, *details)


def _medians(values: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Median of those of each grid, at least one; numpy's own for gaps is ten times as slow."""
    ordered = np.sort(np.where(mask, values, np.inf).reshape(len(values), values.shape[1] * values.shape[2]), axis=1)
    count = mask.sum(axis=(1, 2))
    rows = np.arange(len(values))
    return np.asarray((ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2, np.float32)


def most_alike(first: Halved, second: Halved) -> Scores:
    """What `compare_blocks` of the same blocks scores at most, float32 (n,): all that was lost may agree.

    No product of what was lost is larger than the root of both powers (Cauchy and Schwarz).
    """
    common = np.einsum("nbcij,nbcij->nbc", first.values, second.values) / first.values.shape[3] ** 2
    weights, alike = _alike(common + np.sqrt(first.lost * second.lost), first.power, second.power)
    return np.asarray(_sum(weights * alike) / np.maximum(_sum(weights), 1e-9), np.float32)


def _alike(common: Grids, first: Grids, second: Grids) -> tuple[Grids, NDArray[np.bool_]]:
    """How much detail both have in a block, and whether it correlates."""
    total_power = first + second
    weights = np.where(total_power > LEAST_DETAIL, np.sqrt(total_power), np.float32(0))
    return weights, (common > AGREES * (np.sqrt(first * second) + SOFTENING / 2)) & (weights > 0)


def agreement(first: NDArray[np.float32], second: NDArray[np.float32]) -> Scores:
    """Share of the detail of each pair that lies in blocks that agree, float32 (n,), of `detail_of` (n, S, S) twice."""
    return compare_blocks(blocks_of(first), blocks_of(second)).scores()


def read_grey(paths: Sequence[str], side: int, workers: int | None) -> NDArray[np.uint8]:
    """uint8 (n, side, side); black where a file is gone or changed since it was measured, so that it has no detail."""
    squares = np.empty((len(paths), side, side), np.uint8)
    with strict_pillow():
        for row, square in enumerate(in_parallel(partial(_grey_square, side), paths, workers or default_workers())):
            squares[row] = square
    return squares


def _grey_square(side: int, path: str) -> NDArray[np.uint8]:
    try:
        shown = decode_upright(Path(path).read_bytes()).rgb.convert("L")
    except (OSError, UnreadableImageError):
        return np.zeros((side, side), np.uint8)
    return np.asarray(shown.resize((side, side), Image.Resampling.BILINEAR))
