"""Which pictures may be copies of each other: whitened thumbnails, compared in all 8 orientations.

A picture is described by the cosine transform of its grey 16 x 16 thumbnail, standardised, so that brightness and
contrast do not count. A flip changes the signs of odd frequencies and a quarter turn swaps the axes, so all 8
orientations come from one transform. What pictures of this set have in common anyway (a bright middle, white
paper, smoothness) is whitened away: what is left is each picture's own. Two copies have a cosine near 1, two
different pictures one near 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.fft import dct
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

SIDE = 16
KEPT = 128  # dimensions after whitening
MOST_FITTED = 20_000
PRIOR_IMAGES = 300  # weight of the prior, in images: pictures in general have power falling with frequency squared
NOISE = 2e-4  # variance that encoding again leaves in a standardised thumbnail, per row of its transform
LEAST_CONTRAST = 2.0  # levels; flat pictures have nothing to compare
BLOCK = 2048
NEIGHBOURS = 24  # candidates of one picture at most: a thousand copies need not be a million pairs

# Orientation g of a picture: mirrored left to right or not, then turned by quarters counterclockwise, as np.rot90 does.
ORIENTATIONS = (
    "as it is",
    "turned by 90° counterclockwise",
    "turned by 180°",
    "turned by 90° clockwise",
    "mirrored",
    "mirrored and turned by 90° counterclockwise",
    "flipped upside down",
    "mirrored and turned by 90° clockwise",
)
Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of pictures that may be copies.

    Attributes:
        first, second: int64 (m,), positions.
        orientation: int64 (m,), what turns the second one into the first, a number of `ORIENTATIONS`.
        cosine: float32 (m,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    orientation: NDArray[np.int64]
    cosine: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)


def oriented(images: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """Images (n, S, S) in one of `ORIENTATIONS`."""
    mirrored = images[:, :, ::-1] if orientation >= 4 else images
    return np.rot90(mirrored, orientation % 4, axes=(1, 2))


def thumbnails(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means of blocks: uint8 (n, 64, 64) to float32 (n, 16, 16)."""
    count, side = grey.shape[:2]
    step = side // SIDE
    blocks = grey.reshape(count, SIDE, step, SIDE, step)
    return np.asarray(blocks.mean(axis=(2, 4), dtype=np.float32))


