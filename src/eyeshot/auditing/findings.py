"""What `eyeshot audit` found: the contents of `audit.json`.

Keys are only added until version 1.0. `docs/audit-json.md` says what each one means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import xxhash
from pydantic import BaseModel, ConfigDict, ValidationError

from eyeshot.core import InputError

Side = Literal["train", "test"]
Interval = tuple[float, float]
Kind = Literal[
    "conflict",
    "leak",
    "label-issue",
    "unreadable",
    "identical",
    "near-copy",
    "two-labels",
    "outlier",
    "one-colour",
    "almost-blank",
    "tiny",
    "extreme-ratio",
    "wrong-extension",
    "animated",
    "exif-orientation",
    "metadata-junk",
    "class-names-alike",
    "small-class",
]
Suggestion = Literal["drop-both", "keep-one", "drop", "group", "relabel", "merge-classes", "look", "none"]


Basis = Literal["exact", "estimated", "rule", "model"]
Evidence = dict[str, float | str | list[str]]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order of their worth."""

NAMES: dict[str, str] = {
    "conflict": "same picture, different labels",
    "leak": "copies of test images in training",
    "label-issue": "label issues",
    "unreadable": "cannot be used",
    "identical": "identical",
    "near-copy": "near copies",
    "two-labels": "two labels in the CSV",
    "outlier": "far from their class",
    "one-colour": "one colour",
    "almost-blank": "almost blank",
    "tiny": "tiny",
    "extreme-ratio": "extreme ratio",
    "wrong-extension": "wrong extension",
    "animated": "several pictures in a file",
    "exif-orientation": "turned by EXIF",
    "metadata-junk": "metadata and junk",
    "class-names-alike": "class names alike",
    "small-class": "small classes",
}
TO_DO = 3


class Record(BaseModel):
    """A part of `audit.json`."""

    model_config = ConfigDict(extra="forbid")


class ImageRef(Record):
    """An image (or a file that is none) that a finding is about."""

    split: Side
    id: str
    """Path relative to the folder of its split, with forward slashes; the path where there is no id."""
    label: str | None = None
    content: str = ""
    """xxh3_128 of the file's bytes; decisions are kept under it. Empty where the file cannot be read."""


class Finding(Record):
    """Something that the audit saw."""

    id: str
    """The same for the same kind, label and contents in every run, whatever the files are called."""
    kind: Kind
    images: list[ImageRef]
    confidence: float
    """How sure it is that the finding is true, from 0 to 1; `confidence_basis` says what that rests on."""
    confidence_basis: Basis
    words: str
    evidence: Evidence
    suggestion: Suggestion


class CopyGroup(Record):
    """Images that are all copies of one of them, the medoid."""

    images: list[ImageRef]
    medoid: int
    """Which of `images` is nearest to all others."""
    diameter: float
    """Largest distance between two members, 1 less their score; 0 for identical pixels."""
    identical: bool
    labels: list[str]
    findings: list[str]


class CutOff(Record):
    """From which score on a pair counts as a near copy, and how sure that is."""

    score: float
    """Scores run to 1; identical pictures have 1."""
    reason: str
    precision: float | None
    """Estimated share of true copies among the reported near pairs; null where it cannot be estimated."""
    precision_interval: Interval | None
    basis: str
    """What the estimate rests on."""
    pairs: int
    """Near pairs at or above the cut-off, identical ones left out."""
    pairs_below: int
    """Pairs that were compared and lie below it."""
    thorough: bool
    exact: bool
    """All pairs of descriptors were compared; false: an approximate index was used."""


class ClassPair(Record):
    """Pictures that stand under two labels."""

    first: str
    second: str
    pictures: int
    """Different pictures."""
    images: int
    """Files that hold them."""


class ValueShare(Record):
    """How often one value of a property is met, as shares of each side."""

    value: str
    train: float
    test: float


