"""Labels from a CSV file. Its columns and its image root are guessed, and the guess is reported in a note."""

from __future__ import annotations

import codecs
import csv
import io
import os
import random
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from eyeshot.core import InputError, plural
from eyeshot.data.csv_columns import (
    CsvRows,
    UnclearError,
    check_columns,
    choose_labels,
    label_cells,
    path_columns,
    path_likeness,
    unused_columns,
)
from eyeshot.data.decoding import os_reason
from eyeshot.data.listing import FoundFile, Listing, Skipped, describe_file, image_endings

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
PROBED_ROWS = 50
COMMON_ENDINGS = (".jpg", ".jpeg", ".png", ".JPEG", ".JPG", ".PNG", ".webp", ".bmp", ".tif", ".tiff", ".gif")
PROBED_CELLS = 40
MOST_ROOTS = 50
MOST_DROPPED = 8
Key = TypeVar("Key", str, int)


def read_csv(file: Path, *, most_bytes: int | None = None, least_columns: int = 2) -> CsvRows:
    """All cells of `file`; the chosen delimiter gives every line the same number of cells.

    Args:
        file: the CSV file.
        most_bytes: read no more than the lines in so many bytes; None: all.
        least_columns: a list of test images needs one, labels need two.

    Raises:
        InputError: the file does not exist, is not text, or has too few columns.
    """
    text = _read_text(file, most_bytes)
    delimiter = max(DELIMITERS, key=lambda candidate: _score(text, candidate))
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        lines = [(reader.line_num, tuple(cells)) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise InputError(f"The labels must be a CSV file, got {str(file)!r}: {error}.") from error
    if not lines:
        raise InputError(f"The labels must be a CSV file with rows, got {str(file)!r}: it is empty.")
    header = lines[0][1]
    columns = tuple(cell.strip() or f"column {number + 1}" for number, cell in enumerate(header))
    if len(columns) < least_columns:
        raise InputError(
            "The labels need a column with paths and a column with labels, got one column "
            f"({columns[0][:60]!r}) in {str(file)!r}. Separate columns by comma, semicolon, tab or bar."
        )
    width = len(columns)
    rows = [(cells + ("",) * width)[:width] for _, cells in lines[1:]]
    return CsvRows(columns, rows, [line for line, _ in lines[1:]])


def _read_text(file: Path, most_bytes: int | None) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(-1 if most_bytes is None else most_bytes)
            if most_bytes is not None and stream.read(1):
                data = data[: data.rfind(b"\n") + 1]
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
            f"The labels must be text in UTF-8, got {str(file)!r}: byte {error.start} is not UTF-8. "
            "Save it again as CSV UTF-8."
        ) from error


def _score(text: str, delimiter: str) -> tuple[bool, float, int]:
    """How well a delimiter fits: more than one column, then equal rows, then the number of columns."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        widths = [len(cells) for cells, _ in zip(reader, range(PROBED_ROWS), strict=False) if cells]
    except csv.Error:
        return False, 0.0, 0
    if not widths:
        return False, 0.0, 0
    alike = sum(width == widths[0] for width in widths) / len(widths)
    return widths[0] > 1, alike, widths[0]


@dataclass(frozen=True)
class Rule:
    """How cells become paths. One rule applies to all rows of a CSV, so that no row matches an unrelated file.

    Attributes:
        root: folder that the paths are relative to.
        dropped: number of leading folders to remove from each cell.
        by_name: the cell is only a file name, and the file may lie in any subfolder of the root.
        by_number: the cell is a number that lost its leading zeros: 7 names 0007.jpg, in any subfolder of the root.
    """

    root: Path
    dropped: int = 0
    by_name: bool = False
    by_number: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the cells are paths from the root as they are."""
        return not (self.dropped or self.by_name or self.by_number)

    def describe(self) -> str:
        """The rule in words, for notes."""
        where = f"image root {str(self.root)!r}"
        if self.by_name:
            return f"{where}, files found by their names in any subfolder"
        if self.by_number:
            return f"{where}, files found by their numbers, leading zeros left aside"
        if self.dropped:
            return f"{where}, the first {self.dropped} folders of each path cut off"
        return where


