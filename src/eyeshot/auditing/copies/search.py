"""Which pictures may be duplicates of each other: descriptors compared in all 8 orientations.

Up to `EXACT_UP_TO` pictures every pair is compared. Beyond, pairs that meet in a cell are: cells lie around pictures
drawn at random, whatever their orientation, and every picture is in the few cells that it is most like. A copy shares
one of them with its original nearly always, two different pictures seldom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from eyeshot.auditing.copies.descriptors import Descriptors
from eyeshot.core import SILENT, Progress

EXACT_UP_TO = 100_000
ROWS, COLUMNS = 256, 512  # of a block: its buffer of 4 MiB stays in the processor's cache
# Candidates of one picture at most: a thousand copies need not be a million pairs. In small sets more are looked at:
# of 1,200 watermarked drawings 2 are not among the 96 that are most alike, as others have the same watermark.
NEIGHBOURS = (24, 200)
# A symmetric drawing is as much alike when it is turned over, and a watermark may decide (once in 1,200 drawings, by
# 0.10). Such orientations are looked at too.
LEAST_TURNED = 0.5  # cosine
ALMOST = 0.15  # below the best one
ALL_NEIGHBOURS = 1_000_000  # of all pictures together, where that is more
MOST_WAITING = 1 << 22  # pairs between two times that the best are chosen
PAIRS_AT_ONCE = 1 << 13
# From this cosine on, some dimensions and the length of the rest bound it well enough (Cauchy and Schwarz) that nearly
# all pairs need no more: of pairs of photographs 1 in 870 does (1,670 of PACS, crops and small turns).
BOUNDED_FROM = 0.7
BOUNDING = 64  # dimensions
PICTURES_PER_CELL = 128
CELLS_OF_EACH = 16

Cosines = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of pictures that may be duplicates.

    Attributes:
        first, second: int64 (m,), rows of the descriptors or, once verified, numbers of pictures.
        orientation: int64 (m,), what turns the second one into the first, a number of `ORIENTATIONS`.
        score: float32 (m,), the cosine of the descriptors or, once verified, the share of the detail that agrees.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    orientation: NDArray[np.int64]
    score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: NDArray[np.generic]) -> Pairs:
        return Pairs(self.first[rows], self.second[rows], self.orientation[rows], self.score[rows])

    def keys(self, count: int) -> NDArray[np.int64]:
        """A number of each pair among `count` pictures, int64 (m,), whichever of the two is the first."""
        return np.minimum(self.first, self.second) * count + np.maximum(self.first, self.second)


def concatenate(parts: list[Pairs]) -> Pairs:
    """All pairs, one part after the other; none of no parts."""
    empty = np.empty(0, np.int64)
    parts = [Pairs(empty, empty, empty, np.empty(0, np.float32)), *parts]
    return Pairs(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.second for part in parts]),
        np.concatenate([part.orientation for part in parts]),
        np.concatenate([part.score for part in parts]),
    )


def search(
    pictures: Descriptors,
    *,
    least: float,
    most: int | None = None,
    orientations: Sequence[int] = range(8),
    progress: Progress = SILENT,
) -> Pairs:
    """Pairs with a cosine of at least `least`, each in its best orientation; all of them up to `EXACT_UP_TO`."""
    if len(pictures) <= EXACT_UP_TO:
        return search_exact(pictures, least=least, most=most, orientations=orientations, progress=progress)
    return search_cells(pictures, least=least, most=most, orientations=orientations, progress=progress)


def search_exact(
    pictures: Descriptors,
    seen: Descriptors | None = None,
    *,
    least: float,
    most: int | None = None,
    orientations: Sequence[int] = range(8),
    progress: Progress = SILENT,
) -> Pairs:
    """All pairs with a cosine of at least `least`, each in its best orientation.

    Args:
        pictures: n of them, as they are.
        seen: the same pictures, seen in part, so that it matters which one of two is seen so; the pair is then
            returned as (whole, seen in part). None: as they are.
        least: cosine.
        most: candidates of one picture; None: `neighbours`.
        orientations: numbers of `ORIENTATIONS` that the second picture is looked at in.
        progress: called with (pictures done, pictures in all).
    """
    count = len(pictures)
    best = _BestPairs(count, least, most or neighbours(count))
    buffer = _buffer()
    other = pictures if seen is None else seen
    numbers = np.array(orientations, np.int64)
    bounded = least >= BOUNDED_FROM and pictures.values.shape[1] > BOUNDING
    values = _bounding(pictures.values) if bounded else pictures.values
    with threadpool_limits(1, user_api="blas"):
        # The last columns first: they meet the most rows, and what is left is then never more than it seems.
        for begin in reversed(range(0, count, COLUMNS)):
            turned = _turned(other[begin : begin + COLUMNS], orientations)
            compared = _bounding(turned) if bounded else turned
            # Of two pictures as they are either one may be turned: one half of the pairs is enough.
            for start in range(0, count if seen is not None else begin + turned.shape[1], ROWS):
                floors = (best.floor[start : start + ROWS], best.floor[begin : begin + COLUMNS])
                met = _compare_blocks(values[start : start + ROWS], compared, floors, buffer)
                if bounded:
                    met = _exactly(met, pictures.values[start : start + ROWS], turned, floors)
                first, second = met.first + start, met.second + begin
                kept = (first < second) if seen is None else (first != second)
                best.add(Pairs(first, second, numbers[met.orientation], met.score)[kept])
            progress(count - begin, count)
    return best.chosen()


def search_cells(
    pictures: Descriptors,
    *,
    least: float,
    most: int | None = None,
    cells: int | None = None,
    of_each: int = CELLS_OF_EACH,
    orientations: Sequence[int] = range(8),
    seed: int = 0,
    progress: Progress = SILENT,
) -> Pairs:
    """Nearly all pairs with a cosine of at least `least`, each in its best orientation.

    Args:
        pictures: n of them.
        least: cosine.
        most: candidates of one picture; None: `neighbours`.
        cells: how many; by default one for 128 pictures.
        of_each: cells that every picture is in.
        orientations: numbers of `ORIENTATIONS` that the second picture is looked at in.
        seed: of the drawing of cells.
        progress: called with (pictures done, pictures in all).
    """
    count = len(pictures)
    numbers = np.array(orientations, np.int64)
    cells = min(count, cells or max(1, count // PICTURES_PER_CELL))
    of_each = min(of_each, cells)
    centres = pictures[np.sort(np.random.default_rng(seed).choice(count, cells, replace=False))]
    best = _BestPairs(count, least, most or neighbours(count))
    buffer = _buffer()
    homes = np.empty((count, of_each), np.int32)
    with threadpool_limits(1, user_api="blas"):
        turned_centres = _turned(centres, orientations)
        for start in range(0, count, ROWS):
            values = pictures.values[start : start + ROWS]
            likeness = np.concatenate(
                [
                    _cosines(values, turned_centres[:, begin : begin + COLUMNS], buffer).max(axis=0)
                    for begin in range(0, cells, COLUMNS)
                ],
                axis=1,
            )
            homes[start : start + ROWS] = np.argpartition(likeness, -of_each, axis=1)[:, -of_each:]
            progress(min(start + ROWS, count) // 2, count)
        order = np.argsort(homes.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(homes.ravel(), minlength=cells))
        for number, members in enumerate(np.split(order // of_each, ends[:-1])):
            in_cell = pictures[members]
            for begin in range(0, len(members), COLUMNS):
                turned = _turned(in_cell[begin : begin + COLUMNS], orientations)
                for start in range(0, begin + turned.shape[1], ROWS):
                    floors = (best.floor[members[start : start + ROWS]], best.floor[members[begin : begin + COLUMNS]])
                    met = _compare_blocks(in_cell.values[start : start + ROWS], turned, floors, buffer)
                    first, second = met.first + start, met.second + begin
                    upper = first < second
                    best.add(Pairs(members[first], members[second], numbers[met.orientation], met.score)[upper])
            progress(count // 2 + (number + 1) * (count - count // 2) // cells, count)
    return best.chosen()


def rescore_other_orientations(pictures: Descriptors, pairs: Pairs) -> Pairs:
    """The same pairs in other orientations that are almost as good as the best one."""
    rescored = []
    alike = pairs[np.flatnonzero(pairs.score >= LEAST_TURNED)]
    for orientation in range(8):
        turned = pictures.turned(orientation).values
        rows = np.flatnonzero(alike.orientation != orientation)
        for start in range(0, len(rows), PAIRS_AT_ONCE):
            block = alike[rows[start : start + PAIRS_AT_ONCE]]
            cosine = np.einsum("nd,nd->n", pictures.values[block.first], turned[block.second])
            almost = np.flatnonzero(cosine >= np.maximum(LEAST_TURNED, block.score - ALMOST))
            orientations = np.full(len(almost), orientation)
            rescored.append(Pairs(block.first[almost], block.second[almost], orientations, cosine[almost]))
    return concatenate(rescored)


def _buffer() -> Cosines:
    return np.empty((8, ROWS * COLUMNS), np.float32)


def _turned(pictures: Descriptors, orientations: Sequence[int] = range(8)) -> NDArray[np.float32]:
    """float32 (o, n, d), in each of the orientations."""
    return np.stack([pictures.turned(orientation).values for orientation in orientations])


def _cosines(values: NDArray[np.float32], turned: NDArray[np.float32], buffer: Cosines) -> Cosines:
    """Cosines of two blocks, float32 (o, n, m), the second in o orientations; overwritten by the next call."""
    shape = (len(values), turned.shape[1])
    products = buffer[: len(turned), : shape[0] * shape[1]].reshape(len(turned), *shape)
    for orientation, others in enumerate(turned):
        np.matmul(values, others.T, out=products[orientation])
    return products


def _compare_blocks(
    values: NDArray[np.float32], turned: NDArray[np.float32], floors: tuple[Cosines, Cosines], buffer: Cosines
) -> Pairs:
    """Pairs of places in both blocks with at least the cosine that one of the two pictures asks for."""
    products = _cosines(values, turned, buffer)
    best = products.max(axis=0)
    hits = np.flatnonzero(best >= np.minimum(floors[0][:, None], floors[1]))
    rows, columns = np.divmod(hits, turned.shape[1])
    return Pairs(rows, columns, products[:, rows, columns].argmax(axis=0), best[rows, columns])


def _bounding(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Some dimensions of vectors (..., d) and the length of the rest: no product of these is less than the cosine."""
    rest = np.linalg.norm(values[..., BOUNDING:], axis=-1, keepdims=True) * np.float32(1 + 1e-6)
    return np.concatenate([values[..., :BOUNDING], rest], axis=-1)


