"""What a linear head reads of images: a model's features or, without a model, thumbnails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeshot.augment import Pool
from eyeshot.errors import InputError
from eyeshot.images import ImageTable, PixelRows, Pixels, PixelStore
from eyeshot.models import Backbone, FeatureBank

THUMBNAIL = 8  # pixels a side


def name_reader(backbone: Backbone | None) -> str:
    """What was read, in words."""
    if backbone is None:
        return f"a linear head on thumbnails of {THUMBNAIL} x {THUMBNAIL} pixels"
    return f"a linear head on features of {backbone.name}"


def thumbnail_features(images: PixelRows) -> NDArray[np.float32]:
    """Thumbnails (n, 192) of images uint8 (n, S, S, 3): RGB of 8 × 8 pixels, 0 to 1."""
    features = np.empty((len(images), 3 * THUMBNAIL**2), np.float32)
    for row in range(len(images)):
        small = Image.fromarray(np.asarray(images[row])).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
        features[row] = np.asarray(small, np.float32).ravel() / 255
    return features


def image_features(
    table: ImageTable,
    pixels: Pixels,
    backbone: Backbone | None,
    *,
    cache: Path,
    device: str,
    report: Callable[[int, int], None] | None,
) -> NDArray[np.generic]:
    """What a head reads: a model's features or, without one, thumbnails.

    Args:
        table: n images that can be decoded.
        pixels: their pixels, at any size.
        backbone: whose features; None: thumbnails.
        cache: folder of decoded images and features.
        device: where the model runs.
        report: called with (done, total).

    Returns:
        float (n, D).

    Raises:
        InputError: an image cannot be decoded at the model's size.
    """
    if backbone is None:
        return thumbnail_features(pixels.images)
    sized = PixelStore(cache, backbone.geometry).load(table, np.arange(len(table)), progress=report)
    if len(sized) < len(table):
        raise InputError(
            f"All images must be decoded at the model's size, but {len(table) - len(sized)} cannot be, as "
            f"{sized.skipped[0].path}: {sized.skipped[0].reason}. Leave out --model, or drop them."
        )
    bank = FeatureBank(cache, backbone, device=device)
    return bank.clean(Pool(sized.images, sized.keys), np.arange(len(sized)), progress=report)
