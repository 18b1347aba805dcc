"""Is a pair of look-alikes one picture? Their fine detail is compared, block by block.

Of two encodings of one picture nearly all blocks with detail agree closely, of a picture and its watermarked copy
those that the watermark spares; of two guitars drawn alike hardly any. So the score is the share of the detail that
lies in blocks that agree, from 0 to 1. A pair that this leaves open is looked at again at a higher resolution, and
there a band that something was written across is left out, if all the rest agrees. What is nearly a copy then is
looked at a last time, at about the size of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.cutoff import BASE, LEAST_LOOKED_AT
from eyeshot.auditing.detail import Blocks, Comparison, compare_blocks, keep_blocks, keep_halved, most_alike
from eyeshot.core import SILENT, Progress

COARSE = 64  # pixels
FINE = 96
FULL = 224
BLOCK = 128  # pairs
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

Images = NDArray[np.uint8]
Scores = NDArray[np.float32]
ReadGrey = Callable[[NDArray[np.int64], int], Images]


def score_pairs(
    grey: Images,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    orientation: NDArray[np.int64],
    read: ReadGrey | None = None,
    progress: Progress = SILENT,
) -> Scores:
    """Scores of pairs, float32 (m,), from 0 to 1; 0 also for those under the least that `choose_cut_off` looks at.

    Args:
        grey: uint8 (n, 64, 64), thumbnails.
        first, second: int64 (m,), positions in `grey`.
        orientation: int64 (m,), what turns the second one into the first.
        read: gives uint8 (k, side, side) of k positions, for pairs that the thumbnails leave open.
        progress: told how many pairs are done.
    """
    scores = np.zeros(len(first), np.float32)
    for rows in _tiles(first, second, len(grey), MOST_KEPT, progress.sub("verifying pairs")):
        scores[rows] = _coarse(grey, first[rows], second[rows], orientation[rows])
    if read is None:
        return scores
    unsure = np.flatnonzero((scores >= OPEN[0]) & (scores < OPEN[1]))
    wanted, one_of, other_of = _numbered(first[unsure], second[unsure])
    images = read(wanted, FINE)
    for rows in _tiles(one_of, other_of, len(wanted), MOST_KEPT_FINE, progress.sub("looking closer at pairs")):
        some, one, other = _numbered(one_of[rows], other_of[rows])
        scores[unsure[rows]] = _fine(images[some], one, other, orientation[unsure[rows]])
    nearly = np.flatnonzero((scores >= NEARLY) & (scores < BASE))
    nearly = nearly[np.argsort(-scores[nearly], kind="stable")[:MOST_NEARLY]]
    wanted, one_of, other_of = _numbered(first[nearly], second[nearly])
    for rows in _tiles(one_of, other_of, len(wanted), MOST_KEPT_FULL, progress.sub("looking at pairs at full size")):
        some, one, other = _numbered(one_of[rows], other_of[rows])
        found = _banded(read(wanted[some], FULL), one, other, orientation[nearly[rows]])
        scores[nearly[rows]] = np.maximum(scores[nearly[rows]], found)
    return scores


def _tiles(
    first: NDArray[np.int64], second: NDArray[np.int64], count: int, most: int, progress: Progress
) -> Iterator[NDArray[np.int64]]:
    """Which pairs to compare together: a picture stands in several, and its detail is computed once for all of a tile.

    All of them, or tiles with their first pictures among one half of `most` neighbours and their second ones among
    another half. `progress` is told of every tile that is done.
    """
    tiles = [np.arange(len(first))] if len(first) else []
    if count > most:
        side = most // 2
        tile = first // side * (count // side + 1) + second // side
        order = np.argsort(tile, kind="stable")
        tiles = np.split(order, np.flatnonzero(np.diff(tile[order])) + 1)
    done = 0
    for rows in tiles:
        yield rows
        done += len(rows)
        progress(done, len(first))


def _numbered(
    first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The pictures that stand in pairs, and the places among them of the first and the second of each pair."""
    wanted, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    return wanted, place[: len(first)], place[len(first) :]