def _exactly(
    pairs: Pairs, values: NDArray[np.float32], turned: NDArray[np.float32], floors: tuple[Cosines, Cosines]
) -> Pairs:
    """Those of the pairs, met by a bound of their cosine, that have the cosine itself."""
    exact = []
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        block = pairs[np.arange(start, min(start + PAIRS_AT_ONCE, len(pairs)))]
        cosines = np.einsum("nd,ond->on", values[block.first], turned[:, block.second])
        exact.append(Pairs(block.first, block.second, cosines.argmax(axis=0), cosines.max(axis=0)))
    met = concatenate(exact)
    return met[met.score >= np.minimum(floors[0][met.first], floors[1][met.second])]


class _BestPairs:
    """Pairs as they are met; now and then only the best are kept, so that many copies of one picture fill no memory."""

    def __init__(self, count: int, least: float, most: int) -> None:
        self.count = count
        self.most = most
        # The cosine that a pair must have for each picture: once it has its pairs, that of the last of them. Where
        # everything resembles everything, half of all pairs would be gathered and sorted otherwise.
        self.floor = np.full(count, least, np.float32)
        self._kept: list[Pairs] = []
        self._waiting = 0

    def add(self, met: Pairs) -> None:
        if len(met):
            self._kept.append(met)
            self._waiting += len(met)
        if self._waiting > MOST_WAITING:
            best = self.chosen()
            self._kept, self._waiting = [best], 0
            ends, cosines, order = _by_picture(best)
            of_each = np.bincount(ends, minlength=self.count)
            full = np.flatnonzero(of_each >= self.most)
            last = np.cumsum(of_each)[full] - of_each[full] + self.most - 1
            self.floor[full] = np.maximum(self.floor[full], cosines[order[last]])

    def chosen(self) -> Pairs:
        return nearest(concatenate(self._kept), self.count, self.most)