class Distribution(Record):
    """One property of the images, train against test."""

    name: str
    unit: str
    kind: Literal["number", "category"]
    n_train: int
    n_test: int
    train: list[float]
    """Numbers: quantiles 0, 0.05, 0.25, 0.5, 0.75, 0.95 and 1."""
    test: list[float]
    shares: list[ValueShare]
    """Categories, the most frequent first."""
    effect: float | None
    """How far train and test lie apart, from 0 (alike) to 1 (no overlap): Kolmogorov-Smirnov distance for numbers,
    total variation distance for categories. Null without test images."""
    interval: Interval | None
    """95 %, by bootstrap over images (copy groups whole)."""
    noise: float | None
    """The effect that two random halves of all these images have (95 % quantile): below it nothing is said."""
    apart: bool
    """The effect is larger than that."""
    words: str
    low: list[ImageRef]
    """Images from the end where training is more frequent."""
    high: list[ImageRef]
    """Images from the end where test is more frequent."""


class Adversarial(Record):
    """How well a classifier tells train from test, by the measured properties alone, cross-fitted."""

    auc: float
    """Area under the ROC curve; 0.5: it cannot."""
    interval: Interval
    n_train: int
    n_test: int
    gives_away: list[tuple[str, float]]
    """Properties by how much of the area is lost when they are shuffled, the most telling first."""
    words: str


class AdversarialFeatures(Record):
    """How well a linear classifier tells train from test by a model's features, cross-fitted."""

    model: str
    auc: float
    """Area under the ROC curve; 0.5: it cannot."""
    interval: Interval
    n_train: int
    n_test: int
    low: list[ImageRef]
    """Training images that it is surest are not from test."""
    high: list[ImageRef]
    """Test images that it is surest are."""
    words: str


class LabelPair(Record):
    """Label issues between two classes."""

    first: str
    second: str
    first_as_second: int
    """Images labelled `first` for which `second` is proposed."""
    second_as_first: int
    confusable: bool
    """There are several each way: the classes overlap, and are shown as one pair."""


class LabelIssues(Record):
    """What contradicted labels, and how often."""

    reader: str
    judged: int
    """Images with a label and out-of-fold probabilities."""
    agreed: float
    """Share of these whose label is the most probable class."""
    precision: str
    """Share of the findings that are wrong labels, where it was measured on these images."""
    pairs: list[LabelPair]
    """The most frequent first."""
    words: str


class ClassCount(Record):
    """Images of a class."""

    label: str
    images: int
    different: int
    """After identical and near copies are counted once."""


class AuditReport(Record):
    """The contents of `audit.json`."""

    version: int = 1
    answer: list[str] = []
    """The three things to do first, in sentences."""
    train: str
    test: str | None
    n_train: int
    n_test: int
    n_files: int
    counts: dict[str, int] = {}
    """Findings by kind, in the order of the table."""
    images_by_kind: dict[str, int] = {}
    """Images that the findings of each kind are about."""
    findings: list[Finding] = []
    groups: list[CopyGroup] = []
    cut_off: CutOff | None = None
    conflicts: list[ClassPair] = []
    classes: list[ClassCount] = []
    small_class: int = 0
    distributions: list[Distribution] = []
    adversarial: Adversarial | None = None
    adversarial_features: AdversarialFeatures | None = None
    label_issues: LabelIssues | None = None
    notes: list[str] = []
    read: int = 0
    """Images that were decoded in this run; the rest came from the cache."""
    seconds: dict[str, float] = {}
    cpu_seconds: dict[str, float] = {}
    versions: dict[str, str] = {}
    command: str = ""


def read_report(file: Path) -> AuditReport:
    """The contents of an `audit.json`.

    Raises:
        InputError: the file is no result of `eyeshot audit`.
    """
    try:
        return AuditReport.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"Cannot read {str(file)!r}: {error.strerror or error}.") from error
    except ValidationError as error:
        raise InputError(
            f"{str(file)!r} is no result of `eyeshot audit`. Run it again: eyeshot audit TRAIN."
        ) from error


def read_groups(file: Path) -> list[tuple[str, ...]]:
    """The copy groups of an `audit.json`, near copies too, as content keys of training images.

    Raises:
        InputError: the file is no result of `eyeshot audit`.
    """
    groups = (
        tuple(dict.fromkeys(image.content for image in group.images if image.split == "train" and image.content))
        for group in read_report(file).groups
    )
    return [group for group in groups if len(group) > 1]