class Lookup:
    """Looks up files in a listing and, outside its folder, on disk.

    Attributes:
        root: the folder of the listing.
        folders: paths of the folders in it.
    """

    def __init__(self, listing: Listing) -> None:
        self.root = listing.root
        self._start = os.path.normcase(os.path.join(listing.root, ""))
        self.folders = {_normal(os.path.join(listing.root, folder)) for folder in listing.folders}
        self._endings = image_endings()
        self._by_exact_path = {file.path: file for file in listing.files}
        self._by_path = _unique((_normal(file.path), file) for file in listing.files)
        self._by_bare = _unique((self._bare(_normal(file.path)), file) for file in listing.files)
        names = [(_normal(file.id.rpartition("/")[2]), file) for file in listing.files]
        self._by_name = _unique([*names, *((self._bare(name), file) for name, file in names)])
        stems = [(self._bare(name), file) for name, file in names]
        self._by_number = _unique((int(stem), file) for stem, file in stems if _is_number(stem))

    def is_inside(self, file: FoundFile) -> bool:
        """Whether a file lies in the folder that was listed."""
        return os.path.normcase(file.path).startswith(self._start)

    def find(self, cell: str, rule: Rule) -> FoundFile | Skipped:
        """The file that `cell` refers to, or why there is none."""
        text = "/".join(cell.replace("\\", "/").removeprefix("./").split("/")[rule.dropped :])
        if not text:
            return Skipped(cell, "not found")
        if rule.by_name:
            match = self._by_name.get(_normal(text), Skipped(cell, "not found"))
        elif rule.by_number:
            stem = self._bare(text)
            number = int(stem) if _is_number(stem) else -1
            match = self._by_number.get(number, Skipped(cell, "not found"))
        else:
            match = self._find_path(cell, os.path.normpath(os.path.join(rule.root, text)))
        if match is None:
            return Skipped(cell, "name fits several files")
        return match

    def _find_path(self, cell: str, path: str) -> FoundFile | Skipped | None:
        if path in self._by_exact_path:
            return self._by_exact_path[path]
        normal = _normal(path)
        if normal in self._by_path:
            return self._by_path[normal]
        if normal in self._by_bare:
            return self._by_bare[normal]
        if os.path.lexists(path) and not os.path.isdir(path):
            return describe_file(path, path)
        # An id without an extension. Inside the listed folder the listing has already answered.
        if not Path(path).is_relative_to(self.root) and os.path.splitext(path)[1] not in self._endings:
            for ending in COMMON_ENDINGS:
                if os.path.isfile(path + ending):
                    return describe_file(path + ending, path + ending)
        return Skipped(cell, "not found")

    def _bare(self, path: str) -> str:
        """The path without an image extension; other dots belong to the name."""
        stem, ending = os.path.splitext(path)
        return stem if ending.lower() in self._endings else path


def _normal(path: str) -> str:
    """One spelling per path: composed letters (macOS stores Korean decomposed), and the system's case."""
    return os.path.normcase(unicodedata.normalize("NFC", path))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 100


def _unique(pairs: Iterable[tuple[Key, FoundFile]]) -> dict[Key, FoundFile | None]:
    """The file of each key; None if several files share the key."""
    file_of: dict[Key, FoundFile | None] = {}
    for key, file in pairs:
        file_of[key] = file if file_of.get(key, file) == file else None
    return file_of


def read_labels(
    file: Path,
    *,
    listing: Listing,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: Path | None = None,
) -> tuple[list[tuple[FoundFile, str]], list[Skipped], list[str]]:
    """Read the labels of image files from a CSV.

    An image under two labels is left out, because the right label is unknown. Repeated rows count once.

    Returns:
        each file with its label; the rows that cannot be used; and notes on what was guessed or ignored.

    Raises:
        InputError: the file is not a CSV, a column is missing or cannot be guessed, or no row names a file.
    """
    table = read_csv(file)
    check_columns(table, file, path_column, label_column)
    lookup = Lookup(listing)
    roots = [image_root.absolute()] if image_root is not None else image_roots(file, listing)
    column, rule, headless = find_paths(table, file, lookup, roots, path_column, label_column)
    notes = []
    if headless:
        table = table.without_header()
        notes.append(f"{file.name} has no header: its first line is used as data.")
    labels = choose_labels(table, file, column, label_column)
    how = "as given" if path_column and label_column and image_root else "guessed"
    notes.append(
        f"Labels from {file.name}: paths in column {column!r}, labels in {plural(len(labels), 'column')} "
        f"{', '.join(map(repr, labels))}, {rule.describe()} ({how})."
    )
    notes += unused_columns(table, (column, *labels))
    files, skipped, repeated = collect(table, column, labels, lookup, rule, file.name)
    if repeated:
        notes.append(f"Rows of {file.name} that repeat an earlier row and count once: {repeated}.")
    notes += _unlisted(listing, files, skipped, file.name)
    return files, skipped, notes


