"""What a picture is compared by: its whitened thumbnail, laid out so that all 8 orientations come from one vector.

A picture is described by the cosine transform of its grey 16 x 16 thumbnail, standardised, so that brightness and
contrast do not count. What pictures of this set have in common anyway (a bright middle, white paper, smoothness) is
whitened away: what is left is each picture's own. Two copies have a cosine near 1, two different pictures one near 0.

A flip changes the signs of odd frequencies, a quarter turn swaps the axes besides. Frequencies therefore fall into
parts that an orientation only signs (even and odd ones on both axes, each symmetric or antisymmetric), and one pair
of parts (even on one axis, odd on the other) that it signs and swaps. The covariance over all orientations mixes no
two parts, so whitening keeps them apart (Schur's lemma; these are the representations of the square's symmetries).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 16
KEPT = 128  # dimensions after whitening
MOST_FITTED = 20_000
PRIOR_IMAGES = 300  # weight of the prior, in images: pictures in general have power falling with frequency squared
NOISE = 2e-4  # variance that encoding again leaves in a standardised thumbnail, per row of its transform
LEAST_CONTRAST = 2.0  # levels; flat pictures have nothing to compare

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


@dataclass(frozen=True, eq=False)
class Descriptors:
    """Pictures described.

    Attributes:
        values: float32 (n, d), each of length 1.
        ends: where in d the six parts end: signed ones (even symmetric, even antisymmetric, odd symmetric, odd
            antisymmetric), then the pair, first odd along the rows' axis, then odd along the columns'.
    """

    values: NDArray[np.float32]
    ends: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Descriptors:
        return Descriptors(self.values[rows], self.ends)

    def parts(self) -> list[NDArray[np.float32]]:
        """The six parts, views."""
        return np.split(self.values, self.ends[:-1], axis=1)

    def turned(self, orientation: int) -> Descriptors:
        """Those of the pictures in one of `ORIENTATIONS`."""
        parts = self.parts()
        if orientation >= 4:
            parts = _signed(parts, (1, 1, -1, -1, -1, 1))
        for _ in range(orientation % 4):
            *signed, first, second = parts
            parts = _signed([*signed, second, first], (1, -1, -1, 1, 1, -1))
        return Descriptors(np.concatenate(parts, axis=1), self.ends)


def _signed(parts: Sequence[NDArray[np.float32]], signs: Sequence[int]) -> list[NDArray[np.float32]]:
    return [part if sign > 0 else -part for part, sign in zip(parts, signs, strict=True)]


def inverse(orientation: int) -> int:
    """The orientation that takes back another: mirrored ones take back themselves."""
    return orientation if orientation >= 4 else (-orientation) % 4


def combined(first: int, then: int) -> int:
    """The orientation that equals two, one after the other; each mirrors first and then turns by quarters."""
    mirrored = (first >= 4) != (then >= 4)
    turns = (then % 4) + ((-1 if then >= 4 else 1) * (first % 4))
    return (4 if mirrored else 0) + turns % 4


def oriented(images: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """Images (n, S, S) in one of `ORIENTATIONS`."""
    mirrored = images[:, :, ::-1] if orientation >= 4 else images
    return np.rot90(mirrored, orientation % 4, axes=(1, 2))


def thumbnails(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means of blocks: uint8 (n, 64, 64) to float32 (n, 16, 16)."""
    count, side = grey.shape[:2]
    step = side // SIDE
    rows = grey.reshape(count, SIDE, step, side).sum(axis=2, dtype=np.uint16)
    sums = sum(rows[:, :, place::step].astype(np.float32) for place in range(step))
    return np.asarray(sums / step**2, np.float32)


def standardised(small: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine transforms float32 (n, 16, 16) of thumbnails, mean 0 and variance 1 as pictures."""
    centred = small - small.mean(axis=(1, 2), keepdims=True)
    spread = np.maximum(centred.std(axis=(1, 2), keepdims=True), 1e-6)
    basis = _cosines()
    waves: NDArray[np.float32] = (basis @ (centred / spread) @ basis.T).astype(np.float32) / SIDE
    return waves


def _cosines() -> NDArray[np.float32]:
    """The orthonormal cosine transform (DCT-II), (16, 16)."""
    frequency, place = np.arange(SIDE)[:, None], np.arange(SIDE) + 0.5
    basis = np.cos(np.pi * frequency * place / SIDE) * np.sqrt(2 / SIDE)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis, np.float32)


@dataclass(frozen=True, eq=False)
class Whitening:
    """Takes cosine transforms to descriptors; the same for all orientations of a picture."""

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]
    ends: tuple[int, ...]

    def __call__(self, waves: NDArray[np.float32]) -> Descriptors:
        """Descriptors of transforms (n, 16, 16)."""
        vectors = (waves.reshape(len(waves), -1) - self.mean) @ self.matrix
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return Descriptors(np.asarray(vectors, np.float32), self.ends)


def fit_whitening(waves: NDArray[np.float32], *, seed: int = 0) -> Whitening:
    """Whitening by the covariance over all pictures in all 8 orientations, drawn towards a prior in small sets."""
    if len(waves) > MOST_FITTED:
        waves = waves[np.random.default_rng(seed).choice(len(waves), MOST_FITTED, replace=False)]
    flat = waves.reshape(len(waves), -1)
    weight = len(waves) / (len(waves) + PRIOR_IMAGES)
    frequency = np.add.outer(np.square(np.arange(SIDE)), np.square(np.arange(SIDE))).ravel()
    power = np.where(frequency > 0, 1.0 / np.maximum(frequency, 1), 0.0)
    prior = (1 - weight) * power / power.sum() + NOISE / SIDE
    bases = _bases()
    # Only the part that no orientation signs has a mean over all of them.
    mean = weight * bases[0] @ (bases[0].T @ flat.mean(axis=0))
    found = []
    for number, basis in enumerate(bases[:5]):
        seen = [(flat - mean) @ basis] if number < 4 else [flat @ basis, flat @ bases[5]]
        covariance = np.mean([part.T @ part for part in seen], axis=0) * (weight / len(flat))
        found.append(np.linalg.eigh(covariance + (basis.T * prior) @ basis))
    # Of the pair both come or neither does.
    all_values = np.sort(np.concatenate([*(values for values, _ in found), found[4][0]]))
    least = all_values[-KEPT]
    columns = []
    for number, basis in enumerate(bases):
        values, directions = found[min(number, 4)]
        kept = values >= least
        columns.append(basis @ (directions[:, kept] / np.sqrt(values[kept])))
    ends = np.cumsum([part.shape[1] for part in columns]).tolist()
    return Whitening(mean.astype(np.float32), np.concatenate(columns, axis=1).astype(np.float32), tuple(ends))


def _bases() -> list[NDArray[np.float64]]:
    """Of the six parts an orthonormal basis (256, m) each; those of the pair correspond column by column."""
    even, odd = range(0, SIDE, 2), range(1, SIDE, 2)
    unit = np.eye(SIDE * SIDE).reshape(SIDE, SIDE, -1)
    made = []
    for axis in (even, odd):
        pairs = [(a, b) for a in axis for b in axis if a < b]
        same = [unit[a, a] for a in axis]
        made.append([*same, *((unit[a, b] + unit[b, a]) / np.sqrt(2) for a, b in pairs)])
        made.append([(unit[a, b] - unit[b, a]) / np.sqrt(2) for a, b in pairs])
    made.append([unit[a, b] for a in even for b in odd])
    made.append([unit[b, a] for a in even for b in odd])
    return [np.stack(vectors, axis=1) for vectors in made]
