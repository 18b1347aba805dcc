"""Copies among images: equal bytes, equal pixels, and one picture flipped, turned or encoded again.

Pictures are compared as thumbnails of 16 × 16 pixels, in all 8 orientations. Which pairs to compare is told
by numbers that no flip or quarter turn changes: the means of the colours and, of a cosine transform, where
flips change only signs and turns swap the axes, the larger and the smaller magnitude of each swapped pair.
Two pictures are never farther apart in these numbers than as thumbnails, so no near pair is missed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray
from PIL import Image

from eyeshot.core import SILENT, Progress
from eyeshot.data.decisions import Decisions
from eyeshot.data.decoding import Geometry
from eyeshot.data.pixel_store import PixelRows, Pixels, PixelStore
from eyeshot.data.table import ImageTable

Rows = NDArray[np.int64]
Pairs = NDArray[np.int64]

THUMBNAIL = 16
FREQUENCIES = 4
# Measured on PACS photographs (n = 1,670) and drawings (3,929) at 64 and 224 px: encoding again at JPEG
# quality 75, mirroring, turning and halving the size move a thumbnail by at most 2.9 levels and 0.18 of its
# contrast; the nearest two different pictures are 5.8 levels and 0.16 of the contrast apart.
MOST_LEVELS = 4.0
MOST_OF_CONTRAST = 0.18
LEAST_CONTRAST = 2.0  # levels; one-colour pictures look alike and are no copies unless their pixels are equal
NEIGHBOURS = 16
BLOCK = 2048
SIDE = 64  # pixels; copies are compared as much smaller thumbnails


def copy_groups(table: ImageTable, pixels: Pixels | None = None) -> Rows:
    """Which images are copies of each other.

    Args:
        table: all images; equal bytes are found over all of them.
        pixels: decoded images of the table; equal and near-equal pictures are found among these, also
            flipped, turned by quarters, resized and encoded again, but not cropped.

    Returns:
        int64 (N,): the first row of each image's group, so images without copies have their own row.
    """
    _, codes = np.unique(np.array(table.contents, dtype=str), return_inverse=True)
    pairs = [_chain(codes, np.arange(len(table), dtype=np.int64))]
    if pixels is not None and len(pixels) > 1:
        pairs.append(pixels.rows[_picture_pairs(pixels.images)])
    return _first_of_group(len(table), np.concatenate(pairs))


def _picture_pairs(images: PixelRows) -> Pairs:
    """Pairs (m, 2) of positions in `images` that hold the same picture."""
    hashes, thumbnails = _read(images)
    equal = _chain(hashes, np.arange(len(hashes), dtype=np.int64))
    # Of equal pictures one is enough for the search, so that a thousand of them are no million pairs.
    _, first = np.unique(hashes, return_index=True)
    contrast = thumbnails.mean(axis=3).reshape(len(thumbnails), -1).std(axis=1)
    seen = first[contrast[first] >= LEAST_CONTRAST]
    if len(seen) < 2:
        return equal
    near = _near_pairs(_invariants(thumbnails[seen]))
    allowed = np.minimum(MOST_LEVELS, MOST_OF_CONTRAST * contrast[seen])
    kept = [pairs[_differences(thumbnails[seen], pairs) <= allowed[pairs].min(axis=1)] for pairs in near]
    return np.concatenate([equal, *(seen[pairs] for pairs in kept)])


def _read(images: PixelRows) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Hash of the pixels, and thumbnail (n, 16, 16, 3), of every image."""
    count = len(images)
    hashes = np.empty(count, dtype=np.uint64)
    thumbnails = np.empty((count, THUMBNAIL, THUMBNAIL, 3), dtype=np.uint8)
    for start in range(0, count, BLOCK):
        block = np.ascontiguousarray(images[start : start + BLOCK])
        for position, image in enumerate(block, start):
            hashes[position] = xxhash.xxh3_64_intdigest(image)
            small = Image.fromarray(image).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
            thumbnails[position] = np.asarray(small)
    return hashes, thumbnails


