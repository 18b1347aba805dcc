"""Which images entered a mixed view, kept on disk beside its features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.rowstore import RowStore

MOST_SOURCES = 4  # a mosaic of four
KEY_BYTES = 16


class PartnerStore:
    """Content keys and label weights of the images in each mixed view; keys survive a change of the pool."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._store: RowStore | None = None

    def append(
        self,
        keys: Sequence[str],
        pool_keys: Sequence[str],
        sources: NDArray[np.int64],
        weights: NDArray[np.float32],
    ) -> None:
        """Store what `make_views` gave: sources int64 (n, P), weights float32 (n, P)."""
        count = sources.shape[1]
        if count > MOST_SOURCES:
            raise ValueError(f"a view may mix at most {MOST_SOURCES} images, got {count}")
        rows = np.zeros((len(keys), MOST_SOURCES, KEY_BYTES + 4), np.uint8)
        content = b"".join(bytes.fromhex(pool_keys[row]) for row in sources.ravel().tolist())
        rows[:, :count, :KEY_BYTES] = np.frombuffer(content, np.uint8).reshape(len(keys), count, KEY_BYTES)
        share = np.ascontiguousarray(weights, np.float32)
        rows[:, :count, KEY_BYTES:] = share.view(np.uint8).reshape(len(keys), count, 4)
        self._open().append(keys, rows)

    def read(
        self, keys: Sequence[str], pool_keys: Sequence[str], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Sources int64 (n, P) as positions in the pool, and their weights float32 (n, P).

        Args:
            keys: keys of the views.
            pool_keys: content keys of the pool.
            rows: int64 (n,), the views' own images: always the first source.
        """
        stored = np.asarray(self._open().read(keys), np.uint8)
        weights = np.ascontiguousarray(stored[..., KEY_BYTES:]).view(np.float32)[..., 0]
        used = weights.any(axis=0)
        count = max(1, int(np.flatnonzero(used)[-1]) + 1 if used.any() else 1)
        position = {key: row for row, key in reversed(list(enumerate(pool_keys)))}
        sources = np.repeat(rows[:, None], count, axis=1)
        for column in range(1, count):
            for row in np.flatnonzero(weights[:, column] > 0):
                sources[row, column] = position[stored[row, column, :KEY_BYTES].tobytes().hex()]
        return sources, weights[:, :count].copy()

    def _open(self) -> RowStore:
        if self._store is None:
            self._store = RowStore(self.folder, shape=(MOST_SOURCES, KEY_BYTES + 4), dtype="uint8")
        return self._store
