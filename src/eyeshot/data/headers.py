"""Hash and header of every image file, cached so that a second run reads only changed files."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import PIL
import xxhash
from PIL import Image

from eyeshot.core import SILENT, Progress, default_workers, in_parallel, make_folder, replacing, room_for
from eyeshot.data.decoding import (
    UnreadableImageError,
    is_deep,
    lasts,
    open_image,
    orientation,
    os_reason,
    strict_pillow,
    value_range,
)
from eyeshot.data.listing import FoundFile

MINIMUM_SIDE = 4  # pixels; smaller files are tracking pixels and accidents
DIGEST_BYTES = 16  # a checksum, before the parquet file
HEADER_VERSION = 2  # part of the cache's name: raise it when read_header() returns other values
READ_BYTES = 1 << 20
FILES_PER_TASK = 64
LOOKED_AT_PER_TASK = 16  # fewer, because decoding takes longer and a kill loses the whole task
SAVE_EVERY_S = 30.0

Look = Callable[[str, bytes, Image.Image], Any]
Keep = Callable[[str, Any], None]


@dataclass(frozen=True, slots=True)
class Header:
    """The facts about an image file that are known without decoding it.

    Attributes:
        content: xxh3_128 of the file's bytes, 32 hexadecimal digits; empty if the file cannot be read.
        width: pixels, after the EXIF orientation.
        height: pixels, after the EXIF orientation.
        mode: Pillow's colour mode.
        reason: why the image cannot be used; empty if it can.
        low, high: smallest and largest value of a grey image of more than 8 bits, which is decoded for this; otherwise
            0, and where that fails.
        lasting: the reason depends on the bytes only, so it may be cached.
    """

    content: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    reason: str = ""
    low: float = 0.0
    high: float = 0.0
    lasting: bool = True


def read_header(path: str, look: Look | None = None) -> tuple[Header, Any]:
    """Hash a file and read its image header; returns the header and the result of `look`, see `read_headers`."""
    content, data, looked = "", b"", None
    try:
        with open(path, "rb") as opened:
            file: IO[bytes] = opened
            if look is None:
                digest = xxhash.xxh3_128()
                while block := file.read(READ_BYTES):
                    digest.update(block)
                content = digest.hexdigest()
                file.seek(0)
            else:
                data = file.read()
                content = xxhash.xxh3_128_hexdigest(data)
                file = io.BytesIO(data)
            image = open_image(file)
            (width, height), mode = image.size, image.mode
            if min(width, height) < MINIMUM_SIDE:
                return Header(content, reason=f"smaller than {MINIMUM_SIDE} × {MINIMUM_SIDE} pixels"), None
            if look is not None:
                looked = look(content, data, image)
            # Pillow gives a TIFF's size after turning. Read after `look`, which may decode the image and find the tag.
            if orientation(image) >= 5 and image.format != "TIFF":
                width, height = height, width
            low, high = _range_of(image)
            return Header(content, width, height, mode, low=low, high=high), looked
    except UnreadableImageError as error:
        return Header(content, reason=error.reason, lasting=lasts(error.reason)), None
    except OSError as error:
        return Header(content, reason=os_reason(error), lasting=False), None


def _range_of(image: Image.Image) -> tuple[float, float]:
    try:
        if not is_deep(image.mode):
            return 0.0, 0.0
        with room_for(image.width * image.height):
            return value_range(image)
    except Exception:  # a damaged file, which is reported when it is decoded
        return 0.0, 0.0


def read_headers(
    files: Sequence[FoundFile],
    *,
    root: Path,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Progress = SILENT,
    look: Look | None = None,
    keep: Keep | None = None,
) -> list[Header]:
    """The headers of `files`, in the same order; unchanged files are taken from `cache`.

    Args:
        files: the files to read.
        root: their folder; each folder has its own file in the cache.
        cache: folder of cached headers.
        workers: threads that read.
        progress: called with the number of files done.
        look: called with (content, bytes, opened image) for each file that is read and has a good header, in the
            thread or process that reads it, so a caller that decodes all images opens them only once. It may decode
            the image; same conditions as `work` of `in_parallel`.
        keep: called in this process with (content, result of `look`), unless the result is None.
    """
    store = None if cache is None else _cache_file(cache, root)
    cached = {} if store is None else _load(store)
    headers: list[Header | None] = [cached.get((file.path, file.size, file.mtime_ns)) for file in files]
    missing = [position for position, header in enumerate(headers) if header is None]
    done_count = len(files) - len(missing)
    progress(done_count, len(files))
    saved = time.monotonic()
    new = False
    for positions, results in _read_all(files, missing, workers or default_workers(), look):
        for position, (header, looked) in zip(positions, results, strict=True):
            headers[position] = header
            if keep is not None and looked is not None:
                keep(header.content, looked)
            if header.lasting:
                file = files[position]
                cached[file.path, file.size, file.mtime_ns] = header
                new = True
        done_count += len(positions)
        progress(done_count, len(files))
        if store is not None and time.monotonic() - saved > SAVE_EVERY_S:
            _save(store, cached)
            saved = time.monotonic()
    if store is not None and new:
        _save(store, cached)
    return [header for header in headers if header is not None]


def _read_all(
    files: Sequence[FoundFile], missing: list[int], workers: int, look: Look | None
) -> Iterator[tuple[list[int], list[tuple[Header, Any]]]]:
    size = FILES_PER_TASK if look is None else LOOKED_AT_PER_TASK
    tasks = [missing[start : start + size] for start in range(0, len(missing), size)]
    paths = [[files[position].path for position in task] for task in tasks]
    with strict_pillow():
        results = in_parallel(partial(_read_some, look), paths, workers, files=len(missing))
        yield from zip(tasks, results, strict=True)


def _read_some(look: Look | None, paths: list[str]) -> list[tuple[Header, Any]]:
    return [read_header(path, look) for path in paths]


def _cache_file(cache: Path, root: Path) -> Path:
    place = xxhash.xxh3_64_hexdigest(os.path.realpath(root).encode("utf-8", "surrogateescape"))
    return cache / "headers" / f"{place}-pillow{PIL.__version__}-v{HEADER_VERSION}.headers"


def _load(store: Path) -> dict[tuple[str, int, int], Header]:
    try:
        data = store.read_bytes()
    except OSError:
        return {}
    if data[:DIGEST_BYTES] != _digest(
        data[DIGEST_BYTES:]
    ):  # a damaged cache only costs time here, but polars might panic on it
        return {}
    import polars as pl  # not at the top: the processes that read files must start quickly

    rows = pl.read_parquet(data[DIGEST_BYTES:]).iter_rows()
    return {(path, size, mtime): Header(*fields) for path, size, mtime, *fields in rows}


def _save(store: Path, cached: dict[tuple[str, int, int], Header]) -> None:
    import polars as pl

    newest = {path: (size, mtime, header) for (path, size, mtime), header in cached.items()}
    frame = pl.DataFrame(
        [
            (
                path,
                size,
                mtime,
                header.content,
                header.width,
                header.height,
                header.mode,
                header.reason,
                header.low,
                header.high,
            )
            for path, (size, mtime, header) in newest.items()
        ],
        schema={
            "path": pl.String,
            "size": pl.Int64,
            "mtime_ns": pl.Int64,
            "content": pl.String,
            "width": pl.Int64,
            "height": pl.Int64,
            "mode": pl.String,
            "reason": pl.String,
            "low": pl.Float64,
            "high": pl.Float64,
        },
        orient="row",
    )
    buffer = io.BytesIO()  # in memory first, because polars raises its own errors on a full disk
    frame.write_parquet(buffer)
    make_folder(store.parent)
    with replacing(store) as temporary:
        temporary.write_bytes(_digest(buffer.getvalue()) + buffer.getvalue())


def _digest(data: bytes) -> bytes:
    return xxhash.xxh3_128_digest(data)
