"""Fixed scenes, forms and series of frames: pictures that agree by what many share, and are no duplicates.

A camera over a production line, a printed form, a video: two such pictures agree nearly everywhere, as copies do. Three
things tell them apart. Two exposures have noise of their own, equally strong and uncorrelated, which no copy has. What
they show differs in some places, and copies under a watermark are few. And labels that differ as often as chance has
it, or a class that consists of one group, say that agreeing means nothing here. Then near duplicates are called very
similar: nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.copies.descriptors import oriented
from eyeshot.auditing.copies.moved import UNMOVED, Maps, changed_share
from eyeshot.auditing.copies.search import Pairs
from eyeshot.core import default_workers, in_parallel
from eyeshot.data import UnreadableImageError, decode_upright, strict_pillow

FEWEST = 5  # pictures of a scene
FIXED = 0.03  # shift or zoom of pictures of one camera at most
# Of encodings of one picture, resized or with another contrast, none changes more than 0 of it and of pictures made
# brighter until they clip 1 in 10 more than 0.01 (PACS, 960 pairs); a scratch of 20 x 2 of 256 pixels changes 0.004.
DIFFERS = 0.002
DIFFERS_MOVED = 0.03  # what alignment leaves
OFTEN = 0.2  # share of pairs of a scene that differ in some places
COMPARED = 12  # other pictures of its scene that each is compared with
MOST_COMPARED = 20_000  # pairs
FEWEST_LABELS = 20
CHANCE = 0.7  # of the share of pairs across classes that chance has
PATCH = 256  # pixels of the middle of a file in which noise is looked at
FEWEST_PIXELS = 1000
LEAST_NOISE = 0.6  # levels
SAME_NOISE = 1.5  # ratio
CORRELATED = 0.3  # noise of two encodings of one exposure
MOST_READ = 4000  # pictures whose files are read for their noise

Differs = NDArray[np.bool_]


def judge_pairs(
    grey: NDArray[np.uint8],
    pairs: Pairs,
    maps: Maps,
    *,
    labels: NDArray[np.int64],
    weights: NDArray[np.int64],
    paths: Sequence[str],
    sizes: NDArray[np.int64],
    workers: int | None,
) -> tuple[NDArray[np.bool_], Differs]:
    """Which near pairs are near duplicates, and which of them differ in some places.

    Args:
        grey: uint8 (n, 64, 64)
        pairs: near pairs by their scores, of pictures without identical pixels.
        maps: float32 (m, 4), how the second lies in the first.
        labels: int64 (n,), -1 without a label.
        weights: int64 (n,), files of each picture.
        paths: a file of each.
        sizes: int64 (n, 2), width and height of each file.
        workers: threads that decode.

    Returns:
        bool (m,) twice.
    """
    moved = np.abs(maps - UNMOVED).max(axis=1) > FIXED
    rows = np.argsort(-pairs.score, kind="stable")[:MOST_COMPARED]
    share = np.zeros(len(pairs), np.float32)
    share[rows] = _changed(grey, pairs[rows], maps[rows])
    # Where pictures have little detail alignment goes astray: what fits as well without it was not moved.
    astray = rows[moved[rows] & (pairs.orientation[rows] == 0)]
    unmoved = _changed(grey, pairs[astray], np.tile(UNMOVED, (len(astray), 1)))
    astray, unmoved = astray[unmoved <= share[astray]], unmoved[unmoved <= share[astray]]
    moved[astray], share[astray] = False, unmoved
    differs = share > np.where(moved, DIFFERS_MOVED, DIFFERS)
    fixed = ~moved & (pairs.orientation == 0)
    is_near = ~_independent(pairs, fixed, paths, sizes, workers)
    first = _components(len(grey), pairs[fixed])
    counts = np.bincount(first, minlength=len(grey))
    for scene in np.flatnonzero(counts >= FEWEST):
        members = np.flatnonzero(first == scene)
        own = (first[pairs.first] == scene) & (first[pairs.second] == scene)
        if _is_most_of_its_classes(members, labels, weights) or _crosses_by_chance(members, labels):
            is_near[own] = False
            continue
        often, has_own = _compare_members(grey, members)
        if often >= OFTEN:
            both = has_own[np.searchsorted(members, pairs.first[own])]
            both &= has_own[np.searchsorted(members, pairs.second[own])]
            is_near[own] &= both & ~differs[own]
    return is_near, differs


def _components(count: int, pairs: Pairs) -> NDArray[np.int64]:
    """The number of each picture's component, int64 (n,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), np.int8), (pairs.first, pairs.second)), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def _changed(grey: NDArray[np.uint8], pairs: Pairs, maps: Maps) -> NDArray[np.float32]:
    share = np.zeros(len(pairs), np.float32)
    for orientation in np.unique(pairs.orientation):
        same = np.flatnonzero(pairs.orientation == orientation)
        for start in range(0, len(same), 256):
            rows = same[start : start + 256]
            second = np.asarray(oriented(grey[pairs.second[rows]], int(orientation)), np.float32)
            share[rows] = changed_share(grey[pairs.first[rows]].astype(np.float32), second, maps[rows])
    return share


