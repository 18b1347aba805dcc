"""Hash and header of every image file, kept so that a second run reads only what has changed."""

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

from eyeshot.core import SILENT, Progress, default_workers, in_parallel, make_folder, replacing
from eyeshot.data.decoding import UnreadableImageError, open_image, orientation, os_reason, strict_pillow
from eyeshot.data.listing import FoundFile

MINIMUM_SIDE = 4  # pixels; smaller ones are tracking pixels and accidents
DIGEST_BYTES = 16  # a checksum, before the parquet file
HEADER_VERSION = 1  # part of the cache's name: raise it when read_header() finds other things
READ_BYTES = 1 << 20
FILES_PER_TASK = 64
LOOKED_AT_PER_TASK = 16  # decoding takes longer, and what a kill interrupts is lost
SAVE_EVERY_S = 30.0

Look = Callable[[str, bytes, Image.Image], Any]
Keep = Callable[[str, Any], None]


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of an image file without decoding it.

    Attributes:
        content: xxh3_128 of the file's bytes, 32 hexadecimal digits; empty when the file cannot be read.
        width: pixels, as shown (after the EXIF orientation).
        height: pixels, as shown.
        mode: Pillow's colour mode.
        reason: why the image cannot be used; empty when it can.
        lasting: the reason follows from the bytes alone and may be kept.
    """

    content: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    reason: str = ""
    lasting: bool = True


def read_header(path: str, look: Look | None = None) -> tuple[Header, Any]:
    """Hash the bytes of a file and read its image header; for `look` see `read_headers`, what it saw comes second."""
    content, data, seen = "", b"", None
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
                seen = look(content, data, image)
            # Pillow gives the size of a TIFF already turned. Asked after `look`: what it knows then, it keeps.
            if orientation(image) >= 5 and image.format != "TIFF":
                width, height = height, width
            return Header(content, width, height, mode), seen
    except UnreadableImageError as error:
        return Header(content, reason=error.reason), None
    except OSError as error:
        return Header(content, reason=os_reason(error), lasting=False), None


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
    """The headers of `files`, in the same order; what `cache` knows of unchanged files is not read again.

    Args:
        files: the files to read.
        root: the folder they lie in; each has its own file in the cache.
        cache: folder that keeps the headers.
        workers: threads that read.
        progress: told how many files are done.
        look: called with (content, bytes, opened image) of each file that is read and whose header is good, in the
            thread or process that reads it: who decodes them all anyway need not open them twice. It may decode the
            image; as `work` of `in_parallel`.
        keep: called here with (content, what `look` gave), unless that was None.
    """
    store = None if cache is None else _cache_file(cache, root)
    known = {} if store is None else _load(store)
    headers: list[Header | None] = [known.get((file.path, file.size, file.mtime_ns)) for file in files]
    missing = [position for position, header in enumerate(headers) if header is None]
    done = len(files) - len(missing)
    progress(done, len(files))
    saved = time.monotonic()
    new = False
    for positions, found in _read_all(files, missing, workers or default_workers(), look):
        for position, (header, seen) in zip(positions, found, strict=True):
            headers[position] = header
            if keep is not None and seen is not None:
                keep(header.content, seen)
            if header.lasting:
                file = files[position]
                known[file.path, file.size, file.mtime_ns] = header
                new = True
        done += len(positions)
        progress(done, len(files))
        if store is not None and time.monotonic() - saved > SAVE_EVERY_S:
            _save(store, known)
            saved = time.monotonic()
    if store is not None and new:
        _save(store, known)
    return [header for header in headers if header is not None]


def _read_all(
    files: Sequence[FoundFile], missing: list[int], workers: int, look: Look | None
) -> Iterator[tuple[list[int], list[tuple[Header, Any]]]]:
    size = FILES_PER_TASK if look is None else LOOKED_AT_PER_TASK
    tasks = [missing[start : start + size] for start in range(0, len(missing), size)]
    paths = [[files[position].path for position in task] for task in tasks]
    with strict_pillow():
        found = in_parallel(partial(_read_some, look), paths, workers, files=len(missing))
        yield from zip(tasks, found, strict=True)


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
    if data[:DIGEST_BYTES] != _digest(data[DIGEST_BYTES:]):  # damaged: only slow, while polars may panic or err
        return {}
    import polars as pl  # not where files are read: processes that start quickly do that

    rows = pl.read_parquet(data[DIGEST_BYTES:]).iter_rows()
    return {(path, size, mtime): Header(*rest) for path, size, mtime, *rest in rows}


def _save(store: Path, known: dict[tuple[str, int, int], Header]) -> None:
    import polars as pl

    newest = {path: (size, mtime, header) for (path, size, mtime), header in known.items()}
    frame = pl.DataFrame(
        [
            (path, size, mtime, one.content, one.width, one.height, one.mode, one.reason)
            for path, (size, mtime, one) in newest.items()
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
        },
        orient="row",
    )
    buffer = io.BytesIO()  # polars has errors of its own for a full disk
    frame.write_parquet(buffer)
    make_folder(store.parent)
    with replacing(store) as temporary:
        temporary.write_bytes(_digest(buffer.getvalue()) + buffer.getvalue())


def _digest(data: bytes) -> bytes:
    return xxhash.xxh3_128_digest(data)
