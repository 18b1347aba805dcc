"""Which images are identical: by bytes, else by decoded pixels, looked at where thumbnails leave it open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import PIL
import xxhash
from numpy.typing import NDArray

from eyeshot.auditing.inspection import Inspected
from eyeshot.core import ArrayCache, Failure, default_workers, in_parallel
from eyeshot.images import (
    UnreadableImageError,
    UprightImage,
    decode_upright,
    read_content,
    strict_pillow,
    undecodable,
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
    store = ArrayCache(
        cache / "audit" / f"pixels-pillow{PIL.__version__}-v{VERSION}", shape=(HASH_BYTES,), dtype="uint8"
    )

    def hash_missing(positions: list[int]) -> Iterator[NDArray[np.generic] | Failure]:
        todo = [(contents[position], path_of[contents[position]]) for position in positions]
        with strict_pillow():
            for done, row in enumerate(in_parallel(_read, todo, workers or default_workers()), 1):
                yield row
                progress("comparing pixels", done, len(todo))

    failed = store.get_or_compute(contents, hash_missing)
    known = [content for content in contents if content not in failed]
    return {content: bytes(row).hex() for content, row in zip(known, store.read(known), strict=True)}


def _read(item: tuple[str, str]) -> NDArray[np.uint8] | Failure:
    """A failure when the file is gone or was changed since it was measured: it is like no other then."""
    content, path = item
    data = read_content(path, content)
    if isinstance(data, Failure):
        return data
    try:
        return np.frombuffer(hash_pixels(decode_upright(data)), np.uint8)
    except UnreadableImageError as error:
        return undecodable(error)


def hash_pixels(image: UprightImage) -> bytes:
    """xxh3_128 of mode, size and pixels as they are stored, turned upright."""
    layers = image.layers
    digest = xxhash.xxh3_128(f"{layers.mode} {layers.width} {layers.height} ".encode())
    digest.update(np.ascontiguousarray(layers).data)
    return digest.digest()
