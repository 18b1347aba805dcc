"""What is measured on one decoded image: a hash of its pixels, two thumbnails, and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray
from PIL import Image

from eyeshot.images import UprightImage

THUMBNAIL = 64  # grey, for verification; its means are the 16 x 16 of the search
COLOURS = 16
WINDOW = 512  # pixels of the central window in which sharpness is measured
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

NUMBERS = (
    "width",  # pixels, upright
    "height",
    "frames",
    "orientation",  # EXIF, 1 to 8
    "quality",  # JPEG, 1 to 100; 0 for other formats
    "metadata_bytes",
    "trailing_bytes",
    "brightness",  # mean luma, 0 to 255
    "contrast",  # standard deviation of luma
    "colour",  # mean distance of the channels from their mean, levels
    "border_red",  # median of the outermost pixels of the colour thumbnail
    "border_green",
    "border_blue",
    "border_brightness",
    "border_spread",  # standard deviation of luma along the border: small where the background is plain
    "polarity",  # luma of the border less that of the middle: above 0, dark on light
    "sharpness",  # variance of the Laplacian (Pech-Pacheco et al. 2000), in the central window
    "range",  # largest less smallest value over all pixels, worst channel
)
RECORD = np.dtype(
    [
        ("pixels", "u1", (16,)),
        ("grey", "u1", (THUMBNAIL, THUMBNAIL)),
        ("colour", "u1", (COLOURS, COLOURS, 3)),
        ("numbers", "f4", (len(NUMBERS),)),
        ("format", "S8"),
        ("mode", "S8"),
        ("layers", "S8"),
    ]
)


def measure(image: UprightImage) -> NDArray[Any]:
    """One `RECORD` about a decoded image, of shape ()."""
    record = np.zeros((), RECORD)
    rgb, layers = image.rgb, image.layers
    digest = xxhash.xxh3_128(f"{layers.mode} {layers.width} {layers.height} ".encode())
    digest.update(np.ascontiguousarray(layers).data)
    record["pixels"] = np.frombuffer(digest.digest(), np.uint8)
    luma = rgb.convert("L")
    # Smoother than means of areas: a copy of half the size then has the same thumbnail within 2 %.
    record["grey"] = np.asarray(luma.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR))
    colour = np.asarray(rgb.resize((COLOURS, COLOURS), Image.Resampling.BOX))
    record["colour"] = colour
    numbers = {
        "width": rgb.width,
        "height": rgb.height,
        "frames": image.frames,
        "orientation": image.orientation,
        "quality": image.quality,
        "metadata_bytes": image.metadata_bytes,
        "trailing_bytes": image.trailing_bytes,
        "range": _range(rgb),
        "sharpness": _sharpness(luma),
        **_levels(luma, colour),
    }
    record["numbers"] = [numbers[name] for name in NUMBERS]
    record["format"], record["mode"] = image.format.encode()[:8], image.mode.encode()[:8]
    record["layers"] = layers.mode.encode()[:8]
    return record


def _levels(luma: Image.Image, colour: NDArray[np.uint8]) -> dict[str, float]:
    counts = np.asarray(luma.histogram(), np.float64)
    levels = np.arange(256.0)
    mean = float(counts @ levels / counts.sum())
    spread = float(np.sqrt(max(0.0, counts @ np.square(levels) / counts.sum() - mean * mean)))
    values = colour.astype(np.float32)
    border = np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])
    red, green, blue = np.median(border, axis=0).tolist()
    edge = border @ LUMA
    quarter = COLOURS // 4
    middle = values[quarter:-quarter, quarter:-quarter] @ LUMA
    return {
        "brightness": mean,
        "contrast": spread,
        "colour": float(np.abs(values - values.mean(axis=2, keepdims=True)).mean()),
        "border_red": red,
        "border_green": green,
        "border_blue": blue,
        "border_brightness": float(np.median(edge)),
        "border_spread": float(edge.std()),
        "polarity": float(edge.mean() - middle.mean()),
    }


def _range(rgb: Image.Image) -> int:
    counts = np.asarray(rgb.histogram()).reshape(3, 256)
    return max(int(used[-1] - used[0]) for used in map(np.flatnonzero, counts))


def _sharpness(luma: Image.Image) -> float:
    left, top = max(0, (luma.width - WINDOW) // 2), max(0, (luma.height - WINDOW) // 2)
    box = (left, top, min(luma.width, left + WINDOW), min(luma.height, top + WINDOW))
    whole = box == (0, 0, luma.width, luma.height)
    values = np.asarray(luma if whole else luma.crop(box)).astype(np.int16)
    if min(values.shape) < 3:
        return 0.0
    middle = values[1:-1, 1:-1]
    laplacian = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:] - 4 * middle
    flat = laplacian.ravel().astype(np.float32)
    mean = float(flat.mean())
    return float(flat @ flat) / len(flat) - mean * mean
