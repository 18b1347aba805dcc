"""Pictures for the page, made on demand from a position in the table and kept as long as memory is allowed."""

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
        cache_bytes: the oldest pictures are forgotten beyond it.
    """

    def __init__(self, index: ImageIndex, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._index = index
        self._cache_bytes = cache_bytes
        self._held = 0
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def small(self, position: int) -> bytes:
        """For a list or a sheet."""
        return self._cached(("small", position), lambda: _jpeg(self._open(position, SMALL_SIDE)))

    def large(self, position: int) -> bytes:
        """For a close look: at its own size, unless it is huge."""
        return self._cached(("large", position), lambda: _jpeg(self._open(position, LARGE_SIDE)))

    def aligned(self, first: int, second: int) -> bytes:
        """The second image as the first one lies: turned, flipped, cropped and at its size."""
        return self._cached(("aligned", first, second), lambda: _jpeg(self._pair(first, second)[1]))

    def difference(self, first: int, second: int) -> bytes:
        """Where two images differ when they lie alike: grey where they are equal."""

        def make() -> bytes:
            one, other = self._pair(first, second)
            return _jpeg(difference(one, other))

        return self._cached(("difference", first, second), make)

    def _pair(self, first: int, second: int) -> tuple[Image.Image, Image.Image]:
        one = self._open(first, ALIGNED_SIDE)
        return one, turned_like(one, self._open(second, ALIGNED_SIDE))

    def _open(self, position: int, side: int) -> Image.Image:
        """The image, upright and at most `side` pixels wide and high.

        Raises:
            InputError: the file is gone or broken since the table was read.
        """
        path = Path(self._index.paths[position])
        try:
            image = decode_upright(path.read_bytes()).rgb
        except (OSError, UnreadableImageError) as error:
            raise InputError(
                f"{self._index.ids[position]!r} cannot be read any more. Start the review again."
            ) from error
        image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
        return image

    def _cached(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._held += len(made)
            while self._held > self._cache_bytes and len(self._kept) > 1:
                self._held -= len(self._kept.popitem(last=False)[1])
        return made


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="jpeg", quality=QUALITY)
    return buffer.getvalue()
