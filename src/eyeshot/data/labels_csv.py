"""Labels from a CSV file. Its columns and its image root are guessed, and the guess is reported in a note."""

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
from dataclasses import dataclass
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
# Below this share of the probed rows a guess has found nearly nothing: files that happen to bear a number.
NEARLY_NOTHING = 0.1
RIVAL_SHARE = 0.5  # of the hits of the best folder: another folder with so many may as well be meant


@dataclass(frozen=True)
class CsvRows:
    """The cells of a CSV file.

    Attributes:
        columns: names in the first line, or `column 1`, `column 2`, … if there is no header.
        rows: the cells of each line, one per column; missing cells are empty.
        lines: line number of each row in the file.
    """

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    lines: list[int]

    def without_header(self) -> CsvRows:
        """The same file with its first line as data."""
        names = tuple(f"column {number + 1}" for number in range(len(self.columns)))
        return CsvRows(names, [self.columns, *self.rows], [1, *self.lines])

    def column(self, name: str) -> list[str]:
        """The cells of one column, without spaces around them."""
        position = self.columns.index(name)
        return [row[position].strip() for row in self.rows]


def read_csv(file: Path) -> CsvRows:
    """All cells of `file`; the chosen delimiter gives every line the same number of cells.

    Raises:
        InputError: the file does not exist, is not text, or has fewer than two columns.
    """
    text = _read_text(file)
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
    if len(columns) < 2:
        raise InputError(
            "The labels need a column with paths and a column with labels, got one column "
            f"({columns[0][:60]!r}) in {str(file)!r}. Separate columns by comma, semicolon, tab or bar."
        )
    width = len(columns)
    rows = [(cells + ("",) * width)[:width] for _, cells in lines[1:]]
    return CsvRows(columns, rows, [line for line, _ in lines[1:]])


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
        guessed: the root is neither the folder that the user named nor an image root that the user gave.
    """

    root: Path
    dropped: int = 0
    by_name: bool = False
    guessed: bool = False

    def describe(self) -> str:
        """The rule in words, for notes."""
        where = f"image root {str(self.root)!r}"
        if self.by_name:
            return f"{where}, files found by their names in any subfolder"
        if self.dropped:
            return f"{where}, the first {self.dropped} folders of each path cut off"
        return where


class Lookup:
    """Looks up files in a listing and, outside its folder, on disk."""

    def __init__(self, listing: Listing) -> None:
        self._root = listing.root
        self._endings = image_endings()
        self._by_path = {_normal(file.path): file for file in listing.files}
        self._by_bare = _unique((self._bare(_normal(file.path)), file) for file in listing.files)
        names = [(_normal(file.id.rpartition("/")[2]), file) for file in listing.files]
        self._by_name = _unique([*names, *((self._bare(name), file) for name, file in names)])

    def find(self, cell: str, rule: Rule, *, anywhere: bool = False) -> FoundFile | Skipped:
        """The file that `cell` refers to, or why there is none.

        Where the root is a guess, only files in the listed folder count, because that is the folder that the user
        named; `anywhere` lifts this.
        """
        text = "/".join(cell.replace("\\", "/").removeprefix("./").split("/")[rule.dropped :])
        if not text:
            return Skipped(cell, "not found")
        if rule.by_name:
            match = self._by_name.get(_normal(text), Skipped(cell, "not found"))
        else:
            path = os.path.normpath(os.path.join(rule.root, text))
            if rule.guessed and not anywhere and not Path(path).is_relative_to(self._root):
                return Skipped(cell, "outside the image folder")
            match = self._find_path(cell, path)
        if match is None:
            return Skipped(cell, "name fits several files")
        return match

    def _find_path(self, cell: str, path: str) -> FoundFile | Skipped | None:
        normal = _normal(path)
        if normal in self._by_path:
            return self._by_path[normal]
        if normal in self._by_bare:
            return self._by_bare[normal]
        if os.path.lexists(path) and not os.path.isdir(path):
            return describe_file(path, path)
        # An id without an extension. Inside the listed folder the listing has already answered.
        if not Path(path).is_relative_to(self._root) and os.path.splitext(path)[1] not in self._endings:
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


def _unique(pairs: Iterable[tuple[str, FoundFile]]) -> dict[str, FoundFile | None]:
    """The file of each key; None if several files share the key."""
    file_of: dict[str, FoundFile | None] = {}
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
    roots = [listing.root if image_root is None else image_root.absolute()]
    if image_root is None:
        roots += _other_roots(file, listing)
    notes = []
    guess = _guess_paths(table, lookup, roots, path_column, label_column)
    headless = table.without_header()
    if path_column is None and label_column is None:
        # Without a header the first line names a file too.
        headless_guess = _guess_paths(headless, lookup, roots, None, None)
        if headless_guess and _names_file(
            table.columns[headless.columns.index(headless_guess[0])], lookup, headless_guess[1]
        ):
            table, guess = headless, headless_guess
            notes.append(f"{file.name} has no header: its first line is used as data.")
    if guess is None:
        elsewhere = _elsewhere(file, table, lookup, roots, path_column, label_column)
        raise InputError(elsewhere or _nothing_found(file, table, roots, path_column))
    column, rule = guess
    labels = label_column or _guess_label(table, column, file)
    how = "as given" if path_column and label_column and image_root else "guessed"
    notes.append(
        f"Labels from {file.name}: paths in column {column!r}, labels in column {labels!r}, {rule.describe()} ({how})."
    )
    files, skipped, repeated = _collect(table, column, labels, lookup, rule, file.name)
    if repeated:
        notes.append(f"Rows of {file.name} that repeat an earlier row and count once: {repeated}.")
    notes += _unlisted(listing, files, skipped, file.name)
    return files, skipped, notes


def check_columns(table: CsvRows, file: Path, path_column: str | None, label_column: str | None) -> None:
    """Check that the named columns exist.

    Raises:
        InputError: a column is missing.
    """
    for option, name in (("--path-column", path_column), ("--label-column", label_column)):
        if name is not None and name not in table.columns:
            raise InputError(f"{option} must be a column of {file.name!r}, got {name!r}. {_columns(table)}")


def _collect(
    table: CsvRows, column: str, labels: str, lookup: Lookup, rule: Rule, name: str
) -> tuple[list[tuple[FoundFile, str]], list[Skipped], int]:
    """Each file with its label, the rows that cannot be used, and the number of repeated rows."""
    labelled: list[tuple[FoundFile, str]] = []
    skipped: list[Skipped] = []
    files: dict[str, FoundFile] = {}
    named: dict[str, Counter[str]] = {}
    for line, cell, label in zip(table.lines, table.column(column), table.column(labels), strict=True):
        if not cell or not label:
            missing = "no path" if not cell else "no label"
            skipped.append(Skipped(cell or f"{name}, line {line}", f"row with {missing} in {name}"))
            continue
        match = lookup.find(cell, rule)
        if isinstance(match, Skipped):
            skipped.append(Skipped(match.path, f"{match.reason}, though named in {name}"))
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


def _other_roots(file: Path, listing: Listing) -> list[Path]:
    """Folders besides the named one that the paths may be relative to, the most likely first."""
    source, beside = listing.root, file.absolute().parent
    below = [source / folder for folder in listing.folders if "/" not in folder]
    try:
        around = sorted(folder for folder in beside.iterdir() if folder.is_dir())
    except OSError:
        around = []
    others = dict.fromkeys([beside, source.parent, *below[:MOST_ROOTS], *around[:MOST_ROOTS]])
    return [root for root in others if root != source]


def _rules(roots: Sequence[Path]) -> list[Rule]:
    """Rules by which cells may be paths, the most likely first; the first root is the named one."""
    return [
        *(Rule(root, guessed=position > 0) for position, root in enumerate(roots)),
        Rule(roots[0], by_name=True),
        *(Rule(roots[0], dropped=dropped) for dropped in range(1, MOST_DROPPED + 1)),
    ]


def _guess_paths(
    table: CsvRows, lookup: Lookup, roots: Sequence[Path], path_column: str | None, label_column: str | None
) -> tuple[str, Rule] | None:
    """The column and the rule that find the most different files in a sample of rows; None if none finds any.

    A column that looks less like paths, such as the numbers of classes, is asked only where the columns that look
    more like paths find nearly nothing.

    Raises:
        InputError: several folders inside the named one hold the files.
    """
    best: tuple[str, Rule] | None = None
    most = 0.0
    for columns in _column_tiers(table, path_column, label_column):
        for rule in _rules(roots):
            for name, cells in columns.items():
                share = len(_hits(cells, lookup, rule)) / len(cells)
                if share > most:
                    best, most = (name, rule), share
            if most == 1:
                break
        if best and most >= NEARLY_NOTHING and _plain(best[0]) not in LABEL_NAMES:
            _check_single(best[1], columns[best[0]], lookup, roots)
            return best
    # Only labels, or a few rows, name files here.
    return best if best and _elsewhere(None, table, lookup, roots, path_column, label_column) is None else None


def _column_tiers(table: CsvRows, path_column: str | None, label_column: str | None) -> list[dict[str, list[str]]]:
    """Different probed cells of each column, in tiers: image extensions, names of paths, others, names of labels."""
    endings = image_endings()
    tiers: list[dict[str, list[str]]] = [{}, {}, {}, {}]
    columns = [path_column] if path_column is not None else sorted(table.columns, key=_path_likeness)
    for name in columns:
        cells = list(dict.fromkeys(cell for cell in _probe(table.column(name)) if cell))
        if name == label_column or not cells:
            continue
        files = sum(os.path.splitext(cell)[1].lower() in endings for cell in cells)
        tier = min(1 + _path_likeness(name) // len(PATH_NAMES), 3) if 2 * files < len(cells) else 0
        tiers[tier][name] = cells
    return [tier for tier in tiers if tier]


def _hits(cells: Sequence[str], lookup: Lookup, rule: Rule, *, anywhere: bool = False) -> set[str]:
    matches = [lookup.find(cell, rule, anywhere=anywhere) for cell in cells]
    return {file.path for file in matches if isinstance(file, FoundFile)}


def _check_single(rule: Rule, cells: Sequence[str], lookup: Lookup, roots: Sequence[Path]) -> None:
    """Check that no other guessed folder holds about as many of the files.

    Raises:
        InputError: another folder does.
    """
    if not rule.guessed:
        return
    found = _hits(cells, lookup, rule)
    for root in roots[1:]:
        rival = _hits(cells, lookup, Rule(root, guessed=True)) if root != rule.root else set()
        if len(rival) >= RIVAL_SHARE * len(found) and not rival & found:
            raise InputError(
                f"The labels must name files of one folder, and {str(rule.root)!r} and {str(root)!r} both hold files "
                f"of these names ({len(found)} and {len(rival)} of {len(cells)} rows that were tried). "
                f"Name the right folder: --image-root {str(rule.root)!r}."
            )


def _elsewhere(
    file: Path | None,
    table: CsvRows,
    lookup: Lookup,
    roots: Sequence[Path],
    path_column: str | None,
    label_column: str | None,
) -> str | None:
    """What to say if the files lie in another folder than the named one; None if they do not."""
    for columns in _column_tiers(table, path_column, label_column)[:3]:
        for root in roots[1:]:
            for cells in columns.values():
                found = len(_hits(cells, lookup, Rule(root, guessed=True), anywhere=True))
                if found >= RIVAL_SHARE * len(cells):
                    name = "the CSV" if file is None else repr(file.name)
                    return (
                        f"The labels must name files in the folder that is given, and {name} names nearly none in "
                        f"{str(roots[0])!r}, but {found} of {len(cells)} rows that were tried in {str(root)!r}. "
                        f"If these are the images, say so: --image-root {str(root)!r}."
                    )
    return None


def _probe(cells: Sequence[str]) -> Sequence[str]:
    """A fixed random sample of cells; every n-th cell might be of a single class if the rows alternate."""
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
    columns = [name for name in table.columns if name != path_column]
    named_like_labels = sorted(
        (LABEL_NAMES.index(_plain(name)), name) for name in columns if _plain(name) in LABEL_NAMES
    )
    if named_like_labels:
        return named_like_labels[0][1]
    similar = [name for name in columns if "label" in name.lower() or "class" in name.lower()]
    for candidates in (similar, columns):
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
