"""Other commands use what was decided: the manifest in the place of the table, and the team's split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError
from eyeshot.data.decisions import DecisionLog
from eyeshot.data.manifest import compute_manifest
from eyeshot.data.split import read_split
from eyeshot.data.table import ImageTable

Rows = NDArray[np.int64]
LEAST_KNOWN = 0.5


def use_decisions(table: ImageTable, file: Path) -> tuple[ImageTable, list[str]]:
    """The table after the decisions of a file, and what that changed, in sentences.

    Raises:
        InputError: fewer than 2 classes are left of a labelled table.
    """
    decisions = DecisionLog(file).read()
    manifest = compute_manifest(table, decisions)
    notes = [f"{bad}; this line is passed over, the rest counts." for bad in decisions.bad[:5]]
    if len(decisions.active):
        notes.append(
            f"Decisions of {file.name}: {manifest.left_out.height} of {len(table)} images left out, "
            f"{manifest.relabelled} under another label ({len(decisions.active)} decisions)."
        )
    if len(table.classes) > 1 and len(manifest.table.classes) < 2:
        raise InputError(
            f"Training images need at least 2 classes, but decisions of {str(file)!r} leave "
            f"{len(manifest.table)} images in {len(manifest.table.classes)}. See eyeshot decisions list, or use "
            "--no-decisions."
        )
    return manifest.table, [*notes, *manifest.notes]


def use_split(table: ImageTable, file: Path, *, fold: int | None = None) -> tuple[tuple[Rows, Rows] | None, list[str]]:
    """Training and validation rows of a split, and what was done, in sentences.

    Args:
        table: the images; those that the split does not know are in neither.
        file: of `eyeshot split`.
        fold: the fold that validates; None: the part that is held out of all folds or, where there is none, fold 0.

    Returns:
        rows; None where the split is of other images (it knows less than half of these).

    Raises:
        InputError: no split, no such fold, or nothing is left to train or to validate on.
    """
    split = read_split(file)
    known = sum(part is not None for part in split.of(table))
    if known < LEAST_KNOWN * len(table):
        return None, [
            f"{file.name} knows {known} of {len(table)} images and is not used. Make it again: eyeshot split."
        ]
    if fold is None and not split.val:
        fold = 0
    training, validation = split.rows(table, fold=fold)
    part = "the part held out of all folds" if fold is None else f"fold {fold}"
    if not len(training) or not len(validation):
        raise InputError(
            f"A split must leave images on both sides, got {len(training)} to train and {len(validation)} to validate "
            f"on ({part} of {str(file)!r}). Make it again: eyeshot split."
        )
    notes = [f"Split of {file.name}: {len(training)} images train, {len(validation)} validate ({part})."]
    if known < len(table):
        notes.append(
            f"{len(table) - known} images came after the split and are not used. Make it again: eyeshot split."
        )
    return (training, validation), notes
