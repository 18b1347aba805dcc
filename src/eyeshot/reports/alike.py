"""Two copies shown alike: the second turned, flipped and cropped like the first, and where they differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeshot.auditing import align

SIDE = 64  # pixels; what `align` works at
LEVELS = 24  # of grey for one standard deviation of difference
# From here the alignment finds its way: it follows slopes, a few pixels far.
STARTS = [(0.0, 0.0)] + [(zoom, turn) for zoom in (-0.1, 0.0, 0.1) for turn in (-4.0, 0.0, 4.0) if zoom or turn]
BETTER = 0.9  # of the error of a plain turn; a smaller gain than this is noise
TRANSPOSES = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


def turned_like(first: Image.Image, second: Image.Image) -> Image.Image:
    """The second picture as the first one lies, at the first one's size.

    All eight turns and flips are tried, then crops and small turns as far as the audit finds them.
    """
    one = _grey(first)
    views = [
        view for picture in (second, second.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) for view in _turns(picture)
    ]
    errors = [_error(one, _grey(view)) for view in views]
    best = views[int(np.argmin(errors))]
    return _moved(best, _map(one, _grey(best), min(errors)), first.size)


def difference(first: Image.Image, second: Image.Image) -> Image.Image:
    """Where two pictures of one size differ: grey where they are equal; brightness and contrast are no difference."""
    one, other = (_even(np.asarray(image.convert("L"), np.float32)) for image in (first, second))
    return Image.fromarray(np.clip(128 + LEVELS * (one - other), 0, 255).astype(np.uint8)).convert("RGB")


def _turns(picture: Image.Image) -> list[Image.Image]:
    return [picture if turn is None else picture.transpose(turn) for turn in TRANSPOSES]


def _grey(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.uint8)


def _even(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean 0 and spread 1."""
    return np.asarray((values - values.mean()) / max(float(values.std()), 1.0), np.float32)


def _error(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.square(_even(one.astype(np.float32)) - _even(other.astype(np.float32))).mean())


def _map(one: NDArray[np.uint8], other: NDArray[np.uint8], error: float) -> NDArray[np.float64]:
    """2 x 3, from places of the first picture (-1 to 1) to those of the second; nothing moves where that is as good."""
    still = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    starts = np.stack([_start(zoom, turn) for zoom, turn in STARTS])
    count = len(starts)
    maps, within = align(np.repeat(one[None], count, axis=0), np.repeat(other[None], count, axis=0), starts)
    picture = Image.fromarray(other)
    errors = [
        _error(one, np.asarray(_moved(picture, matrix, (SIDE, SIDE)))) if good else np.inf
        for matrix, good in zip(maps, within, strict=True)
    ]
    place = int(np.argmin(errors))
    return maps[place] if errors[place] < BETTER * error else still


def _start(zoom: float, degrees: float) -> NDArray[np.float64]:
    angle = np.radians(degrees)
    cos, sin = (1 + zoom) * np.cos(angle), (1 + zoom) * np.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0]])


def _moved(picture: Image.Image, matrix: NDArray[np.float64], size: tuple[int, int]) -> Image.Image:
    """The picture seen through a map, at a size."""
    width, height = size
    if np.array_equal(matrix, [[1, 0, 0], [0, 1, 0]]):
        return picture.resize(size, Image.Resampling.BILINEAR)
    (a, b, c), (d, e, f) = matrix
    half_w, half_h = picture.width / 2, picture.height / 2
    across = (a * half_w * 2 / width, b * half_w * 2 / height, half_w * (1 - a - b + c))
    down = (d * half_h * 2 / width, e * half_h * 2 / height, half_h * (1 - d - e + f))
    return picture.transform(size, Image.Transform.AFFINE, (*across, *down), Image.Resampling.BILINEAR, fillcolor=None)