def make_finding(
    kind: Kind,
    images: Sequence[ImageRef],
    words: str,
    *,
    suggestion: Suggestion,
    basis: Basis = "exact",
    confidence: float = 1.0,
    evidence: Evidence | None = None,
) -> Finding:
    """A finding, whose id follows from kind and contents, not from places.

    Args:
        kind: what was seen.
        images: what it is about.
        words: what was seen, in a sentence.
        suggestion: what to do.
        basis: "exact" follows from the bytes; "rule" is measured, and whether it matters is for a person to say.
        confidence: with "estimated" the share of such findings that are true; with "model" what the model says, which
            is no measured precision.
        evidence: numbers and names behind it.
    """
    # Files that cannot be read have no content: their name has to do.
    parts = sorted(f"{image.split} {image.label} {image.content or image.id}" for image in images)
    key = xxhash.xxh3_64_hexdigest("\n".join([kind, *parts]).encode("utf-8", "surrogateescape"))
    return Finding(
        id=f"{kind}-{key}",
        kind=kind,
        images=list(images),
        confidence=confidence,
        confidence_basis=basis,
        words=words,
        evidence=evidence or {},
        suggestion=suggestion,
    )


def with_unique_ids(findings: list[Finding]) -> list[Finding]:
    """The same findings; those about equal files in one class get numbers behind their ids."""
    seen: Counter[str] = Counter()
    unique = []
    for finding in findings:
        seen[finding.id] += 1
        number = seen[finding.id]
        unique.append(finding if number == 1 else finding.model_copy(update={"id": f"{finding.id}-{number}"}))
    return unique


def first_things_to_do(report: AuditReport, *, skipped: int) -> list[str]:
    """The three things to do first, the most important first."""
    sentences = []
    count, images = report.counts, report.images_by_kind
    if report.conflicts:
        worst = report.conflicts[0]
        pictures = sum(conflict.pictures for conflict in report.conflicts)
        sentences.append(
            f"{pictures} {_plural(pictures, 'picture stands', 'pictures stand')} under two labels, most often "
            f"{worst.first} and {worst.second} ({worst.pictures}): drop both copies, unless you know which label is "
            "right."
        )
    if count.get("leak"):
        sentences.append(
            f"{count['leak']} {_plural(count['leak'], 'picture is', 'pictures are')} in training and in test: keep "
            "them out of training, or out of what you measure."
        )
    if count.get("two-labels"):
        sentences.append(
            f"{count['two-labels']} paths stand under two labels in the CSV and were left out: correct it."
        )
    if count.get("class-names-alike"):
        alike = next(finding for finding in report.findings if finding.kind == "class-names-alike")
        sentences.append(f"{alike.words} Merge them if they are one class.")
    copies = count.get("identical", 0) + count.get("near-copy", 0)
    if copies:
        number = images.get("identical", 0) + images.get("near-copy", 0)
        sentences.append(
            f"{number} images are copies of each other, in {copies} {_plural(copies, 'group', 'groups')}: make splits "
            "that keep groups whole, or a random split will leak."
        )
    if report.label_issues is not None and count.get("label-issue"):
        sentences.append(report.label_issues.words)
    if skipped:
        sentences.append(f"{skipped} {_plural(skipped, 'file', 'files')} cannot be used: see why, and replace them.")
    if report.adversarial is not None and report.adversarial.interval[0] > 0.5:
        sentences.append(report.adversarial.words)
    if report.adversarial_features is not None and report.adversarial_features.interval[0] > 0.5:
        sentences.append(report.adversarial_features.words)
    flat = count.get("one-colour", 0) + count.get("almost-blank", 0)
    if flat:
        sentences.append(f"{flat} {_plural(flat, 'image shows', 'images show')} next to nothing: drop them.")
    if count.get("small-class"):
        small = count["small-class"]
        sentences.append(
            f"{small} {_plural(small, 'class has', 'classes have')} under {report.small_class} images: collect more, "
            "and let no cleaning empty them."
        )
    if not sentences:
        sentences.append("Nothing was found that has to be done first: no conflicts, no copies, no broken files.")
    return sentences[:TO_DO]


def _plural(count: int, single: str, many: str) -> str:
    return single if count == 1 else many
