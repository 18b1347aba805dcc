"""Labels from a CSV file: its columns and its image root are guessed, and what was guessed is said."""

from __future__ import annotations

import codecs
import csv
import io
import os
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eyeshot.core import InputError
from eyeshot.data.decoding import os_reason
from eyeshot.data.listing import FoundFile, Listing, Skipped, describe_file, image_endings

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
PROBED_ROWS = 50
COMMON_ENDINGS = (".jpg", ".jpeg", ".png", ".JPEG", ".JPG", ".PNG", ".webp", ".bmp", ".tif", ".tiff", ".gif")
PATH_NAMES = (
    "path", "imagepath", "imgpath", "filepath", "file", "filename", "imagefile", "imagefilename",
    "image", "img", "imagename", "imgname", "imageid", "imgid", "id", "name",
)  # fmt: skip
LABEL_NAMES = (
    "label", "labels", "labelname", "class", "classname", "classlabel", "category", "categoryname",
    "species", "breed", "target", "y", "classid", "labelid", "categoryid",
)  # fmt: skip
PROBED_CELLS = 40
MOST_ROOTS = 50
MOST_DROPPED = 8


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


@dataclass(frozen=True)
class Rule:
    """How cells become paths; the same for every row of a CSV, so that no row finds a stranger's file.

    Attributes:
        root: folder that the paths are relative to.
        dropped: how many leading folders of each cell are cut off.
        by_name: the cell is just a name, wherever below the root the file lies.
    """

    root: Path
    dropped: int = 0
    by_name: bool = False

    def describe(self) -> str:
        """The rule in words."""
        where = f"image root {str(self.root)!r}"
        if self.by_name:
            return f"{where}, files found by their names in any subfolder"
        if self.dropped:
            return f"{where}, the first {self.dropped} folders of each path cut off"
        return where


class Lookup:
    """Finds files among those of a listing, and beyond it on the disk."""

    def __init__(self, listing: Listing) -> None:
        self._root = listing.root
        self._endings = image_endings()
        self._by_path = {_normal(file.path): file for file in listing.files}
        self._by_bare = _unique((self._bare(_normal(file.path)), file) for file in listing.files)
        names = [(_normal(file.id.rpartition("/")[2]), file) for file in listing.files]
        self._by_name = _unique([*names, *((self._bare(name), file) for name, file in names)])

    def find(self, cell: str, rule: Rule) -> FoundFile | Skipped:
        """The file that `cell` means, or why there is none."""
        text = "/".join(cell.replace("\\", "/").removeprefix("./").split("/")[rule.dropped :])
        if not text:
            return Skipped(cell, "not found")
        if rule.by_name:
            found = self._by_name.get(_normal(text), Skipped(cell, "not found"))
        else:
            found = self._find_path(cell, os.path.normpath(os.path.join(rule.root, text)))
        if found is None:
            return Skipped(cell, "name fits several files")
        return found

    def _find_path(self, cell: str, path: str) -> FoundFile | Skipped | None:
        normal = _normal(path)
        if normal in self._by_path:
            return self._by_path[normal]
        if normal in self._by_bare:
            return self._by_bare[normal]
        if os.path.lexists(path) and not os.path.isdir(path):
            return describe_file(path, path)
        # An id without an ending; below the listed folder the listing has answered already.
        if not Path(path).is_relative_to(self._root) and os.path.splitext(path)[1] not in self._endings:
            for ending in COMMON_ENDINGS:
                if os.path.isfile(path + ending):
                    return describe_file(path + ending, path + ending)
        return Skipped(cell, "not found")

    def _bare(self, path: str) -> str:
        """The path without the ending of an image; other dots belong to the name."""
        stem, ending = os.path.splitext(path)
        return stem if ending.lower() in self._endings else path


def _normal(path: str) -> str:
    """One spelling per path: letters composed (macOS stores Korean decomposed), the system's case."""
    return os.path.normcase(unicodedata.normalize("NFC", path))


