"""JPEG pictures for the page, made on demand from a position in the table and cached up to a memory limit."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path

from PIL import Image

from eyeshot.core import InputError
from eyeshot.data import UnreadableImageError, decode_upright
from eyeshot.reports import difference, turned_like
from eyeshot.web.image_index import ImageIndex

SMALL_SIDE = 384  # pixels
LARGE_SIDE = 2048
ALIGNED_SIDE = 768
QUALITY = 85
CACHE_BYTES = 128 << 20


class Pictures:
    """JPEG files of the images of a table.

    Args:
        index: the images.
        cache_bytes: size of the cache; the least recently used pictures are dropped first.
    """

    def __init__(self, index: ImageIndex, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._index = index
        self._cache_bytes = cache_bytes
        self._size = 0
        self._cache: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def small(self, position: int) -> bytes:
        """The picture for a list or a contact sheet."""
        return self._cached(("small", position), lambda: _jpeg(self._open(position, SMALL_SIDE)))

    def large(self, position: int) -> bytes:
        """The picture for a close look: full size, at most `LARGE_SIDE` pixels a side."""
        return self._cached(("large", position), lambda: _jpeg(self._open(position, LARGE_SIDE)))

    def aligned(self, first: int, second: int) -> bytes:
        """The second image aligned with the first: turned, flipped, cropped and resized to it."""
        return self._cached(("aligned", first, second), lambda: _jpeg(self._pair(first, second)[1]))

    def difference(self, first: int, second: int) -> bytes:
        """The difference of two images after alignment: grey where they are equal."""

        def make() -> bytes:
            reference, aligned = self._pair(first, second)
            return _jpeg(difference(reference, aligned))

        return self._cached(("difference", first, second), make)

    def _pair(self, first: int, second: int) -> tuple[Image.Image, Image.Image]:
        reference = self._open(first, ALIGNED_SIDE)
        return reference, turned_like(reference, self._open(second, ALIGNED_SIDE))

    def _open(self, position: int, side: int) -> Image.Image:
        """The image, upright and at most `side` pixels wide and high.

        Raises:
            InputError: the file was removed or damaged after the table was read.
        """
        path = Path(self._index.paths[position])
        try:
            image = decode_upright(path.read_bytes()).rgb
        except (OSError, UnreadableImageError) as error:
            raise InputError(
                f"{self._index.ids[position]!r} cannot be read any more. "
                "Stop the review and run it again: eyeshot review."
            ) from error
        image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
        return image

    def _cached(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        picture = make()
        with self._lock:
            if key not in self._cache:
                self._cache[key] = picture
                self._size += len(picture)
            while self._size > self._cache_bytes and len(self._cache) > 1:
                self._size -= len(self._cache.popitem(last=False)[1])
        return picture


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="jpeg", quality=QUALITY)
    return buffer.getvalue()