def _invariants(thumbnails: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Numbers (n, 18) that flips and quarter turns leave as they are, in levels of the thumbnail's rms."""
    from scipy.fft import dct  # here and below: `eyeshot audit` reads tables of images without needing any of it

    values = thumbnails.astype(np.float64)
    means = values.mean(axis=(1, 2)) / np.sqrt(3.0)
    basis = dct(np.eye(THUMBNAIL), axis=0, norm="ortho")[:FREQUENCIES]
    waves = np.abs(basis @ values.mean(axis=3) @ basis.T) / THUMBNAIL
    rows, columns = np.triu_indices(FREQUENCIES, k=1)
    one, other = waves[:, rows, columns], waves[:, columns, rows]
    diagonal = waves[:, range(1, FREQUENCIES), range(1, FREQUENCIES)]
    return np.hstack([means, np.maximum(one, other), np.minimum(one, other), diagonal])


def _near_pairs(points: NDArray[np.float64]) -> Iterator[Pairs]:
    """Pairs of points within `MOST_LEVELS`, at most `NEIGHBOURS` for each point, block by block."""
    from scipy.spatial import cKDTree

    tree = cKDTree(points)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        _, found = tree.query(block, k=min(NEIGHBOURS + 1, len(points)), distance_upper_bound=MOST_LEVELS + 1e-6)
        others = np.asarray(found, dtype=np.int64)
        own = np.broadcast_to(np.arange(start, start + len(block))[:, None], others.shape)
        real = (others < len(points)) & (others != own)
        yield np.column_stack([own[real], others[real]])


def _differences(thumbnails: NDArray[np.uint8], pairs: Pairs) -> NDArray[np.float64]:
    """Root mean square difference, in levels, of each pair in its best of 8 orientations."""
    least = np.full(len(pairs), np.inf)
    for start in range(0, len(pairs), BLOCK):
        some = slice(start, start + BLOCK)
        one = thumbnails[pairs[some, 0]].astype(np.float32)
        other = thumbnails[pairs[some, 1]].astype(np.float32)
        for turns in range(4):
            turned = np.rot90(other, turns, axes=(1, 2))
            for view in (turned, turned[:, :, ::-1]):
                rms = np.sqrt(np.square(one - view).mean(axis=(1, 2, 3)))
                least[some] = np.minimum(least[some], rms)
    return least


def _chain(codes: NDArray[np.generic], positions: Rows) -> Pairs:
    """Pairs that link each position to the next one with the same code."""
    order = np.argsort(codes, kind="stable")
    same = codes[order][1:] == codes[order][:-1]
    return np.column_stack([positions[order][:-1][same], positions[order][1:][same]]).reshape(-1, 2)


def _first_of_group(count: int, pairs: Pairs) -> Rows:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, component = connected_components(links, directed=False)
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def load_small(table: ImageTable, *, cache: Path, workers: int | None = None, progress: Progress = SILENT) -> Pixels:
    """The images of a table, 64 pixels a side: decoded once, then read from the cache."""
    store = PixelStore(cache, Geometry(SIDE))
    return store.load(table, np.arange(len(table)), workers=workers, progress=progress)


def find_groups(
    table: ImageTable, *, cache: Path, workers: int | None = None, progress: Progress = SILENT
) -> tuple[Rows, Pixels]:
    """Copies by equal bytes, equal pixels, flips, quarter turns, resizing and encoding again.

    Returns:
        int64 (N,), the first row of each image's group, and the decoded images, 64 pixels a side.
    """
    pixels = load_small(table, cache=cache, workers=workers, progress=progress)
    return copy_groups(table, pixels), pixels


def find_duplicate_groups(
    table: ImageTable,
    decisions: Decisions,
    *,
    cache: Path,
    more: Iterable[Sequence[str]] = (),
    workers: int | None = None,
    progress: Progress = SILENT,
) -> tuple[Rows, Pixels]:
    """The groups of `find_groups` with what people know: see `merge_copy_groups`."""
    groups, pixels = find_groups(table, cache=cache, workers=workers, progress=progress)
    return merge_copy_groups(table, groups, decisions, more=more), pixels


def merge_copy_groups(
    table: ImageTable, groups: Rows, decisions: Decisions, *, more: Iterable[Sequence[str]] = ()
) -> Rows:
    """Copy groups, with what people know: images that belong together, and images that are no copies.

    In a group every image counts as a copy of every other. Of two decisions about a pair the later counts. Where a
    pair is said to be no copies, both may still stay together through a third image that is a copy of both.

    Args:
        table: N images.
        groups: int64 (N,), equal for copies.
        decisions: those that count and are "group" or "not-copy" are used.
        more: further groups, as content keys; images that are not in the table are passed over.

    Returns:
        int64 (N,), the first row of each image's group.
    """
    contents = table.contents
    first: dict[str, int] = {}
    for row, content in enumerate(contents):
        first.setdefault(content, row)
    cliques: dict[int, list[str]] = defaultdict(list)
    for content, row in first.items():
        cliques[int(groups[row])].append(content)
    together = [*cliques.values(), *(list(dict.fromkeys(group)) for group in more)]
    # Equal bytes may lie in two of the groups that were given, where these are not made by `copy_groups`.
    for row, content in enumerate(contents):
        if groups[row] != groups[first[content]]:
            together.append([content, *cliques[int(groups[row])]])
    # Of each content, those that it is no copy of: a group of thousands may be said to belong together.
    apart: dict[str, set[str]] = defaultdict(set)
    for decision in decisions.active:
        own = set(decision.images)
        if decision.kind == "group":
            together.append(sorted(own))
            for content in own & apart.keys():
                apart[content] -= own
        elif decision.kind == "not-copy":
            for content in own:
                apart[content] |= own - {content}
    union = _Union(len(table))
    for row, content in enumerate(contents):
        union.join(row, first[content])
    for clique in together:
        members = [content for content in clique if content in first]
        there = set(members)
        if not any(apart[content] & there for content in there & apart.keys()):
            for content in members[1:]:
                union.join(first[members[0]], first[content])
            continue
        for one_content, other in combinations(members, 2):
            if other not in apart.get(one_content, ()):
                union.join(first[one_content], first[other])
    return np.array([union.first(row) for row in range(len(table))], dtype=np.int64)


class _Union:
    """Sets of rows, each named by its first row (Galler and Fischer 1964)."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def first(self, row: int) -> int:
        above = self._above
        while above[row] != row:
            above[row] = above[above[row]]
            row = above[row]
        return row

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.first(one), self.first(other)))
        self._above[high] = low
