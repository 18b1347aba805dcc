"""Which images a command is about, and which shares and folds can be asked for.

This file loads nothing heavy, so that the command line refuses a wrong value before polars and torch are loaded.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from eyeshot.core import InputError

LARGEST_SHARE = 0.9
DEFAULT_FOLDS = 5


class DataConfig(BaseModel):
    """Where the images are, and which of them validate.

    Attributes:
        train: class folders, or the root of `labels`.
        test: folder of test images without labels.
        labels: CSV file with paths and labels, instead of class folders.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        val: class folders of validation images; takes precedence over `split`.
        val_share: share of the training images to hold out if there is neither `val` nor `split`; None: all train.
        decisions: decisions file to apply.
        split: file of `eyeshot split`.
        fold: fold of the split that validates; None: the part held out of all folds, or fold 0 if there is no
            such part.
        seed: seed of the hold-out.
        rules: sentence on the rules for test images, for the notes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: Path
    test: Path | None = None
    labels: Path | None = None
    path_column: str | None = None
    label_column: str | None = None
    image_root: Path | None = None
    val: Path | None = None
    val_share: float | None = 0.2
    decisions: Path | None = None
    split: Path | None = None
    fold: int | None = None
    seed: int = 0
    rules: str = ""


def check_share(share: float) -> None:
    """Check the share of the images to hold out.

    Raises:
        InputError: it is 0 or less, or above 0.9.
    """
    if not 0 < share <= LARGEST_SHARE:
        raise InputError(
            f"The share to hold out must be above 0 and at most {LARGEST_SHARE}, got {share}. Use --val-share 0.2."
        )


def check_shares(folds: int | None, val: float) -> int:
    """Check the number of folds and the held-out share of a split.

    Args:
        folds: 0 for none; None: 5, or none if a share is held out.
        val: share to hold out; 0 for none.

    Returns:
        The number of folds.

    Raises:
        InputError: both are 0, or one is out of range.
    """
    if folds is None:
        folds = 0 if val else DEFAULT_FOLDS
    if not folds and not val:
        raise InputError("A split needs --folds 5, --val-share 0.2 or both, got 0 for both.")
    if folds and folds < 2:
        raise InputError(f"--folds must be 0 or at least 2, got {folds}.")
    if val:
        check_share(val)
    return folds
