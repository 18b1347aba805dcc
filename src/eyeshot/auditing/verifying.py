"""Is a pair of look-alikes one picture? Their fine detail is compared, block by block.

Of two encodings of one picture nearly all blocks with detail agree closely, of a picture and its watermarked copy
those that the watermark spares; of two guitars drawn alike hardly any. So the score is the share of the detail that
lies in blocks that agree, from 0 to 1. A pair that this leaves open is looked at again at a higher resolution, and
there a band that something was written across is left out, if all the rest agrees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.detail import GRID, Comparison, blocks_of, compare_blocks, detail_of

COARSE = 64  # pixels
FINE = 96
BLOCK = 256  # pairs
MOST_KEPT = 30_000  # pictures, half a gigabyte of detail
# Measured on PACS photographs and drawings (n = 5,599): at 96 pixels different drawings reach 0.32, watermarked ones
# (250) at least 0.37 but for one, watermarked photographs (250) 0.35, other planted copies 0.60. At 64 pixels two
# guitars reach 0.53: what lies between these scores there is decided at 96.
OPEN = (0.12, 0.7)
# Of thin drawings writing holds most of the detail. Without the best band of 2 of 8 rows or columns, watermarked
# drawings that have a lower score (14 of 800) agree in 0.88 of the rest, but for one of 0.3; different drawings
# (2,107 pairs) in up to 0.40. Halved, the first lie above the cut-off and the second below it.
BAND = 2
BAND_WORTH = 0.5
LEAST_LEFT = 0.2  # of the detail of one of the pictures
LEAST_BLOCKS = 8  # with detail
LEAST_SPREAD = 0.15  # of what agrees lies outside every band, or it may be the writing that agrees

Images = NDArray[np.uint8]
Scores = NDArray[np.float32]
ReadFine = Callable[[NDArray[np.int64]], Images]


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
    kept = blocks_of(detail_of(grey[wanted])) if len(wanted) <= MOST_KEPT else None
    one_of, other_of = place[: len(first)], place[len(first) :]
    done = 0
    for turn, rows in _alike_turned(orientation):
        if kept is None:
            one, other = (blocks_of(detail_of(grey[end[rows]])) for end in (first, second))
        else:
            one, other = kept[one_of[rows]], kept[other_of[rows]]
        scores[rows] = compare_blocks(one, other.turned(turn)).scores()
        done += len(rows)
        if progress is not None:
            progress(done, len(first))
    unsure = np.flatnonzero((scores >= OPEN[0]) & (scores < OPEN[1]))
    if read_fine is not None and len(unsure):
        wanted, place = np.unique(np.concatenate([first[unsure], second[unsure]]), return_inverse=True)
        one_of, other_of = place[: len(unsure)], place[len(unsure) :]
        fine = blocks_of(detail_of(read_fine(wanted)))
        for turn, rows in _alike_turned(orientation[unsure]):
            found = compare_blocks(fine[one_of[rows]], fine[other_of[rows]].turned(turn))
            scores[unsure[rows]] = np.maximum(found.scores(), BAND_WORTH * without_band(found))
    return scores


def _alike_turned(orientation: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Blocks of pairs with the same orientation, and which."""
    for turn in range(8):
        rows = np.flatnonzero(orientation == turn)
        for start in range(0, len(rows), BLOCK):
            yield turn, rows[start : start + BLOCK]


def without_band(pairs: Comparison) -> Scores:
    """Share of the detail that agrees outside one band of rows or columns, float32 (n,); 0 where too little is left."""
    best = np.zeros(len(pairs.weights), np.float32)
    for band in _bands():
        rest = ~band
        weights, agreeing = pairs.weights * rest, pairs.agreeing * rest
        left = np.maximum(_share(pairs.first, rest), _share(pairs.second, rest))
        blocks = (weights > 0).sum(axis=(1, 2))
        densest = np.max([_share(agreeing, other) for other in _bands()], axis=0)
        told = (left >= LEAST_LEFT) & (blocks >= LEAST_BLOCKS) & (densest <= 1 - LEAST_SPREAD)
        share = agreeing.sum(axis=(1, 2)) / np.maximum(weights.sum(axis=(1, 2)), 1e-9)
        best = np.maximum(best, np.where(told, share, np.float32(0)))
    return best


def _bands() -> Iterator[NDArray[np.bool_]]:
    for start in range(GRID - BAND + 1):
        rows = np.zeros((GRID, GRID), bool)
        rows[start : start + BAND] = True
        yield rows
        yield rows.T


def _share(grids: NDArray[np.float32], where: NDArray[np.bool_]) -> Scores:
    return np.asarray((grids * where).sum(axis=(1, 2)) / np.maximum(grids.sum(axis=(1, 2)), 1e-9), np.float32)
