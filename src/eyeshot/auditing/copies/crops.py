"""Crops and small turns: pairs of which one picture is a part of the other, or the other a little turned.

Pictures are searched for as they are seen in part, and the pairs that meet are aligned before their detail is
compared. Alignment is by Gauss and Newton on an affine map (Lucas and Kanade 1981), started from the view that met; a
map beyond what a crop of 8 % a side or a turn of 8 degrees needs is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeshot.auditing.copies.descriptors import SIDE, Whitening, oriented, standardised
from eyeshot.auditing.copies.search import Pairs, best_of, search_exact
from eyeshot.auditing.copies.verify import FINE, OPEN, agreement, detail_of, read_grey
from eyeshot.core import Progress

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LEAST_COSINE = 0.8  # planted crops of 3 and 6 % and turns of 5 degrees (PACS, 120 each) reach 0.93
LARGE = 192  # pixels that a part is cut out of before it is brought to 96
PAIRS_AT_ONCE = 512
MOST_FINE = 20_000  # pairs that are decoded again: those most alike

STEPS = 10
ALIGNING_BLUR = 1.5  # pixels; wider than the pixels that a start may be off, or the gradient points nowhere
LARGEST_ZOOM = 0.2
LARGEST_TURN = np.radians(8.0)
LARGEST_SHIFT = 0.1  # of the side
ALIGNED_AT_ONCE = 256

Maps = NDArray[np.float64]


def find_crops(
    grey: NDArray[np.uint8],
    paths: list[str],
    whiten: Whitening,
    known: NDArray[np.int64],
    *,
    workers: int | None,
    progress: Progress,
) -> tuple[Pairs, Maps]:
    """Pairs of pictures that are crops or small turns of each other, with scores as of whole pictures.

    Args:
        grey: uint8 (n, 64, 64)
        paths: a file of each.
        whiten: fitted on the same pictures as they are.
        known: int64 (p,), `Pairs.keys` of pairs that are known duplicates.
        workers, progress: as everywhere.
    """
    small, *seen = view_thumbnails(grey, (WHOLE, *VIEWS))
    whole = whiten(standardised(small))
    met_in: list[Pairs] = []
    for number, view in enumerate(seen):
        progress(number, len(VIEWS), "searching for crops and turns")
        met = search_exact(whole, whiten(standardised(view)), least=LEAST_COSINE)
        # The view is kept with the orientation, so that the best of both together is chosen.
        met_in.append(Pairs(met.first, met.second, met.orientation + 8 * number, met.score))
    progress(len(VIEWS), len(VIEWS), "searching for crops and turns")
    pairs = best_of(met_in, len(grey))
    pairs = pairs[~np.isin(pairs.keys(len(grey)), known)]
    pairs = pairs[np.argsort(-pairs.score, kind="stable")[:MOST_FINE]]
    views, orientation = np.divmod(pairs.orientation, 8)
    start = np.array([VIEWS[v].map(o) for v, o in zip(views, orientation, strict=True)]).reshape(-1, 2, 3)
    pairs = Pairs(pairs.first, pairs.second, orientation, np.zeros(len(pairs), np.float32))
    maps = start.copy()
    for begin in range(0, len(pairs), PAIRS_AT_ONCE):
        block = np.arange(begin, min(begin + PAIRS_AT_ONCE, len(pairs)))
        maps[block], pairs.score[block] = _align_pairs(grey, pairs[block], start[block])
        progress(begin + len(block), len(pairs), "aligning pairs")
    unsure = np.flatnonzero(pairs.score >= OPEN[0])
    if len(unsure):
        pairs.score[unsure] = _score_fine(paths, pairs[unsure], maps[unsure], workers=workers, progress=progress)
    return pairs, maps


def _align_pairs(grey: NDArray[np.uint8], pairs: Pairs, start: Maps) -> tuple[Maps, NDArray[np.float32]]:
    """Of the start and what alignment makes of it the better one, and its score."""
    first = grey[pairs.first]
    second = np.stack(
        [
            oriented(grey[picture][None], orientation)[0]
            for picture, orientation in zip(pairs.second, pairs.orientation.tolist(), strict=True)
        ]
    )
    aligned, within = align(first, second, start)
    detail, floats = detail_of(first), second.astype(np.float32)
    before = agreement(detail, detail_of(warp(floats, start)))
    after = np.where(within, agreement(detail, detail_of(warp(floats, aligned))), -1.0)
    better = after >= before
    return np.where(better[:, None, None], aligned, start), np.where(better, after, before).astype(np.float32)


def _score_fine(
    paths: list[str], pairs: Pairs, maps: Maps, *, workers: int | None, progress: Progress
) -> NDArray[np.float32]:
    """Scores at 96 pixels, the part cut out of a larger picture, so that no detail is lost by it."""
    picture_rows, place = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
    large = read_grey([paths[picture] for picture in picture_rows], LARGE, workers)
    first, second = place[: len(pairs)], place[len(pairs) :]
    scores = np.empty(len(pairs), np.float32)
    for begin in range(0, len(pairs), PAIRS_AT_ONCE):
        block = range(begin, min(begin + PAIRS_AT_ONCE, len(pairs)))
        wholes = np.stack([np.asarray(_small(Image.fromarray(large[first[pair]]))) for pair in block])
        parts = np.stack([_seen(large[second[pair]], int(pairs.orientation[pair]), maps[pair]) for pair in block])
        scores[begin : begin + len(block)] = agreement(detail_of(wholes), detail_of(parts))
        progress(begin + len(block), len(pairs), "verifying parts")
    return scores


def _small(image: Image.Image) -> Image.Image:
    return image.resize((FINE, FINE), Image.Resampling.BILINEAR)


def _seen(large: NDArray[np.uint8], orientation: int, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A picture uint8 (192, 192), turned and seen through a map of coordinates from -1 to 1, at 96 pixels."""
    turned = Image.fromarray(np.ascontiguousarray(oriented(large[None], orientation)[0]))
    half = LARGE / 2
    rows = [(a, b, half * (c + 1 - a - b)) for a, b, c in matrix.tolist()]
    view = turned.transform((LARGE, LARGE), Image.Transform.AFFINE, (*rows[0], *rows[1]), Image.Resampling.BICUBIC)
    return np.asarray(_small(view))