def collect(
    table: CsvRows, column: str, labels: Sequence[str], lookup: Lookup, rule: Rule, name: str
) -> tuple[list[tuple[FoundFile, str]], list[Skipped], int]:
    """Each file with its label, the rows that cannot be used, and the number of repeated rows."""
    labelled: list[tuple[FoundFile, str]] = []
    skipped: list[Skipped] = []
    files: dict[str, FoundFile] = {}
    named: dict[str, Counter[str]] = {}
    for line, cell, label in zip(table.lines, table.column(column), label_cells(table, labels), strict=True):
        if not cell or not label:
            missing = "with no path" if not cell else "with no label" if label == "" else "under several classes"
            skipped.append(Skipped(cell or f"{name}, line {line}", f"row {missing} in {name}"))
            continue
        match = lookup.find(cell, rule)
        if isinstance(match, Skipped):
            skipped.append(Skipped(match.path, f"{match.reason}, though named in {name}"))
            continue
        if not lookup.is_inside(match):
            skipped.append(Skipped(match.path, f"outside the image folder, though named in {name}"))
            continue
        key = os.path.normcase(match.path)
        files.setdefault(key, match)
        named.setdefault(key, Counter())[unicodedata.normalize("NFC", label)] += 1
    repeated = 0
    for key, counts in named.items():
        if len(counts) > 1:
            skipped.append(Skipped(files[key].path, f"two labels in {name}"))
            continue
        repeated += counts.total() - 1
        labelled.append((_with_id(files[key], rule.root), next(iter(counts))))
    labelled.sort(key=lambda pair: pair[0].id)
    return labelled, skipped, repeated


def _with_id(file: FoundFile, root: Path) -> FoundFile:
    path = Path(file.path)
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    return FoundFile(name, file.path, file.size, file.mtime_ns)


def _unlisted(
    listing: Listing, files: Sequence[tuple[FoundFile, str]], skipped: Sequence[Skipped], name: str
) -> list[str]:
    listed = {os.path.normcase(file.path) for file, _ in files}
    listed |= {os.path.normcase(row.path) for row in skipped}
    count = sum(os.path.normcase(file.path) not in listed for file in listing.files)
    return [f"Images below {listing.root.name!r} that are not in {name} and are left out: {count}."] if count else []


def image_roots(file: Path, listing: Listing) -> list[Path]:
    """Folders that the paths may be relative to, the most likely first; only files in the listing count."""
    source, beside = listing.root, file.absolute().parent
    below = [source / folder for folder in listing.folders if "/" not in folder]
    return list(dict.fromkeys([source, beside, source.parent, *below[:MOST_ROOTS]]))


def find_paths(
    table: CsvRows,
    file: Path,
    lookup: Lookup,
    roots: Sequence[Path],
    path_column: str | None = None,
    label_column: str | None = None,
) -> tuple[str, Rule, bool]:
    """The column with paths, the rule by which its cells become files of the listing, and whether a header is missing.

    Raises:
        UnclearError: it is not clear which files are meant.
        InputError: no row names a file of the listing, or hardly any does while another folder has them.
    """
    guess = _guess_paths(table, file, lookup, roots, path_columns_of(table, path_column, label_column))
    if path_column is None and label_column is None:
        # Without a header the first line names a file too.
        headless = table.without_header()
        try:
            first = _guess_paths(headless, file, lookup, roots, path_columns(headless, None))
        except InputError:
            first = None
        if first and _names_file(table.columns[headless.columns.index(first[0])], lookup, first[1]):
            return (*first[:2], True)
    if guess is None or 2 * guess[2] < guess[3]:
        _check_elsewhere(table, file, lookup, path_columns_of(table, path_column, label_column), guess)
    if guess is None:
        raise InputError(_nothing_found(file, table, lookup, roots, path_column))
    return (*guess[:2], False)


def path_columns_of(table: CsvRows, path_column: str | None, label_column: str | None) -> list[str]:
    """The column that the user named, or those that may hold paths."""
    return [path_column] if path_column is not None else path_columns(table, label_column)