def _unique(pairs: Iterable[tuple[str, FoundFile]]) -> dict[str, FoundFile | None]:
    """The file of each key; None where several files have it."""
    found: dict[str, FoundFile | None] = {}
    for key, file in pairs:
        found[key] = file if found.get(key, file) == file else None
    return found


@dataclass
class LabelledFiles:
    """What a labels CSV says about the files on disk.

    Attributes:
        files: each file with its label.
        skipped: rows that cannot be used.
        notes: what was guessed or passed over.
    """

    files: list[tuple[FoundFile, str]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_labels(
    file: Path,
    *,
    listing: Listing,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: Path | None = None,
) -> LabelledFiles:
    """The files that `file` names, each with its label.

    An image under two labels is left out: nobody here knows which one is right. Rows that say the same
    twice count once.

    Raises:
        InputError: the file is no CSV, a column is not there or cannot be guessed, or no row names a file.
    """
    table = read_csv(file)
    check_columns(table, file, path_column, label_column)
    lookup = Lookup(listing)
    roots = [image_root.absolute()] if image_root is not None else _roots(file, listing)
    result = LabelledFiles()
    guess = _guess_paths(table, lookup, roots, path_column, label_column)
    headless = table.without_header()
    if path_column is None and label_column is None:
        # Without a header the first line names a file as well: one more hit than with it.
        other = _guess_paths(headless, lookup, roots, None, None)
        if other and _names_file(table.columns[headless.columns.index(other[0])], lookup, other[1]):
            table, guess = headless, other
            result.notes.append(f"{file.name} has no header: its first line is taken for data.")
    if guess is None:
        raise InputError(_nothing_found(file, table, roots, path_column))
    column, rule = guess
    labels = label_column or _guess_label(table, column, file)
    how = "as given" if path_column and label_column and image_root else "guessed"
    result.notes.append(
        f"Labels from {file.name}: paths in column {column!r}, labels in column {labels!r}, {rule.describe()} ({how})."
    )
    _collect(table, column, labels, lookup, rule, file.name, result)
    result.notes.extend(_unlisted(listing, result, file.name))
    return result


def check_columns(table: CsvRows, file: Path, path_column: str | None, label_column: str | None) -> None:
    """Make sure that the columns that were named are there.

    Raises:
        InputError: one is not.
    """
    for option, name in (("--path-column", path_column), ("--label-column", label_column)):
        if name is not None and name not in table.columns:
            raise InputError(f"{option} must be a column of {file.name!r}, got {name!r}. {_columns(table)}")


def _collect(
    table: CsvRows, column: str, labels: str, lookup: Lookup, rule: Rule, name: str, result: LabelledFiles
) -> None:
    files: dict[str, FoundFile] = {}
    named: dict[str, Counter[str]] = {}
    for line, cell, label in zip(table.lines, table.column(column), table.column(labels), strict=True):
        if not cell or not label:
            what = "no path" if not cell else "no label"
            result.skipped.append(Skipped(cell or f"{name}, line {line}", f"row with {what} in {name}"))
            continue
        found = lookup.find(cell, rule)
        if isinstance(found, Skipped):
            result.skipped.append(Skipped(found.path, f"{found.reason}, though named in {name}"))
            continue
        key = os.path.normcase(found.path)
        files.setdefault(key, found)
        named.setdefault(key, Counter())[unicodedata.normalize("NFC", label)] += 1
    repeated = 0
    for key, counts in named.items():
        if len(counts) > 1:
            result.skipped.append(Skipped(files[key].path, f"two labels in {name}"))
            continue
        repeated += counts.total() - 1
        result.files.append((_with_id(files[key], rule.root), next(iter(counts))))
    result.files.sort(key=lambda pair: pair[0].id)
    if repeated:
        result.notes.append(f"Rows of {name} that repeat an earlier one and count once: {repeated}.")


def _with_id(file: FoundFile, root: Path) -> FoundFile:
    path = Path(file.path)
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    return FoundFile(name, file.path, file.size, file.mtime_ns)


def _unlisted(listing: Listing, result: LabelledFiles, name: str) -> list[str]:
    listed = {os.path.normcase(file.path) for file, _ in result.files}
    listed |= {os.path.normcase(one.path) for one in result.skipped}
    count = sum(os.path.normcase(file.path) not in listed for file in listing.files)
    return [f"Images below {listing.root.name!r} that are not in {name} and are left out: {count}."] if count else []


def _roots(file: Path, listing: Listing) -> list[Path]:
    """Folders that the paths may be relative to, the likeliest first."""
    source, beside = listing.root, file.absolute().parent
    below = [source / folder for folder in listing.folders if "/" not in folder]
    try:
        around = sorted(folder for folder in beside.iterdir() if folder.is_dir())
    except OSError:
        around = []
    return list(dict.fromkeys([source, beside, source.parent, *below[:MOST_ROOTS], *around[:MOST_ROOTS]]))


def _guess_paths(
    table: CsvRows, lookup: Lookup, roots: Sequence[Path], path_column: str | None, label_column: str | None
) -> tuple[str, Rule] | None:
    """The column and the rule that find the most different files among some rows; None: none finds any."""
    if path_column is not None:
        columns = [path_column]
    else:
        columns = sorted((name for name in table.columns if name != label_column), key=_path_likeness)
    rules = [Rule(root) for root in roots]
    rules.append(Rule(roots[0], by_name=True))
    rules.extend(Rule(roots[0], dropped=dropped) for dropped in range(1, MOST_DROPPED + 1))
    cells = {name: [cell for cell in _probe(table.column(name)) if cell] for name in columns}
    best: tuple[str, Rule] | None = None
    most = 0
    for rule in rules:
        for name in columns:
            found = [lookup.find(cell, rule) for cell in cells[name]]
            hits = len({file.path for file in found if isinstance(file, FoundFile)})
            if hits > most:
                best, most = (name, rule), hits
        if best and most == len(set(cells[best[0]])):
            break
    return best


def _probe(cells: Sequence[str]) -> Sequence[str]:
    """Some cells by chance, always the same: every n-th would meet one class alone where rows take turns."""
    return random.Random(0).sample(cells, min(PROBED_CELLS, len(cells)))


def _names_file(cell: str, lookup: Lookup, rule: Rule) -> bool:
    return isinstance(lookup.find(cell, rule), FoundFile)


def _plain(name: str) -> str:
    return re.sub(r"[^0-9a-z]", "", name.lower())


def _path_likeness(name: str) -> int:
    if _plain(name) in PATH_NAMES:
        return PATH_NAMES.index(_plain(name))
    return 2 * len(PATH_NAMES) if _plain(name) in LABEL_NAMES else len(PATH_NAMES)


def _guess_label(table: CsvRows, path_column: str, file: Path) -> str:
    others = [name for name in table.columns if name != path_column]
    known = sorted((LABEL_NAMES.index(_plain(name)), name) for name in others if _plain(name) in LABEL_NAMES)
    if known:
        return known[0][1]
    alike = [name for name in others if "label" in name.lower() or "class" in name.lower()]
    for candidates in (alike, others):
        if len(candidates) == 1:
            return candidates[0]
    raise InputError(
        f"The labels need a column with classes, and none of {file.name!r} is named like one. "
        f"{_columns(table)} Name it with --label-column."
    )


def _columns(table: CsvRows) -> str:
    return f"Its columns are {', '.join(map(repr, table.columns))}."


def _nothing_found(file: Path, table: CsvRows, roots: Sequence[Path], path_column: str | None) -> str:
    column = path_column or min(table.columns, key=_path_likeness)
    cells = ", ".join(repr(cell) for cell in table.column(column)[:3])
    places = ", ".join(repr(str(root)) for root in roots[:3])
    return (
        f"The labels must name files that exist, and no row of {file.name!r} does. {_columns(table)} "
        f"Column {column!r} begins with {cells or 'nothing'}; looked in {places}. "
        "Name the column with --path-column and the folder with --image-root."
    )