def standardised(small: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine transforms float32 (n, 16, 16) of thumbnails, mean 0 and variance 1 as pictures."""
    centred = small - small.mean(axis=(1, 2), keepdims=True)
    spread = np.maximum(centred.std(axis=(1, 2), keepdims=True), 1e-6)
    basis = dct(np.eye(SIDE, dtype=np.float32), axis=0, norm="ortho")
    waves: NDArray[np.float32] = (basis @ (centred / spread) @ basis.T).astype(np.float32) / SIDE
    return waves


def turned_waves(waves: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """Cosine transforms of the pictures in one of `ORIENTATIONS`, from those of the pictures as they are."""
    odd = np.where(np.arange(SIDE) % 2, -1.0, 1.0).astype(np.float32)
    out = waves * odd[None, None, :] if orientation >= 4 else waves
    for _ in range(orientation % 4):
        # A quarter turn counterclockwise: transpose, then flip upside down.
        out = out.transpose(0, 2, 1) * odd[None, :, None]
    return out


@dataclass(frozen=True, eq=False)
class Whitening:
    """Takes cosine transforms to vectors of length 1; the same for all orientations of a picture."""

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]

    def __call__(self, waves: NDArray[np.float32]) -> Vectors:
        """Vectors float32 (n, 128) of transforms (n, 16, 16)."""
        vectors = (waves.reshape(len(waves), -1) - self.mean) @ self.matrix
        norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return np.asarray(vectors / norms, np.float32)


def fit_whitening(waves: NDArray[np.float32], *, seed: int = 0) -> Whitening:
    """Whitening by the covariance over all pictures in all 8 orientations, drawn towards a prior in small sets."""
    if len(waves) > MOST_FITTED:
        waves = waves[np.random.default_rng(seed).choice(len(waves), MOST_FITTED, replace=False)]
    views = [turned_waves(waves, orientation).reshape(len(waves), -1) for orientation in range(8)]
    weight = len(waves) / (len(waves) + PRIOR_IMAGES)
    mean = weight * np.mean([view.mean(axis=0) for view in views], axis=0)
    covariance = np.zeros((SIDE * SIDE, SIDE * SIDE), np.float64)
    for view in views:
        centred = view - mean
        covariance += centred.T @ centred / len(waves) / len(views)
    frequency = np.add.outer(np.square(np.arange(SIDE)), np.square(np.arange(SIDE))).ravel()
    power = np.where(frequency > 0, 1.0 / np.maximum(frequency, 1), 0.0)
    covariance = weight * covariance + (1 - weight) * np.diag(power / power.sum()) + NOISE / SIDE * np.eye(SIDE * SIDE)
    last = SIDE * SIDE - 1
    values, directions = scipy.linalg.eigh(covariance, subset_by_index=(last - KEPT + 1, last))
    return Whitening(mean.astype(np.float32), (directions / np.sqrt(values)).astype(np.float32))


def search_exact(
    vectors: Vectors,
    queries: list[Vectors],
    *,
    least: float,
    parts: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Candidates:
    """All pairs with a cosine of at least `least`, each in its best orientation.

    Args:
        vectors: float32 (n, d), all pictures as they are.
        queries: for each orientation, float32 (n, d): the same pictures seen so.
        least: cosine.
        parts: the queries see a part of each picture, so that it matters which one of two is seen so. The pair is then
            told as (whole, seen in part).
        progress: called with (pictures done, pictures in all).
    """
    found: list[tuple[NDArray[np.int64], ...]] = []
    cosines: list[NDArray[np.float32]] = []
    with threadpool_limits(1, user_api="blas"):
        for start in range(0, len(vectors), BLOCK):
            block = vectors[start : start + BLOCK]
            for orientation, all_queries in enumerate(queries):
                # Seen as they are, or turned: one half of the pairs is enough.
                for other in range(0 if parts else start, len(vectors), BLOCK):
                    products = block @ all_queries[other : other + BLOCK].T
                    flat = np.flatnonzero(products >= least)
                    rows, columns = np.divmod(flat, products.shape[1])
                    one, two = rows + start, columns + other
                    kept = (one != two) if parts else (one < two)
                    if not kept.any():  # each picture is most like itself
                        continue
                    found.append((one[kept], two[kept], np.full(kept.sum(), orientation)))
                    cosines.append(products.ravel()[flat[kept]])
            if progress is not None:
                progress(min(start + BLOCK, len(vectors)), len(vectors))
    return best_of(found, cosines, len(vectors))


def best_of(found: list[tuple[NDArray[np.int64], ...]], cosines: list[NDArray[np.float32]], count: int) -> Candidates:
    """Of each pair what is most alike, and of each picture the best pairs.

    Args:
        found: parts of `first`, `second`, `orientation`.
        cosines: as many parts.
        count: pictures.
    """
    if not any(map(len, cosines)):
        empty = np.empty(0, np.int64)
        return Candidates(empty, empty, empty, np.empty(0, np.float32))
    one, two, orientation = (np.concatenate(parts).astype(np.int64) for parts in zip(*found, strict=True))
    cosine = np.concatenate(cosines)
    keys = np.minimum(one, two) * count + np.maximum(one, two)
    order = np.lexsort((-cosine, keys))
    ordered = keys[order]
    first = order[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    one, two, orientation, cosine = (values[first] for values in (one, two, orientation, cosine))
    kept = _rank(one, two, cosine) < NEIGHBOURS
    return Candidates(one[kept], two[kept], orientation[kept], cosine[kept])


def _rank(one: NDArray[np.int64], two: NDArray[np.int64], cosine: NDArray[np.float32]) -> NDArray[np.int64]:
    """Place of each pair among those of either of its pictures, the better of the two."""
    ends = np.concatenate([one, two])
    both = np.concatenate([cosine, cosine])
    order = np.lexsort((-both, ends))
    sorted_ends = ends[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_ends[1:] != sorted_ends[:-1]]))
    place = np.arange(len(ends)) - np.repeat(starts, np.diff(np.concatenate([starts, [len(ends)]])))
    ranks = np.empty(len(ends), np.int64)
    ranks[order] = place
    return np.minimum(ranks[: len(one)], ranks[len(one) :])
