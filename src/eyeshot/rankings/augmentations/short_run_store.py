"""Short runs on disk: what was decided, what was read, the latest states, and the seconds that they took."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from eyeshot.core import StorageError, make_folder, replacing
from eyeshot.rankings.augmentations.reading import Reading, load_reading
from eyeshot.training import State

DECISIONS = "decisions.json"
SECONDS = "seconds.txt"


@contextmanager
def open_store(folder: Path, *, wait_s: float) -> Iterator[ShortRunStore]:
    """The store in `folder`, for this process alone.

    It is read only once it is free: what was decided by another process until then holds for this one too.

    Raises:
        StorageError: the folder cannot be written, or another process has worked in it for `wait_s` seconds.
    """
    make_folder(folder)
    try:
        with filelock.FileLock(folder / "lock", timeout=wait_s):
            for path in folder.glob(".*.part"):  # of a process that was killed while it wrote
                path.unlink(missing_ok=True)
            yield ShortRunStore(folder)
    except filelock.Timeout as error:
        raise StorageError(
            f"Another process has been doing the same short runs in {str(folder)!r} for {wait_s / 60:.0f} minutes. "
            "Wait for it, or give another --budget or --seed."
        ) from error


class ShortRunStore:
    """The folder of one set of short runs, `short-runs/<key>` of the cache.

    Whatever a kill leaves behind is whole: decisions, states and readings are replaced, never changed in place, and
    of the lines of seconds a torn last one is cut off. What a power cut or a full disk damages is done again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = make_folder(folder)
        seconds = folder / SECONDS
        if seconds.is_file():
            whole = seconds.read_bytes().rpartition(b"\n")
            if whole[2]:  # a line that a kill tore, which the next one would be written behind
                os.truncate(seconds, len(whole[0]) + len(whole[1]))
        self._decisions = self._read_decisions()

    def seconds(self) -> float:
        """What all work that lies here took."""
        try:
            lines = (self.folder / SECONDS).read_bytes().split()
        except FileNotFoundError:
            return 0.0
        seconds = sum(map(float, lines))
        if not math.isfinite(seconds):
            raise ValueError(f"seconds must be finite, got {seconds}")
        return seconds

    def add_seconds(self, seconds: float) -> None:
        """Count work that has been stored."""
        try:
            with (self.folder / SECONDS).open("a", encoding="utf-8") as file:
                file.write(f"{float(seconds)!r}\n")
        except OSError as error:
            raise StorageError(f"Cannot write {str(self.folder / SECONDS)!r}: {error.strerror or error}.") from error

    def decision(self, name: str) -> Any | None:
        """What was decided before, or None."""
        return self._decisions.get(name)

    def decide(self, name: str, value: Any) -> None:
        """Keep a decision, so that a run that continues makes the same."""
        self._decisions[name] = value
        with replacing(self.folder / DECISIONS) as temporary:
            temporary.write_text(json.dumps(self._decisions), encoding="utf-8")

    def reading(self, name: str, start: int, number: int) -> Reading | None:
        """The reading of a candidate after a round, or None."""
        path = self._reading_file(name, start, number)
        return load_reading(path) if path.is_file() else None

    def keep_reading(self, name: str, start: int, number: int, reading: Reading) -> None:
        """Store a reading."""
        reading.save(self._reading_file(name, start, number))

    def state(self, name: str, start: int) -> tuple[State, int] | None:
        """The latest state of a candidate and the round that it ended, or None."""
        path = self._state_file(name, start)
        return (load_file(path), _round_of(path)) if path.is_file() else None

    def keep_state(self, name: str, start: int, number: int, state: State) -> None:
        """Store a state in the place of the one before."""
        tensors = {key: value.contiguous() for key, value in state.items()}
        with replacing(self._state_file(name, start)) as temporary:
            save_file(tensors, temporary, metadata={"round": str(number)})

    def drop_states(self, names: list[str], starts: int) -> None:
        """Delete the states of candidates that go no further."""
        for name in names:
            for start in range(starts):
                self._state_file(name, start).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Free space beside the states."""
        return shutil.disk_usage(self.folder).free

    def _read_decisions(self) -> dict[str, Any]:
        """What was decided. Runs build on one another: where any file is damaged, all of them are done again."""
        path = self.folder / DECISIONS
        decisions: dict[str, Any] = {}
        try:
            if path.is_file():
                decisions = dict(json.loads(path.read_text(encoding="utf-8")))
            for reading in self.folder.glob("*.npz"):
                load_reading(reading)
            for state in self.folder.glob("*.safetensors"):
                _round_of(state)  # the header says how long the file must be
            self.seconds()
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, SafetensorError):
            for file in self.folder.iterdir():
                if file.name != "lock":
                    file.unlink(missing_ok=True)
            return {}
        return decisions

    def _reading_file(self, name: str, start: int, number: int) -> Path:
        return self.folder / f"{_file_name(name)}-{start}-{number}.npz"

    def _state_file(self, name: str, start: int) -> Path:
        return self.folder / f"{_file_name(name)}-{start}.safetensors"


def _round_of(path: Path) -> int:
    with safe_open(path, framework="pt") as file:
        return int(file.metadata()["round"])


def _file_name(name: str) -> str:
    """Names of the user's own may hold any sign, and two may differ in case alone."""
    return f"{re.sub(r'[^a-z0-9-]', '_', name.lower())[:40]}-{xxhash.xxh32(name.encode()).hexdigest()}"
