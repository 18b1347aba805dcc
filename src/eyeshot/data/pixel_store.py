"""Images are decoded once and kept in a memory-mapped store, keyed by content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import SILENT, ArrayCache, Failure, Progress, default_workers, in_parallel
from eyeshot.data.decoding import (
    Geometry,
    Levels,
    UnreadableImageError,
    decode,
    read_content,
    strict_pillow,
    undecodable,
)
from eyeshot.data.listing import Skipped
from eyeshot.data.table import ImageTable

Item = TypeVar("Item")
Result = TypeVar("Result")

COPY_BYTES = 1 << 30  # up to this size rows are copied to memory; beyond it they are read on access


class PixelRows(Protocol):
    """Anything that reads like an array uint8 (n, S, S, 3): an array, a memory map, or rows of a memory map."""

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
    """Rows of a memory map in any order; only the accessed rows are read."""

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
        rows, inner_index = (index[0], index[1:]) if isinstance(index, tuple) else (index, ())
        selected = np.asarray(self._stored[self._positions[rows]])
        if not inner_index:
            return selected
        return selected[inner_index] if selected.ndim < len(self.shape) else selected[(slice(None), *inner_index)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self._stored[self._positions], dtype=dtype)


@dataclass(frozen=True, eq=False)
class Pixels:
    """Decoded images.

    Attributes:
        images: uint8 (n, S, S, 3), RGB, 0-255, read by index. Consecutive rows of the store are a view of the
            memory map; other rows are a copy up to 1 GiB, and `StoredRows`, read on access, beyond.
        rows: int64 (n,), their rows in the table.
        keys: n keys of the pixels, see `ImageTable.pixel_keys`.
        skipped: images that cannot be decoded.
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
        cache: folder of all caches; the pixels get a subfolder.
        geometry: size and fit.

    Raises:
        StorageError: the cache cannot be written.
    """

    def __init__(self, cache: Path, geometry: Geometry) -> None:
        self.geometry = geometry
        side = geometry.size
        self.folder = cache / "pixels" / geometry.fingerprint
        self._rows = ArrayCache(self.folder, shape=(side, side, 3), dtype="uint8")

    def missing(self, table: ImageTable, rows: Sequence[int] | NDArray[np.int64]) -> int:
        """Number of images that `load` would have to decode."""
        return len(self._rows.to_compute([table.pixel_keys[row] for row in rows]))

    def load(
        self,
        table: ImageTable,
        rows: Sequence[int] | NDArray[np.int64],
        *,
        workers: int | None = None,
        progress: Progress = SILENT,
    ) -> Pixels:
        """The pixels of some rows of a table; missing images are decoded first.

        A killed run loses at most the last few seconds. Identical files share a stored row.

        Args:
            table: the images.
            rows: positions in the table, in any order; the result keeps the order.
            workers: threads that decode.
            progress: called with the number of images that are ready.

        Raises:
            StorageError: the disk is full.
        """
        requested = np.asarray(rows, dtype=np.int64)
        keys = [table.pixel_keys[row] for row in requested]
        contents = [table.contents[row] for row in requested]
        paths = [table.paths[row] for row in requested]

        def decode_missing(positions: list[int]) -> Iterator[NDArray[np.generic] | Failure]:
            todo = [(contents[position], paths[position]) for position in positions]
            with strict_pillow():
                yield from in_parallel(
                    partial(_decode_one, self.geometry, table.levels), todo, workers or default_workers()
                )

        failed = self._rows.get_or_compute(keys, decode_missing, progress=progress)
        good = [position for position, key in enumerate(keys) if key not in failed]
        good_keys = tuple(keys[position] for position in good)
        bad = [position for position, key in enumerate(keys) if key in failed]
        return Pixels(
            images=self._open(good_keys),
            rows=requested[good],
            keys=good_keys,
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


def _decode_one(geometry: Geometry, levels: Levels | None, item: tuple[str, str]) -> NDArray[np.uint8] | Failure:
    content, path = item
    data = read_content(path, content)
    if isinstance(data, Failure):
        return data
    try:
        return decode(data, geometry, levels=levels)
    except UnreadableImageError as error:
        return undecodable(error)
