"""The columns of a CSV file with labels: which may hold paths, and which hold the label.

A label is one column of class names, or one column of 0 and 1 per class, of which each row marks one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from eyeshot.core import InputError, listing
from eyeshot.data.listing import image_endings

PATH_NAMES = (
    "path", "imagepath", "imgpath", "filepath", "file", "filename", "imagefile", "imagefilename",
    "image", "img", "imagename", "imgname", "imageid", "imgid", "id", "name",
)  # fmt: skip
LABEL_NAMES = (
    "label", "labels", "labelname", "class", "classname", "classlabel", "category", "categoryname",
    "species", "breed", "target", "y", "classid", "labelid", "categoryid", "diagnosis", "dx",
)  # fmt: skip
# Columns that divide the images; `eyeshot split` makes its own folds, which duplicates never straddle.
FOLD_NAMES = ("fold", "folds", "kfold", "foldid", "split", "part", "subset", "set", "isvalid", "isval", "istrain")
ONE_MARK = 0.95
"""Share of rows that must mark exactly one class before columns of 0 and 1 count as classes."""
SEVERAL_LABELS = 0.05
"""Share of rows with a list of labels from which on the images have several labels each."""


class UnclearError(InputError):
    """Two readings of a file are about as good; the message names both, and the user must say which."""


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


def check_columns(table: CsvRows, file: Path, path_column: str | None, label_column: str | None) -> None:
    """Check that the named columns exist.

    Args:
        table: the cells of `file`.
        file: the CSV file, for messages.
        path_column: name of a column.
        label_column: name of a column, or names of columns of 0 and 1 with commas between them.

    Raises:
        InputError: a column is missing.
    """
    if path_column is not None and path_column not in table.columns:
        raise InputError(f"--path-column must be a column of {file.name!r}, got {path_column!r}. {_columns(table)}")
    if label_column is not None and not named_columns(table, label_column):
        raise InputError(
            f"--label-column must be a column of {file.name!r}, or columns of 0 and 1 with commas between them, "
            f"got {label_column!r}. {_columns(table)}"
        )


def named_columns(table: CsvRows, text: str) -> tuple[str, ...]:
    """The columns that `--label-column` names: one, or several with commas between them; empty if one is missing."""
    if text in table.columns:
        return (text,)
    names = tuple(name.strip() for name in text.split(","))
    return names if len(names) > 1 and set(names) <= set(table.columns) else ()


def path_columns(table: CsvRows, label_column: str | None) -> list[str]:
    """Columns that may name the images, the likeliest first.

    A column whose cells end like image files is preferred to every other: numbers of rows and numbers of classes fit
    names of files by accident. Without such a column, ids count: columns whose cells hardly repeat.
    """
    labels = () if label_column is None else named_columns(table, label_column)
    with_endings, with_ids = [], []
    for name in table.columns:
        cells = [cell for cell in table.column(name) if cell]
        if name in labels or not cells or any("://" in cell for cell in cells[:10]):
            continue
        if 2 * sum(_ends_like_image(cell) for cell in cells) >= len(cells):
            with_endings.append(name)
        elif plain(name) not in LABEL_NAMES and not _are_fractions(cells) and 2 * len(set(cells)) >= len(cells):
            with_ids.append(name)
    return sorted(with_endings or with_ids, key=path_likeness)


def path_likeness(name: str) -> int:
    """The place of a column's name among the usual names of columns with paths; 0 is the likeliest."""
    return PATH_NAMES.index(plain(name)) if plain(name) in PATH_NAMES else len(PATH_NAMES)


def choose_labels(
    table: CsvRows, file: Path, path_column: str, given: str | None = None, wanted: Sequence[str] = ()
) -> tuple[str, ...]:
    """The column with the labels, or the columns of 0 and 1, one per class.

    Args:
        table: the cells of `file`.
        file: the CSV file, for messages.
        path_column: its column with paths.
        given: what the user named; it is not questioned.
        wanted: label columns of the sample submission; they decide between columns that are named like labels. A column
            of numbers gives way to one with the names of the same classes, because people read the names.

    Raises:
        UnclearError: two columns are named like labels and divide the images differently.
        InputError: no column can be told to hold the label, or the images have several labels each.
    """
    if given is not None:
        return named_columns(table, given)
    columns = [name for name in table.columns if name != path_column]
    chosen = _wanted(table, columns, wanted) or _named(table, columns, file) or _remaining(table, columns, path_column)
    if not chosen:
        raise InputError(
            f"The labels need a column with classes, and none of {file.name!r} is named like one. "
            f"{_columns(table)} Name it with --label-column."
        )
    if len(chosen) == 1:
        chosen = (_names_of(table, chosen[0], columns) or chosen[0],)
        _check_single(table.column(chosen[0]), chosen[0], file)
    return chosen


def label_cells(table: CsvRows, names: Sequence[str]) -> list[str | None]:
    """The label of each row: "" if there is none, None if the row marks several classes."""
    if len(names) == 1:
        return [*table.column(names[0])]
    marks = [[_is_mark(cell) for cell in table.column(name)] for name in names]
    labels: list[str | None] = []
    for row in zip(*marks, strict=True):
        marked = [name for name, mark in zip(names, row, strict=True) if mark]
        labels.append(marked[0] if len(marked) == 1 else None if marked else "")
    return labels


def _names_of(table: CsvRows, numbers: str, columns: Sequence[str]) -> str | None:
    """The column with the names of the classes that a column of numbers numbers; None if there is none."""
    named = [name for name in columns if name != numbers and _numbers_classes(table, numbers, name)]
    return min(named, key=lambda name: LABEL_NAMES.index(plain(name)), default=None)


