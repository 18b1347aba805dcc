"""Copy groups after decisions: who must stay on one side of a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import SILENT, Progress
from eyeshot.data.decisions import Decisions
from eyeshot.data.duplicates import copy_groups
from eyeshot.data.geometry import Geometry
from eyeshot.data.pixel_store import Pixels, PixelStore
from eyeshot.data.table import ImageTable

Rows = NDArray[np.int64]
SIDE = 64  # pixels; copies are compared as much smaller thumbnails


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
