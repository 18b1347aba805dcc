"""Two duplicates aligned for display: the second is turned, flipped and cropped like the first; their difference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeshot.auditing import align

SIDE = 64  # pixels; the size that `align` works at
LEVELS = 24  # grey levels for one standard deviation of difference, at least
MOST_LEVELS = 192  # at most: beyond it only the noise of the encoding would be visible
TARGET_LEVELS = 100  # the strongest difference is scaled to this many levels
ROUNDING = 1.5  # levels of 255 by which equal pictures may differ after rounding
STRONGEST = 0.995  # quantile; single pixels at edges do not count
# The alignment follows slopes over a few pixels, so it needs several starts.
STARTS = [(0.0, 0.0)] + [(zoom, turn) for zoom in (-0.1, 0.0, 0.1) for turn in (-4.0, 0.0, 4.0) if zoom or turn]
BETTER = 0.9  # of the error of a turn alone; a smaller improvement is noise
TRANSPOSES = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


def turned_like(first: Image.Image, second: Image.Image) -> Image.Image:
    """The second picture oriented and cropped like the first, at the size of the first.

    All eight turns and flips are tried, then crops and small turns as far as the audit finds them.
    """
    reference = _grey(first)
    views = [
        view for picture in (second, second.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) for view in _turns(picture)
    ]
    errors = [_error(reference, _grey(view)) for view in views]
    best = views[int(np.argmin(errors))]
    return _moved(best, _map(reference, _grey(best), min(errors)), first.size)


def difference(first: Image.Image, second: Image.Image) -> Image.Image:
    """Where two pictures of the same size differ, amplified: mid-grey where they are equal.

    Brightness and contrast are ignored. Small differences are amplified up to eight times, so that they are visible.
    """
    values = [np.asarray(image.convert("L"), np.float32) for image in (first, second)]
    apart = _even(values[0]) - _even(values[1])
    rounding = ROUNDING / max(min(float(value.std()) for value in values), 1.0)
    apart = np.sign(apart) * np.maximum(np.abs(apart) - rounding, 0)
    strongest = max(float(np.quantile(np.abs(apart), STRONGEST)), 1e-6)
    levels = float(np.clip(TARGET_LEVELS / strongest, LEVELS, MOST_LEVELS))
    return Image.fromarray(np.clip(128 + levels * apart, 0, 255).astype(np.uint8)).convert("RGB")


def _turns(picture: Image.Image) -> list[Image.Image]:
    return [picture if turn is None else picture.transpose(turn) for turn in TRANSPOSES]


def _grey(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.uint8)


def _even(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values with mean 0 and spread 1."""
    return np.asarray((values - values.mean()) / max(float(values.std()), 1.0), np.float32)


def _error(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    return float(np.square(_even(first.astype(np.float32)) - _even(second.astype(np.float32))).mean())


def _map(first: NDArray[np.uint8], second: NDArray[np.uint8], error: float) -> NDArray[np.float64]:
    """2 x 3, from places of the first picture (-1 to 1) to places of the second; the identity if that is as good.

    Both directions are tried: an alignment finds a crop in the whole picture, but never the whole picture in its crop.
    """
    still = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    starts = np.stack([_start(zoom, turn) for zoom, turn in STARTS])
    there, back = (np.repeat(side[None], len(starts), axis=0) for side in (first, second))
    onto, within_onto = align(there, back, starts)
    from_it, within_from = align(back, there, starts)
    maps = [*onto[within_onto], *map(_inverse, from_it[within_from])]
    errors = [_error_where_visible(first, second, matrix) for matrix in maps]
    place = int(np.argmin(errors)) if errors else -1
    return maps[place] if errors and errors[place] < BETTER * error else still


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    turned = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turned, -turned @ matrix[:, 2]])


def _error_where_visible(first: NDArray[np.uint8], second: NDArray[np.uint8], matrix: NDArray[np.float64]) -> float:
    """Error of a map over the places of the first picture that the second picture shows."""
    line = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    places = np.stack([*np.meshgrid(line, line), np.ones((SIDE, SIDE))])
    visible = (np.abs(np.einsum("ij,jkl->ikl", matrix, places)) <= 1).all(axis=0)
    moved = np.asarray(_moved(Image.fromarray(second), matrix, (SIDE, SIDE)))
    return _error(first[visible], moved[visible])


def _start(zoom: float, degrees: float) -> NDArray[np.float64]:
    angle = np.radians(degrees)
    cos, sin = (1 + zoom) * np.cos(angle), (1 + zoom) * np.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0]])


def _moved(picture: Image.Image, matrix: NDArray[np.float64], size: tuple[int, int]) -> Image.Image:
    """The picture warped by a map to a size; outside its edges it has its mean colour."""
    width, height = size
    if np.array_equal(matrix, [[1, 0, 0], [0, 1, 0]]):
        return picture.resize(size, Image.Resampling.BILINEAR)
    (a, b, c), (d, e, f) = matrix
    mean = np.asarray(picture, np.float64).reshape(picture.height * picture.width, -1).mean(axis=0).round().astype(int)
    fill = int(mean[0]) if len(mean) == 1 else tuple(mean.tolist())
    half_w, half_h = picture.width / 2, picture.height / 2
    across = (a * half_w * 2 / width, b * half_w * 2 / height, half_w * (1 - a - b + c))
    down = (d * half_h * 2 / width, e * half_h * 2 / height, half_h * (1 - d - e + f))
    return picture.transform(size, Image.Transform.AFFINE, (*across, *down), Image.Resampling.BILINEAR, fillcolor=fill)
