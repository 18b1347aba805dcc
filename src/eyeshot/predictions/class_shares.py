"""How often each class is assumed to occur among images without labels: given, checked, read from a file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError, listing, plural

ClassShares = str | Mapping[str, float] | Sequence[float] | NDArray[np.floating[Any]]

SHARES_OFF = 0.01
"""Shares that were rounded to two digits still sum to 1 within this."""


def checked_shares(
    given: ClassShares, classes: Sequence[str] | None, class_count: int, *, name: str = "class_shares"
) -> NDArray[np.float64]:
    """How often each class occurs, float64 (C,) with the sum 1.

    Args:
        given: "even", a share by class name, or C shares in the order of the classes.
        classes: their names; None: unknown, so that shares by name are refused.
        class_count: C.
        name: of the argument or option, for errors.

    Raises:
        InputError: unknown or missing classes, a share below 0 or not finite, a sum other than 1, or all on one class.
    """
    if isinstance(given, str):
        if given != "even":
            raise InputError(f'{name} must be "even", a share for each class, or None, got {given!r}.')
        return np.full(class_count, 1 / class_count)
    if isinstance(given, Mapping):
        if classes is None:
            raise InputError(
                f"{name} by name need predictions with class names, got an array of probabilities. Give the "
                "shares in the order of its columns."
            )
        differing = sorted(set(given) ^ set(classes))
        if differing:
            raise InputError(
                f"{name} must name each class once, {listing(list(classes))}, but {listing(differing)} "
                f"{plural(len(differing), 'is', 'are')} missing or unknown."
            )
        given = [given[each] for each in classes]
    shares = np.asarray(given, np.float64)
    if shares.shape != (class_count,):
        raise InputError(f"{name} must be {class_count} numbers, one per class, got shape {shares.shape}.")
    if not np.isfinite(shares).all() or shares.min() < 0:
        raise InputError(f"{name} must be 0 or more, got {shares.min():.3g} to {shares.max():.3g}.")
    if abs(shares.sum() - 1) > SHARES_OFF:
        raise InputError(f"{name} must sum to 1, got {shares.sum():.4g}. Divide each by the sum.")
    if (shares > 0).sum() < 2:
        only = int(shares.argmax())
        raise InputError(
            f"{name} must be above 0 for at least two classes, got all on {classes[only] if classes else only!r}. With "
            "one class the most constant predictions would look best."
        )
    return np.asarray(shares / shares.sum(), np.float64)


def read_class_shares(path: Path, *, name: str) -> dict[str, float]:
    """Share by class name, from a CSV file with the columns `class` and `share`; see `checked_shares`.

    Args:
        path: the file.
        name: of the option, for errors.

    Raises:
        InputError: the file cannot be read, lacks a column, names a class twice, or a share is no number.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as text:
            table = csv.DictReader(text)
            rows, columns = list(table), table.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{name} must be even or a CSV file that can be read, got {str(path)!r}: {error}") from error
    if not {"class", "share"} <= set(columns):
        raise InputError(
            f"{name} must have the columns class and share, got {listing(list(columns)) or 'none'} in {str(path)!r}."
        )
    shares: dict[str, float] = {}
    for line, row in enumerate(rows, start=2):
        try:
            share = float(row["share"])
        except (TypeError, ValueError):
            what = f"got {row['share']!r} in line {line} of {str(path)!r}"
            raise InputError(f"{name} must hold a number for each class, {what}.") from None
        if row["class"] in shares:
            raise InputError(f"{name} must name each class once, got {row['class']!r} twice in {str(path)!r}.")
        shares[row["class"]] = share
    return shares
