"""Hold out and sample images by the hash of their content: the same images for the same seed, always."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from eyeshot.core import InputError
from eyeshot.data.duplicates import copy_groups
from eyeshot.data.table import ImageTable

Rows = NDArray[np.int64]
LARGEST_SHARE = 0.9


def hold_out(
    table: ImageTable,
    groups: Rows | None = None,
    *,
    share: float,
    seed: int,
    order: Sequence[float] | None = None,
) -> tuple[Rows, Rows]:
    """Divide a table into training and validation images, by class, copy groups whole.

    Of every class about `share` is held out, and at least one image where the class has two images that are
    no copies. At least one image of every class stays in training.

    Args:
        table: the images.
        groups: int64 (N,), the copy group of each image, of `copy_groups`; None: equal bytes only.
        share: of the images, to hold out; above 0, at most 0.9.
        seed: another seed, other images.
        order: of each image; those with the smallest numbers are held out first. None: a hash of (seed, content).

    Returns:
        Training rows and validation rows, both ascending, int64.

    Raises:
        InputError: the share is out of range, or nothing can be held out.
    """
    if not 0 < share <= LARGEST_SHARE:
        raise InputError(
            f"The share to hold out must be above 0 and at most {LARGEST_SHARE}, got {share}. Use --val-share 0.2."
        )
    labels = table.labels
    members: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(copy_groups(table) if groups is None else groups):
        members[int(group)].append(row)
    order = content_hashes(table.contents, seed) if order is None else order
    # A group's place follows from its first content: copies that come in later rarely move it.
    waiting = sorted(members.values(), key=lambda rows: min(order[row] for row in rows))
    total = dict(zip(*map(np.ndarray.tolist, np.unique(labels, return_counts=True)), strict=True))
    wanted = {label: int(share * count + 0.5) for label, count in total.items()}
    held: dict[int, int] = dict.fromkeys(total, 0)
    validation: list[int] = []

    def take(rows: list[int], *, over: bool) -> bool:
        """Hold the group out if all classes in it have room; `over`: where a class has nothing yet."""
        counts: dict[int, int] = defaultdict(int)
        for row in rows:
            counts[int(labels[row])] += 1
        if any(held[label] + count >= total[label] for label, count in counts.items()):
            return False
        if over and not any(held[label] == 0 for label in counts):
            return False
        if not over and any(held[label] + count > wanted[label] for label, count in counts.items()):
            return False
        for label, count in counts.items():
            held[label] += count
        validation.extend(rows)
        return True

    left = [rows for rows in waiting if not take(rows, over=False)]
    # Classes whose share is below one image or one group: the smallest group that training can spare.
    for rows in sorted(left, key=len):
        take(rows, over=True)
    if not validation:
        raise InputError(
            "Held-out images need a class with at least two images that are not copies of each other, got "
            f"{len(table)} images in {len(total)} classes without one. Add images or give --val DIR."
        )
    chosen = np.zeros(len(table), dtype=bool)
    chosen[validation] = True
    return np.flatnonzero(~chosen).astype(np.int64), np.flatnonzero(chosen).astype(np.int64)


def sample_rows(table: ImageTable, count: int, *, seed: int) -> Rows:
    """Choose `count` images, each class in its own share; one image more or less changes one of them.

    Within a class the images with the smallest hash of (seed, content) are taken; the places are shared out
    among classes by the divisor method of Sainte-Laguë (1910), whose shares never jump when a class grows.

    Returns:
        int64 (min(count, N),), ascending.

    Raises:
        InputError: `count` is below 1.
    """
    if count < 1:
        raise InputError(f"A sample must hold at least 1 image, got {count}. Use --max-images 600.")
    if count >= len(table):
        return np.arange(len(table), dtype=np.int64)
    labels = table.labels
    order = content_hashes(table.contents, seed)
    ids = table.ids
    rank = np.empty(len(table), dtype=np.float64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        ranked = sorted(rows.tolist(), key=lambda row: (order[row], ids[row]))
        rank[ranked] = (2.0 * np.arange(len(ranked)) + 1.0) / len(ranked)
    chosen = np.lexsort((labels, rank))[:count]
    return np.sort(chosen).astype(np.int64)


def content_hashes(contents: list[str], seed: int) -> list[int]:
    """A number of each image that follows from the seed and its content alone; smaller ones are chosen first."""
    return [xxhash.xxh3_64_intdigest(f"{seed}:{content}".encode("ascii")) for content in contents]
