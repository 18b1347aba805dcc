"""The tables of the truth: CSV files that two runners may share, that a kill leaves whole, and whose edits are noticed.

A table is rewritten and moved into place under a lock, so no row is ever incomplete or doubled. Each row ends in its
own checksum. If a reader finds a line that is cut off, edited by hand, doubled, or of another version of the catalogue
or the recipe, it reports it and leaves it out; such a training is repeated only if asked.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import filelock
import xxhash

from eyeshot.core.errors import InputError, StorageError
from eyeshot.core.files import make_folder, replacing

LOCK_TIMEOUT_S = 120.0
Key = tuple[str, int]  # candidate, seed
State = Literal["done", "stale", "spoilt", "missing"]


@dataclass(frozen=True)
class Row:
    """A finished training, evaluated on a target.

    Attributes:
        source, target, model, candidate, seed: what was trained on what, and evaluated on what.
        epochs, n_train: of the training; a head on frozen features has as many epochs as draws of samples.
        n_target: images that the truth uses.
        val_accuracy: on the source's validation images.
        target_accuracy, worst_class: on the target, and of the class with the lowest accuracy there.
        seconds: of the training with all its targets: processor time on a CPU, wall time on a GPU.
        hardware, commit: the machine, and the version of this repository.
        recipe, catalogue: fingerprints of images and recipe, and of the candidate.
    """

    source: str
    target: str
    model: str
    candidate: str
    seed: int
    epochs: int
    n_train: int
    n_target: int
    val_accuracy: float
    target_accuracy: float
    worst_class: float
    seconds: float
    hardware: str
    commit: str
    recipe: str
    catalogue: str

    @property
    def key(self) -> Key:
        """The training within its table."""
        return self.candidate, self.seed


NAMES = tuple(field.name for field in fields(Row))
HEADER = (*NAMES, "check")
SHARES = ("val_accuracy", "target_accuracy", "worst_class")


@dataclass(frozen=True)
class Table:
    """The contents of a file.

    Attributes:
        rows: usable rows, in the file's order.
        spoilt: trainings with a row whose checksum is wrong.
        problems: what was left out, in sentences.
        lines: the lines of the file with their trainings, without lines that are cut off or doubled.
    """

    rows: tuple[Row, ...]
    spoilt: frozenset[Key]
    problems: tuple[str, ...]
    lines: tuple[tuple[Key | None, str], ...] = ()


def table_file(folder: Path, source: str, model: str) -> Path:
    """The file with the table of a source and a model."""
    return folder / f"{source}-{model.replace('/', '.').replace(':', '.')}.csv"


def read_table(file: Path) -> Table:
    """The usable rows of a table; a missing file is an empty table.

    Raises:
        InputError: it has other columns.
    """
    if not file.exists():
        return Table((), frozenset(), ())
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    if lines and _split(lines[0]) != list(HEADER):
        raise InputError(f"{str(file)!r} must begin with the columns {', '.join(HEADER)}. Give another --tables.")
    rows: list[Row] = []
    seen: set[tuple[object, ...]] = set()
    spoilt: set[Key] = set()
    problems = []
    kept: list[tuple[Key | None, str]] = []
    for number, line in enumerate(lines[1:], start=2):
        values = _split(line)
        where = f"{file.name}, line {number}"
        if number == len(lines) and not line.endswith("\n") and not _fits(values):
            problems.append(f"{where}: cut off in the middle; left out.")
            continue
        if not _fits(values):
            problems.append(f"{where}: its checksum does not fit, it was edited by hand; left out.")
            key = (values[3], int(values[4])) if len(values) > 4 and values[4].isdigit() else None
            if key is not None:
                spoilt.add(key)
            kept.append((key, line.rstrip("\r\n") + "\n"))
            continue
        row = _parse(values)
        identity = (*row.key, row.target, row.recipe, row.catalogue)
        if identity in seen:
            problems.append(f"{where}: {row.candidate}, seed {row.seed}, {row.target} stands twice; left out.")
            continue
        seen.add(identity)
        rows.append(row)
        kept.append((row.key, line.rstrip("\r\n") + "\n"))
    return Table(tuple(rows), frozenset(spoilt), tuple(problems), tuple(kept))


def states(
    table: Table, wanted: Iterable[Key], *, targets: Sequence[str], recipe: str, catalogue: Mapping[str, str]
) -> dict[Key, State]:
    """The state of each wanted training.

    Args:
        table: as read.
        wanted: candidates and seeds.
        targets: targets on which each must have been evaluated.
        recipe: the current fingerprint.
        catalogue: current fingerprints by candidate.
    """
    read: dict[Key, set[str]] = defaultdict(set)
    stale: set[Key] = set()
    for row in table.rows:
        if row.recipe == recipe and row.catalogue == catalogue.get(row.candidate):
            read[row.key].add(row.target)
        else:
            stale.add(row.key)
    found: dict[Key, State] = {}
    for key in wanted:
        if read[key] >= set(targets):
            found[key] = "done"
        else:
            found[key] = "spoilt" if key in table.spoilt else "stale" if key in stale and not read[key] else "missing"
    return found


def add_training(file: Path, new: Sequence[Row]) -> bool:
    """Add the rows of a training to a table; they replace other rows of the same training.

    Returns:
        False if the same rows (all targets, same fingerprints) are there already: another runner was first.

    Raises:
        StorageError: the disk is full or the folder cannot be written; the table stays as it was.
    """
    make_folder(file.parent)
    try:
        with filelock.FileLock(file.with_suffix(".lock"), timeout=LOCK_TIMEOUT_S):
            table = read_table(file)
            first = new[0]
            same = {(row.target, row.recipe, row.catalogue) for row in table.rows if row.key == first.key}
            if all((row.target, row.recipe, row.catalogue) in same for row in new):
                return False
            kept = [line for key, line in table.lines if key != first.key]
            with replacing(file) as temporary:
                lines = [",".join(HEADER) + "\n", *kept, *map(line_of, new)]
                temporary.write_text("".join(lines), encoding="utf-8", newline="\n")
            return True
    except filelock.Timeout as error:
        raise StorageError(
            f"Another process has held {str(file)!r} for {LOCK_TIMEOUT_S:.0f} s. End it, then start again."
        ) from error


def line_of(row: Row) -> str:
    """The row as a line of the file."""
    values = [_written(value) for value in asdict(row).values()]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([*values, _check(values)])
    return out.getvalue()


def _written(value: object) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _check(values: Sequence[str]) -> str:
    return xxhash.xxh3_64_hexdigest("\x1f".join(values).encode())[:8]


def _split(line: str) -> list[str]:
    return next(csv.reader([line.rstrip("\r\n")]), [])


def _fits(values: Sequence[str]) -> bool:
    return len(values) == len(HEADER) and _check(values[:-1]) == values[-1]


def _parse(values: Sequence[str]) -> Row:
    kinds = {"int": int, "float": float, "str": str}
    return Row(**{
        field.name: kinds[str(field.type)](value) for field, value in zip(fields(Row), values, strict=False)
    })  # fmt: skip
