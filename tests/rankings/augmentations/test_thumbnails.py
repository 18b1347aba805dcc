from __future__ import annotations

import numpy as np
from PIL import Image

from eyeshot.rankings.augmentations.thumbnails import shrink


def test_images_are_shrunk_without_aliasing_as_pillow_does():
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    found = shrink(images, 16)
    assert found.shape == (3, 16, 16, 3)
    assert found.dtype == np.uint8
    expected = np.array(Image.fromarray(images[1]).resize((16, 16), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(found[1].astype(int) - expected).max() <= 2


def test_small_images_are_enlarged_in_plain_squares():
    images = np.array([[[0, 255], [255, 0]]], np.uint8)[..., None].repeat(3, axis=3)
    found = shrink(images, 8)
    assert (found[0, :4, :4] == 0).all()
    assert (found[0, :4, 4:] == 255).all()


def test_no_images_are_no_thumbnails():
    assert shrink(np.empty((0, 64, 64, 3), np.uint8), 32).shape == (0, 32, 32, 3)
