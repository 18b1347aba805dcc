"""Pairs of which one picture is a part of the other, or the other a little turned: the thorough search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeshot.auditing.aligning import VIEWS, Maps, align, view_thumbnails, warp
from eyeshot.auditing.describing import Whitening, oriented, standardised
from eyeshot.auditing.detail import agreement, detail_of
from eyeshot.auditing.grey import read_grey
from eyeshot.auditing.searching import Candidates, best_of, search_exact
from eyeshot.auditing.verifying import FINE, OPEN
from eyeshot.core import Progress

LEAST_COSINE = 0.8  # planted crops of 3 and 6 % and turns of 5 degrees (PACS, 120 each) reach 0.93
LARGE = 192  # pixels that a part is cut out of before it is brought to 96
BLOCK = 512
MOST_FINE = 20_000  # pairs that are decoded again: those most alike


@dataclass(frozen=True, eq=False)
class PartPairs:
    """Pairs (m) with maps (m, 2, 3): `first` is what `second`, turned, looks like through the map."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    orientation: NDArray[np.int64]
    maps: Maps
    scores: NDArray[np.float32]


def find_parts(
    grey: NDArray[np.uint8],
    paths: list[str],
    whiten: Whitening,
    known: set[tuple[int, int]],
    *,
    workers: int | None,
    progress: Progress,
) -> PartPairs:
    """Pairs of pictures that are crops or small turns of each other, with scores as of whole pictures.

    Args:
        grey: uint8 (n, 64, 64)
        paths: a file of each.
        whiten: fitted on the same pictures as they are.
        known: pairs (smaller position first) that are copies anyway.
        workers, progress: as everywhere.
    """
    vectors = whiten(standardised(view_thumbnails(grey, type(VIEWS[0])(0.0))))
    found: list[Candidates] = []
    for number, view in enumerate(VIEWS):
        progress(number, len(VIEWS), "searching for crops and turns")
        met = search_exact(vectors, whiten(standardised(view_thumbnails(grey, view))), least=LEAST_COSINE)
        # The view is kept with the orientation, so that the best of both together is chosen.
        found.append(Candidates(met.first, met.second, met.orientation + 8 * number, met.cosine))
    progress(len(VIEWS), len(VIEWS), "searching for crops and turns")
    best = best_of(found, len(grey))
    new = [
        (min(one, two), max(one, two)) not in known
        for one, two in zip(best.first.tolist(), best.second.tolist(), strict=True)
    ]
    kept = np.flatnonzero(np.array(new, bool))
    kept = kept[np.argsort(-best.cosine[kept], kind="stable")][:MOST_FINE]
    views, orientation = np.divmod(best.orientation[kept], 8)
    first, second = best.first[kept], best.second[kept]
    start = np.array([VIEWS[v].map(o) for v, o in zip(views, orientation, strict=True)]).reshape(-1, 2, 3)
    maps, scores = start.copy(), np.zeros(len(first), np.float32)
    for begin in range(0, len(first), BLOCK):
        part = slice(begin, begin + BLOCK)
        maps[part], scores[part] = _align(grey, first[part], second[part], orientation[part], start[part])
        progress(min(begin + BLOCK, len(first)), len(first), "aligning pairs")
    unsure = np.flatnonzero(scores >= OPEN[0])
    if len(unsure):
        scores[unsure] = _fine(
            paths, first[unsure], second[unsure], orientation[unsure], maps[unsure], workers=workers, progress=progress
        )
    return PartPairs(first, second, orientation, maps, scores)


def _align(
    grey: NDArray[np.uint8],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    orientation: NDArray[np.int64],
    start: Maps,
) -> tuple[Maps, NDArray[np.float32]]:
    """Of the start and what alignment makes of it the better one."""
    one = grey[first]
    other = np.stack(
        [oriented(grey[position][None], turn)[0] for position, turn in zip(second, orientation.tolist(), strict=True)]
    )
    aligned, within = align(one, other, start)
    detail, floats = detail_of(one), other.astype(np.float32)
    before = agreement(detail, detail_of(warp(floats, start)))
    after = np.where(within, agreement(detail, detail_of(warp(floats, aligned))), -1.0)
    better = after >= before
    return np.where(better[:, None, None], aligned, start), np.where(better, after, before).astype(np.float32)


def _fine(
    paths: list[str],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    orientation: NDArray[np.int64],
    maps: Maps,
    *,
    workers: int | None,
    progress: Progress,
) -> NDArray[np.float32]:
    """Scores at 96 pixels, the part cut out of a larger picture, so that no detail is lost by it."""
    wanted, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    large = read_grey([paths[position] for position in wanted], LARGE, workers)
    one_of, other_of = place[: len(first)], place[len(first) :]
    scores = np.empty(len(first), np.float32)
    for begin in range(0, len(first), BLOCK):
        part = range(begin, min(begin + BLOCK, len(first)))
        ones = np.stack([np.asarray(_small(Image.fromarray(large[one_of[pair]]))) for pair in part])
        others = np.stack([_seen(large[other_of[pair]], int(orientation[pair]), maps[pair]) for pair in part])
        scores[begin : begin + len(part)] = agreement(detail_of(ones), detail_of(others))
        progress(begin + len(part), len(first), "verifying parts")
    return scores


def _small(image: Image.Image) -> Image.Image:
    return image.resize((FINE, FINE), Image.Resampling.BILINEAR)


def _seen(large: NDArray[np.uint8], orientation: int, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A picture uint8 (192, 192), turned and seen through a map of coordinates from -1 to 1, at 96 pixels."""
    turned = Image.fromarray(np.ascontiguousarray(oriented(large[None], orientation)[0]))
    half = LARGE / 2
    rows = [(a, b, half * (c + 1 - a - b)) for a, b, c in matrix.tolist()]
    seen = turned.transform((LARGE, LARGE), Image.Transform.AFFINE, (*rows[0], *rows[1]), Image.Resampling.BICUBIC)
    return np.asarray(_small(seen))


def name_part(matrix: NDArray[np.float64], *, of_second: bool) -> str:
    """What makes the first picture of the second (`of_second`), or the other way round, in words."""
    zoom = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    angle = float(np.degrees(np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1])))
    parts = []
    if abs(angle) >= 1:
        counterclockwise = (angle > 0) == of_second
        parts.append(f"turned by {abs(angle):.1f}° {'counterclockwise' if counterclockwise else 'clockwise'}")
    if abs(zoom - 1) >= 0.01:
        smaller = (zoom < 1) == of_second
        share = min(zoom, 1 / zoom)
        parts.append(
            f"cropped to {100 * share:.0f} % of each side" if smaller else f"shows more, {1 / share:.2f} × each side"
        )
    if not parts:
        parts.append("shifted")
    return ", ".join(parts)
