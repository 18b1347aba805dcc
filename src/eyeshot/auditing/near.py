"""Near copies: candidates by whitened thumbnails, verified in fine detail, cut off where the data say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeshot.auditing.cutoff import choose_cut_off
from eyeshot.auditing.grouping import Group, make_groups, pairs_within
from eyeshot.auditing.report import CutOff
from eyeshot.auditing.searching import (
    LEAST_CONTRAST,
    fit_whitening,
    search_exact,
    standardised,
    thumbnails,
    turned_waves,
)
from eyeshot.auditing.verifying import FINE, score_pairs
from eyeshot.images import UnreadableImageError, decode_upright, default_workers, in_threads, strict_pillow

LEAST_COSINE = 0.42  # watermarked drawings (500) reach 0.43, all other planted copies 0.9; look-alikes are verified
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class NearCopies:
    """What the search found.

    Attributes:
        groups: of positions of pictures; the diameter of each by its place in `diameters`.
        diameters: largest distance between two members, 1 less their score.
        cut_off: from which score on pairs are copies.
    """

    groups: list[Group]
    diameters: list[float]
    cut_off: CutOff


def find_near_copies(
    grey: NDArray[np.uint8],
    paths: list[str],
    labels: NDArray[np.int64],
    *,
    identical: tuple[int, int],
    workers: int | None,
    progress: Progress,
) -> NearCopies:
    """Groups of near copies among different pictures.

    Args:
        grey: uint8 (n, 64, 64), thumbnails of pictures no two of which have identical pixels.
        paths: a file of each.
        labels: int64 (n,), -1 without a label.
        identical: pairs of files with identical pixels, and how many of them stand under two labels.
        workers: threads that decode pairs again that thumbnails leave open.
        progress: called with (what, done, total).
    """
    small = thumbnails(grey)
    seen = np.flatnonzero(small.std(axis=(1, 2)) >= LEAST_CONTRAST)
    empty = np.empty(0, np.int64)
    first = second = turn = empty
    scores = np.empty(0, np.float32)
    if len(seen) > 1:
        waves = standardised(small[seen])
        whiten = fit_whitening(waves)
        queries = [[whiten(turned_waves(waves, orientation)) for orientation in range(8)]]
        found = search_exact(
            queries[0][0],
            queries,
            least=LEAST_COSINE,
            progress=lambda done, total: progress("comparing pictures", done, total),
        )
        first, second, turn = seen[found.first], seen[found.second], found.orientation
        scores = score_pairs(
            grey,
            first,
            second,
            turn,
            read_fine=lambda wanted: _read_fine([paths[position] for position in wanted], workers),
            progress=lambda done, total: progress("verifying pairs", done, total),
        )
    labelled = (labels[first] >= 0) & (labels[second] >= 0)
    crosses = (labels[first] != labels[second])[labelled] if labelled.any() else None
    cut_off = choose_cut_off(
        scores if crosses is None else scores[labelled], crosses, identical=identical, thorough=False, exact=True
    )
    kept = scores >= cut_off.score
    cut_off = cut_off.model_copy(update={"pairs": int(kept.sum()), "pairs_below": int((~kept).sum())})
    groups = make_groups(first[kept], second[kept], turn[kept], scores[kept])
    return NearCopies(groups, [_diameter(grey, group) for group in groups], cut_off)


def _diameter(grey: NDArray[np.uint8], group: Group) -> float:
    least = min(group.scores)
    one, two, turns = pairs_within(group)
    if len(one):
        least = min(least, float(score_pairs(grey, one, two, turns).min()))
    return round(1.0 - least, 4)


def _read_fine(paths: list[str], workers: int | None) -> NDArray[np.uint8]:
    """Larger grey thumbnails uint8 (n, 96, 96)."""
    with strict_pillow():
        return np.stack(list(in_threads(_read_one, paths, workers or default_workers())))


def _read_one(path: str) -> NDArray[np.uint8]:
    try:
        shown = decode_upright(Path(path).read_bytes()).rgb.convert("L")
    except (OSError, UnreadableImageError):  # gone or changed since it was measured: its pairs stay as they are
        return np.zeros((FINE, FINE), np.uint8)
    return np.asarray(shown.resize((FINE, FINE), Image.Resampling.BILINEAR))