def describe_crop(matrix: NDArray[np.float64], *, of_second: bool) -> str:
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


@dataclass(frozen=True)
class View:
    """A part of a picture: `crop` of each side cut off, after turning by `degrees` counterclockwise."""

    crop: float
    degrees: float = 0.0

    def map(self, orientation: int = 0) -> NDArray[np.float64]:
        """2 x 3: from coordinates of the view (-1 to 1 across) to those of the picture in an orientation."""
        # Of a mirrored picture a turn goes the other way round.
        angle = np.radians(self.degrees) * (-1 if orientation >= 4 else 1)
        scale = 1 - 2 * self.crop
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        return np.array([[cos, -sin, 0.0], [sin, cos, 0.0]])


WHOLE = View(0.0)
VIEWS = (
    View(0.028), View(0.055), View(0.025, 2.5), View(0.025, -2.5), View(0.042, 5.0), View(0.042, -5.0),
    View(0.0, 4.5), View(0.0, -4.5),
)  # fmt: skip


def view_thumbnails(grey: NDArray[np.uint8], views: Sequence[View]) -> NDArray[np.float32]:
    """Thumbnails float32 (v, n, 16, 16) of v views of pictures uint8 (n, 64, 64)."""
    from scipy.sparse import csr_array, vstack  # here and below: a search for whole pictures needs none of it

    side = grey.shape[1]
    step = side // SIDE
    place = np.arange(side) // step
    cell = (place[:, None] * SIDE + place[None, :]).ravel()
    ones = np.full(side * side, 1.0 / step**2, np.float32)
    means = csr_array((ones, (cell, np.arange(side * side))), shape=(SIDE * SIDE, side * side))
    weights = vstack([means @ _sampling(view.map(), side) for view in views], format="csr")
    small = np.empty((len(views), len(grey), SIDE * SIDE), np.float32)
    for start in range(0, len(grey), ALIGNED_AT_ONCE):
        block = np.ascontiguousarray(grey[start : start + ALIGNED_AT_ONCE].reshape(-1, side * side).T, np.float32)
        sums = (weights @ block).reshape(len(views), SIDE * SIDE, -1)
        small[:, start : start + ALIGNED_AT_ONCE] = sums.transpose(0, 2, 1)
    return small.reshape(len(views), len(grey), SIDE, SIDE)


def _sampling(matrix: NDArray[np.float64], side: int) -> csr_array:
    """Bilinear sampling of a map as a matrix (side², side²); beyond the edge lies the edge."""
    from scipy.sparse import csr_array

    rows, columns = _places(matrix[None], side)
    rows, columns = rows[0].ravel(), columns[0].ravel()
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = rows - top, columns - left
    below, after = np.minimum(top + 1, side - 1), np.minimum(left + 1, side - 1)
    target = np.arange(side * side)
    parts = (
        (top, left, (1 - down) * (1 - right)), (top, after, (1 - down) * right),
        (below, left, down * (1 - right)), (below, after, down * right),
    )  # fmt: skip
    values = np.concatenate([weight for _, _, weight in parts]).astype(np.float32)
    sources = np.concatenate([row * side + column for row, column, _ in parts])
    return csr_array((values, (np.tile(target, 4), sources)), shape=(side * side, side * side))


