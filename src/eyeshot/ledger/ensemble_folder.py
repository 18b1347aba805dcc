"""`ensemble.json` of a run of kind "ensemble": its members, how they are combined, what that is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eyeshot.core import InputError, StorageError, key_of, replacing
from eyeshot.ledger.runs import ENSEMBLE_FILE, find_run
from eyeshot.predictions import Accuracy, Combination, Gain, ModelChoice, Predictions, TargetEstimate, align, combine


class EnsembleMember(BaseModel):
    """A run that was a candidate.

    Attributes:
        name: how reports call it.
        parts: ids or folders of its runs, several where they validated on different folds; or the user's own file.
        own: whether it is a file of the user's own.
        accuracy: on the validation images.
        weight: its share in the ensemble; 0: not used.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    parts: tuple[str, ...]
    own: bool
    accuracy: Accuracy
    weight: float


class EnsembleMethod(BaseModel):
    """What a way of combining the members is worth, each image answered by a fit on other folds.

    Attributes:
        method: its name.
        members: how many members it uses.
        cost: forward passes an image.
        accuracy: on the validation images.
        gain: against the best run, which is chosen on the other folds too.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    members: int
    cost: int
    accuracy: Accuracy
    gain: Gain


class EnsembleReport(BaseModel):
    """Contents of `ensemble.json`.

    Attributes:
        version: 1.
        answer: what came out, in a sentence.
        next_step: the command to type next.
        run: id of the ensemble, which other commands take like that of any run; empty where none is stored.
        method: how the ensemble combines its members.
        advised: the cheapest of what cannot be told apart from the best: "ensemble" or "best run". Under a shift
            "best run" is the member that `choice` names.
        best_run: the member that is right most often.
        n: validation images.
        gain: of the method that is best on the inner folds against the run that is best there; both choices are
            made without the images that judge them. Of the method that was asked for, where one was.
        accuracy: of the ensemble, out of fold.
        members: all candidates.
        methods: all that were compared, the best first.
        correlation: (M, M), of the members' errors.
        per_class: for each class, the ensemble against the best run.
        estimates: estimated accuracy on the test images, without their labels, of the members that are used, by name,
            and of the "ensemble"; without those that have not predicted the test images.
        choice: which of the members that are used, the best run and the "ensemble" to take, where all of them have
            predicted the test images; else null. Where it is by the estimate, `advised` follows it.
        combination: of the members whose weight is not 0, in their order.
        key: of all that decides the predictions.
        notes: what was left out or looks odd, in sentences.
        command: what was typed.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 1
    answer: str
    next_step: str
    run: str
    method: str
    advised: str
    best_run: str
    n: int
    gain: Gain
    accuracy: Accuracy
    members: tuple[EnsembleMember, ...]
    methods: tuple[EnsembleMethod, ...]
    correlation: tuple[tuple[float, ...], ...]
    per_class: dict[str, Gain]
    estimates: dict[str, TargetEstimate] = Field(default_factory=dict)
    choice: ModelChoice | None = None
    combination: Combination
    key: str
    notes: tuple[str, ...] = ()
    command: str = ""

    @property
    def used(self) -> tuple[EnsembleMember, ...]:
        """The members whose weight is not 0."""
        return tuple(member for member in self.members if member.weight)

    def write(self, folder: Path) -> None:
        """Write `ensemble.json` into `folder`."""
        with replacing(folder / ENSEMBLE_FILE) as temporary:
            temporary.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_ensemble(folder: Path) -> EnsembleReport | None:
    """The ensemble in `folder`; None if there is none.

    Raises:
        StorageError: the file cannot be read.
    """
    file = folder / ENSEMBLE_FILE
    if not file.is_file():
        return None
    try:
        return EnsembleReport.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise StorageError(f"{str(file)!r} is no ensemble. Delete its folder and make it again.") from error


def members_behind(folder: Path, runs: Path) -> list[tuple[Path, ...]] | None:
    """What the ensemble in `folder` is made of in the end, members of members included; None for any other run.

    For each member that it uses, the most weight first: the folders of its trainings, or the user's own file. Runs that
    are gone are left out.

    Args:
        folder: of the ensemble.
        runs: folder of all runs.

    Raises:
        StorageError: an ensemble cannot be read.
    """
    report = read_ensemble(folder)
    if report is None:
        return None
    behind: list[tuple[Path, ...]] = []
    for member in sorted(report.used, key=lambda member: -member.weight):
        if member.own:
            behind.append(tuple(map(Path, member.parts)))
            continue
        trained: list[Path] = []
        for part in member.parts:
            try:
                place = find_run(runs, part)
            except InputError:
                continue
            deeper = members_behind(place, runs)
            if deeper is None:
                trained.append(place)
            else:
                behind += deeper
        behind += [tuple(trained)] if trained else []
    return behind


def combine_members(
    report: EnsembleReport, tables: Mapping[str, Sequence[Predictions]], classes: Sequence[str], *, split: str
) -> Predictions:
    """Predictions of a stored ensemble.

    Args:
        report: the ensemble.
        tables: for each used member by name, the predictions of its parts on the same images.
        classes: names, in the order that the ensemble was fitted with.
        split: which images these are.

    Raises:
        InputError: the members have predictions of different images or classes.
    """
    flat = [part for member in report.used for part in tables[member.name]]
    own = {id(part) for member in report.used if member.own for part in tables[member.name]}
    named = next((part for part in flat if id(part) not in own), flat[0])  # ids as in the image table
    ordered = replace(
        named, classes=tuple(classes), labels=None, probabilities=np.empty((len(named), len(classes)), np.float16)
    )
    aligned = align([ordered, *flat])[1:]
    members: list[NDArray[np.float16]] = []
    for member in report.used:
        parts, aligned = aligned[: len(tables[member.name])], aligned[len(tables[member.name]) :]
        members.append(mean_of(parts))
    return replace(
        ordered,
        probabilities=combine(report.combination, members).astype(np.float16),
        run=report.run,
        split=split,
        fold=None,
        key=key_of(report.key, [table.key or table.probabilities.tobytes() for table in flat]),
    )


def mean_of(tables: Sequence[Predictions]) -> NDArray[np.float16]:
    """float16 (n, C): the mean of predictions on the same images."""
    if len(tables) == 1:
        return np.asarray(tables[0].probabilities, np.float16)
    total = np.zeros(tables[0].probabilities.shape, np.float32)
    for table in tables:
        total += table.probabilities
    return (total / len(tables)).astype(np.float16)
