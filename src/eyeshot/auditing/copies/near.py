"""Near duplicates and very similar pictures among different pictures: searched for, verified, and put into groups."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.copies.crops import find_crops
from eyeshot.auditing.copies.descriptors import (
    LEAST_CONTRAST,
    coarse_descriptors,
    combined,
    fit_whitening,
    inverse,
    standardised,
    thumbnails,
)
from eyeshot.auditing.copies.moved import UNMOVED, Maps, align_and_score, as_matrices, find_moved
from eyeshot.auditing.copies.plain import judge_plain
from eyeshot.auditing.copies.scenes import judge_pairs
from eyeshot.auditing.copies.search import (
    EXACT_UP_TO,
    Pairs,
    best_of_each,
    concatenate,
    rescore_other_orientations,
    search,
)
from eyeshot.auditing.copies.threshold import BASE, LEAST_LOOKED_AT, describe_cut_off, estimate_precision
from eyeshot.auditing.copies.verify import FINE, read_grey, score_pairs
from eyeshot.auditing.findings import CutOff
from eyeshot.core import Progress

LEAST_COSINE = 0.38  # watermarked drawings (3,200) reach 0.40, all other planted copies 0.9; look-alikes are verified
THOROUGH_UP_TO = 2000  # pictures
# Blocks of small pictures have few pixels of their own and agree by chance: of 20 such pairs of 32 pixels 9 were wrong,
# and 8 of these have less than this when they are aligned; all 11 true ones have more.
SUPPORT = 0.8 * BASE
CERTAIN = 0.7  # of the detail of small pictures agrees as it is: then they need no more support than that
MOVED = 0.02  # shift or zoom that is worth a word
MOST_FOR_DIAMETER = 40  # members

Crops = dict[tuple[int, int], NDArray[np.float64]]
"""By (first, second) picture, the map through which the second one, turned, looks like the first."""


@dataclass(frozen=True)
class Group:
    """Pictures that are duplicates.

    Attributes:
        members: numbers of pictures, the medoid first.
        orientations: what turns each member into the medoid.
        scores: of each member against the medoid; 1 of the medoid itself.
        diameter: largest distance between two members, 1 less their score.
        differs: members that differ from the medoid in some places, as under a watermark.
        plain: whether members show so little that a person has to look.
    """

    members: list[int]
    orientations: list[int]
    scores: list[float]
    diameter: float = 0.0
    differs: tuple[int, ...] = ()
    plain: bool = False


@dataclass(frozen=True)
class NearCopies:
    """What was found among different pictures.

    Attributes:
        near: groups of near duplicates.
        similar: groups of very similar pictures, such as two photographs of one thing.
        cut_off: from which score on two pictures counted as near duplicates.
        crops: how the second of a pair lies in the first, where it was moved.
    """

    near: list[Group]
    similar: list[Group]
    cut_off: CutOff
    crops: Crops


def find_near_copies(
    grey: NDArray[np.uint8],
    colour: NDArray[np.uint8],
    paths: list[str],
    labels: NDArray[np.int64],
    sides: NDArray[np.int64],
    weights: NDArray[np.int64],
    *,
    identical: tuple[int, int],
    thorough: bool | None,
    workers: int | None,
    progress: Progress,
) -> NearCopies:
    """Groups of near duplicates and of very similar pictures among different pictures.

    Args:
        grey: uint8 (n, 64, 64), thumbnails of pictures no two of which have identical pixels.
        colour: uint8 (n, 16, 16, 3), RGB.
        paths: a file of each.
        labels: int64 (n,), -1 without a label.
        sides: int64 (n,), pixels of the shorter side of each file.
        weights: int64 (n,), files with these pixels.
        identical: pairs of files with identical pixels, and how many of them stand under two labels.
        thorough: search for crops and small turns too; None: up to 2,000 pictures, where that takes no time.
        workers: threads that decode pairs again that thumbnails leave open.
        progress: called with the progress.
    """
    textured = np.flatnonzero(thumbnails(grey).std(axis=(1, 2)) >= LEAST_CONTRAST)  # flat ones have nothing to compare
    thorough = len(textured) <= THOROUGH_UP_TO if thorough is None else thorough
    pairs, maps = concatenate([]), np.empty((0, 4), np.float32)
    below, crops = pairs, Crops()
    if len(textured) > 1:
        pairs, maps, below, crops = _compare(grey, colour, paths, sides, textured, thorough, workers, progress)
    is_near = pairs.score >= BASE
    rows = np.flatnonzero(is_near)
    no_copies, unsure = judge_plain(grey, pairs[rows])
    is_near[rows[no_copies]] = False
    rows = rows[~no_copies]
    is_near[rows], differs = judge_pairs(grey, pairs[rows], maps[rows], labels=labels, weights=weights)
    keys = pairs.keys(len(grey))
    differing = set(keys[rows][differs].tolist())
    plain = set(keys[rows][unsure[~no_copies]].tolist())
    near = [
        replace(
            group,
            diameter=_diameter(grey, group),
            differs=_among(group, differing, len(grey)),
            plain=bool(_among(group, plain, len(grey))),
        )
        for group in make_groups(pairs[is_near])
    ]
    group_of = np.arange(len(grey))
    for group in near:
        group_of[group.members] = min(group.members)
    similar = pairs[~is_near]
    similar = similar[group_of[similar.first] != group_of[similar.second]]
    precision = estimate_precision(
        _crossing(labels, pairs[is_near]), _crossing(labels, concatenate([similar, below])), identical=identical
    )
    cut_off = describe_cut_off(
        concatenate([pairs, below]).score, precision, thorough=thorough, exact=len(textured) <= EXACT_UP_TO
    )
    return NearCopies(near, make_groups(similar), cut_off, crops)


def _crossing(labels: NDArray[np.int64], pairs: Pairs) -> NDArray[np.bool_] | None:
    """Whether the labels of pairs that have two differ; None where no picture has a label."""
    if (labels < 0).all():
        return None
    first, second = labels[pairs.first], labels[pairs.second]
    return np.asarray((first != second)[(first >= 0) & (second >= 0)], np.bool_)


def _compare(
    grey: NDArray[np.uint8],
    colour: NDArray[np.uint8],
    paths: list[str],
    sides: NDArray[np.int64],
    textured: NDArray[np.int64],
    thorough: bool,
    workers: int | None,
    progress: Progress,
) -> tuple[Pairs, Maps, Pairs, Crops]:
    """Near and very similar pairs, their maps, look-alikes that are neither, and the maps of pairs that were moved.

    Pictures as they are are compared block by block at a high resolution, which finds copies under a watermark; those
    that were moved are aligned first; a thorough search looks at parts and small turns besides.
    """
    waves = standardised(thumbnails(grey)[textured])
    whiten = fit_whitening(waves)
    described = whiten(waves)
    met = search(described, least=LEAST_COSINE, progress=progress.sub("comparing pictures"))
    met = concatenate([met, rescore_other_orientations(described, met)])
    met = Pairs(textured[met.first], textured[met.second], met.orientation, met.score)
    scores = score_pairs(
        grey,
        met,
        read=lambda wanted, side: read_grey([paths[picture] for picture in wanted], side, workers),
        progress=progress,
    )
    whole = Pairs(met.first, met.second, met.orientation, scores)
    whole = whole[best_of_each(whole.keys(len(grey)), scores)]
    below = whole[(whole.score >= LEAST_LOOKED_AT) & (whole.score < BASE)]
    whole = whole[whole.score >= BASE]
    small = np.minimum(sides[whole.first], sides[whole.second]) < FINE
    aligned, _ = align_and_score(grey, whole[small], sides)
    agreeing = whole.score[small] >= CERTAIN
    unsupported = np.flatnonzero(small)[aligned.score < np.where(agreeing, SUPPORT, BASE)]
    whole = whole[np.setdiff1d(np.arange(len(whole)), unsupported)]
    far = coarse_descriptors(grey[textured], colour[textured])
    moved, moved_maps = find_moved(grey[textured], far, sides[textured], thorough=thorough, progress=progress)
    moved = Pairs(textured[moved.first], textured[moved.second], moved.orientation, moved.score)
    parts = [moved, whole]
    maps = [moved_maps, np.tile(UNMOVED, (len(whole), 1))]
    crops: Crops = {}
    if thorough:
        known = np.concatenate([part.keys(len(grey))[part.score >= BASE] for part in parts])
        cropped, matrices = find_crops(grey, paths, whiten, known, workers=workers, progress=progress)
        is_near = cropped.score >= BASE
        below = concatenate([below, cropped[(cropped.score >= LEAST_LOOKED_AT) & ~is_near]])
        cropped, matrices = cropped[is_near], matrices[is_near]
        crops = dict(zip(zip(cropped.first.tolist(), cropped.second.tolist(), strict=True), matrices, strict=True))
        parts.append(cropped)
        maps.append(np.stack([matrices[:, 0, 0], matrices[:, 1, 1], *matrices[:, :, 2].T], axis=1).astype(np.float32))
    pairs, all_maps = concatenate(parts), np.concatenate(maps)
    keys = pairs.keys(len(grey))
    best = best_of_each(keys, pairs.score)
    # Where a pair was aligned, in the same orientation, that is how its pictures lie, whichever score is the better.
    places = list(zip(keys.tolist(), pairs.orientation.tolist(), strict=True))
    first_place = {place: row for row, place in reversed(list(enumerate(places)))}  # moved pairs come first
    pairs, all_maps = pairs[best], all_maps[[first_place[places[row]] for row in best.tolist()]]
    for row in np.flatnonzero((np.abs(all_maps - UNMOVED).max(axis=1) > MOVED) & (pairs.score >= BASE)).tolist():
        crops.setdefault((int(pairs.first[row]), int(pairs.second[row])), as_matrices(all_maps[row : row + 1])[0])
    below = below[~np.isin(below.keys(len(grey)), pairs.keys(len(grey)))]
    return pairs, all_maps, below[best_of_each(below.keys(len(grey)), below.score)], crops


def _among(group: Group, pairs: set[int], count: int) -> tuple[int, ...]:
    """Members whose pair with the medoid is among the keys of pairs."""
    medoid = group.members[0]
    keys = {member: min(medoid, member) * count + max(medoid, member) for member in group.members[1:]}
    return tuple(member for member, key in keys.items() if key in pairs)


def _diameter(grey: NDArray[np.uint8], group: Group) -> float:
    least = min(group.scores)
    pairs = pairs_within(group)
    if len(pairs):
        least = min(least, float(score_pairs(grey, pairs).min()))
    return round(1.0 - least, 4)


def make_groups(pairs: Pairs) -> list[Group]:
    """Groups of pictures; every member has a pair with its medoid, so that chains of look-alikes do not fuse.

    The best pairs go first, and a pair joins two groups only where one picture is a copy of all others: so two
    drawings that share a watermark are not drawn together by it when their originals are there.

    Args:
        pairs: m pairs of duplicates, by numbers of pictures.
    """
    near: defaultdict[int, dict[int, tuple[float, int]]] = defaultdict(dict)
    rows = list(
        zip(
            pairs.first.tolist(),
            pairs.second.tolist(),
            pairs.orientation.tolist(),
            pairs.score.tolist(),
            strict=True,
        )
    )
    for first, second, orientation, score in rows:
        near[first][second] = (score, orientation)
        near[second][first] = (score, inverse(orientation))
    members: dict[int, set[int]] = {picture: {picture} for picture in near}  # by medoid
    medoid_of = {picture: picture for picture in near}
    for first, second, _, _ in sorted(rows, key=lambda row: (-row[3], row[0], row[1])):
        first_medoid, second_medoid = medoid_of[first], medoid_of[second]
        if first_medoid == second_medoid:
            continue
        joined = members[first_medoid] | members[second_medoid]
        # The medoids so far first: a thousand copies of one picture are then no million questions.
        for medoid in dict.fromkeys((first_medoid, second_medoid, *sorted(joined))):
            if all(member == medoid or member in near[medoid] for member in joined):
                del members[first_medoid], members[second_medoid]
                members[medoid] = joined
                medoid_of.update(dict.fromkeys(joined, medoid))
                break
    return [_group(together, near) for together in sorted(members.values(), key=min) if len(together) > 1]


def _group(members: set[int], near: dict[int, dict[int, tuple[float, int]]]) -> Group:
    """The group with the member as medoid that is most like all others."""
    able = [picture for picture in sorted(members) if members <= near[picture].keys() | {picture}]
    medoid = max(able, key=lambda picture: sum(near[picture][member][0] for member in members if member != picture))
    other_members = sorted(members - {medoid})
    return Group(
        [medoid, *other_members],
        [0, *(near[medoid][member][1] for member in other_members)],
        [1.0, *(near[medoid][member][0] for member in other_members)],
    )


def pairs_within(group: Group) -> Pairs:
    """Pairs of members but those with the medoid, of the first 40; their scores are not known and 0."""
    first, second = np.triu_indices(min(len(group.members), MOST_FOR_DIAMETER) - 1, k=1)
    first, second = first + 1, second + 1
    members = np.array(group.members, np.int64)
    orientation = [
        combined(group.orientations[b], inverse(group.orientations[a]))
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
    ]
    none = np.zeros(len(first), np.float32)
    return Pairs(members[first], members[second], np.array(orientation, np.int64), none)
