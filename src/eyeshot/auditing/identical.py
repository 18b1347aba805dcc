"""Which images are identical: by bytes, else by decoded pixels, looked at where thumbnails leave it open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import PIL
import xxhash
from numpy.typing import NDArray

from eyeshot.auditing.inspection import Inspected
from eyeshot.core import default_workers, in_parallel
from eyeshot.core.array_cache import RowStore
from eyeshot.images import (
    Failure,
    UnreadableImageError,
    UprightImage,
    decode_upright,
    read_content,
    strict_pillow,
)

VERSION = 1  # part of the folder's name: raise it when hash_pixels() gives other values for the same file
HASH_BYTES = 16

Progress = Callable[[str, int, int], None]


def pixel_keys(
    inspected: Inspected,
    contents: Sequence[str],
    paths: Sequence[str],
    *,
    cache: Path,
    workers: int | None,
    progress: Progress,
) -> list[str]:
    """A key of each image; two are equal when mode, size and pixels are.

    Identical pixels make identical thumbnails: only images of different bytes and the same thumbnails are decoded
    once more and hashed, and what `cache` knows is not decoded again.

    Args:
        inspected: records of the images; those that failed have no pixels, and their key is of no use.
        contents: content keys.
        paths: a file with that content each.
        cache: folder of all caches.
        workers: threads that decode.
        progress: called with (what, done, total).

    Raises:
        StorageError: the cache cannot be written.
    """
    path_of = dict(zip(contents, paths, strict=True))
    alike: defaultdict[bytes, set[str]] = defaultdict(set)
    records = inspected.records
    sizes = np.stack([inspected.number("width"), inspected.number("height")], axis=1)
    for position, content in enumerate(contents):
        if position not in inspected.failed:
            parts = (records["grey"][position], records["colour"][position], sizes[position])
            alike[b"".join(part.tobytes() for part in parts) + records["layers"][position]].add(content)
    open_ = sorted(content for same in alike.values() if len(same) > 1 for content in same)
    hashes = _hashes(open_, path_of, cache=cache, workers=workers, progress=progress)
    return [hashes.get(content, content) for content in contents]


def _hashes(
    contents: list[str], path_of: dict[str, str], *, cache: Path, workers: int | None, progress: Progress
) -> dict[str, str]:
    if not contents:
        return {}
    store = RowStore(cache / "audit" / f"pixels-pillow{PIL.__version__}-v{VERSION}", shape=(HASH_BYTES,), dtype="uint8")
    todo = [contents[place] for place in store.missing(contents)]
    keys, rows = [], []
    with strict_pillow():
        made = in_parallel(_read, [(content, path_of[content]) for content in todo], workers or default_workers())
        for done, (content, row) in enumerate(zip(todo, made, strict=True), 1):
            if row is not None:
                keys.append(content)
                rows.append(row)
            progress("comparing pixels", done, len(todo))
    if keys:
        store.append(keys, np.stack(rows))
    unknown = {contents[place] for place in store.missing(contents)}
    known = [content for content in contents if content not in unknown]
    return {content: bytes(row).hex() for content, row in zip(known, store.read(known), strict=True)}


def _read(item: tuple[str, str]) -> NDArray[np.uint8] | None:
    """None when the file is gone or was changed since it was measured: it is like no other then."""
    content, path = item
    data = read_content(path, content)
    if isinstance(data, Failure):
        return None
    try:
        return np.frombuffer(hash_pixels(decode_upright(data)), np.uint8)
    except UnreadableImageError:
        return None


def hash_pixels(image: UprightImage) -> bytes:
    """xxh3_128 of mode, size and pixels as they are stored, turned upright."""
    layers = image.layers
    digest = xxhash.xxh3_128(f"{layers.mode} {layers.width} {layers.height} ".encode())
    digest.update(np.ascontiguousarray(layers).data)
    return digest.digest()