def neighbours(count: int) -> int:
    """How many candidates of one picture are kept among so many pictures."""
    least, most = NEIGHBOURS
    return max(least, min(most, ALL_NEIGHBOURS // max(count, 1)))


def best_of(parts: list[Pairs], count: int) -> Pairs:
    """Of each pair what is most alike, and of each picture the best pairs; of `count` pictures."""
    return nearest(concatenate(parts), count, neighbours(count))


def nearest(pairs: Pairs, count: int, most: int) -> Pairs:
    """Of each pair what is most alike, and of each of `count` pictures the best `most` pairs."""
    pairs = pairs[best_of_each(pairs.keys(count), pairs.score)]
    return pairs[_rank(pairs) < most]


def best_of_each(keys: NDArray[np.int64], scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Where each key, 0 or more, has its largest score; of equals the first one. In the order of the keys."""
    order = np.lexsort((-scores, keys))
    return np.asarray(order[np.flatnonzero(np.diff(keys[order], prepend=-1))], np.int64)


def _by_picture(pairs: Pairs) -> tuple[NDArray[np.int64], Cosines, NDArray[np.int64]]:
    """Both pictures of each pair, their cosines, and the order by picture, its most alike first."""
    ends, cosines = np.concatenate([pairs.first, pairs.second]), np.concatenate([pairs.score, pairs.score])
    return ends, cosines, np.lexsort((-cosines, ends))


def _rank(pairs: Pairs) -> NDArray[np.int64]:
    """Place of each pair among those of either of its pictures, the better of the two."""
    ends, _, order = _by_picture(pairs)
    sorted_ends = ends[order]
    starts = np.flatnonzero(np.diff(sorted_ends, prepend=-1))
    place = np.arange(len(ends)) - np.repeat(starts, np.diff(np.append(starts, len(ends))))
    ranks = np.empty(len(ends), np.int64)
    ranks[order] = place
    return np.minimum(ranks[: len(pairs)], ranks[len(pairs) :])
