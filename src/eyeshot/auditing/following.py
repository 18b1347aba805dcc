"""Decisions as they are appended, by whomever: a page that stays open reads the new lines, not all of them."""

from __future__ import annotations

import os
from pathlib import Path

from eyeshot.auditing.decision import Decision
from eyeshot.auditing.journal import parse
from eyeshot.errors import InputError

TAIL_BYTES = 512


class Follower:
    """What was appended to a file of decisions since it was last asked.

    Args:
        file: need not exist yet.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._read_bytes = 0
        self._tail = b""

    def news(self) -> tuple[list[Decision], bool]:
        """New decisions, and whether the file was edited in between: then these are all there are.

        A last line without its end may be told twice, for it is read again when it has one.

        Raises:
            InputError: the file is there and cannot be read.
        """
        try:
            with open(self.file, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, self._read_bytes - len(self._tail)))
                edited = size < self._read_bytes or file.read(len(self._tail)) != self._tail
                if edited:
                    self._read_bytes, self._tail = 0, b""
                    file.seek(0)
                data = file.read()
        except FileNotFoundError:
            edited = self._read_bytes > 0
            self._read_bytes, self._tail = 0, b""
            return [], edited
        except OSError as error:
            raise InputError(
                f"Decisions must lie in a file that can be read, got {str(self.file)!r}: {error.strerror or error}."
            ) from error
        whole = data.rfind(b"\n") + 1
        self._tail = (self._tail + data[max(0, whole - TAIL_BYTES) : whole])[-TAIL_BYTES:]
        self._read_bytes += whole
        good, _ = parse(data, file=self.file, first_line=1 if edited else 2)
        return good, edited
