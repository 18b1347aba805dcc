"""Which pictures may be copies of each other: descriptors compared in all 8 orientations.

Up to `EXACT_UP_TO` pictures every pair is compared. Beyond, pairs that meet in a cell are: cells lie around pictures
drawn at random, whatever their orientation, and every picture is in the few cells that it is most like. A copy shares
one of them with its original nearly always, two different pictures seldom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from eyeshot.auditing.describing import Descriptors
from eyeshot.core import SILENT, Progress

EXACT_UP_TO = 100_000
ROWS, COLUMNS = 256, 512  # of a block: its buffers stay in the processor's cache
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
PICTURES_PER_CELL = 128
CELLS_OF_EACH = 16

Cosines = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of pictures that may be copies.

    Attributes:
        first, second: int64 (m,), positions.
        orientation: int64 (m,), what turns the second one into the first, a number of `ORIENTATIONS`.
        cosine: float32 (m,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    orientation: NDArray[np.int64]
    cosine: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: NDArray[np.generic]) -> Candidates:
        return Candidates(self.first[rows], self.second[rows], self.orientation[rows], self.cosine[rows])


def search(pictures: Descriptors, *, least: float, progress: Progress = SILENT) -> Candidates:
    """Pairs with a cosine of at least `least`, each in its best orientation; all of them up to `EXACT_UP_TO`."""
    if len(pictures) <= EXACT_UP_TO:
        return search_exact(pictures, least=least, progress=progress)
    return search_cells(pictures, least=least, progress=progress)


def search_exact(
    pictures: Descriptors, seen: Descriptors | None = None, *, least: float, progress: Progress = SILENT
) -> Candidates:
    """All pairs with a cosine of at least `least`, each in its best orientation.

    Args:
        pictures: n of them, as they are.
        seen: the same pictures, seen in part, so that it matters which one of two is seen so; the pair is then told
            as (whole, seen in part). None: as they are.
        least: cosine.
        progress: called with (pictures done, pictures in all).
    """
    found = _Found(len(pictures), least)
    block = _Block()
    other = pictures if seen is None else seen
    with threadpool_limits(1, user_api="blas"):
        for start in range(0, len(pictures), ROWS):
            # Seen as they are, or turned: one half of the pairs is enough.
            for begin in range(0 if seen is not None else start, len(pictures), COLUMNS):
                floors = (found.floor[start : start + ROWS], found.floor[begin : begin + COLUMNS])
                met = block.pairs(pictures[start : start + ROWS], other[begin : begin + COLUMNS], floors)
                one, two = met.first + start, met.second + begin
                kept = (one < two) if seen is None else (one != two)
                found.add(Candidates(one, two, met.orientation, met.cosine)[kept])
            progress(min(start + ROWS, len(pictures)), len(pictures))
    return found.best()


def search_cells(
    pictures: Descriptors,
    *,
    least: float,
    cells: int | None = None,
    of_each: int = CELLS_OF_EACH,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Candidates:
    """Nearly all pairs with a cosine of at least `least`, each in its best orientation.

    Args:
        pictures: n of them.
        least: cosine.
        cells: how many; by default one for 128 pictures.
        of_each: cells that every picture is in.
        seed: of the drawing of cells.
        progress: called with (pictures done, pictures in all).
    """
    count = len(pictures)
    cells = min(count, cells or max(1, count // PICTURES_PER_CELL))
    of_each = min(of_each, cells)
    centres = pictures[np.sort(np.random.default_rng(seed).choice(count, cells, replace=False))]
    found = _Found(count, least)
    block = _Block()
    homes = np.empty((count, of_each), np.int32)
    with threadpool_limits(1, user_api="blas"):
        for start in range(0, count, ROWS):
            some = pictures[start : start + ROWS]
            likeness = np.concatenate(
                [block.best(some, centres[begin : begin + COLUMNS]).copy() for begin in range(0, cells, COLUMNS)],
                axis=1,
            )
            homes[start : start + ROWS] = np.argpartition(likeness, -of_each, axis=1)[:, -of_each:]
            progress(min(start + ROWS, count) // 2, count)
        order = np.argsort(homes.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(homes.ravel(), minlength=cells))
        for number, members in enumerate(np.split(order // of_each, ends[:-1])):
            own = pictures[members]
            for start in range(0, len(own), ROWS):
                for begin in range(start, len(own), COLUMNS):
                    rows, columns = slice(start, start + ROWS), slice(begin, begin + COLUMNS)
                    floors = (found.floor[members[rows]], found.floor[members[columns]])
                    met = block.pairs(own[rows], own[columns], floors)
                    one, two = met.first + start, met.second + begin
                    upper = one < two
                    both = members[one[upper]], members[two[upper]]
                    found.add(Candidates(*both, met.orientation[upper], met.cosine[upper]))
            progress(count // 2 + (number + 1) * (count - count // 2) // cells, count)
    return found.best()


def turned_otherwise(pictures: Descriptors, found: Candidates) -> Candidates:
    """The same pairs in other orientations that are almost as good as the best one."""
    turned = [Candidates(*(np.empty(0, np.int64),) * 3, np.empty(0, np.float32))]
    alike = found[np.flatnonzero(found.cosine >= LEAST_TURNED)]
    for turn in range(8):
        others = pictures.turned(turn).values
        rows = np.flatnonzero(alike.orientation != turn)
        for start in range(0, len(rows), PAIRS_AT_ONCE):
            some = alike[rows[start : start + PAIRS_AT_ONCE]]
            cosine = np.einsum("nd,nd->n", pictures.values[some.first], others[some.second])
            almost = np.flatnonzero(cosine >= np.maximum(LEAST_TURNED, some.cosine - ALMOST))
            one, other = some.first[almost], some.second[almost]
            turned.append(Candidates(one, other, np.full(len(almost), turn), cosine[almost]))
    return joined(turned)


def joined(parts: list[Candidates]) -> Candidates:
    """All of them, one after the other."""
    return Candidates(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("first", "second", "orientation", "cosine")
        )
    )


class _Block:
    """Cosines between two blocks of pictures, in all 8 orientations of the second, from 8 products of parts.

    Orientations come in pairs that differ by half a turn: it changes the sign of what the two parts that swap give,
    `swing`, and nothing else, `base`. So the better of the two has the cosine `base` + |`swing`|.
    """

    AHEAD = np.array([0, 4, 1, 5])  # orientations with `base` + `swing`
    BACK = np.array([2, 6, 3, 7])  # and those with `base` - `swing`

    def __init__(self) -> None:
        self._buffers = np.empty((10, ROWS * COLUMNS), np.float32)

    def best(self, one: Descriptors, other: Descriptors) -> NDArray[np.float32]:
        """The best cosine of each pair, float32 (n, m), overwritten by the next call; n and m at most a block."""
        shape = (len(one), len(other))
        *products, spare, best = (line[: shape[0] * shape[1]].reshape(shape) for line in self._buffers)
        first, second = one.parts(), other.parts()
        pairs = ((0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (4, 5), (5, 4))
        for (a, b), product in zip(pairs, products, strict=True):
            np.matmul(first[a], second[b].T, out=product)
        even, even_swap, odd, odd_swap, along, across, there, back = products
        even, even_swap, spare = _sum_and_difference(even, even_swap, spare)  # with axes kept, with axes swapped
        odd, odd_swap, spare = _sum_and_difference(odd, odd_swap, spare)
        even, odd, spare = _sum_and_difference(even, odd, spare)  # as it is, mirrored
        even_swap, odd_swap, spare = _sum_and_difference(even_swap, odd_swap, spare)  # mirrored and turned, turned
        across, along, spare = _sum_and_difference(across, along, spare)
        there, back, spare = _sum_and_difference(there, back, spare)
        self._bases = (even, odd, odd_swap, even_swap)
        self._swings = (across, along, back, there)
        best.fill(-np.inf)
        for base, swing in zip(self._bases, self._swings, strict=True):
            np.abs(swing, out=spare)
            np.add(spare, base, out=spare)
            np.maximum(best, spare, out=best)
        return best

    def pairs(self, one: Descriptors, other: Descriptors, floors: tuple[Cosines, Cosines]) -> Candidates:
        """Pairs of places in both blocks with at least the cosine that one of the two pictures asks for."""
        best = self.best(one, other)
        hits = np.flatnonzero(best >= np.minimum(floors[0][:, None], floors[1]))
        swings = np.stack([swing.ravel()[hits] for swing in self._swings])
        cosines = np.abs(swings) + np.stack([base.ravel()[hits] for base in self._bases])
        line = cosines.argmax(axis=0)
        ahead = np.take_along_axis(swings, line[None], axis=0)[0] >= 0
        rows, columns = np.divmod(hits, len(other))
        return Candidates(rows, columns, np.where(ahead, self.AHEAD[line], self.BACK[line]), best.ravel()[hits])


def _sum_and_difference(one: Cosines, other: Cosines, spare: Cosines) -> tuple[Cosines, Cosines, Cosines]:
    """Sum and difference, in the places of `one` and `spare`, and what is spare now."""
    np.subtract(one, other, out=spare)
    np.add(one, other, out=one)
    return one, spare, other


class _Found:
    """Pairs as they are met; now and then only the best are kept, so that many copies of one picture fill no memory."""

    def __init__(self, count: int, least: float) -> None:
        self.count = count
        # The cosine that a pair must have for each picture: once it has its pairs, that of the last of them. Where
        # everything resembles everything, half of all pairs would be gathered and sorted otherwise.
        self.floor = np.full(count, least, np.float32)
        self._kept: list[Candidates] = []
        self._waiting = 0

    def add(self, met: Candidates) -> None:
        if len(met):
            self._kept.append(met)
            self._waiting += len(met)
        if self._waiting > MOST_WAITING:
            best = self.best()
            self._kept, self._waiting = [best], 0
            ends, cosines, order = _by_picture(best.first, best.second, best.cosine)
            of_each = np.bincount(ends, minlength=self.count)
            full = np.flatnonzero(of_each >= neighbours(self.count))
            last = np.cumsum(of_each)[full] - of_each[full] + neighbours(self.count) - 1
            self.floor[full] = np.maximum(self.floor[full], cosines[order[last]])

    def best(self) -> Candidates:
        return best_of(self._kept, self.count)


def neighbours(count: int) -> int:
    """How many candidates of one picture are kept among so many pictures."""
    least, most = NEIGHBOURS
    return max(least, min(most, ALL_NEIGHBOURS // max(count, 1)))


def best_of(parts: list[Candidates], count: int) -> Candidates:
    """Of each pair what is most alike, and of each picture the best pairs; of `count` pictures."""
    if not any(map(len, parts)):
        empty = np.empty(0, np.int64)
        return Candidates(empty, empty, empty, np.empty(0, np.float32))
    met = joined(parts)
    one, two = met.first.astype(np.int64), met.second.astype(np.int64)
    keys = np.minimum(one, two) * count + np.maximum(one, two)
    whole = Candidates(one, two, met.orientation.astype(np.int64), met.cosine)[best_of_each(keys, met.cosine)]
    return whole[_rank(whole.first, whole.second, whole.cosine) < neighbours(count)]


def best_of_each(keys: NDArray[np.int64], scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Where each key, 0 or more, has its largest score; of equals the first one. In the order of the keys."""
    order = np.lexsort((-scores, keys))
    return np.asarray(order[np.flatnonzero(np.diff(keys[order], prepend=-1))], np.int64)


def _by_picture(
    one: NDArray[np.int64], two: NDArray[np.int64], cosine: Cosines
) -> tuple[NDArray[np.int64], Cosines, NDArray[np.int64]]:
    """Both pictures of each pair, their cosines, and the order by picture, its most alike first."""
    ends, both = np.concatenate([one, two]), np.concatenate([cosine, cosine])
    return ends, both, np.lexsort((-both, ends))


def _rank(one: NDArray[np.int64], two: NDArray[np.int64], cosine: NDArray[np.float32]) -> NDArray[np.int64]:
    """Place of each pair among those of either of its pictures, the better of the two."""
    ends, _, order = _by_picture(one, two, cosine)
    sorted_ends = ends[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_ends[1:] != sorted_ends[:-1]]))
    place = np.arange(len(ends)) - np.repeat(starts, np.diff(np.concatenate([starts, [len(ends)]])))
    ranks = np.empty(len(ends), np.int64)
    ranks[order] = place
    return np.minimum(ranks[: len(one)], ranks[len(one) :])
