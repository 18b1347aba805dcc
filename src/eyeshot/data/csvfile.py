"""Read a CSV file as people have it: any usual delimiter, with or without a byte order mark or a header."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import Path

from eyeshot.core import InputError
from eyeshot.data.decoding import os_reason

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
PROBED_ROWS = 50


@dataclass(frozen=True)
class CsvRows:
    """The cells of a CSV file.

    Attributes:
        columns: names of the first line, or `column 1`, `column 2`, … where it has none.
        rows: the cells of each line, as many as there are columns; missing ones are empty.
        lines: number of each row's line in the file.
    """

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    lines: list[int]

    def without_header(self) -> CsvRows:
        """The same file, its first line taken for data."""
        names = tuple(f"column {number + 1}" for number in range(len(self.columns)))
        return CsvRows(names, [self.columns, *self.rows], [1, *self.lines])

    def column(self, name: str) -> list[str]:
        """The cells of one column, without spaces around them."""
        position = self.columns.index(name)
        return [row[position].strip() for row in self.rows]


def read_csv(file: Path) -> CsvRows:
    """All cells of `file`; the delimiter is the one that gives every line the same number of cells.

    Raises:
        InputError: no such file, not text, or fewer than two columns.
    """
    text = _read_text(file)
    delimiter = max(DELIMITERS, key=lambda candidate: _score(text, candidate))
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        found = [(reader.line_num, tuple(cells)) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise InputError(f"The labels must be a CSV file, got {str(file)!r}: {error}.") from error
    if not found:
        raise InputError(f"The labels must be a CSV file with rows, got {str(file)!r}: it is empty.")
    header = found[0][1]
    columns = tuple(cell.strip() or f"column {number + 1}" for number, cell in enumerate(header))
    if len(columns) < 2:
        raise InputError(
            "The labels need a column with paths and a column with labels, got one column "
            f"({columns[0][:60]!r}) in {str(file)!r}. Columns are told apart by comma, semicolon, tab or bar."
        )
    width = len(columns)
    rows = [(cells + ("",) * width)[:width] for _, cells in found[1:]]
    return CsvRows(columns, rows, [line for line, _ in found[1:]])


def _read_text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except IsADirectoryError as error:
        raise InputError(f"The labels must be a CSV file, got the folder {str(file)!r}.") from error
    except OSError as error:
        raise InputError(
            f"The labels must be a CSV file that can be read, got {str(file)!r}: {os_reason(error)}."
        ) from error
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # "Unicode text" of Excel
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"The labels must be text in UTF-8, got {str(file)!r}: byte {error.start} is something else. "
            "Save it again as CSV UTF-8."
        ) from error


def _score(text: str, delimiter: str) -> tuple[bool, float, int]:
    """How well a delimiter fits: more than one column, all rows alike, then the number of columns."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        widths = [len(cells) for cells, _ in zip(reader, range(PROBED_ROWS), strict=False) if cells]
    except csv.Error:
        return False, 0.0, 0
    if not widths:
        return False, 0.0, 0
    alike = sum(width == widths[0] for width in widths) / len(widths)
    return widths[0] > 1, alike, widths[0]
