"""Probabilities of models that were not fitted on the image: of a head on features, or the user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.errors import InputError
from eyeshot.images import ALWAYS_TRAIN, ImageTable, make_folds
from eyeshot.models import fit_head

FOLDS = 5
PENALTY = 30.0
"""Of the head: with 1, which suits clean labels, it believes wrong ones. Chosen on digits with planted wrong labels."""
TOLERANCE = 1e-4
SUM_OFF = 0.01
Rows = NDArray[np.int64]
Progress = Callable[[int, int], None]


def fold_probabilities(
    table: ImageTable, features: NDArray[np.floating], groups: Rows, *, seed: int, progress: Progress | None = None
) -> tuple[Rows, NDArray[np.float64]]:
    """Cross-fitted class probabilities of a linear head; copies are never fitted and judged at once.

    Args:
        table: n labelled images.
        features: (n, D).
        groups: int64 (n,), equal for copies.
        seed: of the folds.
        progress: called with (heads fitted, heads in all).

    Returns:
        int64 (m,) which rows were judged, those of classes with fewer groups than folds left out; float64 (m, C).
    """
    fold = make_folds(table, groups, folds=FOLDS, seed=seed, small=True)
    found = np.zeros((len(table), len(table.classes)))
    for held in range(FOLDS):
        judged = fold == held
        if judged.any():
            head = fit_head(
                features[~judged], table.labels[~judged], class_count=len(table.classes),
                penalty=PENALTY, tolerance=TOLERANCE,
            )  # fmt: skip
            found[judged] = head.predict_proba(features[judged])
        if progress is not None:
            progress(held + 1, FOLDS)
    rows = np.flatnonzero(fold != ALWAYS_TRAIN)
    return rows, found[rows]


def read_probabilities(file: Path, table: ImageTable) -> NDArray[np.float64]:
    """The user's own: a CSV with the path of each image in its first column and a column for each class.

    Args:
        file: paths are ids of the table, relative to the training folder, with forward slashes.
        table: n labelled images.

    Returns:
        float64 (n, C), in the order of the table and of its classes.

    Raises:
        InputError: the file cannot be read, an image or a class is missing, twice or unknown, a cell is no number
            from 0 to 1, or a row does not sum to 1.
    """
    import polars as pl

    rule = f"--probabilities must be a CSV with the path of an image and a probability for each class, got {file}"
    try:
        frame = pl.read_csv(file, infer_schema=False, encoding="utf8")
    except (OSError, pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise InputError(f"{rule}: {str(error).splitlines()[0]}") from error
    names = [name.strip() for name in frame.columns[1:]]
    for what, odd in (
        ("lacks the classes", sorted(set(table.classes) - set(names))),
        ("has columns that are no class of the training images", sorted(set(names) - set(table.classes))),
    ):
        if odd:
            known = _few(table.classes)
            raise InputError(f"{rule}, which {what} {_few(odd)}. Name the columns as the classes: {known}.")
    paths = [(path or "").strip().replace("\\", "/").removeprefix("./") for path in frame.to_series(0).to_list()]
    if len(set(paths)) < len(paths):
        twice = next(path for number, path in enumerate(paths) if path in paths[:number])
        raise InputError(f"{rule}, in which {twice!r} stands twice. Give each image one row.")
    place = {path: number for number, path in enumerate(paths)}
    missing = [name for name in table.ids if name not in place]
    if missing:
        raise InputError(
            f"{rule}, in which {len(missing):,} of {len(table):,} training images have no row, as {missing[0]!r}. "
            "Paths are relative to the training folder."
        )
    columns = frame.select(pl.nth(range(1, frame.width)).str.strip_chars().cast(pl.Float64, strict=False))
    values = columns.to_numpy().astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0) & (values <= 1)).all(axis=1))
    if len(wrong):
        raise InputError(
            f"{rule}, in which the row of {paths[wrong[0]]!r} holds something else than numbers from 0 to 1 "
            f"({len(wrong):,} such rows). Give probabilities, not scores."
        )
    sums = values.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > SUM_OFF)
    if len(off):
        raise InputError(
            f"{rule}, in which the row of {paths[off[0]]!r} sums to {sums[off[0]]:.3f} ({len(off):,} such rows). Each "
            "row must sum to 1."
        )
    order = [names.index(name) for name in table.classes]
    return values[[place[name] for name in table.ids]][:, order]


def _few(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(map(repr, list(names)[:5]))
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
