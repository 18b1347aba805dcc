"""Small pictures inside a page: sprite sheets and strips as WebP in data addresses."""

from __future__ import annotations

import base64
import io
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COLUMNS = 64
ROWS = 64
LEAST_SIDE = 4
"""Smaller thumbnails are placeholders for pictures that were left out."""


def data_address(image: NDArray[np.uint8], *, quality: int = 80, kind: Literal["webp", "jpeg", "png"] = "webp") -> str:
    """`image`: uint8 (H, W, 3), RGB, as a data address that an `img` can show."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format=kind, quality=quality)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def resized(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """`images`: uint8 (n, s, s, 3) resized to `side` pixels; unchanged if they are not larger."""
    if not len(images) or images.shape[1] <= side:
        return images
    return np.stack(
        [np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS)) for image in images]
    )


def tiled(images: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """`images`: uint8 (n, s, s, 3) side by side in rows of `columns`; the rest of the last row is grey."""
    count, side = images.shape[:2]
    rows = -(-count // columns)
    sheet = np.full((rows * columns, side, side, 3), 128, np.uint8)
    sheet[:count] = images
    return np.ascontiguousarray(
        sheet.reshape(rows, columns, side, side, 3).transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, 3)
    )


def strip(images: NDArray[np.uint8], *, quality: int = 80) -> str:
    """`images`: uint8 (n, s, s, 3) in a row, as a data address."""
    return data_address(tiled(images, len(images)), quality=quality)


def make_sprites(images: NDArray[np.uint8], *, most_bytes: int) -> dict[str, Any] | None:
    """Many small pictures in few files, at the best quality that fits into `most_bytes`.

    Args:
        images: uint8 (n, s, s, 3), RGB.
        most_bytes: largest size of all sheets together.

    Returns:
        `side` of a picture in pixels, `columns` and `rows` of a full sheet, and `sheets` as data addresses; picture n
        is on sheet n // (columns * rows). None if nothing fits.
    """
    own = images.shape[1]
    if not len(images) or own < LEAST_SIDE:
        return None
    for side, quality in ((own, 80), (own, 60), (own, 40), (min(own, 24), 50), (min(own, 16), 40)):
        small = resized(images, side)
        per_sheet = COLUMNS * ROWS
        sheets: list[str] = []
        for start in range(0, len(small), per_sheet):
            part = small[start : start + per_sheet]
            sheets.append(data_address(tiled(part, COLUMNS), quality=quality))
            if sum(map(len, sheets)) > most_bytes:
                break
        else:
            return {"side": side, "columns": COLUMNS, "rows": ROWS, "sheets": sheets}
    return None
