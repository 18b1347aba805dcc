"""`decisions.jsonl`: one decision a line, only ever appended to.

Writers take turns by a lock file and end every line before they say that it is stored. A kill leaves at most the
beginning of one line, which nobody was told is stored; the next writer ends it, and readers name it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import filelock
import pydantic
import xxhash

from eyeshot.auditing.decision import BadLine, Decision, Decisions, ordered
from eyeshot.errors import InputError, StorageError
from eyeshot.workspace import make_folder

DECISIONS_FILE = "decisions.jsonl"
LOCK_TIMEOUT_S = 60.0
TAIL_BYTES = 1 << 16
TICK = timedelta(microseconds=1)
# A clock that was wrong for a while must not pull all later decisions into the future.
LARGEST_STEP = timedelta(days=1)


class Journal:
    """The decisions of one file.

    Args:
        file: need not exist yet.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._forget()

    def _forget(self) -> None:
        self._read_bytes = 0
        self._read_hash = xxhash.xxh3_64_intdigest(b"")
        self._lines = 0
        self._decisions: list[Decision] = []
        self._bad: list[BadLine] = []
        self._known: Decisions | None = None
        self._ids: set[str] = set()

    def read(self) -> Decisions:
        """All decisions of the file as it is now; lines that cannot be used are named, the rest counts.

        Only what was appended since the last call is parsed again, unless the file was edited in between.

        Raises:
            InputError: the file is there and cannot be read.
        """
        try:
            data = self.file.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise InputError(
                f"Decisions must lie in a file that can be read, got {str(self.file)!r}: {error.strerror or error}."
            ) from error
        before = self._read_bytes
        if len(data) < before or xxhash.xxh3_64_intdigest(data[:before]) != self._read_hash:
            self._forget()
            before = 0
        if self._known is not None and len(data) == before:
            return self._known
        # The last line counts without its end too: people edit, and editors leave it out. It is read again next time.
        whole = data.rfind(b"\n") + 1
        known_before, count = self._known, len(self._decisions)
        self._take(data[before:whole])
        self._read_bytes, self._read_hash = whole, xxhash.xxh3_64_intdigest(data[:whole])
        rest_good, rest_bad = parse(data[whole:], file=self.file, first_line=self._lines + 1)
        new, bad = [*self._decisions[count:], *rest_good], (*self._bad, *rest_bad)
        if known_before is not None and self._follow(known_before, new):
            # The usual case, one decision more: a hundred thousand are not put in order again.
            known = Decisions((*known_before.stored, *new), bad, known_before.conflicting)
        else:
            known = ordered([*self._decisions, *rest_good], bad)
            self._ids = set(known.by_id)
        self._known = known if whole == len(data) else None
        return known

    def _follow(self, known: Decisions, new: Sequence[Decision]) -> bool:
        """Whether new decisions take effect after all known ones, in their order, each under an id of its own."""
        last = known.stored[-1].order if known.stored else None
        for one in new:
            if one.id in self._ids or (last is not None and one.order <= last):
                return False
            self._ids.add(one.id)
            last = one.order
        return True

    def append(self, decisions: Sequence[Decision]) -> tuple[Decision, ...]:
        """Store decisions; when this returns they are on the disk.

        Returns:
            them as stored: times are moved behind the last one of the file where the clock went back.

        Raises:
            StorageError: the disk is full, the folder cannot be written, or another writer holds the file; nothing
                of these decisions is stored then.
        """
        if not decisions:
            return ()
        make_folder(self.file.absolute().parent)
        try:
            with filelock.FileLock(f"{self.file}.lock", timeout=LOCK_TIMEOUT_S):
                after = self._last_time()
                stored = []
                for one in decisions:
                    if after is not None and one.time <= after < one.time + LARGEST_STEP:
                        one = one.model_copy(update={"time": after + TICK})
                    after = one.time
                    stored.append(one)
                self._write_lines(one.line() for one in stored)
                return tuple(stored)
        except filelock.Timeout as error:
            raise StorageError(
                f"Another program has held {str(self.file)!r} for {LOCK_TIMEOUT_S:.0f} s. Close it and try again."
            ) from error
        except OSError as error:
            raise _cannot_write(self.file, error) from error

    def merge(self, others: Iterable[Path]) -> int:
        """Append what other files have and this one does not; returns how many decisions that were.

        They keep their ids and times, so that merging in any order gives the same decisions.

        Raises:
            InputError: a file is missing.
            StorageError: as `append`.
        """
        found: list[Decision] = []
        for other in others:
            if not other.is_file():
                raise InputError(f"Decisions are merged from files, got {str(other)!r}, which is none. Check the path.")
            found += Journal(other).read().stored
        make_folder(self.file.absolute().parent)
        try:
            with filelock.FileLock(f"{self.file}.lock", timeout=LOCK_TIMEOUT_S):
                own = self.read().by_id
                # Of two decisions under one id, which only an edit by hand can make, `ordered` lets the same one
                # count, here and in every other file.
                new = [one for one in ordered([*own.values(), *found]).stored if own.get(one.id) != one]
                if new:
                    self._write_lines(one.line() for one in new)
                return len(new)
        except filelock.Timeout as error:
            raise StorageError(
                f"Another program has held {str(self.file)!r} for {LOCK_TIMEOUT_S:.0f} s. Close it and try again."
            ) from error
        except OSError as error:
            raise _cannot_write(self.file, error) from error

    def _take(self, data: bytes) -> None:
        good, bad = parse(data, file=self.file, first_line=self._lines + 1)
        self._decisions += good
        self._bad += bad
        self._lines += data.count(b"\n")

    def _last_time(self) -> datetime | None:
        """Time of the last decision in the file, of its last lines alone."""
        if not self.file.exists():
            return None
        with open(self.file, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            good, _ = parse(file.read(), file=self.file, first_line=1)
        return max((one.time for one in good), default=None)

    def _write_lines(self, lines: Iterable[str]) -> None:
        data = "".join(f"{line}\n" for line in lines).encode("utf-8")
        with open(self.file, "ab", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                if size and not _ends_a_line(self.file):
                    data = b"\n" + data
                left = memoryview(data)
                while left:
                    left = left[file.write(left) or 0 :]
                os.fsync(file.fileno())
            except OSError:
                os.truncate(file.fileno(), size)  # half a batch on a full disk would count without its rest
                raise


def parse(data: bytes, *, file: Path, first_line: int) -> tuple[list[Decision], list[BadLine]]:
    """The decisions of some lines, and the lines that are none."""
    good: list[Decision] = []
    bad: list[BadLine] = []
    for number, line in enumerate(data.split(b"\n"), first_line):
        text = line.strip(b" \t\r\xef\xbb\xbf") if number == 1 else line.strip()
        if not text:
            continue
        try:
            good.append(Decision.model_validate_json(text))
        except pydantic.ValidationError as error:
            bad.append(BadLine(str(file), number, _what_is_wrong(text, error)))
    return good, bad


def _what_is_wrong(line: bytes, error: pydantic.ValidationError) -> str:
    if line.startswith((b"<<<<<<<", b"=======", b">>>>>>>")):
        return "mark of a merge conflict; keep the lines of both sides and delete the marks"
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        cut = line.startswith(b"{") and not line.endswith(b"}")
        return "cut off" if cut else "no JSON"
    place = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _ends_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _cannot_write(file: Path, error: OSError) -> StorageError:
    return StorageError(
        f"Cannot store decisions in {str(file)!r}: {error.strerror or error}. Nothing of this was stored; what was "
        "stored before is kept. Free some space, or name another file with --decisions."
    )
