"""Predictions that the user's own programs wrote: a CSV or npz file with ids and probabilities."""

from __future__ import annotations

import csv
import io
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError, StorageError, listing
from eyeshot.predictions.alignment import check_probabilities
from eyeshot.predictions.csv_form import DELIMITERS
from eyeshot.predictions.table import Predictions, load_predictions

LABEL_COLUMNS = ("label", "target", "true", "true_label", "y_true")
FILE_ENDINGS = (".csv", ".tsv", ".npz")


def read_predictions(file: Path, *, classes: Sequence[str] | None = None, logits: bool = False) -> Predictions:
    """Predictions from a file of a run, or from a CSV or npz file of the user's own.

    A CSV has one row per image: its first column holds the ids, one column per class the probabilities; a column
    `label` holds true classes where they are known. An npz has arrays `ids` (n,), `probabilities` (n, C) and, unless
    `classes` are given, `classes` (C,); `labels` (n,) may hold class numbers.

    Args:
        file: ending in .csv, .tsv or .npz.
        classes: names of the classes that are expected; None: those that the file names.
        logits: the values are scores before softmax; they are converted.

    Returns:
        the predictions, named by the file where it names no run.

    Raises:
        InputError: the file has another form, or its values are no probabilities.
        StorageError: it is a damaged file of a run.
    """
    if file.suffix.lower() not in FILE_ENDINGS:
        raise InputError(f"Predictions must be a .csv, .tsv or .npz file, got {str(file)!r}.")
    if not file.is_file():
        raise InputError(f"Predictions must be a file, got {str(file)!r}, which does not exist. Check the path.")
    predictions = _read_npz(file, classes) if file.suffix.lower() == ".npz" else _read_csv(file)
    if not predictions.run:
        predictions = replace(predictions, run=file.stem)
    for what, names in (("ids", predictions.ids), ("classes", predictions.classes)):
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            rule = "Each image must have one row" if what == "ids" else "Each class must have one column"
            raise InputError(f"{rule}, but {len(repeated)} {what} repeat in {str(file)!r}: {listing(repeated)}.")
    if classes is not None and set(classes) != set(predictions.classes):
        differing = sorted(set(classes) ^ set(predictions.classes))
        raise InputError(
            f"Predictions must have one column per class, {len(classes)} of them, but {str(file)!r} differs in "
            f"{listing(differing)}. Name the columns like the classes: {listing(list(classes))}."
        )
    if logits:
        predictions = replace(predictions, probabilities=softmax(np.asarray(predictions.probabilities, np.float64)))
    check_probabilities(predictions.probabilities, name=str(file))
    return predictions


def softmax(scores: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Probabilities (n, C) from scores before softmax (n, C)."""
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)


def _read_npz(file: Path, classes: Sequence[str] | None) -> Predictions:
    try:
        with np.load(file, allow_pickle=False) as stored:
            names = set(stored.files)
            if {"ids", "probabilities", "classes", "run", "split", "key"} <= names:
                return load_predictions(file)
            missing = [name for name in ("ids", "probabilities") if name not in names]
            if "classes" not in names and classes is None:
                missing.append("classes")
            if missing:
                raise InputError(
                    f"An npz file of predictions must hold ids, probabilities and classes, but {str(file)!r} lacks "
                    f"{listing(missing)} and holds {listing(sorted(names)) or 'nothing'}."
                )
            labels = stored["labels"].astype(np.int64) if "labels" in names else None
            return Predictions(
                ids=tuple(map(str, stored["ids"])),
                probabilities=np.asarray(stored["probabilities"], np.float32),
                classes=tuple(map(str, stored["classes"] if "classes" in names else classes or ())),
                labels=labels,
                run=str(stored["run"]) if "run" in names else "",
            )
    except StorageError:
        raise
    except (
        OSError, ValueError, TypeError, EOFError, NotImplementedError, struct.error, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        why = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise InputError(f"Predictions must be an npz file of plain arrays, got {str(file)!r} ({why}).") from error


def _read_csv(file: Path) -> Predictions:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Predictions must be a CSV file in UTF-8, got {str(file)!r} ({error}).") from error
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row)]
    except csv.Error as error:  # a cell longer than any that makes sense
        raise InputError(f"Predictions must be a CSV file, got {str(file)!r} ({error}).") from error
    if len(rows) < 2 or len(rows[0]) < 3:
        raise InputError(
            "Predictions must be a CSV file with a header, a column of ids and one column per class, got "
            f"{str(file)!r} with {len(rows)} rows and {len(rows[0]) if rows else 0} columns."
        )
    header = [name.strip() for name in rows[0]]
    uneven = next((number for number, row in enumerate(rows[1:], 2) if len(row) != len(header)), None)
    if uneven is not None:
        raise InputError(
            f"Each row of predictions must have {len(header)} cells, but row {uneven} of {str(file)!r} has "
            f"{len(rows[uneven - 1])}."
        )
    start = 1 if header[0] and not header[0].startswith("Unnamed") else 2  # pandas writes an index column first
    label_column = next((place for place, name in enumerate(header) if name.lower() in LABEL_COLUMNS), None)
    places = [place for place in range(start, len(header)) if place != label_column]
    classes = tuple(header[place] for place in places)
    try:
        values = np.array([[float(row[place]) for place in places] for row in rows[1:]], np.float32)
    except ValueError as error:
        raise InputError(f"Probabilities must be numbers, got {error} in {str(file)!r}.") from error
    labels = None
    if label_column is not None:
        number = {name: position for position, name in enumerate(classes)}
        cells = [row[label_column].strip() for row in rows[1:]]
        unknown = sorted({cell for cell in cells if cell and cell not in number})
        if unknown:
            raise InputError(
                f"Labels must be names of the columns with probabilities, {listing(list(classes))}, got "
                f"{listing(unknown)} in {str(file)!r}."
            )
        labels = np.array([number.get(cell, -1) for cell in cells], np.int64)
    ids = tuple(row[start - 1].strip() for row in rows[1:])
    return Predictions(ids, values, classes, labels)
