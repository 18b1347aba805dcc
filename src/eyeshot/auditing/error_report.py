"""What `eyeshot errors` found: the contents of `errors.json`.

Keys are only added until version 1.0. `docs/results.md` says what each one means.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from eyeshot.auditing.findings import Finding, ImageRef, Record
from eyeshot.core import InputError, replacing
from eyeshot.predictions import Accuracy, Calibration, TargetEstimate

ERRORS_FILE = "errors.json"


class RunErrors(Record):
    """One run of the report."""

    run: str
    accuracy: Accuracy
    errors: int
    alone: int
    """Images that this run alone has wrong; 0 where there is one run."""
    counted: bool = True
    """Whether it counts where runs share errors; false for an ensemble of which a member is in the report too."""
    estimate: TargetEstimate | None = None
    """Estimated accuracy on the test images, without their labels; null where it has not predicted them."""


class ClassErrors(Record):
    """How one class is recognised."""

    label: str
    recall: Accuracy
    precision: Accuracy
    taken_for: str
    """The class that most of its errors go to; empty without errors."""
    taken_for_count: int
    chance: float
    """Probability of so many errors or more if it were as easy as the other classes: Fisher, Holm over all classes."""
    worst: bool
    """Harder than the rest beyond chance, or one of the few with the lowest recall; see `docs/results.md`."""
    two_labels: int | None
    """Pictures that stand under this and another label, by the audit; null without an audit."""


class PairErrors(Record):
    """Two classes that are taken for each other."""

    first: str
    second: str
    first_as_second: int
    second_as_first: int
    share: Accuracy
    """Of all images of both classes, those that were taken for the other."""
    same_picture: int | None
    """Groups of equal pictures under both labels, by the audit; null without an audit."""
    near_duplicates: int | None
    """Groups of near-duplicates under both labels."""
    label_issues: int | None
    """Label issues of the audit between the two; null where it did not look for them."""


class SliceErrors(Record):
    """Images with a property in which there are more errors than elsewhere, or would be by chance."""

    property: str
    side: str
    """`low`, `high`, or the value of a category."""
    limit: float | None
    n: int
    errors: int
    rate: Accuracy
    """Share of errors in the slice."""
    rest: Accuracy
    """Share of errors outside of it."""
    expected: float
    """Errors in it if every image erred as often as its class does."""
    p: float
    chance: float
    """`p` after Holm's correction for all slices that were tried."""
    p_within: float
    chance_within: float
    found: bool
    """`chance` is below 5 %."""
    words: str


class WrongImage(Record):
    """An image that is predicted wrong, with what the network has seen that is like it."""

    image: ImageRef
    predicted: str
    probability: float
    """Of the predicted class, by the run of the report."""
    probability_label: float
    wrong_in: int
    """Runs that have it wrong."""
    nearest_label: tuple[str, ...] = ()
    """Ids of the nearest training images of its label, nearest first; empty where no network could be asked."""
    nearest_predicted: tuple[str, ...] = ()


class ToDo(Record):
    """Something to do about errors; kept from report to report."""

    id: str
    kind: Literal["classes", "pair", "slice", "labels", "calibration"]
    words: str
    """What was found, in a sentence."""
    action: str
    """What to do, in a sentence."""
    commands: list[str]
    """Lines that can be typed as they are; the first tries a cure."""
    tries: tuple[str, ...] = ()
    """Augmentations of which one tries the cure."""
    contents: tuple[str, ...] = ()
    """Content keys of the images that it is about."""
    classes: tuple[str, ...] = ()
    """The two classes of a pair."""
    since: datetime
    """When it was first found."""
    state: Literal["open", "acted", "gone"] = "open"
    """`acted`: a decision or a later run did something about it; `gone`: the runs of this report do not show it."""
    acted: str = ""
    """What was done, in words."""


class ErrorReport(Record):
    """The contents of `errors.json`."""

    version: int = 1
    answer: str
    """The most important error and how sure it is, in one sentence."""
    next_step: str
    run: str
    """The run whose errors these are: the most accurate."""
    runs: list[RunErrors]
    n: int
    """Validation images with a label."""
    errors: int
    accuracy: Accuracy
    classes: list[ClassErrors]
    """The lowest recall first."""
    worst_with_two_labels: str
    """The worst classes against the classes that share pictures with another; empty without an audit."""
    pairs: list[PairErrors]
    slices: list[SliceErrors]
    """All that were tried, the least likely by chance first."""
    calibration: Calibration
    calibration_words: str
    shared: int | None
    """Images that all runs have wrong; null with one run."""
    shared_expected: float | None
    """As many would be if the errors of the runs had nothing to do with each other."""
    findings: list[Finding]
    """Labels that all runs contradict with the same class, for `eyeshot review --errors`; the surest first."""
    panels: list[WrongImage]
    to_do: list[ToDo]
    train: str
    """Folder of the training images; empty where it is not known."""
    notes: list[str]
    created: datetime
    seconds: float
    command: str

    @property
    def counted(self) -> int:
        """How many runs count where runs share errors."""
        return sum(run.counted for run in self.runs)

    def save(self, folder: Path) -> None:
        """Write `errors.json` whole or not at all.

        Raises:
            StorageError: the folder cannot be written.
        """
        with replacing(folder / ERRORS_FILE) as temporary:
            temporary.write_bytes((self.model_dump_json(indent=2) + "\n").encode("utf-8", "replace"))


def errors_file(given: str | Path) -> Path:
    """`errors.json` in the folder that `--errors` names, or the file itself.

    Raises:
        InputError: there is none.
    """
    file = Path(given) / ERRORS_FILE if Path(given).is_dir() else Path(given)
    if not file.is_file():
        raise InputError(
            f"--errors must be the folder of `eyeshot errors` or its {ERRORS_FILE}, got {str(given)!r}. Run first: "
            "eyeshot errors."
        )
    return file


def read_errors(file: Path) -> ErrorReport:
    """The contents of an `errors.json`.

    Raises:
        InputError: the file is no result of `eyeshot errors`.
    """
    try:
        return ErrorReport.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"Cannot read {str(file)!r}: {error.strerror or error}.") from error
    except ValidationError as error:
        raise InputError(f"{str(file)!r} is no result of `eyeshot errors`. Run it again: eyeshot errors.") from error
