"""Pictures made on the spot, saved as real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyeshot.data import ImageTable, read_images

Paint = Callable[..., Image.Image]
Save = Callable[..., Path]


@pytest.fixture
def paint() -> Paint:
    """Paint a smooth random picture; another seed, another picture."""

    def make(seed: int = 0, size: tuple[int, int] = (48, 40)) -> Image.Image:
        blobs = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
        return Image.fromarray(blobs).resize(size, Image.Resampling.BICUBIC)

    return make


@pytest.fixture
def save(paint: Paint) -> Save:
    """Save a picture under a path, with its folders."""

    def write(path: Path, seed: int = 0, *, size: tuple[int, int] = (48, 40)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        paint(seed, size).save(path)
        return path

    return write


@pytest.fixture
def pets(tmp_path: Path, save: Save) -> Path:
    """A training folder: three cats and two dogs."""
    for number in range(3):
        save(tmp_path / "pets" / "cat" / f"{number}.png", number)
    for number in range(2):
        save(tmp_path / "pets" / "dog" / f"{number}.png", 10 + number)
    return tmp_path / "pets"


@pytest.fixture
def pets_table(pets: Path) -> ImageTable:
    return read_images(pets)
