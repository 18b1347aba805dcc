"""Digits whose right answer is known: the data of `eyeshot demo`.

The handwritten digits that ship inside scikit-learn (UCI "Optical recognition of handwritten digits", 1,797 images
of 8 × 8) as training images, and digits of other pictures as the unlabelled target: a third turned by up to 30°, a
third inverted, a third with thicker strokes. Made with SciPy alone; nothing here is shared with the catalogue.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_digits

from eyeshot.core import make_folder

SIDE = 32
TRAINING = 1200
LARGEST_TURN = 30.0


def write_digits(folder: Path, *, seed: int) -> tuple[Path, Path]:
    """Write `train/<digit>/*.png` and `test/*.png` under `folder`; returns the two folders.

    Which pictures are training and how each target picture is changed follow from `seed`.
    """
    images, labels = large_digits()
    random = np.random.default_rng(seed)
    order = random.permutation(len(images))
    train, test = folder / "train", folder / "test"
    for row in order[:TRAINING]:
        _save(images[row], train / str(labels[row]) / f"{row:04d}.png")
    for place, row in enumerate(order[TRAINING:]):
        _save(_shifted(images[row], place % 3, random), test / f"{row:04d}.png")
    return train, test


def large_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All digits as bright strokes on black, uint8 (1797, 32, 32), and their labels."""
    digits = load_digits()
    small = digits.images / 16.0
    large = ndimage.zoom(small, (1, SIDE // 8, SIDE // 8), order=1, grid_mode=True, mode="nearest")
    return (np.clip(large, 0, 1) * 255).round().astype(np.uint8), digits.target.astype(np.int64)


def _shifted(image: NDArray[np.uint8], kind: int, random: np.random.Generator) -> NDArray[np.uint8]:
    if kind == 0:
        turned: NDArray[np.uint8] = ndimage.rotate(
            image, random.uniform(-LARGEST_TURN, LARGEST_TURN), reshape=False, order=1, cval=0
        )
        return turned
    if kind == 1:
        return 255 - image
    thick: NDArray[np.uint8] = ndimage.grey_dilation(image, size=(5, 5))
    return thick


def _save(image: NDArray[np.uint8], path: Path) -> None:
    if path.exists():
        return
    make_folder(path.parent) if not path.parent.is_dir() else None
    Image.fromarray(image).save(path)
