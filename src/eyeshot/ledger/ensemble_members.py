"""Runs as candidates of an ensemble: folds joined, duplicates left out, the same images in the same order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError, find_workspace, key_of, listing, plural
from eyeshot.ledger.recipes import recipe_of
from eyeshot.ledger.run_predictions import find_predictions
from eyeshot.ledger.runs import find_run
from eyeshot.predictions import FILE_ENDINGS, Predictions, align, check_probabilities, join_folds
from eyeshot.training import read_result

LARGEST_BITS = np.float16(1.01).view(np.uint16)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A run, or runs that differ only in the fold, with out-of-fold predictions in float16.

    Attributes:
        name: how reports call it.
        parts: ids or folders of runs, or the user's own file.
        own: whether it is a file of the user's own.
        table: predictions on the validation images.
    """

    name: str
    parts: tuple[str, ...]
    own: bool
    table: Predictions


def gather_candidates(names: Sequence[str | Path], *, logits: bool = False) -> tuple[list[Candidate], list[str]]:
    """Candidates with predictions of the same images and classes in the same order, and notes on what was left out.

    Args:
        names: ids, beginnings of ids, folders, or files of the user's own.
        logits: files of the user's own hold scores before softmax.

    Raises:
        InputError: a run cannot be used, or runs do not fit together.
    """
    notes: list[str] = []
    groups: dict[str, list[tuple[str, Predictions]]] = {}
    seen: set[str] = set()
    runs = find_workspace().results("runs")
    for name in names:
        own = Path(name).suffix.lower() in FILE_ENDINGS
        folder = None if own else find_run(runs, name)
        part = str(Path(name)) if folder is None else folder.name if folder.parent == runs else str(folder)
        place = str(Path(name).resolve() if folder is None else folder.resolve())
        if place in seen:
            notes.append(f"{part} was given several times and is used once.")
            continue
        seen.add(place)
        table = find_predictions(name, logits=logits)
        signature = place if folder is None or table.fold is None else _signature(folder) or place
        number = 0  # the same training twice, for instance of other weights: each fold once in a group
        while any(table.fold == other.fold for _, other in groups.get(f"{signature}/{number}", ())):
            number += 1
        groups.setdefault(f"{signature}/{number}", []).append((part, table))
    _check_folds(list(groups.values()))
    joined = _with_own_names([_joined(group) for group in groups.values()])
    joined.sort(key=lambda candidate: candidate.own)  # ids are then those of the image table
    aligned = align([candidate.table for candidate in joined])
    used: list[Candidate] = []
    answers: dict[bytes, Candidate] = {}
    for candidate, table in zip(joined, aligned, strict=True):
        probabilities = _half(table, candidate.name)
        content = key_of(probabilities).encode()
        if content in answers:
            notes.append(
                f"{candidate.name} predicts exactly what {answers[content].name} does: a copy adds nothing and is left "
                "out."
            )
            continue
        answers[content] = replace(candidate, table=replace(table, probabilities=probabilities))
        used.append(answers[content])
    return used, notes


def _signature(folder: Path) -> str | None:
    """Equal for runs that differ only in the fold; None for a run without a result of a training."""
    result = read_result(folder)
    return None if result is None else f"{recipe_of(result)} {result.settings.seed}"


def _joined(group: Sequence[tuple[str, Predictions]]) -> Candidate:
    ordered = sorted(group, key=lambda pair: -1 if pair[1].fold is None else pair[1].fold)
    name = ordered[0][0]
    if name.lower().endswith(FILE_ENDINGS):
        name = Path(name).stem
    elif len(ordered) > 1:
        name = f"{name} ({len(ordered)} folds)"
    table = join_folds([table for _, table in ordered], run=name)
    own = ordered[0][0].lower().endswith(FILE_ENDINGS)
    return Candidate(name, tuple(part for part, _ in ordered), own, table)


def _with_own_names(candidates: list[Candidate]) -> list[Candidate]:
    """Files of the same name in different folders are called by their paths, so that --own can tell them apart."""
    count = Counter(candidate.name for candidate in candidates)
    return [
        candidate if count[candidate.name] == 1 or not candidate.own
        else replace(candidate, name=candidate.parts[0], table=replace(candidate.table, run=candidate.parts[0]))
        for candidate in candidates
    ]  # fmt: skip


def _check_folds(groups: Sequence[Sequence[tuple[str, Predictions]]]) -> None:
    """Refuse runs of which some lack a fold that others have."""
    folds = [{table.fold for _, table in group if table.fold is not None} for group in groups]
    every = set().union(*folds)
    for group, own in zip(groups, folds, strict=True):
        missing = sorted(every - own)
        if own and missing:
            raise InputError(
                f"All members must have predicted the same folds, but {group[0][0]!r} and those that differ from it "
                f"only in the fold lack {plural(len(missing), 'fold')} {listing([str(fold) for fold in missing])}, "
                f"which others have. Next: the same eyeshot train command with --fold {missing[0]}."
            )


def _half(table: Predictions, name: str) -> NDArray[np.float16]:
    """The probabilities in float16 as runs store them, which must be numbers from 0 to 1."""
    probabilities = np.asarray(table.probabilities)
    if probabilities.dtype != np.float16:
        check_probabilities(probabilities, name=name)
        probabilities = np.maximum(probabilities, 0).astype(np.float16)
    # Bits of NaN, of infinity and of negative numbers are larger than those of 1: checked without a conversion.
    elif probabilities.size and np.ascontiguousarray(probabilities).view(np.uint16).max() > LARGEST_BITS:
        check_probabilities(probabilities, name=name)
        probabilities = np.maximum(probabilities, np.float16(0))
    return np.ascontiguousarray(probabilities)