def _numbers_classes(table: CsvRows, numbers: str, names: str) -> bool:
    """Whether two columns named like labels say the same, one in numbers and one in names."""
    if not {plain(numbers), plain(names)} <= set(LABEL_NAMES):
        return False
    first, second = table.column(numbers), table.column(names)
    return (
        all(cell.isdigit() for cell in first)
        and not any(cell.isdigit() for cell in second)
        and all(second)
        and len(set(first)) < len(first)  # otherwise ids
        and alike(first, second)
    )


def unused_columns(table: CsvRows, used: Sequence[str]) -> list[str]:
    """Notes on columns that are not read, so that a fold or a group is not overlooked."""
    others = [name for name in table.columns if name not in used]
    notes = []
    numbering = [name for name in others if _numbers_classes(table, name, used[-1])]
    if numbering:
        others = [name for name in others if name not in numbering]
        notes.append(
            f"Column {numbering[0]!r} numbers the classes that {used[-1]!r} names: the names are the labels, and a "
            "submission gets the numbers if its sample shows numbers."
        )
    if folds := [name for name in others if plain(name) in FOLD_NAMES]:
        notes.append(
            f"Column {folds[0]!r} of the labels divides the images and is not used: eyeshot split makes folds that "
            "duplicates never straddle."
        )
    if others := [name for name in others if name not in folds[:1]]:
        notes.append(f"Columns of the labels that are not used: {listing([repr(name) for name in others])}.")
    return notes


def plain(name: str) -> str:
    """A column's name in small letters and digits."""
    return re.sub(r"[^0-9a-z]", "", name.lower())


def _wanted(table: CsvRows, columns: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    if not wanted or not set(wanted) <= set(columns):
        return ()
    return tuple(wanted) if len(wanted) == 1 or one_hot(table, wanted) else ()


def _named(table: CsvRows, columns: Sequence[str], file: Path) -> tuple[str, ...]:
    """The column that is named like one of labels. Several are read as one if they divide the images alike."""
    named = sorted((name for name in columns if plain(name) in LABEL_NAMES), key=lambda n: LABEL_NAMES.index(plain(n)))
    if not named:
        similar = [name for name in columns if "label" in name.lower() or "class" in name.lower()]
        return tuple(similar) if len(similar) == 1 else ()
    for other in named[1:]:
        if not alike(table.column(named[0]), table.column(other)):
            raise UnclearError(
                f"The labels need one column with classes, but {named[0]!r} and {other!r} of {file.name!r} are both "
                "named like one and divide the images differently. Name the right one with --label-column."
            )
    return (named[0],)


def _remaining(table: CsvRows, columns: Sequence[str], path_column: str) -> tuple[str, ...]:
    """Columns of 0 and 1, or the only column left that can be a class."""
    marks = [name for name in columns if all(_is_mark(cell) is not None for cell in table.column(name))]
    if len(marks) > 1 and one_hot(table, marks):
        return tuple(marks)
    left = [
        name
        for name in columns
        if plain(name) not in FOLD_NAMES and not (len(columns) > 1 and _numbers_rows(table.column(name)))
    ]
    # A second column of paths, as of the same images in another size, is no class.
    left = [name for name in left if not any(_ends_like_image(cell) for cell in table.column(name)[:10])]
    return tuple(left) if len(left) == 1 else ()


def one_hot(table: CsvRows, names: Sequence[str]) -> bool:
    """Whether each row, but for a few, marks exactly one of the columns."""
    cells = [[_is_mark(cell) for cell in table.column(name)] for name in names]
    if any(mark is None for column in cells for mark in column):
        return False
    single = sum(sum(map(bool, row)) == 1 for row in zip(*cells, strict=True))
    return bool(table.rows) and single >= ONE_MARK * len(table.rows)


def alike(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether two columns divide the rows in the same way, under whatever names."""
    pairs = set(zip(first, second, strict=True))
    return len(pairs) == len(set(first)) == len(set(second))


def _check_single(cells: Sequence[str], name: str, file: Path) -> None:
    lists = [cell for cell in cells if "|" in cell or re.fullmatch(r"\d+(?:[ ,;]+\d+)+", cell)]
    if len(lists) > SEVERAL_LABELS * len(cells):
        raise InputError(
            f"An image must have one label, but column {name!r} of {file.name!r} holds several for {len(lists)} of "
            f"{len(cells)} images, as {lists[0][:40]!r}. eyeshot does not read several labels per image. Write a "
            f"column with one, or take each list as a class of its own: --label-column {name}."
        )


def _is_mark(cell: str) -> bool | None:
    """Whether a cell says 1; None if it says neither 0 nor 1."""
    return {"1": True, "1.0": True, "0": False, "0.0": False, "": False}.get(cell)


def _numbers_rows(cells: Sequence[str]) -> bool:
    """Whether no two cells are equal, as ids and numbers of rows are; too few rows tell nothing."""
    return len(cells) > 2 and len(set(cells)) == len(cells)


def _are_fractions(cells: Sequence[str]) -> bool:
    return all(re.fullmatch(r"-?\d*\.\d+(?:[eE]-?\d+)?", cell) for cell in cells[:20])


def _ends_like_image(cell: str) -> bool:
    return os.path.splitext(cell)[1].lower() in _endings()


@cache
def _endings() -> frozenset[str]:
    return image_endings()


def _columns(table: CsvRows) -> str:
    return f"Its columns are {listing([repr(name) for name in table.columns], most=20)}."