def _compare_members(grey: NDArray[np.uint8], members: NDArray[np.int64]) -> tuple[float, NDArray[np.bool_]]:
    """How often pictures of a scene differ in some places, and which of them differ from most others."""
    count = len(members)
    steps = np.unique(np.linspace(1, count - 1, min(COMPARED, count - 1)).astype(np.int64))
    places = np.arange(count)
    if count * len(steps) > MOST_COMPARED:  # a sample, evenly spread
        places = np.unique(np.linspace(0, count - 1, MOST_COMPARED // len(steps)).astype(np.int64))
    first = np.repeat(places, len(steps))
    second = (first + np.tile(steps, len(places))) % count
    zeros = np.zeros(len(first), np.int64)
    compared = Pairs(members[first], members[second], zeros, zeros.astype(np.float32))
    maps = np.tile(UNMOVED, (len(first), 1))
    different = _changed(grey, compared, maps) > DIFFERS
    shares = np.bincount(first, different, count) / np.maximum(np.bincount(first, minlength=count), 1)
    return float(different.mean()), shares >= 0.5


def _is_most_of_its_classes(members: NDArray[np.int64], labels: NDArray[np.int64], weights: NDArray[np.int64]) -> bool:
    """Whether at least half of every class that it has a picture of, or of all pictures without classes, are in it."""
    inside = np.zeros(len(labels), np.bool_)
    inside[members] = True
    touched = np.unique(labels[members][labels[members] >= 0])
    if not len(touched):
        return bool(2 * weights[inside].sum() >= weights.sum())
    return all(2 * weights[inside & (labels == label)].sum() >= weights[labels == label].sum() for label in touched)


def _crosses_by_chance(members: NDArray[np.int64], labels: NDArray[np.int64]) -> bool:
    """Whether its pairs cross classes about as often as any pairs do."""
    own = labels[members][labels[members] >= 0]
    if len(own) < FEWEST_LABELS:
        return False
    return _crossing(own) > 0 and _crossing(own) >= CHANCE * _crossing(labels[labels >= 0])


def _crossing(labels: NDArray[np.int64]) -> float:
    """Share of pairs with different labels."""
    counts = np.unique(labels, return_counts=True)[1].astype(np.float64)
    total = counts.sum()
    return float(1 - (counts * (counts - 1)).sum() / max(total * (total - 1), 1))


def _independent(
    pairs: Pairs,
    fixed: NDArray[np.bool_],
    paths: Sequence[str],
    sizes: NDArray[np.int64],
    workers: int | None,
) -> NDArray[np.bool_]:
    """Which pairs are two exposures, bool (m,): files of one size, noise equally strong and uncorrelated."""
    same_size = fixed & (sizes[pairs.first] == sizes[pairs.second]).all(axis=1)
    independent = np.zeros(len(pairs), np.bool_)
    if not same_size.any():
        return independent
    rows = np.flatnonzero(same_size)
    pictures = np.unique(np.concatenate([pairs.first[rows], pairs.second[rows]]))[:MOST_READ]
    with strict_pillow():
        patches = in_parallel(read_patch, [paths[picture] for picture in pictures], workers or default_workers())
        patch_of = dict(zip(pictures.tolist(), patches, strict=True))
    for row in rows.tolist():
        first, second = (patch_of.get(int(picture)) for picture in (pairs.first[row], pairs.second[row]))
        if first is not None and second is not None:
            independent[row] = has_own_noise(first, second)
    return independent


def read_patch(path: str) -> NDArray[np.float32] | None:
    """Luma of the middle of a file, float32, at most 256 x 256; None where it is gone or changed."""
    try:
        shown = decode_upright(Path(path).read_bytes()).rgb.convert("L")
    except (OSError, UnreadableImageError):
        return None
    left, top = max(0, (shown.width - PATCH) // 2), max(0, (shown.height - PATCH) // 2)
    return np.asarray(
        shown.crop((left, top, min(shown.width, left + PATCH), min(shown.height, top + PATCH))), np.float32
    )


def has_own_noise(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
    """Whether two patches of equal size have noise equally strong and uncorrelated, each its own.

    Noise is what a mask leaves that is blind to edges and slopes (Immerkaer 1996, equation 3), in the flatter half of
    the pixels.
    """
    if first.shape != second.shape or min(first.shape) < 8:
        return False
    noises = [_second_difference(patch) for patch in (first, second)]
    together = first + second
    slope = np.abs(np.diff(together, axis=0))[1:, 1:-1] + np.abs(np.diff(together, axis=1))[1:-1, 1:]
    unclipped = np.minimum(np.minimum(first, second) - 3, 252 - np.maximum(first, second))[1:-1, 1:-1] > 0
    flat = unclipped & (slope <= np.median(slope[unclipped])) if unclipped.any() else unclipped
    if flat.sum() < FEWEST_PIXELS:
        return False
    values = [noise[flat] for noise in noises]
    strengths = [float(np.sqrt(np.square(value).mean()) / 6) for value in values]  # 6: the norm of the mask
    if min(strengths) < LEAST_NOISE or max(strengths) > SAME_NOISE * min(strengths):
        return False
    product = float((values[0] * values[1]).mean()) / (36 * strengths[0] * strengths[1])
    return product < CORRELATED


def _second_difference(patch: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = patch[:-2] - 2 * patch[1:-1] + patch[2:]
    return np.asarray(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:], np.float32)
