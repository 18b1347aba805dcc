"""Near copies: candidates by whitened thumbnails, verified in fine detail, cut off where the data say so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.cutoff import BASE, choose_cut_off
from eyeshot.auditing.describing import LEAST_CONTRAST, fit_whitening, standardised, thumbnails
from eyeshot.auditing.grey import read_grey
from eyeshot.auditing.grouping import Group, make_groups, pairs_within
from eyeshot.auditing.parts import find_parts
from eyeshot.auditing.report import CutOff
from eyeshot.auditing.searching import EXACT_UP_TO, best_of_each, joined, search, turned_otherwise
from eyeshot.auditing.verifying import score_pairs
from eyeshot.core import Progress

LEAST_COSINE = 0.38  # watermarked drawings (3,200) reach 0.40, all other planted copies 0.9; look-alikes are verified
THOROUGH_UP_TO = 2000  # pictures


@dataclass(frozen=True, eq=False)
class NearCopies:
    """What the search found.

    Attributes:
        groups: of positions of pictures; the diameter of each by its place in `diameters`.
        diameters: largest distance between two members, 1 less their score.
        cut_off: from which score on pairs are copies.
        parts: by (first, second), the map through which the second one, turned, looks like the first.
    """

    groups: list[Group]
    diameters: list[float]
    cut_off: CutOff
    parts: dict[tuple[int, int], NDArray[np.float64]]


def find_near_copies(
    grey: NDArray[np.uint8],
    paths: list[str],
    labels: NDArray[np.int64],
    *,
    identical: tuple[int, int],
    thorough: bool | None,
    workers: int | None,
    progress: Progress,
) -> NearCopies:
    """Groups of near copies among different pictures.

    Args:
        grey: uint8 (n, 64, 64), thumbnails of pictures no two of which have identical pixels.
        paths: a file of each.
        labels: int64 (n,), -1 without a label.
        thorough: search for crops and small turns too; None: up to 2,000 pictures, where that takes no time.
        identical: pairs of files with identical pixels, and how many of them stand under two labels.
        workers: threads that decode pairs again that thumbnails leave open.
        progress: told how far it is.
    """
    small = thumbnails(grey)
    seen = np.flatnonzero(small.std(axis=(1, 2)) >= LEAST_CONTRAST)
    empty = np.empty(0, np.int64)
    first = second = turn = empty
    scores = np.empty(0, np.float32)
    parts: dict[tuple[int, int], NDArray[np.float64]] = {}
    thorough = len(seen) <= THOROUGH_UP_TO if thorough is None else thorough
    if len(seen) > 1:
        waves = standardised(small[seen])
        whiten = fit_whitening(waves)
        described = whiten(waves)
        found = search(
            described,
            least=LEAST_COSINE,
            progress=progress.sub("comparing pictures"),
        )
        found = joined([found, turned_otherwise(described, found)])
        first, second, turn = seen[found.first], seen[found.second], found.orientation
        scores = score_pairs(
            grey,
            first,
            second,
            turn,
            read=lambda wanted, side: read_grey([paths[position] for position in wanted], side, workers),
            progress=progress,
        )
        best = best_of_each(_keys(first, second, len(grey)), scores)
        first, second, turn, scores = first[best], second[best], turn[best], scores[best]
        if thorough:
            sure = scores >= BASE
            known = set(
                zip(np.minimum(first, second)[sure].tolist(), np.maximum(first, second)[sure].tolist(), strict=True)
            )
            met = find_parts(grey, paths, whiten, known, workers=workers, progress=progress)
            parts = {
                (one, two): matrix
                for one, two, matrix in zip(met.first.tolist(), met.second.tolist(), met.maps, strict=True)
            }
            # A pair that was seen as a whole, in vain, is judged by what was seen in part.
            kept = ~np.isin(_keys(first, second, len(grey)), _keys(met.first, met.second, len(grey)))
            first, second, turn, scores = (
                np.concatenate([old[kept], new])
                for old, new in (
                    (first, met.first), (second, met.second), (turn, met.orientation), (scores, met.scores)
                )
            )  # fmt: skip
    labelled = (labels[first] >= 0) & (labels[second] >= 0)
    crosses = (labels[first] != labels[second])[labelled] if labelled.any() else None
    cut_off = choose_cut_off(
        scores if crosses is None else scores[labelled],
        crosses,
        identical=identical,
        thorough=thorough,
        exact=len(seen) <= EXACT_UP_TO,
    )
    kept = scores >= cut_off.score
    cut_off = cut_off.model_copy(update={"pairs": int(kept.sum()), "pairs_below": int((~kept).sum())})
    groups = make_groups(first[kept], second[kept], turn[kept], scores[kept])
    return NearCopies(groups, [_diameter(grey, group) for group in groups], cut_off, parts)


def _keys(first: NDArray[np.int64], second: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.minimum(first, second) * count + np.maximum(first, second)


def _diameter(grey: NDArray[np.uint8], group: Group) -> float:
    least = min(group.scores)
    one, two, turns = pairs_within(group)
    if len(one):
        least = min(least, float(score_pairs(grey, one, two, turns).min()))
    return round(1.0 - least, 4)
