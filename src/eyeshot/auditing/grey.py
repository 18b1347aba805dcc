"""Grey squares of files, decoded once more, larger than the thumbnails that every image has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeshot.core import default_workers, in_parallel
from eyeshot.images import UnreadableImageError, decode_upright, strict_pillow


def read_grey(paths: Sequence[str], side: int, workers: int | None) -> NDArray[np.uint8]:
    """uint8 (n, side, side); black where a file is gone or changed since it was measured, so that it has no detail."""
    found = np.empty((len(paths), side, side), np.uint8)
    with strict_pillow():
        for row, square in enumerate(in_parallel(partial(_square, side), paths, workers or default_workers())):
            found[row] = square
    return found


def _square(side: int, path: str) -> NDArray[np.uint8]:
    try:
        shown = decode_upright(Path(path).read_bytes()).rgb.convert("L")
    except (OSError, UnreadableImageError):
        return np.zeros((side, side), np.uint8)
    return np.asarray(shown.resize((side, side), Image.Resampling.BILINEAR))