def _places(maps: Maps, side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns (m, side, side), in pixels, that each pixel of the map is taken from."""
    line = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = line[None, None, :], line[None, :, None]
    across = maps[:, 0, 0, None, None] * x + maps[:, 0, 1, None, None] * y + maps[:, 0, 2, None, None]
    down = maps[:, 1, 0, None, None] * x + maps[:, 1, 1, None, None] * y + maps[:, 1, 2, None, None]
    rows, columns = ((values + 1) / 2 * side - 0.5 for values in (down, across))
    return rows.clip(0, side - 1), columns.clip(0, side - 1)


def warp(images: NDArray[np.float32], maps: Maps) -> NDArray[np.float32]:
    """Images (m, S, S), each seen through its own map (m, 2, 3)."""
    side = images.shape[1]
    rows, columns = _places(maps, side)
    top, left = np.minimum(rows.astype(int), side - 2), np.minimum(columns.astype(int), side - 2)
    down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    flat = images.reshape(len(images), -1)
    first = (top * side + left).reshape(len(images), -1)

    def at(offset: int) -> NDArray[np.float32]:
        return np.take_along_axis(flat, first + offset, axis=1).reshape(images.shape)

    upper = at(0) * (1 - right) + at(1) * right
    lower = at(side) * (1 - right) + at(side + 1) * right
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def align(first: NDArray[np.uint8], second: NDArray[np.uint8], start: Maps) -> tuple[Maps, NDArray[np.bool_]]:
    """Maps (m, 2, 3) through which `second` looks like `first`, and which of them stay within the limits.

    Args:
        first, second: uint8 (m, 64, 64), `second` in the orientation of `first`.
        start: (m, 2, 3)
    """
    maps = start.copy()
    for begin in range(0, len(maps), ALIGNED_AT_ONCE):
        block = slice(begin, begin + ALIGNED_AT_ONCE)
        maps[block] = _align_block(_smooth(first[block]), _smooth(second[block]), maps[block])
    zoom = np.sqrt(np.abs(np.linalg.det(maps[:, :, :2])))
    angle = np.arctan2(maps[:, 1, 0] - maps[:, 0, 1], maps[:, 0, 0] + maps[:, 1, 1])
    stretched = np.linalg.norm(maps[:, :, 0], axis=1) / np.maximum(np.linalg.norm(maps[:, :, 1], axis=1), 1e-6)
    within = (
        (np.abs(zoom - 1) <= LARGEST_ZOOM)
        & (np.abs(angle) <= LARGEST_TURN)
        & (np.abs(maps[:, :, 2]).max(axis=1) <= 2 * LARGEST_SHIFT)
        & (np.abs(np.log(stretched)) <= 0.08)
    )
    return maps, within


def _smooth(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    values = gaussian_filter(images.astype(np.float32), (0, ALIGNING_BLUR, ALIGNING_BLUR))
    values -= values.mean(axis=(1, 2), keepdims=True)
    return np.asarray(values / np.maximum(values.std(axis=(1, 2), keepdims=True), 1.0), np.float32)


def _align_block(first: NDArray[np.float32], second: NDArray[np.float32], maps: Maps) -> Maps:
    side = first.shape[1]
    line = ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)
    ones = np.ones((side, side), np.float32)
    basis = np.stack([ones * line[None, :], ones * line[:, None], ones]).reshape(3, -1)
    down, across = (np.gradient(second, axis=axis) * (side / 2) for axis in (1, 2))
    for _ in range(STEPS):
        # What is seen has a mean and a spread of its own, other than those of the whole picture.
        warped = warp(second, maps)
        spread = np.maximum(warped.std(axis=(1, 2), keepdims=True), 0.1)
        warped = (warped - warped.mean(axis=(1, 2), keepdims=True)) / spread
        residual = (first - warped).reshape(len(first), -1)
        slope = [(warp(values, maps) / spread).reshape(len(first), 1, -1) * basis for values in (across, down)]
        jacobian = np.concatenate(slope, axis=1)
        square = jacobian @ jacobian.transpose(0, 2, 1) + 1e-3 * side * side * np.eye(6, dtype=np.float32)
        step = np.linalg.solve(square, (jacobian @ residual[:, :, None]))[:, :, 0]
        maps = maps + step.reshape(-1, 2, 3).clip(-0.08, 0.08)
    return maps
