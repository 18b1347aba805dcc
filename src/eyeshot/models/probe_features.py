"""The features for a linear probe: those of a model, or thumbnails if there is no model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeshot.augment import Pool
from eyeshot.core import SILENT, InputError, Progress
from eyeshot.data import ImageTable, PixelRows, Pixels, PixelStore
from eyeshot.models.backbone import Backbone
from eyeshot.models.feature_bank import FeatureBank

THUMBNAIL = 8  # pixels a side


def name_reader(backbone: Backbone | None) -> str:
    """The classifier and its features in words, for reports."""
    if backbone is None:
        return f"a linear probe on thumbnails of {THUMBNAIL} x {THUMBNAIL} pixels"
    return f"a linear probe on features of {backbone.name}"


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
    progress: Progress = SILENT,
) -> NDArray[np.generic]:
    """Features for a linear probe: those of a model, or thumbnails without a model.

    Args:
        table: n images that can be decoded.
        pixels: their pixels, of any size.
        backbone: the model; None: thumbnails.
        cache: folder of decoded images and features.
        device: where the model runs.
        progress: called with the progress.

    Returns:
        float (n, D).

    Raises:
        InputError: an image cannot be decoded at the model's size.
    """
    if backbone is None:
        return thumbnail_features(pixels.images)

    rows = np.arange(len(table))
    return model_features(table, rows, backbone, cache=cache, device=device, progress=progress, all_needed=True)[1]


def model_features(
    table: ImageTable,
    rows: NDArray[np.int64],
    backbone: Backbone,
    *,
    cache: Path,
    device: str,
    progress: Progress,
    all_needed: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.generic]]:
    """Features of some images from a model, computed once and cached.

    Args:
        table: the images.
        rows: int64 (n,), the rows of the table to use.
        backbone: the model.
        cache: folder of decoded images and features.
        device: where the model runs.
        progress: called with the progress.
        all_needed: raise if an image cannot be decoded at the model's size; otherwise such images are skipped.

    Returns:
        the rows that can be decoded at the model's size, int64 (m,), and their features, float (m, D).

    Raises:
        InputError: `all_needed`, and an image cannot be decoded at the model's size.
    """
    pixels = PixelStore(cache, backbone.geometry).load(
        table, rows, progress=progress.sub("decoding at the model's size")
    )
    if all_needed and len(pixels) < len(rows):
        raise InputError(
            f"All images must be decoded at the model's size, but {len(rows) - len(pixels)} cannot, for example "
            f"{pixels.skipped[0].path}: {pixels.skipped[0].reason}. Leave out --model, or drop them."
        )
    features = FeatureBank(cache, backbone, device=device).clean(
        Pool(pixels.images, pixels.keys),
        np.arange(len(pixels)),
        progress=progress.sub("features"),
    )
    return pixels.rows, features
