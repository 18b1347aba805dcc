"""How often each class is assumed to occur among images without labels: given, checked, read from a file."""

from __future__ import annotations

import csv
import unicodedata
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
        check_share_names(given, classes, name=name)
        missing = sorted(set(classes) - set(given))
        if missing:
            raise InputError(
                f"{name} must name each class once, {listing(list(classes))}, but {listing(missing)} "
                f"{plural(len(missing), 'is', 'are')} missing. A class that does not occur has the share 0."
            )
        given = [given[each] for each in classes]
    shares = np.asarray(given, np.float64)
    if shares.shape != (class_count,):
        raise InputError(f"{name} must be {class_count} numbers, one per class, got shape {shares.shape}.")
    _check_numbers(shares, classes, name)
    return np.asarray(shares / shares.sum(), np.float64)


def check_share_names(given: Mapping[str, float], classes: Sequence[str], *, name: str) -> None:
    """Check that all shares are of known classes; other classes may still be missing.

    Raises:
        InputError: a share is of an unknown class.
    """
    unknown = sorted(set(given) - set(classes))
    if unknown:
        raise InputError(
            f"{name} must name each class once, {listing(list(classes))}, but {listing([*map(repr, unknown)])} "
            f"{plural(len(unknown), 'is', 'are')} unknown."
        )


def _check_numbers(shares: NDArray[np.float64], classes: Sequence[str] | None, name: str) -> None:
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


def fewer_than_classes(count: int, shares: NDArray[np.float64]) -> str:
    """What it means if `count` target images are fewer than the classes with a share above 0; otherwise empty."""
    class_count = int((shares > 0).sum())
    if count >= class_count:
        return ""
    return (
        f"There are fewer target images ({count}) than classes ({class_count}), so their class shares cannot be as "
        "assumed and estimated accuracies say little."
    )


def read_class_shares(path: Path, *, name: str) -> dict[str, float]:
    """Share by class name, from a CSV file with the columns `class` and `share`.

    All that needs no list of the classes is checked here, since that list is known only after the images are listed;
    `checked_shares` checks the rest.

    Args:
        path: the file.
        name: of the option, for errors.

    Raises:
        InputError: the file cannot be read, lacks a column or rows, names a class twice, a share is no number or below
            0, or the sum is not 1, or all on one class.
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
        label = unicodedata.normalize("NFC", row["class"] or "")  # as class folders are named, see `read_images`
        if label in shares:
            raise InputError(f"{name} must name each class once, got {label!r} twice in {str(path)!r}.")
        shares[label] = share
    if not shares:
        raise InputError(f"{name} must have a row for each class, got none in {str(path)!r}.")
    _check_numbers(np.array([*shares.values()]), [*shares], name)
    return shares
