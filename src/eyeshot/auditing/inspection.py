"""Every image read, decoded and measured once; records are kept by content, so that further runs read what is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from eyeshot.auditing.measuring import NUMBERS, RECORD, complete, measure
from eyeshot.core import ArrayCache, Failure, default_workers, in_parallel
from eyeshot.images import (
    Look,
    UnreadableImageError,
    decode_upright,
    read_content,
    strict_pillow,
    undecodable,
)

VERSION = 5  # part of the folder's name: raise it when measure() gives other values for the same file
CHUNK = 2048  # records that a kill may lose
PER_TASK = 16  # images: handing over each one alone costs a twentieth of what reading it does

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Inspected:
    """Records of some images.

    Attributes:
        records: (n,) of `RECORD`; of images that failed, all zeros.
        failed: reason by position, for those that cannot be decoded.
        read: how many had to be decoded in this run.
    """

    records: NDArray[np.void]
    failed: dict[int, str]
    read: int

    def number(self, name: str) -> NDArray[np.float64]:
        """One of `NUMBERS` for every image, float64 (n,)."""
        return np.asarray(self.records["numbers"][:, NUMBERS.index(name)], np.float64)

    def text(self, name: str) -> list[str]:
        """`format`, `mode` or `layers` of every image."""
        return [value.decode() for value in self.records[name].tolist()]


class Inspector:
    """Decodes and measures every image that its cache does not know by its content.

    Args:
        cache: folder of all caches.

    Raises:
        StorageError: the cache cannot be written; its methods raise it too.
    """

    def __init__(self, cache: Path) -> None:
        folder = cache / "audit" / f"pillow{PIL.__version__}-v{VERSION}"
        self._store = ArrayCache(
            folder, shape=(RECORD.itemsize,), dtype="uint8", finish=_complete_rows, chunk_rows=CHUNK
        )
        self._seen: set[str] = set()

    def look(self) -> Look:
        """What measures an image of which the header is read, in any thread or process; known ones are passed over."""
        return partial(_look, frozenset(self._store.failed).union(self._store.keys()))

    def keep(self, content: str, found: bytes | Failure) -> None:
        """Take what `look` gave for an image."""
        self._seen.add(content)
        self._store.add(content, _row(found))

    def inspect(
        self, contents: Sequence[str], paths: Sequence[str], *, workers: int | None, progress: Progress
    ) -> Inspected:
        """Records of images; those that nobody looked at yet are read.

        Args:
            contents: content keys.
            paths: a file with that content each.
            workers: threads that decode.
            progress: called with (what, done, total).
        """
        read = 0

        def inspect_missing(positions: list[int]) -> Iterator[NDArray[np.generic] | Failure]:
            nonlocal read
            read = len(positions)
            todo = [(contents[position], paths[position]) for position in positions]
            tasks = [todo[start : start + PER_TASK] for start in range(0, read, PER_TASK)]
            with strict_pillow():
                for part in in_parallel(_inspect_some, tasks, workers or default_workers(), files=read):
                    yield from map(_row, part)

        failed = self._store.get_or_compute(
            contents, inspect_missing, progress=lambda done, total: progress("reading images", done, total)
        )
        good = [position for position, key in enumerate(contents) if key not in failed]
        records = np.zeros(len(contents), RECORD)
        for start in range(0, len(good), CHUNK):  # in parts: a copy of everything would be fresh memory, which is dear
            part_of = good[start : start + CHUNK]
            stored = np.asarray(self._store.read([contents[position] for position in part_of]), np.uint8)
            records[part_of] = np.ascontiguousarray(stored).view(RECORD)[:, 0]
        bad = {position: failed[key] for position, key in enumerate(contents) if key in failed}
        return Inspected(records, bad, len(self._seen) + read)


def _complete_rows(rows: NDArray[np.generic]) -> None:
    complete(rows.view(RECORD)[:, 0])


def _row(found: bytes | Failure) -> NDArray[np.generic] | Failure:
    return found if isinstance(found, Failure) else np.frombuffer(found, np.uint8)


def _inspect_some(items: list[tuple[str, str]]) -> list[bytes | Failure]:
    return [_inspect_one(key, path) for key, path in items]


def _inspect_one(key: str, path: str) -> bytes | Failure:
    data = read_content(path, key)
    return data if isinstance(data, Failure) else _measure(data)


def _look(known: frozenset[str], content: str, data: bytes, image: Image.Image) -> bytes | Failure | None:
    return None if content in known else _measure(data, image)


def _measure(data: bytes, image: Image.Image | None = None) -> bytes | Failure:
    try:
        return measure(decode_upright(data, image)).tobytes()  # an array has its long type sent along by a process
    except UnreadableImageError as error:
        return undecodable(error)
