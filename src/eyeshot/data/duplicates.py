"""Duplicate images: equal bytes, equal pixels, and pictures that were flipped, turned or re-encoded.

Pictures are compared as thumbnails of 16 × 16 pixels in all 8 orientations. Candidate pairs are found by numbers that
flips and quarter turns do not change: the colour means and, from a cosine transform, the larger and the smaller
magnitude of each pair of coefficients that a turn swaps (flips only change signs). Two pictures are never farther
apart in these numbers than as thumbnails, so no near pair is missed.
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
# A flip or quarter turn changes a picture of 64 pixels by rounding alone.
MOST_ROUNDING = 2  # levels
# Measured on PACS photographs (n = 1,670) and drawings (3,929) at 64 and 224 px: encoding again at JPEG
# quality 75, mirroring, turning and halving the size change a thumbnail by at most 2.9 levels and 0.18 of its
# contrast; the nearest two different pictures are 5.8 levels and 0.16 of the contrast apart.
MOST_LEVELS = 4.0
MOST_OF_CONTRAST = 0.18
LEAST_CONTRAST = 2.0  # levels; flat pictures all look alike and are duplicates only if their pixels are equal
NEIGHBOURS = 16
FEWEST_OF_A_SCENE = 9  # more than a picture in 8 orientations
BLOCK = 2048
SIDE = 64  # pixels; enough, because pictures are compared as much smaller thumbnails


def copy_groups(table: ImageTable, pixels: Pixels | None = None, *, exact: bool = False) -> Rows:
    """Group images that are duplicates of each other.

    Args:
        table: all images; equal bytes are found among all of them.
        pixels: decoded images of the table; equal and near-equal pictures are found among these, also if they were
            flipped, turned by quarters, resized or re-encoded, but not if they were cropped.
        exact: only pictures whose pixels are equal in one of the 8 orientations. What may leave images out needs this,
            because pictures of one scene that differ in a small place are near-equal too.

    Returns:
        int64 (N,): the first row of each image's group; an image without duplicates has its own row.
    """
    _, codes = np.unique(np.array(table.contents, dtype=str), return_inverse=True)
    pairs = [_chain(codes, np.arange(len(table), dtype=np.int64))]
    if pixels is not None and len(pixels) > 1:
        equal, near = _picture_pairs(pixels.images, exact=exact)
        equal, near = pixels.rows[equal], pixels.rows[near]
        groups = _first_of_group(len(table), np.concatenate([*pairs, equal, near]))
        # Pictures of one scene or form differ by no more than duplicates do; no split could be made of such a group.
        identical = _first_of_group(len(table), np.concatenate([*pairs, equal]))
        labels = table.labels if "label" in table.frame.columns else np.full(len(table), -1, np.int64)
        scenes = _most_of_a_class(groups, identical, labels)
        pairs += [equal, near[~np.isin(groups[near[:, 0]], scenes)]]
    return _first_of_group(len(table), np.concatenate(pairs))


def _most_of_a_class(groups: Rows, identical: Rows, labels: Rows) -> Rows:
    """Groups of at least `FEWEST_OF_A_SCENE` different pictures with half of a class or more."""
    found = []
    _, first = np.unique(identical, return_index=True)  # a picture counts once, however many files it has
    for group in np.flatnonzero(np.bincount(groups[first]) >= FEWEST_OF_A_SCENE):
        own = labels[first][groups[first] == group]
        sizes = [(own == label).sum() / (labels[first] == label).sum() for label in np.unique(own[own >= 0])]
        if any(share >= 0.5 for share in sizes):
            found.append(group)
    return np.array(found, np.int64)


def _picture_pairs(images: PixelRows, *, exact: bool) -> tuple[Pairs, Pairs]:
    """Pairs (m, 2) of positions in `images` with equal pixels, and of those that show nearly the same picture."""
    hashes, thumbnails = _read(images)
    equal = _chain(hashes, np.arange(len(hashes), dtype=np.int64))
    # Of equal pictures only the first is searched, so a thousand of them do not make a million pairs.
    _, first = np.unique(hashes, return_index=True)
    contrast = thumbnails.mean(axis=3).reshape(len(thumbnails), -1).std(axis=1)
    searched = first[contrast[first] >= LEAST_CONTRAST]
    if len(searched) < 2:
        return equal, np.empty((0, 2), np.int64)
    near = _near_pairs(_invariants(thumbnails[searched]))
    most_levels = MOST_ROUNDING if exact else MOST_LEVELS
    allowed = np.minimum(most_levels, MOST_OF_CONTRAST * contrast[searched])
    near_pairs = [pairs[_differences(thumbnails[searched], pairs) <= allowed[pairs].min(axis=1)] for pairs in near]
    found = np.concatenate([np.empty((0, 2), np.int64), *(searched[pairs] for pairs in near_pairs)])
    if exact:
        found = found[[_equal_when_turned(images, first, second) for first, second in found.tolist()]]
    return equal, found


def _equal_when_turned(images: PixelRows, first: int, second: int) -> bool:
    image, other_image = (images[row : row + 1][0].astype(np.int16) for row in (first, second))
    return any(
        np.abs(image - view).max() <= MOST_ROUNDING
        for turns in range(4)
        for turned in (np.rot90(other_image, turns),)
        for view in (turned, turned[:, ::-1])
    )


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
    """Numbers (n, 18) that flips and quarter turns do not change, in levels of the thumbnail's rms."""
    from scipy.fft import dct  # here and below: scipy is slow to import, and reading image tables does not need it

    values = thumbnails.astype(np.float64)
    means = values.mean(axis=(1, 2)) / np.sqrt(3.0)
    basis = dct(np.eye(THUMBNAIL), axis=0, norm="ortho")[:FREQUENCIES]
    waves = np.abs(basis @ values.mean(axis=3) @ basis.T) / THUMBNAIL
    rows, columns = np.triu_indices(FREQUENCIES, k=1)
    upper, lower = waves[:, rows, columns], waves[:, columns, rows]
    diagonal = waves[:, range(1, FREQUENCIES), range(1, FREQUENCIES)]
    return np.hstack([means, np.maximum(upper, lower), np.minimum(upper, lower), diagonal])