def _coarse(
    grey: Images, first: NDArray[np.int64], second: NDArray[np.int64], orientation: NDArray[np.int64]
) -> Scores:
    """Scores at 64 pixels. Most pairs are seen to be none at half of that."""
    wanted, one_of, other_of = _numbered(first, second)
    halved = keep_halved(grey, wanted)
    most, scores = np.zeros(len(first), np.float32), np.zeros(len(first), np.float32)
    for turn in range(8):
        rows = np.flatnonzero(orientation == turn)
        turned, place = np.unique(other_of[rows], return_inverse=True)  # once each, not once for each of its pairs
        others = halved[turned].turned(turn)
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            most[rows[part]] = most_alike(halved[one_of[rows[part]]], others[place[part]])
    left = np.flatnonzero(most >= LEAST_LOOKED_AT)
    wanted, one_of, other_of = _numbered(first[left], second[left])
    blocks = keep_blocks(grey, wanted)
    for rows, compared in _compared(blocks, one_of, other_of, orientation[left]):
        scores[left[rows]] = compared.scores()
    return scores


def _fine(
    images: Images, first: NDArray[np.int64], second: NDArray[np.int64], orientation: NDArray[np.int64]
) -> Scores:
    """Scores at 96 pixels, with a band left out where that is better."""
    blocks = keep_blocks(images, np.arange(len(images)))
    scores = _banded(images, first, second, orientation)
    for rows, compared in _compared(blocks, first, second, orientation):
        scores[rows] = np.maximum(scores[rows], compared.scores())
    return scores


def _banded(
    images: Images, first: NDArray[np.int64], second: NDArray[np.int64], orientation: NDArray[np.int64]
) -> Scores:
    """Scores with a band left out."""
    blocks = keep_blocks(images, np.arange(len(images)), BAND_BLUR, BAND_GRID)
    scores = np.zeros(len(first), np.float32)
    for rows, compared in _compared(blocks, first, second, orientation):
        scores[rows] = BAND_WORTH * without_band(compared)
    return scores


def _compared(
    blocks: Blocks, first: NDArray[np.int64], second: NDArray[np.int64], orientation: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], Comparison]]:
    """Which pairs, some with the same orientation at a time, and how they compare."""
    for turn in range(8):
        pairs = np.flatnonzero(orientation == turn)
        for start in range(0, len(pairs), BLOCK):
            rows = pairs[start : start + BLOCK]
            yield rows, compare_blocks(blocks[first[rows]], blocks[second[rows]].turned(turn))


def without_band(pairs: Comparison) -> Scores:
    """Share of the detail that agrees outside the best band of rows or columns, float32 (n,).

    0 where it is too small to matter, or too little is left.

    Args:
        pairs: compared by blocks, 16 along a side, of detail finer than `BAND_BLUR`.
    """
    return np.maximum(*(_without_band(pairs, height) for height in BANDS))


def _without_band(pairs: Comparison, height: int) -> Scores:
    grids = (pairs.weights, pairs.agreeing, pairs.first, pairs.second)
    weights, agreeing, first, second = (grid.reshape(len(grid), -1) for grid in grids)
    bands = _bands(height)
    rest = 1 - bands
    agree = agreeing @ rest.T
    left = np.maximum(*(own @ rest.T / np.maximum(own.sum(axis=1, keepdims=True), 1e-9) for own in (first, second)))
    share = agree / np.maximum(weights @ rest.T, 1e-9)
    told = (left >= LEAST_LEFT) & ((weights > 0) @ rest.T >= LEAST_BLOCKS) & (share * BAND_WORTH >= LEAST_LOOKED_AT)
    # Of what agrees outside one band, the most that lies in another.
    worth = np.flatnonzero(told.any(axis=1))
    overlaps = (rest[:, None] * bands[None]).reshape(-1, bands.shape[1])
    densest = (agreeing[worth] @ overlaps.T).reshape(len(worth), len(bands), len(bands)).max(axis=2)
    told[worth] &= densest <= (1 - LEAST_SPREAD) * agree[worth]
    return np.asarray(np.where(told, share, 0).max(axis=1), np.float32)


def _bands(height: int) -> NDArray[np.float32]:
    """All bands, one a row, 1 inside and 0 elsewhere."""
    made = []
    for start in range(BAND_GRID - height + 1):
        rows = np.zeros((BAND_GRID, BAND_GRID), np.float32)
        rows[start : start + height] = 1
        made += [rows.ravel(), rows.T.ravel()]
    return np.stack(made)
