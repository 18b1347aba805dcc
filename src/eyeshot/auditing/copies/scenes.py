"""Fixed scenes, forms and series of frames: pictures that agree by what many share, and are no duplicates.

A camera over a production line, a printed form, a video: two such pictures agree nearly everywhere, as copies do. Three
things tell them apart where there are several. What they show differs in some places, while copies under a watermark
are few. A copy of a copy is a copy, but frames of a series differ more the farther apart they are. And labels that
differ as often as chance has it, or a class that consists of one group, say that to agree means nothing here. Such
pictures are called very similar: nothing is dropped. (Noise does not tell exposures from encodings: that of a JPEG of
quality 30 is as strong as that of its original, and as little correlated with it as that of another exposure.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.copies.descriptors import oriented
from eyeshot.auditing.copies.moved import UNMOVED, Maps, changed_share
from eyeshot.auditing.copies.search import Pairs

FEWEST = 5  # pictures of a scene
FEWEST_FRAMES = 4
FIXED = 0.03  # shift or zoom of pictures of one camera at most
# Of encodings of one picture, resized or with another contrast, none changes more than 0 of it and of pictures made
# brighter until they clip 1 in 10 more than 0.01 (PACS, 960 pairs); a scratch of 20 x 2 of 256 pixels changes 0.004.
DIFFERS = 0.002
DIFFERS_MOVED = 0.03  # what alignment leaves
OFTEN = 0.2  # share of pairs of a scene that differ in some places
COMPARED = 12  # other pictures of its scene that each is compared with
MOST_COMPARED = 20_000  # pairs
MOST_OF_MEDIAN = 200  # pictures
FEWEST_LABELS = 20
FEWEST_PAIRS = 10
CHANCE = 0.7  # of the share of pairs across classes that chance has

Differs = NDArray[np.bool_]


def judge_pairs(
    grey: NDArray[np.uint8],
    pairs: Pairs,
    maps: Maps,
    *,
    labels: NDArray[np.int64],
    weights: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], Differs]:
    """Which near pairs are near duplicates, and which of them differ in some places.

    Args:
        grey: uint8 (n, 64, 64)
        pairs: near pairs by their scores, of pictures without identical pixels.
        maps: float32 (m, 4), how the second lies in the first.
        labels: int64 (n,), -1 without a label.
        weights: int64 (n,), files of each picture.

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
    is_near = np.ones(len(pairs), np.bool_)
    first = _components(len(grey), pairs[fixed])
    counts = np.bincount(first, minlength=len(grey))
    for scene in np.flatnonzero(counts >= FEWEST):
        members = np.flatnonzero(first == scene)
        own = (first[pairs.first] == scene) & (first[pairs.second] == scene)
        often, has_own = _compare_members(grey, members)
        alone = _is_most_of_its_classes(members, labels, weights) or _crosses_by_chance(members, labels)
        if alone or often >= OFTEN:
            # A copy is then told by what both pictures show and the scene does not.
            both = has_own[np.searchsorted(members, pairs.first[own])]
            both &= has_own[np.searchsorted(members, pairs.second[own])]
            is_near[own] &= both & ~differs[own]
    _take_out_series(grey, pairs, fixed & ~differs, is_near)
    # Copies under a watermark keep their class. Where pairs that differ in places cross classes by chance, none is one.
    first_labels, second_labels = labels[pairs.first[differs]], labels[pairs.second[differs]]
    labelled = (first_labels >= 0) & (second_labels >= 0)
    crossing = float((first_labels != second_labels)[labelled].mean()) if labelled.any() else 0.0
    if labelled.sum() >= FEWEST_PAIRS and crossing >= CHANCE * _crossing(labels[labels >= 0]) > 0:
        is_near[differs] = False
    return is_near, differs


def _take_out_series(
    grey: NDArray[np.uint8], pairs: Pairs, agreeing: NDArray[np.bool_], is_near: NDArray[np.bool_]
) -> None:
    """A copy of a copy is a copy, but of a series of frames those farther apart differ: then none is a duplicate."""
    linked = agreeing & is_near
    first = _components(len(grey), pairs[linked])
    counts = np.bincount(first, minlength=len(grey))
    for series in np.flatnonzero(counts >= FEWEST_FRAMES):
        if _compare_members(grey, np.flatnonzero(first == series))[0] > OFTEN:
            is_near[(first[pairs.first] == series) & (first[pairs.second] == series)] = False


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
    """How often pictures of a scene differ in some places, and which differ from what all share, their median."""
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
    some = grey[members[np.unique(np.linspace(0, count - 1, min(count, MOST_OF_MEDIAN)).astype(np.int64))]]
    contrasts = some.astype(np.float32) - some.mean(axis=(1, 2), keepdims=True)
    contrasts /= np.maximum(contrasts.std(axis=(1, 2), keepdims=True), 1e-3)
    shared = 127 + float(some.std(axis=(1, 2)).mean()) * np.median(contrasts, axis=0)
    own = np.zeros(count, np.bool_)
    for start in range(0, count, 256):
        block = grey[members[start : start + 256]].astype(np.float32)
        median = np.broadcast_to(shared.astype(np.float32), block.shape)
        own[start : start + 256] = changed_share(median, block, np.tile(UNMOVED, (len(block), 1))) > DIFFERS
    return float(different.mean()), own


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
