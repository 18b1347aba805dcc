"""The user's own out-of-fold probabilities: a CSV file with a path and one column for each class."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from eyeshot.auditing.sources import Sources
from eyeshot.errors import InputError

SUM_WITHIN = 0.01  # of 1: a thousand classes written with five digits stay within it
TOO_GOOD = 0.999  # of given labels that are the most probable class: a model that was asked about what it learnt
NAMED = 5


def read_probabilities(
    file: Path, sources: Sources, needed: NDArray[np.int64]
) -> tuple[NDArray[np.float32], list[str]]:
    """Probabilities of images, in the order of the classes.

    Args:
        file: CSV with commas and a header. The first column names images as `eyeshot audit` does (path below the
            training folder), or by a path that leads there; the other columns are the classes.
        sources: the images and classes.
        needed: int64 (n,), positions of the images that must be in it.

    Returns:
        float32 (n, C), rows sum to 1; and sentences to print.

    Raises:
        InputError: no such file, classes that are unknown or missing, images that are missing or named twice, or
            values that are no probabilities; with the rule, what came, and the next step.
    """
    frame = _read(file)
    columns = [_normal(name) for name in frame.columns[1:]]
    classes = [_normal(name) for name in sources.train.classes]
    unknown = [name for name in columns if name not in set(classes)]
    missing = [name for name in classes if name not in set(columns)]
    if unknown or missing:
        raise InputError(
            f"--probabilities needs a column for each of the {len(classes)} classes behind the column of paths, and "
            f"no other, got {len(columns)} in {str(file)!r}"
            + (f"; unknown: {_some(unknown)}" if unknown else "")
            + (f"; missing: {_some(missing)}" if missing else "")
            + ". Name the columns like the classes."
        )
    rows, notes = _find(file, frame.to_series(0).fill_null("").to_list(), sources, needed)
    order = [columns.index(name) + 1 for name in classes]
    cells = frame[rows]
    values = np.column_stack([cells.to_series(place).cast(pl.Float64, strict=False).to_numpy() for place in order])
    _check(file, values, cells, rows, [frame.columns[place] for place in order])
    return (values / values.sum(axis=1, keepdims=True)).astype(np.float32), notes


def doubt_probabilities(probabilities: NDArray[np.floating], given: NDArray[np.int64]) -> list[str]:
    """A sentence where the probabilities look as if their model had been fitted on the images it was asked about."""
    agreed = float((probabilities.argmax(axis=1) == given).mean()) if len(given) else 0.0
    if agreed <= TOO_GOOD:
        return []
    return [
        f"The probabilities agree with {100 * agreed:.2f} % of the labels. A model that was fitted on these images "
        "hides their wrong labels: give probabilities of held-out folds."
    ]


def _read(file: Path) -> pl.DataFrame:
    try:
        frame = pl.read_csv(file, infer_schema=False, truncate_ragged_lines=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(
            f"--probabilities must be a CSV file (UTF-8, commas, a header) with a path and one column for each class, "
            f"got {str(file)!r}: {reason}."
        ) from error
    if frame.width < 3 or not frame.height:
        raise InputError(
            f"--probabilities must be a CSV file with a column of paths, at least two of classes, and rows, got "
            f"{frame.width} columns and {frame.height} rows in {str(file)!r}. Columns are told apart by commas."
        )
    return frame


def _find(
    file: Path, cells: Sequence[str], sources: Sources, needed: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[str]]:
    """The row of each needed image."""
    train = range(len(sources.train))
    by_id = {_normal(sources.ids[position]): position for position in train}
    by_path = {_normal(Path(sources.paths[position]).as_posix()): position for position in train}
    row_of: dict[int, int] = {}
    strangers = []
    for row, cell in enumerate(cells):
        name = _normal(cell.replace("\\", "/").removeprefix("./"))
        position = by_id.get(name, by_path.get(_normal(Path(os.path.abspath(cell.strip())).as_posix())))
        if position is None:
            strangers.append(cell)
        elif position in row_of:
            raise InputError(
                f"--probabilities must name each image once, got {cell!r} in rows {row_of[position] + 1} and {row + 1} "
                f"of {str(file)!r}. Average them, or leave one out."
            )
        else:
            row_of[position] = row
    absent = [sources.ids[position] for position in needed.tolist() if position not in row_of]
    if absent:
        hint = f" Paths in it look like {strangers[0]!r}." if strangers else ""
        raise InputError(
            f"--probabilities must hold every labelled image that can be read, got {str(file)!r} without "
            f"{len(absent)} of {len(needed)}: {_some(absent)}.{hint} Add their rows, with paths below the training "
            "folder."
        )
    notes = []
    if strangers:
        notes.append(
            f"{len(strangers)} rows of {file.name} name no image of the training folder and were passed over: "
            f"{_some(strangers)}."
        )
    return np.array([row_of[position] for position in needed.tolist()], np.int64), notes


def _check(
    file: Path, values: NDArray[np.float64], cells: pl.DataFrame, rows: NDArray[np.int64], columns: list[str]
) -> None:
    bad = ~np.isfinite(values) | (values < 0) | (values > 1 + SUM_WITHIN)
    if bad.any():
        row, column = map(int, np.argwhere(bad)[0])
        came = cells.item(row, columns[column])
        raise InputError(
            f"--probabilities must be numbers from 0 to 1, got {came!r} for class {columns[column]!r} in row "
            f"{rows[row] + 1} of {str(file)!r} ({int(bad.sum())} such values). Logits become probabilities by softmax; "
            "images without probabilities need a fold of their own."
        )
    sums = values.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > SUM_WITHIN)
    if len(wrong):
        raise InputError(
            f"Each row of --probabilities must sum to 1 (within {SUM_WITHIN}), got {sums[wrong[0]]:.4f} in row "
            f"{rows[wrong[0]] + 1} of {str(file)!r} ({len(wrong)} such rows). Divide each row by its sum if these are "
            "probabilities of all classes."
        )


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:NAMED])) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