def _guess_paths(
    table: CsvRows, file: Path, lookup: Lookup, roots: Sequence[Path], columns: Sequence[str]
) -> tuple[str, Rule, int, int] | None:
    """Column, rule, files found and cells tried of the best guess in a sample of rows; None if no cell names a file.

    Only files in the listed folder count. Cells that are paths from that folder as they are come first; else the rule
    that finds most files, unless another rule finds other files and at least half as many.

    Raises:
        UnclearError: two rules are about as good and find different files.
    """
    rules = [Rule(root) for root in roots]
    rules += [Rule(roots[0], by_name=True), Rule(roots[0], by_number=True)]
    rules += [Rule(roots[0], dropped=dropped) for dropped in range(1, MOST_DROPPED + 1)]
    guesses: list[tuple[str, Rule, set[str], int]] = []
    for name in columns:
        cells = set(_probe([cell for cell in table.column(name) if cell]))
        for rule in rules:
            matches = [lookup.find(cell, rule) for cell in cells]
            files = {match.path for match in matches if isinstance(match, FoundFile) and lookup.is_inside(match)}
            if files:
                guesses.append((name, rule, files, len(cells)))
    if not guesses:
        return None
    # A column with a usual name goes before another that finds as many files.
    best = max(guesses, key=lambda guess: (len(guess[2]), -path_likeness(guess[0])))
    for name, rule, files, tried in guesses:
        if name == best[0] and rule == Rule(lookup.root) and 2 * len(files) >= tried and not files <= best[2]:
            best = (name, rule, files, tried)
    for name, rule, files, tried in guesses:
        clear = path_likeness(best[0]) < path_likeness(name) if name != best[0] else best[1] == Rule(lookup.root)
        if files <= best[2] or 2 * len(files) < len(best[2]) or (clear and len(files) <= len(best[2])):
            continue
        if name == best[0] and best[1].is_plain and rule.is_plain:
            raise UnclearError(
                f"The labels must name files of one folder, and {str(best[1].root)!r} and {str(rule.root)!r} both hold "
                f"files of these names ({len(best[2])} and {len(files)} of {tried} rows of {file.name!r} that were "
                f"tried). Name the right folder: --image-root {str(best[1].root)!r}."
            )
        both = [
            f"column {guess[0]!r} with {guess[1].describe()} ({len(guess[2])} of {guess[3]} rows tried)"
            for guess in (best, (name, rule, files, tried))
        ]
        option = "--path-column" if name != best[0] else "--image-root"
        raise UnclearError(
            f"It is not clear which images {file.name!r} labels: {both[0]} and {both[1]} name different files. "
            f"Say which with {option}."
        )
    return best[0], best[1], len(best[2]), best[3]


def _probe(cells: Sequence[str]) -> Sequence[str]:
    """A fixed random sample of cells; every n-th cell might be of a single class if the rows alternate."""
    return random.Random(0).sample(cells, min(PROBED_CELLS, len(cells)))


def _names_file(cell: str, lookup: Lookup, rule: Rule) -> bool:
    match = lookup.find(cell, rule)
    return isinstance(match, FoundFile) and lookup.is_inside(match)


def _check_elsewhere(
    table: CsvRows, file: Path, lookup: Lookup, columns: Sequence[str], guess: tuple[str, Rule, int, int] | None
) -> None:
    """Raise an error that names another folder if the rows name its files rather than those of the listing."""
    beside = file.absolute().parent
    try:
        around = sorted(folder for folder in beside.iterdir() if folder.is_dir())[:MOST_ROOTS]
    except OSError:
        around = []
    here = 0 if guess is None else guess[2]
    for name in columns:
        cells = set(_probe([cell for cell in table.column(name) if cell]))
        for root in dict.fromkeys([beside, lookup.root.parent, *around]):
            matches = [lookup.find(cell, Rule(root)) for cell in cells]
            others = [match.path for match in matches if isinstance(match, FoundFile) and not lookup.is_inside(match)]
            if len(set(others)) > 2 * here:
                folder = os.path.commonpath([os.path.dirname(path) for path in others])
                raise InputError(
                    f"The labels must name files in the folder that is given, and {file.name!r} names nearly none in "
                    f"{str(lookup.root)!r} ({here}), but {len(set(others))} of {len(cells)} rows that were tried in "
                    f"{folder!r}. If these are the images, say so: --image-root {folder!r}."
                )


def _nothing_found(file: Path, table: CsvRows, lookup: Lookup, roots: Sequence[Path], path_column: str | None) -> str:
    column = path_column or min(path_columns(table, None) or table.columns, key=path_likeness)
    cells = [cell for cell in table.column(column) if cell]
    begins = ", ".join(map(repr, cells[:3])) or "nothing"
    places = ", ".join(repr(str(root)) for root in roots[:3])
    message = f"The labels must name files that exist, and no row of {file.name!r} does. "
    for name in [path_column] if path_column else table.columns:
        for cell in table.column(name)[:3]:
            if cell and any(_normal(os.path.join(root, cell)) in lookup.folders for root in roots):
                return (
                    f"{message}Column {name!r} names folders, as {cell!r}, and each row must name one image. "
                    "Write a CSV with one row per image, columns path and label, and give it with --labels."
                )
    return (
        f"{message}Its columns are {', '.join(map(repr, table.columns[:20]))}. "
        f"Column {column!r} begins with {begins}; looked in {places}. "
        "Name the column with --path-column and the folder with --image-root."
    )
