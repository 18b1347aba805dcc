"""A cache on disk for arrays of one shape and type, keyed by content: decoded pixels and features.

`rows.bin` holds the rows end to end, `keys.txt` one line for each in the same order: its key and a checksum of its
bytes. A row counts once its line is written, and lines are written after rows: whatever a kill leaves behind is cut
off by the next append. What a power cut or a full disk has damaged counts as missing, and is computed again.
Processes take turns by a lock file; reading needs none.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, KeysView, Sequence
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
import xxhash
from numpy.typing import NDArray

from eyeshot.core.errors import StorageError
from eyeshot.core.files import make_folder, replacing
from eyeshot.core.progress import SILENT, Progress

KEY_LENGTH = 32  # hexadecimal digits of a 128-bit hash
LINE = re.compile(rb"[0-9a-f]{32}[0-9a-f]{16}")  # key and xxh3_64 of the row
LINE_BYTES = 49
VERSION = 2
LOCK_TIMEOUT_S = 600.0
CHUNK_BYTES = 32 << 20  # a kill loses at most so many computed bytes
CHUNK_S = 5.0  # and at most so many seconds of computing


@dataclass(frozen=True)
class Failure:
    """The reason why a key has no row.

    Attributes:
        reason: in a few words; equal for all keys with the same problem.
        lasting: whether it depends on the content alone, so that a retry cannot help.
    """

    reason: str
    lasting: bool


class ArrayCache:
    """An append-only table of equal rows, and the reasons why some keys have none.

    Args:
        folder: where the files lie; created when missing.
        shape: shape of one row.
        dtype: numpy type of the rows.
        finish: changes rows (n, *shape) in place before they are stored, many at once.
        chunk_rows: how many computed rows are stored at once; None: 32 MB of them.

    Attributes:
        failed: reason by key of all that failed, in this run or lastingly before.

    Raises:
        StorageError: the folder holds rows of another shape, or cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        shape: tuple[int, ...],
        dtype: str,
        finish: Callable[[NDArray[np.generic]], None] | None = None,
        chunk_rows: int | None = None,
    ) -> None:
        self.folder = make_folder(folder)
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.row_bytes = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        self._finish = finish
        self._chunk_rows = chunk_rows or max(1, CHUNK_BYTES // self.row_bytes)
        self._lock = filelock.FileLock(folder / "lock", timeout=LOCK_TIMEOUT_S)
        self._row_of: dict[str, int] = {}
        self._digests: list[int] = []
        self._checked: set[int] = set()
        self._new_keys: list[str] = []
        self._new_rows: list[NDArray[np.generic]] = []
        self._saved = time.monotonic()
        self._check_description()
        self._read_new_keys()
        self._lasting = _load_failures(self._failure_file)
        self.failed = dict(self._lasting)

    @property
    def data_file(self) -> Path:
        """The file with the rows."""
        return self.folder / "rows.bin"

    @property
    def key_file(self) -> Path:
        """The file with the keys."""
        return self.folder / "keys.txt"

    @property
    def _failure_file(self) -> Path:
        return self.folder / "failed.json"

    def __len__(self) -> int:
        return len(self._row_of)

    def keys(self) -> KeysView[str]:
        """All keys that are stored."""
        return self._row_of.keys()

    def to_compute(self, keys: Sequence[str]) -> list[int]:
        """Positions in `keys` of rows that `get_or_compute` would compute: neither stored nor known to fail."""
        return [position for position in self.missing(keys) if keys[position] not in self._lasting]

    def get_or_compute(
        self,
        keys: Sequence[str],
        compute: Callable[[list[int]], Iterable[NDArray[np.generic] | Failure]],
        *,
        progress: Progress = SILENT,
    ) -> dict[str, str]:
        """Compute and store the missing rows of `keys`, for `read` or `open`.

        A kill loses at most the last few seconds.

        Args:
            keys: n keys; they may repeat.
            compute: given positions in `keys`, yields a row or a `Failure` for each of them, in order.
            progress: called with (keys that are ready, n); the first call comes before anything is computed.

        Returns:
            the reason of each key that has no row.

        Raises:
            StorageError: the disk is full; what was stored before is kept.
        """
        self.flush()
        todo = self.to_compute(keys)
        done = len(keys) - len(todo)
        progress(done, len(keys))
        if todo:
            self._saved = time.monotonic()
            for position, row in zip(todo, compute(todo), strict=True):
                self.add(keys[position], row)
                done += 1
                progress(done, len(keys))
        self.flush()
        return {key: self.failed[key] for key in keys if key in self.failed}

    def add(self, key: str, row: NDArray[np.generic] | Failure) -> None:
        """Add a row or a `Failure`; it is stored with others within a few seconds, or by `flush`."""
        if isinstance(row, Failure):
            self.failed[key] = row.reason
            if row.lasting:
                self._lasting[key] = row.reason
        else:
            self.failed.pop(key, None)
            self._new_keys.append(key)
            self._new_rows.append(row)
        if len(self._new_keys) >= self._chunk_rows or time.monotonic() - self._saved > CHUNK_S:
            self.flush()
            self._saved = time.monotonic()

    def flush(self) -> None:
        """Store what was added."""
        if self._new_keys:
            rows = np.stack(self._new_rows)
            if self._finish is not None:
                self._finish(rows)
            self.append(self._new_keys, rows)
        self._new_keys.clear()
        self._new_rows.clear()
        _save_failures(self._failure_file, self._lasting)

    def missing(self, keys: Sequence[str]) -> list[int]:
        """Positions in `keys` of rows that are not stored, or damaged; only the first of equal keys."""
        self._read_new_keys()
        self._drop_damaged(keys)
        listed: set[str] = set()
        positions = []
        for position, key in enumerate(keys):
            if key not in self._row_of and key not in listed:
                listed.add(key)
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
                stored = len(self._digests)
                chosen = np.ascontiguousarray(rows[new], dtype=self.dtype)
                lines = [f"{keys[place]}{_digest(row):016x}\n" for place, row in zip(new, chosen, strict=True)]
                with open(self.data_file, "ab") as data:
                    data.truncate(stored * self.row_bytes)
                    data.write(chosen.tobytes())
                with open(self.key_file, "ab") as index:
                    index.truncate(stored * LINE_BYTES)
                    index.write("".join(lines).encode("ascii"))
                self._read_new_keys()
        except filelock.Timeout as error:
            raise self._held_too_long() from error
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
        """All rows in the file, memory-mapped, shape (rows, *shape)."""
        if not self._digests:
            return np.empty((0, *self.shape), self.dtype)
        return np.memmap(self.data_file, dtype=self.dtype, mode="r", shape=(len(self._digests), *self.shape))

    def _read_new_keys(self) -> None:
        try:
            with open(self.key_file, "rb") as index:
                index.seek(len(self._digests) * LINE_BYTES)
                text = index.read()
            # An interrupted run may have left keys without rows, or half a key: both are ignored.
            complete = self.data_file.stat().st_size // self.row_bytes
        except FileNotFoundError:
            return
        for line in text.split(b"\n")[:-1]:
            if len(self._digests) >= complete or not LINE.fullmatch(line):
                break
            # If a key has two lines, the later one counts: the row of the first was damaged.
            self._row_of[line[:KEY_LENGTH].decode("ascii")] = len(self._digests)
            self._digests.append(int(line[KEY_LENGTH:], 16))

    def _drop_damaged(self, keys: Sequence[str]) -> None:
        """Forget those `keys` whose rows no longer match their checksum; each row is checked once."""
        rows = self.open()
        for key in keys:
            position = self._row_of.get(key)
            if position is None or position in self._checked:
                continue
            if _digest(rows[position]) == self._digests[position]:
                self._checked.add(position)
            else:
                del self._row_of[key]

    def _check_description(self) -> None:
        description = read_description(self.folder)
        if description is None:
            try:
                with self._lock:
                    description = read_description(self.folder)
                    if description is None:
                        description = self._describe()
            except filelock.Timeout as error:
                raise self._held_too_long() from error
        expected = (list(self.shape), self.dtype.name)
        if description != expected:
            raise StorageError(
                f"The cache {str(self.folder)!r} must hold rows of {expected}, got {description}. "
                "Empty it with: eyeshot cache clear"
            )

    def _describe(self) -> tuple[list[int], str]:
        """Describe the rows anew, without the old keys: rows without a description may be of any shape."""
        self.key_file.unlink(missing_ok=True)
        kept = {"version": VERSION, "shape": list(self.shape), "dtype": self.dtype.name}
        with replacing(self.folder / "store.json") as temporary:
            temporary.write_text(json.dumps(kept), encoding="utf-8")
        return list(self.shape), self.dtype.name

    def _held_too_long(self) -> StorageError:
        return StorageError(
            f"Another run has held the cache {str(self.folder)!r} for {LOCK_TIMEOUT_S:.0f} s. "
            "Wait for it, or give this run its own with EYESHOT_CACHE."
        )


def read_description(folder: Path) -> tuple[list[int], str] | None:
    """Shape and type of the rows in `folder`; None if there are none, or the description cannot be read."""
    try:
        description = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        if description["version"] != VERSION:
            return None
        return list(map(int, description["shape"])), np.dtype(str(description["dtype"])).name
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(row: NDArray[np.generic]) -> int:
    return xxhash.xxh3_64_intdigest(np.ascontiguousarray(row).view(np.uint8).data)


def _load_failures(file: Path) -> dict[str, str]:
    """Reasons by key; empty if the file is missing or damaged."""
    try:
        reasons = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(reason) for key, reason in reasons.items()} if isinstance(reasons, dict) else {}


def _save_failures(file: Path, lasting: dict[str, str]) -> None:
    """Add reasons to those in the file, also those of other processes; the file is written whole or not at all."""
    if not lasting:
        return
    stored = _load_failures(file)
    if lasting.keys() <= stored.keys():
        return
    with replacing(file) as temporary:
        temporary.write_text(json.dumps({**stored, **lasting}, indent=0), encoding="utf-8")
