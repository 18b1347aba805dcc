"""Pictures that show little, such as icons, digits, drawings on white and empty frames: when is one a copy of another?

Two icons agree in nearly all their detail once one is moved onto the other, as they have so little of it. So what a
picture shows is measured first: how much of it is flat, and how many bytes its thumbnail takes as a JPEG. Plain
pictures are copies only where their pixels are nearly equal without being moved. The answer depends on the two alone.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeshot.auditing.copies.descriptors import oriented
from eyeshot.auditing.copies.search import Pairs

# Of photographs (PACS) 1 in 10 has more than 0.4, drawings on white have at least 0.74, digits of 8 x 8 at least 0.36.
PARTLY_FLAT = 0.35  # of the picture within a tenth of its range of levels
MOSTLY_FLAT = 0.5
# Of drawings (PACS, 1,966) 1 in 100 takes less than 206 bytes, 1 in 20 less than 246; near duplicates of CIFAR-10 that
# people judged take at least 212; icons, sprites, masks and digits, on which the limits were chosen, 60 to 380.
LITTLE = 210  # bytes
FEW = 260
QUALITY = 50
CONTRAST = 40.0  # levels, the standard deviation that thumbnails are brought to before they are encoded
# Root mean square and largest difference of thumbnails of mean 0 and variance 1. JPEG encodings of quality 85 and 40
# differ by up to 0.05 and 0.45, files of half the size by up to 0.13 and 1.2; different masks from 0.06 and 0.8 on,
# and different drawings and digits that take `LITTLE` or more from 0.15 and 0.6 on.
NEARLY_EQUAL = (0.06, 0.5)
ALMOST_EQUAL = (0.12, 1.2)
AT_ONCE = 512  # pairs

Choice = NDArray[np.bool_]


def judge_plain(grey: NDArray[np.uint8], pairs: Pairs) -> tuple[Choice, Choice]:
    """Which pairs of plain pictures are no copies as far as one can tell, and which of the others are unsure.

    Args:
        grey: uint8 (n, 64, 64)
        pairs: m pairs by numbers of pictures.

    Returns:
        bool (m,) twice: both pictures show too little, and their pixels are not nearly equal; the same of pictures that
        show more, such as drawings on white, where a person has to look.
    """
    pictures, places = np.unique(np.stack([pairs.first, pairs.second]), return_inverse=True)
    places = places.reshape(2, -1)
    flat = np.array([flat_share(grey[picture]) for picture in pictures.tolist()])
    size = np.full(len(pictures), np.inf)
    for place in np.flatnonzero(flat >= PARTLY_FLAT).tolist():
        size[place] = encoded_size(grey[pictures[place]])
    # Writing across a plain picture makes it less plain; what was written on is as plain as before.
    flat_of_pair, size_of_pair = flat[places].max(axis=0, initial=0), size[places].min(axis=0, initial=np.inf)
    little = size_of_pair < LITTLE
    plain = little | (flat_of_pair >= MOSTLY_FLAT) | (size_of_pair < FEW)
    differing = np.zeros(len(pairs), np.bool_)
    rows = np.flatnonzero(plain)
    root, largest = differences(grey, pairs[rows])
    limits = np.where(little[rows, None], NEARLY_EQUAL, ALMOST_EQUAL)
    differing[rows] = (root > limits[:, 0]) | (largest > limits[:, 1])
    return differing & little, differing & ~little


def flat_share(grey: NDArray[np.uint8]) -> float:
    """Share of a picture, uint8 (h, w), within the tenth of its range of levels that holds most of it."""
    counts = np.concatenate([[0], np.cumsum(np.bincount(grey.ravel(), minlength=256))])
    width = max(4, (int(grey.max()) - int(grey.min())) // 10)
    return float((counts[width:] - counts[:-width]).max() / grey.size)


def encoded_size(grey: NDArray[np.uint8]) -> int:
    """Bytes of a picture, uint8 (h, w), as a JPEG, less those of an empty picture; its contrast does not matter."""
    values = grey.astype(np.float32)
    values = 128 + (values - values.mean()) * (CONTRAST / max(float(values.std()), 1.0))
    return _encoded(values) - _encoded(np.full_like(values, 128))


def _encoded(values: NDArray[np.float32]) -> int:
    buffer = io.BytesIO()
    Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.tell()


def differences(grey: NDArray[np.uint8], pairs: Pairs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Root mean square and largest difference of pairs, float32 (m,), each picture with mean 0 and variance 1."""
    root, largest = np.zeros(len(pairs), np.float32), np.zeros(len(pairs), np.float32)
    for orientation in np.unique(pairs.orientation):
        same = np.flatnonzero(pairs.orientation == orientation)
        for start in range(0, len(same), AT_ONCE):
            rows = same[start : start + AT_ONCE]
            first = _standardised(grey[pairs.first[rows]])
            second = _standardised(np.asarray(oriented(grey[pairs.second[rows]], int(orientation)), np.uint8))
            distance = np.abs(first - second)
            root[rows] = np.sqrt(np.square(distance).mean(axis=(1, 2)))
            largest[rows] = distance.max(axis=(1, 2))
    return root, largest


def _standardised(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = grey.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    return np.asarray(values / np.maximum(values.std(axis=(1, 2), keepdims=True), 1), np.float32)
