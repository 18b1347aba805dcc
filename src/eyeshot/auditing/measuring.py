"""What is measured on one decoded image: two thumbnails, and numbers; some of them of many images at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeshot.auditing.describing import thumbnails
from eyeshot.images import UprightImage

THUMBNAIL = 64  # grey, for verification; its means are the 16 x 16 of the search
REDUCING_GAP = 1.5  # means of whole pixels first, down to this many times the size at least: half the work
COLOURS = 16
SAMPLED = 32  # pixels along a side that colours are taken from: 1 % of what images differ by is lost
WINDOW = 512  # pixels of the central window in which sharpness is measured
LINES = 32  # evenly spread, or up to twice as many, tell contrast and sharpness
PLAIN_CONTRAST = 16.0  # levels; below it and below `SOME_RANGE` all pixels are looked at, a stain may lie between lines
SOME_RANGE = 16  # levels: no image of one colour, so the channels need not be looked at one by one
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

NUMBERS = (
    "width",  # pixels, upright
    "height",
    "frames",
    "orientation",  # EXIF, 1 to 8
    "quality",  # JPEG, 1 to 100; 0 for other formats
    "metadata_bytes",
    "trailing_bytes",
    "brightness",  # mean luma of the grey thumbnail, 0 to 255
    "contrast",  # standard deviation of luma, on lines; under `PLAIN_CONTRAST`, of all pixels
    "colour",  # mean distance of the channels from their mean, levels
    "border_red",  # median of the outermost pixels of the colour thumbnail
    "border_green",
    "border_blue",
    "border_brightness",
    "border_spread",  # standard deviation of luma along the border: small where the background is plain
    "polarity",  # luma of the border less that of the middle: above 0, dark on light
    "sharpness",  # variance of the Laplacian (Pech-Pacheco et al. 2000), on lines of the central window
    "range",  # largest less smallest value over all pixels, worst channel; at `SOME_RANGE` and above, of some luma
)
RECORD = np.dtype(
    [
        ("grey", "u1", (THUMBNAIL, THUMBNAIL)),
        ("colour", "u1", (COLOURS, COLOURS, 3)),
        ("numbers", "f4", (len(NUMBERS),)),
        ("format", "S8"),
        ("mode", "S8"),
        ("layers", "S8"),
    ]
)


def measure(image: UprightImage) -> NDArray[Any]:
    """One `RECORD` about a decoded image, of shape (), but for what `complete` adds."""
    record = np.zeros((), RECORD)
    rgb = image.rgb
    luma = rgb.convert("L")
    # Smoother than means of areas: a copy of half the size then has the same thumbnail within 2 %.
    small = luma.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR, reducing_gap=REDUCING_GAP)
    record["grey"] = np.asarray(small)
    # Colour varies less than brightness: some pixels tell it, and `complete` takes brightness from all of them.
    some = rgb.resize((min(SAMPLED, rgb.width), min(SAMPLED, rgb.height)), Image.Resampling.NEAREST)
    record["colour"] = np.asarray(some.resize((COLOURS, COLOURS), Image.Resampling.BOX))
    levels = np.asarray(luma)
    contrast, extent = _spread(rgb, luma, levels)
    numbers = {
        "width": rgb.width,
        "height": rgb.height,
        "frames": image.frames,
        "orientation": image.orientation,
        "quality": image.quality,
        "metadata_bytes": image.metadata_bytes,
        "trailing_bytes": image.trailing_bytes,
        "contrast": contrast,
        "sharpness": _sharpness(levels),
        "range": extent,
    }
    record["numbers"] = [numbers.get(name, 0.0) for name in NUMBERS]
    record["format"], record["mode"] = image.format.encode()[:8], image.mode.encode()[:8]
    record["layers"] = image.layers.mode.encode()[:8]
    return record


def complete(records: NDArray[Any]) -> None:
    """Fill in what follows from the thumbnails in colour of many images, `RECORD` (n,), in place."""
    values = records["colour"].astype(np.float32)
    values += (thumbnails(records["grey"]) - values @ LUMA)[..., None]
    records["colour"] = values.round().clip(0, 255)
    border = np.concatenate([values[:, 0], values[:, -1], values[:, 1:-1, 0], values[:, 1:-1, -1]], axis=1)
    medians = np.median(border, axis=1)
    edge = border @ LUMA
    quarter = COLOURS // 4
    middle = values[:, quarter:-quarter, quarter:-quarter] @ LUMA
    found = {
        "brightness": records["grey"].reshape(len(records), -1).mean(axis=1, dtype=np.float32),
        "colour": np.abs(values - values.mean(axis=3, keepdims=True)).mean(axis=(1, 2, 3)),
        "border_red": medians[:, 0],
        "border_green": medians[:, 1],
        "border_blue": medians[:, 2],
        "border_brightness": np.median(edge, axis=1),
        "border_spread": edge.std(axis=1),
        "polarity": edge.mean(axis=1) - middle.mean(axis=(1, 2)),
    }
    for name, numbers in found.items():
        records["numbers"][:, NUMBERS.index(name)] = numbers


def _spread(rgb: Image.Image, luma: Image.Image, levels: NDArray[np.uint8]) -> tuple[float, int]:
    """Contrast and range."""
    some = levels[:: max(1, len(levels) // LINES)].ravel()
    extent = int(some.max()) - int(some.min())
    flat = some.astype(np.float32)
    flat -= flat.mean()
    contrast = float(flat @ flat / len(flat)) ** 0.5
    if extent >= SOME_RANGE and contrast >= PLAIN_CONTRAST:
        return contrast, extent
    counts = np.asarray(luma.histogram(), np.float64)
    every = np.arange(256.0)
    mean = counts @ every / counts.sum()
    contrast = float(max(0.0, counts @ np.square(every - mean) / counts.sum())) ** 0.5
    extent = _extent(counts)
    if extent < SOME_RANGE:
        extent = max(map(_extent, np.asarray(rgb.histogram()).reshape(3, 256)))
    return contrast, extent


def _extent(counts: NDArray[np.generic]) -> int:
    used = np.flatnonzero(counts)
    return int(used[-1] - used[0])


def _sharpness(levels: NDArray[np.uint8]) -> float:
    height, width = levels.shape
    left, top = max(0, (width - WINDOW) // 2), max(0, (height - WINDOW) // 2)
    values = levels[top : top + WINDOW, left : left + WINDOW]
    if min(values.shape) < 3:
        return 0.0
    inner = len(values) - 2
    step = max(1, inner // LINES)
    # Levels as int16: the Laplacian of bytes lies within 1,020 of zero.
    above, line, below = (values[first : first + inner : step].astype(np.int16) for first in range(3))
    laplacian = above[:, 1:-1] + below[:, 1:-1]
    laplacian += line[:, :-2]
    laplacian += line[:, 2:]
    laplacian -= 4 * line[:, 1:-1]
    flat = laplacian.ravel().astype(np.float32)
    mean = float(flat.mean())
    return float(flat @ flat) / len(flat) - mean * mean
