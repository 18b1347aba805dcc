"""Decoded images, once, in a memory-mapped store keyed by content."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import default_workers, in_parallel
from eyeshot.core.array_cache import RowStore
from eyeshot.images.failures import Failure, load_failures, read_content, save_failures, undecodable
from eyeshot.images.geometry import Geometry
from eyeshot.images.headers import Progress
from eyeshot.images.reading import UnreadableImageError, decode, strict_pillow
from eyeshot.images.skipped import Skipped
from eyeshot.images.table import ImageTable

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK_BYTES = 32 << 20  # decoded bytes that a kill may lose
CHUNK_SECONDS = 5.0  # and the seconds of decoding that it may lose
COPY_BYTES = 1 << 30  # up to here rows are copied to memory, beyond they are read when asked for


class PixelRows(Protocol):
    """What can be read like an array uint8 (n, S, S, 3): an array, a memory map, or rows of one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, S, S, 3)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always uint8."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...


class StoredRows:
    """Rows of a memory map in an order of their own; only what is asked for is read."""

    def __init__(self, stored: NDArray[np.uint8], positions: NDArray[np.int64]) -> None:
        self._stored = stored
        self._positions = positions

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, S, S, 3)."""
        return (len(self._positions), *self._stored.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always uint8."""
        return self._stored.dtype

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: Any, /) -> Any:
        rows, rest = (index[0], index[1:]) if isinstance(index, tuple) else (index, ())
        chosen = np.asarray(self._stored[self._positions[rows]])
        if not rest:
            return chosen
        return chosen[rest] if chosen.ndim < len(self.shape) else chosen[(slice(None), *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self._stored[self._positions], dtype=dtype)


@dataclass(frozen=True, eq=False)
class Pixels:
    """Decoded images.

    Attributes:
        images: uint8 (n, S, S, 3), RGB, 0-255, read by index. Neighbours in the store come as a view of the
            memory map, up to 1 GiB as a copy, more as `StoredRows`, which read what is asked for.
        rows: int64 (n,), which rows of the table they are.
        keys: n content keys.
        skipped: what could not be decoded.
    """

    images: PixelRows
    rows: NDArray[np.int64]
    keys: tuple[str, ...]
    skipped: tuple[Skipped, ...]

    def __len__(self) -> int:
        return len(self.rows)


class PixelStore:
    """Decodes each image once, at one geometry, and keeps the pixels on disk.

    Args:
        cache: folder of all caches; the pixels get their own below it.
        geometry: size and fit.

    Raises:
        StorageError: the cache cannot be written.
    """

    def __init__(self, cache: Path, geometry: Geometry) -> None:
        self.geometry = geometry
        side = geometry.size
        self.folder = cache / "pixels" / geometry.fingerprint
        self._failure_file = self.folder / "failed.json"
        self._rows = RowStore(self.folder, shape=(side, side, 3), dtype="uint8")

    def missing(self, table: ImageTable, rows: Sequence[int] | NDArray[np.int64]) -> int:
        """How many images `load` would have to decode."""
        keys = [table.contents[row] for row in rows]
        failed = load_failures(self._failure_file)
        return sum(keys[position] not in failed for position in self._rows.missing(keys))

    def load(
        self,
        table: ImageTable,
        rows: Sequence[int] | NDArray[np.int64],
        *,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> Pixels:
        """The pixels of some rows of a table; what is not stored yet is decoded first.

        A killed run loses at most the last few seconds. Equal files share one stored row.

        Args:
            table: the images.
            rows: positions in the table, in any order; the result keeps it.
            workers: threads that decode.
            progress: called with (images ready, images in all).

        Raises:
            StorageError: the disk is full.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        keys = [table.contents[row] for row in wanted]
        paths = [table.paths[row] for row in wanted]
        failed = load_failures(self._failure_file)
        todo = [position for position in self._rows.missing(keys) if keys[position] not in failed]
        lost = self._decode([(keys[position], paths[position]) for position in todo], len(keys), workers, progress)
        failed = {**failed, **lost}
        good = [position for position, key in enumerate(keys) if key not in failed]
        kept = tuple(keys[position] for position in good)
        bad = [position for position, key in enumerate(keys) if key in failed]
        return Pixels(
            images=self._open(kept),
            rows=wanted[good],
            keys=kept,
            skipped=tuple(Skipped(paths[position], failed[keys[position]]) for position in bad),
        )

    def _open(self, keys: Sequence[str]) -> PixelRows:
        stored = np.asarray(self._rows.open(), dtype=np.uint8)
        positions = self._rows.positions(keys)
        if not len(positions):
            return np.empty((0, *self._rows.shape), np.uint8)
        if np.all(np.diff(positions) == 1):
            return stored[positions[0] : positions[-1] + 1]
        if len(positions) * self._rows.row_bytes <= COPY_BYTES:
            return stored[positions]
        return StoredRows(stored, positions)

    def _decode(
        self, todo: list[tuple[str, str]], total: int, workers: int | None, progress: Progress | None
    ) -> dict[str, str]:
        """Decode and store; returns the reason of each key that failed."""
        done = total - len(todo)
        if progress is not None:
            progress(done, total)
        if not todo:
            return {}
        chunk = max(1, CHUNK_BYTES // self._rows.row_bytes)
        keys: list[str] = []
        images: list[NDArray[np.uint8]] = []
        failed: dict[str, str] = {}
        lasting: dict[str, str] = {}

        def flush() -> None:
            if keys:
                self._rows.append(keys, np.stack(images))
            keys.clear()
            images.clear()
            save_failures(self._failure_file, lasting)

        begun = time.monotonic()
        with strict_pillow():
            for (key, _), result in zip(
                todo, in_parallel(partial(_decode_one, self.geometry), todo, workers or default_workers()), strict=True
            ):
                if isinstance(result, Failure):
                    failed[key] = result.reason
                    if result.lasting:
                        lasting[key] = result.reason
                else:
                    keys.append(key)
                    images.append(result)
                done += 1
                if progress is not None:
                    progress(done, total)
                if len(images) >= chunk or time.monotonic() - begun > CHUNK_SECONDS:
                    flush()
                    begun = time.monotonic()
        flush()
        return failed


def _decode_one(geometry: Geometry, item: tuple[str, str]) -> NDArray[np.uint8] | Failure:
    key, path = item
    data = read_content(path, key)
    if isinstance(data, Failure):
        return data
    try:
        return decode(data, geometry)
    except UnreadableImageError as error:
        return undecodable(error)