def _near_pairs(points: NDArray[np.float64]) -> Iterator[Pairs]:
    """Pairs of points within `MOST_LEVELS`, at most `NEIGHBOURS` for each point, block by block."""
    from scipy.spatial import cKDTree

    tree = cKDTree(points)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        _, nearest = tree.query(block, k=min(NEIGHBOURS + 1, len(points)), distance_upper_bound=MOST_LEVELS + 1e-6)
        neighbours = np.asarray(nearest, dtype=np.int64)
        own = np.broadcast_to(np.arange(start, start + len(block))[:, None], neighbours.shape)
        real = (neighbours < len(points)) & (neighbours != own)
        yield np.column_stack([own[real], neighbours[real]])


def _differences(thumbnails: NDArray[np.uint8], pairs: Pairs) -> NDArray[np.float64]:
    """Root mean square difference, in levels, of each pair in its best of 8 orientations."""
    least = np.full(len(pairs), np.inf)
    for start in range(0, len(pairs), BLOCK):
        block = slice(start, start + BLOCK)
        first = thumbnails[pairs[block, 0]].astype(np.float32)
        second = thumbnails[pairs[block, 1]].astype(np.float32)
        for turns in range(4):
            turned = np.rot90(second, turns, axes=(1, 2))
            for view in (turned, turned[:, :, ::-1]):
                rms = np.sqrt(np.square(first - view).mean(axis=(1, 2, 3)))
                least[block] = np.minimum(least[block], rms)
    return least


def _chain(codes: NDArray[np.generic], positions: Rows) -> Pairs:
    """Pairs that link each position to the next position with the same code."""
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
    table: ImageTable, *, cache: Path, exact: bool = False, workers: int | None = None, progress: Progress = SILENT
) -> tuple[Rows, Pixels]:
    """Duplicates by equal bytes, equal pixels, flips, quarter turns and, unless `exact`, resizing and re-encoding.

    Returns:
        int64 (N,), the first row of each image's group, and the decoded images, 64 pixels a side.
    """
    pixels = load_small(table, cache=cache, workers=workers, progress=progress)
    return copy_groups(table, pixels, exact=exact), pixels


def find_duplicate_groups(
    table: ImageTable,
    decisions: Decisions,
    *,
    cache: Path,
    more: Iterable[Sequence[str]] = (),
    exact: bool = False,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> tuple[Rows, Pixels]:
    """The groups of `find_groups`, corrected by decisions: see `merge_copy_groups`."""
    groups, pixels = find_groups(table, cache=cache, exact=exact, workers=workers, progress=progress)
    return merge_copy_groups(table, groups, decisions, more=more), pixels


def merge_copy_groups(
    table: ImageTable, groups: Rows, decisions: Decisions, *, more: Iterable[Sequence[str]] = ()
) -> Rows:
    """Correct duplicate groups by decisions: images that belong together, and images that are not duplicates.

    In a group every image is a duplicate of every other. Of two decisions about a pair the later wins. Two images that
    are declared not duplicates may still share a group through a third image that is a duplicate of both.

    Args:
        table: N images.
        groups: int64 (N,), equal for duplicates.
        decisions: active decisions of kind "group" and "not-copy" are used.
        more: additional groups, as content keys; images that are not in the table are ignored.

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
    # If `groups` does not come from `copy_groups`, identical files may be in two groups.
    for row, content in enumerate(contents):
        if groups[row] != groups[first[content]]:
            together.append([content, *cliques[int(groups[row])]])
    # Stored per content and not per pair, because a decision may group thousands of images.
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
    linked_to = list(range(len(table)))  # each row links to an earlier row of its set, or to itself

    def join(row: int, other_row: int) -> None:
        low, high = sorted((_first_linked(linked_to, row), _first_linked(linked_to, other_row)))
        linked_to[high] = low

    for row, content in enumerate(contents):
        join(row, first[content])
    for clique in together:
        members = [content for content in clique if content in first]
        there = set(members)
        if not any(apart[content] & there for content in there & apart.keys()):
            for content in members[1:]:
                join(first[members[0]], first[content])
            continue
        for content_a, content_b in combinations(members, 2):
            if content_b not in apart.get(content_a, ()):
                join(first[content_a], first[content_b])
    return np.array([_first_linked(linked_to, row) for row in range(len(table))], dtype=np.int64)


def _first_linked(linked_to: list[int], row: int) -> int:
    """The first row of the set of a row (Galler and Fischer 1964); `linked_to` is shortened on the way."""
    while linked_to[row] != row:
        linked_to[row] = linked_to[linked_to[row]]
        row = linked_to[row]
    return row
