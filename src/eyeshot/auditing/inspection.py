"""Every image read, decoded and measured once; records are kept by content, so that further runs read what is new."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import xxhash
from numpy.typing import NDArray

from eyeshot.auditing.measuring import NUMBERS, RECORD, complete, measure
from eyeshot.images import UnreadableImageError, decode_upright, default_workers, in_threads, os_reason, strict_pillow
from eyeshot.rowstore import RowStore
from eyeshot.workspace import replacing

VERSION = 4  # part of the folder's name: raise it when measure() gives other values for the same file
CHUNK = 2048  # records that a kill may lose
CHUNK_S = 5.0  # and the seconds
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


@dataclass(frozen=True)
class _Failure:
    reason: str
    lasting: bool


def inspect(
    contents: Sequence[str], paths: Sequence[str], *, cache: Path, workers: int | None, progress: Progress
) -> Inspected:
    """Decode and measure every image that `cache` does not know by its content.

    Args:
        contents: content keys.
        paths: a file with that content each.
        cache: folder of all caches.
        workers: threads that decode.
        progress: called with (what, done, total).

    Raises:
        StorageError: the cache cannot be written.
    """
    folder = cache / "audit" / f"pillow{PIL.__version__}-v{VERSION}"
    store = RowStore(folder, shape=(RECORD.itemsize,), dtype="uint8")
    kept = _load(folder / "failed.json")
    failures = dict(kept)
    todo = [position for position in store.missing(contents) if contents[position] not in kept]
    done = len(contents) - len(todo)
    progress("reading images", done, len(contents))
    keys: list[str] = []
    rows: list[NDArray[np.void]] = []

    def flush() -> None:
        if keys:
            records = np.stack(rows)
            complete(records)
            store.append(keys, records.view(np.uint8).reshape(len(rows), -1))
        keys.clear()
        rows.clear()
        if kept:
            with replacing(folder / "failed.json") as temporary:
                temporary.write_text(json.dumps(kept, indent=0), encoding="utf-8")

    begun = time.monotonic()
    tasks = [
        [(contents[position], paths[position]) for position in todo[start : start + PER_TASK]]
        for start in range(0, len(todo), PER_TASK)
    ]
    with strict_pillow():
        for task, results in zip(tasks, in_threads(_inspect_some, tasks, workers or default_workers()), strict=True):
            for (key, _), result in zip(task, results, strict=True):
                if isinstance(result, _Failure):
                    failures[key] = result.reason
                    if result.lasting:
                        kept[key] = result.reason
                else:
                    keys.append(key)
                    rows.append(result)
            done += len(task)
            progress("reading images", done, len(contents))
            if len(keys) >= CHUNK or time.monotonic() - begun > CHUNK_S:
                flush()
                begun = time.monotonic()
    if todo:
        flush()
    good = [position for position, key in enumerate(contents) if key not in failures]
    records = np.zeros(len(contents), RECORD)
    for start in range(0, len(good), CHUNK):  # in parts: a copy of everything would be fresh memory, which is dear
        part = good[start : start + CHUNK]
        stored = np.asarray(store.read([contents[position] for position in part]), np.uint8)
        records[part] = np.ascontiguousarray(stored).view(RECORD)[:, 0]
    bad = {position: failures[key] for position, key in enumerate(contents) if key in failures}
    return Inspected(records, bad, len(todo))


def _inspect_some(items: list[tuple[str, str]]) -> list[NDArray[np.void] | _Failure]:
    return [_inspect_one(item) for item in items]


def _inspect_one(item: tuple[str, str]) -> NDArray[np.void] | _Failure:
    key, path = item
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return _Failure(os_reason(error), lasting=False)
    if xxhash.xxh3_128_hexdigest(data) != key:
        return _Failure("changed while it was being read", lasting=False)
    try:
        return measure(decode_upright(data))
    except UnreadableImageError as error:
        return _Failure(error.reason, lasting="memory" not in error.reason)


def _load(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(reason) for key, reason in found.items()} if isinstance(found, dict) else {}
