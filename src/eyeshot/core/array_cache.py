"""Rows of one shape and type on disk, keyed by content: decoded pixels and features are kept this way.

Two files: `rows.bin` holds the rows end to end, `keys.txt` one key a line in the same order. A row counts
once its key is written, and keys are written after rows: whatever a kill leaves behind is cut off by the next
append. Processes take turns by a lock file; reading needs none.
"""

from __future__ import annotations

import json
from collections.abc import KeysView, Sequence
from pathlib import Path

import filelock
import numpy as np
from numpy.typing import NDArray

from eyeshot.errors import StorageError
from eyeshot.workspace import make_folder, replacing

KEY_LENGTH = 32  # hexadecimal digits of a 128-bit hash
LOCK_TIMEOUT_S = 600.0


class RowStore:
    """An append-only table of equal rows.

    Args:
        folder: where the two files lie; created when missing.
        shape: shape of one row.
        dtype: numpy type of the rows.

    Raises:
        StorageError: the folder holds rows of another shape, or cannot be written.
    """

    def __init__(self, folder: Path, *, shape: tuple[int, ...], dtype: str) -> None:
        self.folder = make_folder(folder)
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.row_bytes = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        self._lock = filelock.FileLock(folder / "lock", timeout=LOCK_TIMEOUT_S)
        self._row_of: dict[str, int] = {}
        self._check_description()
        self._read_new_keys()

    @property
    def data_file(self) -> Path:
        """The file with the rows."""
        return self.folder / "rows.bin"

    @property
    def key_file(self) -> Path:
        """The file with the keys."""
        return self.folder / "keys.txt"

    def __len__(self) -> int:
        return len(self._row_of)

    def keys(self) -> KeysView[str]:
        """All keys that are stored."""
        return self._row_of.keys()

    def missing(self, keys: Sequence[str]) -> list[int]:
        """Positions in `keys` of rows that are not stored yet; of equal keys only the first."""
        self._read_new_keys()
        seen: set[str] = set()
        positions = []
        for position, key in enumerate(keys):
            if key not in self._row_of and key not in seen:
                seen.add(key)
                positions.append(position)
        return positions

    def append(self, keys: Sequence[str], rows: NDArray[np.generic]) -> None:
        """Store `rows` (n, *shape) under `keys`; rows that another process stored meanwhile are skipped.

        Raises:
            StorageError: the disk is full or the folder cannot be written; what was stored before is kept.
        """
        if rows.shape != (len(keys), *self.shape):
            raise ValueError(f"rows must have shape {(len(keys), *self.shape)}, got {rows.shape}")
        if any(len(key) != KEY_LENGTH for key in keys):
            raise ValueError(f"keys must have {KEY_LENGTH} characters")
        try:
            with self._lock:
                new = self.missing(keys)
                if not new:
                    return
                stored = len(self._row_of)
                with open(self.data_file, "ab") as data:
                    data.truncate(stored * self.row_bytes)
                    data.write(np.ascontiguousarray(rows[new], dtype=self.dtype).tobytes())
                with open(self.key_file, "ab") as index:
                    index.truncate(stored * (KEY_LENGTH + 1))
                    index.write("".join(f"{keys[position]}\n" for position in new).encode("ascii"))
                self._read_new_keys()
        except filelock.Timeout as error:
            raise StorageError(
                f"Another run has held the cache {str(self.folder)!r} for {LOCK_TIMEOUT_S:.0f} s. "
                "Wait for it, or give this run its own with EYESHOT_CACHE."
            ) from error
        except OSError as error:
            raise StorageError(
                f"Cannot write the cache {str(self.folder)!r}: {error.strerror or error}. "
                "Free some space or move it with EYESHOT_CACHE; the same command then continues."
            ) from error

    def positions(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers of `keys`, all of which must be stored."""
        return np.fromiter((self._row_of[key] for key in keys), dtype=np.int64, count=len(keys))

    def read(self, keys: Sequence[str]) -> NDArray[np.generic]:
        """The rows of `keys`, a copy of shape (n, *shape)."""
        if not len(keys):
            return np.empty((0, *self.shape), self.dtype)
        return np.asarray(self.open()[self.positions(keys)])

    def open(self) -> NDArray[np.generic]:
        """All stored rows, memory-mapped, shape (rows, *shape)."""
        if not self._row_of:
            return np.empty((0, *self.shape), self.dtype)
        return np.memmap(self.data_file, dtype=self.dtype, mode="r", shape=(len(self._row_of), *self.shape))

    def _read_new_keys(self) -> None:
        try:
            with open(self.key_file, "rb") as index:
                index.seek(len(self._row_of) * (KEY_LENGTH + 1))
                text = index.read()
            # A run that was cut off may have left keys without rows or half a key: neither counts.
            complete = self.data_file.stat().st_size // self.row_bytes
        except FileNotFoundError:
            return
        for line in text.split(b"\n")[:-1]:
            if len(self._row_of) >= complete:
                break
            self._row_of[line.decode("ascii")] = len(self._row_of)

    def _check_description(self) -> None:
        file = self.folder / "store.json"
        wanted = {"version": 1, "shape": list(self.shape), "dtype": self.dtype.name}
        if file.exists():
            found = json.loads(file.read_text(encoding="utf-8"))
            if found != wanted:
                raise StorageError(
                    f"The cache {str(self.folder)!r} holds rows of {found}, wanted {wanted}. "
                    "Empty it with: eyeshot cache clear"
                )
            return
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(wanted), encoding="utf-8")
