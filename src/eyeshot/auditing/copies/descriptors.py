"""What a picture is compared by: its whitened thumbnail, which an orthogonal matrix turns into any orientation.

A picture is described by the cosine transform of its grey 16 x 16 thumbnail, standardised, so that brightness and
contrast do not count. What pictures of this set have in common anyway (a bright middle, white paper, smoothness) is
whitened away: what is left is each picture's own. Two copies have a cosine near 1, two different pictures one near 0.

A flip changes the signs of odd frequencies, a quarter turn swaps the axes besides. The covariance that whitens is that
over all 8 orientations, so it is the same for a turned picture, and descriptors are turned without describing again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 16
COARSE = 6  # frequencies along each axis that show from afar
KEPT = 128  # dimensions after whitening
MOST_FITTED = 20_000
PRIOR_IMAGES = 300  # weight of the prior, in images: pictures in general have power falling with frequency squared
EQUAL = 1e-9  # relative difference of two variances that are equal but for rounding
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
        turns: float32 (8, d, d), the orthogonal matrix of each of `ORIENTATIONS`.
    """

    values: NDArray[np.float32]
    turns: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Descriptors:
        return Descriptors(self.values[rows], self.turns)

    def turned(self, orientation: int) -> Descriptors:
        """Those of the pictures in one of `ORIENTATIONS`."""
        return Descriptors(self.values @ self.turns[orientation], self.turns) if orientation else self


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
    turns: NDArray[np.float32]

    def __call__(self, waves: NDArray[np.float32]) -> Descriptors:
        """Descriptors of transforms (n, 16, 16)."""
        vectors = (waves.reshape(len(waves), -1) - self.mean) @ self.matrix
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return Descriptors(np.asarray(vectors, np.float32), self.turns)


def fit_whitening(waves: NDArray[np.float32], *, seed: int = 0) -> Whitening:
    """Whitening by the covariance over all pictures in all 8 orientations, drawn towards a prior in small sets."""
    if len(waves) > MOST_FITTED:
        waves = waves[np.random.default_rng(seed).choice(len(waves), MOST_FITTED, replace=False)]
    flat = waves.reshape(len(waves), -1)
    weight = len(waves) / (len(waves) + PRIOR_IMAGES)
    frequency = np.add.outer(np.square(np.arange(SIDE)), np.square(np.arange(SIDE))).ravel()
    power = np.where(frequency > 0, 1.0 / np.maximum(frequency, 1), 0.0)
    prior = (1 - weight) * power / power.sum() + NOISE / SIDE
    orientations = _orientation_matrices(SIDE)
    mean = weight * np.mean([flat.mean(axis=0) @ matrix for matrix in orientations], axis=0)
    centred = flat - mean
    scatter = centred.T @ centred * (weight / len(flat))
    covariance = np.mean([matrix.T @ scatter @ matrix for matrix in orientations], axis=0) + np.diag(prior)
    values, directions = np.linalg.eigh(covariance)
    # A picture and its turned one have equal variance along some pairs of directions: of a pair both come or neither.
    is_kept = values >= values[-KEPT] * (1 - EQUAL)
    directions = directions[:, is_kept]
    turns = np.stack([directions.T @ matrix @ directions for matrix in orientations])
    matrix = directions / np.sqrt(values[is_kept])
    return Whitening(mean.astype(np.float32), matrix.astype(np.float32), turns.astype(np.float32))


def coarse_descriptors(grey: NDArray[np.uint8], colour: NDArray[np.uint8]) -> Descriptors:
    """What pictures look like from afar: the lowest frequencies of grey and of two colour differences.

    The same for a picture whatever other pictures there are, and hardly changed where it is moved, scaled or cropped
    by a few hundredths. Each frequency counts in proportion to itself, as pictures have less power the higher it is
    (Field 1987).

    Args:
        grey: uint8 (n, 64, 64)
        colour: uint8 (n, 16, 16, 3), RGB.
    """
    small = thumbnails(grey)
    spread = np.maximum(small.std(axis=(1, 2), keepdims=True), 1.0)
    channels = colour.astype(np.float32)
    means = channels.mean(axis=3)
    planes = (small, channels[..., 0] - means, channels[..., 2] - means)
    basis = _cosines()[:COARSE]
    squares = np.square(np.arange(COARSE))
    weights = np.sqrt(np.add.outer(squares, squares) + 1.0)
    weights[0, 0] = 0  # brightness and tint
    waves = [(basis @ (plane / spread) @ basis.T * weights).reshape(len(grey), -1) for plane in planes]
    values = np.concatenate(waves, axis=1).astype(np.float32)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
    turns = np.stack([np.kron(np.eye(3), matrix) for matrix in _orientation_matrices(COARSE)])
    return Descriptors(values, turns.astype(np.float32))


def _orientation_matrices(side: int) -> NDArray[np.float64]:
    """Of each orientation the signed permutation (side², side²) that turns cosine transforms as rows."""
    signs = (-1.0) ** np.arange(side)
    turned = []
    for orientation in range(8):
        waves = np.eye(side * side).reshape(-1, side, side)
        if orientation >= 4:
            waves = waves * signs
        for _ in range(orientation % 4):
            waves = waves.transpose(0, 2, 1) * signs[:, None]
        turned.append(waves.reshape(side * side, -1))
    return np.stack(turned)
