"""CSV files of other people, read with the way in which they are written, so that others can be written alike."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eyeshot.core import InputError

DELIMITERS = ",;\t|"
Quoting = Literal["minimal", "all", "text"]
QUOTINGS: tuple[Quoting, ...] = ("minimal", "all", "text")
"""Cells in quotes: those that need them; all; all but numbers."""


@dataclass(frozen=True)
class CsvForm:
    """The cells of a CSV file, and how it is written.

    Attributes:
        rows: cells as they stand in the file; all rows have as many. A header is the first row.
        delimiter, newline: the signs between cells and rows.
        bom: whether the file begins with a byte order mark.
        quoting: which cells stand in quotes.
        ends_line: whether a line break follows the last row.
    """

    rows: list[list[str]]
    delimiter: str
    newline: str
    bom: bool
    quoting: Quoting
    ends_line: bool

    def encode(self, rows: Sequence[Sequence[str]]) -> bytes:
        """Other rows as the bytes of a file that is written like this one."""
        lines = (self.delimiter.join(self._quoted(cell) for cell in row) for row in rows)
        text = self.newline.join(lines) + (self.newline if self.ends_line else "")
        return text.encode("utf-8-sig" if self.bom else "utf-8")

    def number(self, cell: str) -> float | None:
        """The number in a cell, with a decimal comma where cells are not divided by commas; None if it is none."""
        return _number(cell, self.delimiter)

    def number_text(self, number: float, *, like: str = "") -> str:
        """A number as text, with a decimal comma where `like` has one."""
        text = f"{number:.6g}"
        return text.replace(".", ",") if "," in like and self.delimiter != "," else text

    def _quoted(self, cell: str) -> str:
        needed = any(sign in cell for sign in (self.delimiter, '"', "\n", "\r"))
        if not needed and self.quoting == "text":
            needed = _number(cell, self.delimiter) is None
        if not needed and self.quoting != "all":
            return cell
        return '"' + cell.replace('"', '""') + '"'


def read_csv_form(file: Path, *, what: str) -> CsvForm:
    """Read a CSV file: UTF-8 with or without byte order mark, with the delimiter that makes all rows equally wide.

    Args:
        file: of any ending.
        what: what the file is, for errors.

    Raises:
        InputError: it cannot be read, or its rows do not have the same number of cells, at least 2.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{what} must be a CSV file, got {str(file)!r}: {error.strerror or error}. Check the path."
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{what} must be a CSV file in UTF-8, got {str(file)!r}: byte {error.start} is not UTF-8. Save it again as "
            "CSV UTF-8."
        ) from error
    if not text.strip():
        raise InputError(f"{what} must be a CSV file with rows, got {str(file)!r}, which is empty.")
    tables = {delimiter: _rows(text, delimiter) for delimiter in DELIMITERS if delimiter in text}
    even = [delimiter for delimiter, rows in tables.items() if len(rows[0]) > 1 and len({*map(len, rows)}) == 1]
    if not even:
        delimiter = max(tables, key=lambda sign: len(tables[sign][0]), default=",")
        rows = tables.get(delimiter, [])
        width = len(rows[0]) if rows else 1
        uneven = next((number for number, row in enumerate(rows, 1) if len(row) != width), None)
        found = (
            "one column" if width < 2 else f"{width} cells in row 1 and {len(rows[(uneven or 1) - 1])} in row {uneven}"
        )
        raise InputError(
            f"{what} must be a CSV file whose rows have the same number of cells, at least 2 (ids and labels), divided "
            f"by comma, semicolon, tab or bar, got {found} in {str(file)!r}."
        )
    delimiter = max(even, key=lambda sign: len(tables[sign][0]))
    newline = "\r\n" if "\r\n" in text else "\n" if "\n" in text else "\r" if "\r" in text else "\n"
    bom, ends = data.startswith(b"\xef\xbb\xbf"), text.endswith(("\n", "\r"))
    for quoting in QUOTINGS:
        form = CsvForm(tables[delimiter], delimiter, newline, bom, quoting, ends)
        if form.encode(form.rows) == data:
            return form
    # Blank lines, or quotes that follow no rule: any reader of CSV files reads the plain form as the same cells.
    return CsvForm(tables[delimiter], delimiter, newline, bom, "minimal", ends)


def _rows(text: str, delimiter: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row)] or [[]]
    except csv.Error:  # a cell longer than any that makes sense
        return [[]]


def _number(cell: str, delimiter: str) -> float | None:
    text = cell.strip()
    if delimiter != "," and text.count(",") == 1:
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None
