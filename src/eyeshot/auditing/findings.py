"""What `eyeshot audit` found: the contents of `audit.json`.

Until version 1.0 keys are only added. `docs/audit-json.md` explains each key.
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
    "very-similar",
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
"""The most harmful first."""

NAMES: dict[str, str] = {
    "conflict": "same picture, different labels",
    "leak": "duplicates across training and test",
    "label-issue": "label issues",
    "unreadable": "broken files",
    "identical": "exact duplicates",
    "near-copy": "near-duplicates",
    "very-similar": "very similar pictures",
    "two-labels": "two labels in the CSV",
    "outlier": "far from their class",
    "one-colour": "one colour",
    "almost-blank": "almost blank",
    "tiny": "tiny",
    "extreme-ratio": "extreme aspect ratio",
    "wrong-extension": "wrong file extension",
    "animated": "several pictures in a file",
    "exif-orientation": "turned by EXIF",
    "metadata-junk": "metadata and junk",
    "class-names-alike": "similar class names",
    "small-class": "small classes",
}
"""Name of each kind in the terminal and on pages."""

ADVICE: dict[Suggestion, str] = {
    "drop-both": "drop all of them",
    "keep-one": "keep one of each",
    "drop": "drop",
    "group": "keep on one side of a split",
    "relabel": "relabel",
    "merge-classes": "merge the classes",
    "look": "look",
    "none": "nothing, good to know",
}
"""What each suggestion means, in a few words."""

POLICY_KINDS: dict[str, tuple[Kind, ...]] = {
    "drop-both": ("conflict",),
    "drop-leaks": ("leak",),
    "keep-one": ("identical", "near-copy"),
}
"""The policies of `eyeshot decisions apply`, the most harmful kind first, and the findings that they settle."""

OF_CLASSES = frozenset({"small-class", "class-names-alike"})
"""Kinds that are about classes; their images are only examples."""

TO_DO = 5  # sentences after the headline; nobody reads more
IN_HEADLINE = 5  # items that a sentence can list
REASONS = 3  # reasons for broken files that are listed
FEWEST_OF_A_SCENE = 9  # very similar pictures of a class: fewer may be most of a small one


class Record(BaseModel):
    """A part of `audit.json`."""

    model_config = ConfigDict(extra="forbid")


class ImageRef(Record):
    """An image, or a file that is not an image, that a finding is about."""

    split: Side
    id: str
    """Path relative to the folder of its split, with forward slashes; the full path if there is no id."""
    label: str | None = None
    content: str = ""
    """xxh3_128 of the file's bytes; decisions refer to it. Empty if the file cannot be read."""


class Finding(Record):
    """A problem or a noteworthy fact that the audit found."""

    id: str
    """The same in every run for the same kind, label and contents, whatever the names of the files."""
    kind: Kind
    images: list[ImageRef]
    confidence: float
    """Probability that the finding is true, from 0 to 1; `confidence_basis` says what it is based on."""
    confidence_basis: Basis
    words: str
    evidence: Evidence
    suggestion: Suggestion


class CopyGroup(Record):
    """Images that are all duplicates of the same image, the medoid."""

    images: list[ImageRef]
    medoid: int
    """The image of `images` that is nearest to all others."""
    diameter: float
    """Largest distance between two members, 1 less their score; 0 for identical pixels."""
    identical: bool
    labels: list[str]
    findings: list[str]


class DuplicateCount(Record):
    """Duplicate groups of a sort, and the number of their images on each side."""

    groups: int = 0
    train_images: int = 0
    test_images: int = 0


class Duplicates(Record):
    """Exact and near-duplicates by side; a group may be counted in all three."""

    train: DuplicateCount = DuplicateCount()
    """Groups with at least two training images, and these images."""
    test: DuplicateCount = DuplicateCount()
    """Groups with at least two test images, and these images."""
    across: DuplicateCount = DuplicateCount()
    """Groups with both training and test images, and all their images."""


class CutOff(Record):
    """The score from which a pair counts as near-duplicates, and the precision of this choice."""

    score: float
    """At most 1, the score of identical pictures."""
    reason: str
    precision: float | None
    """Estimated share of true duplicates among the reported near pairs; null if it cannot be estimated."""
    precision_interval: Interval | None
    basis: str
    """What the estimate is based on."""
    pairs: int
    """Near pairs at or above the cut-off, without identical pairs."""
    pairs_below: int
    """Compared pairs below the cut-off."""
    thorough: bool
    exact: bool
    """Whether all pairs of descriptors were compared; otherwise an approximate index was used."""


class ClassPair(Record):
    """Pictures that appear under both labels."""

    first: str
    second: str
    pictures: int
    """Different pictures."""
    images: int
    """Number of their files."""


class ValueShare(Record):
    """How often a value of a property occurs, as shares of each side."""

    value: str
    train: float
    test: float


class Distribution(Record):
    """A property of the images, train against test."""

    name: str
    unit: str
    kind: Literal["number", "category"]
    n_train: int
    n_test: int
    train: list[float]
    """Numbers: quantiles 0, 0.05, 0.25, 0.5, 0.75, 0.95 and 1."""
    test: list[float]
    shares: list[ValueShare]
    """Of a category, the most frequent first."""
    effect: float | None
    """Distance between train and test, from 0 (alike) to 1 (no overlap): Kolmogorov-Smirnov distance for numbers,
    total variation distance for categories. Null without test images."""
    interval: Interval | None
    """95 %, by bootstrap over images (duplicate groups whole)."""
    noise: float | None
    """95 % quantile of the effect between two random halves of all these images: a smaller effect is not reported."""
    apart: bool
    """Whether the effect is larger than that."""
    words: str
    low: list[ImageRef]
    """Images from the end where training is more frequent."""
    high: list[ImageRef]
    """Images from the end where test is more frequent."""


class Adversarial(Record):
    """How well a classifier separates train from test by the measured properties alone, cross-fitted."""

    auc: float
    """Area under the ROC curve; 0.5: not at all."""
    interval: Interval
    n_train: int
    n_test: int
    gives_away: list[tuple[str, float]]
    """Properties with the loss of the area when they are shuffled, the largest first."""
    words: str


class AdversarialFeatures(Record):
    """How well a linear classifier separates train from test by a model's features, cross-fitted."""

    model: str
    auc: float
    """Area under the ROC curve; 0.5: not at all."""
    interval: Interval
    n_train: int
    n_test: int
    low: list[ImageRef]
    """Training images that the classifier is most certain are not from test."""
    high: list[ImageRef]
    """Test images that the classifier is most certain are from test."""
    words: str


class LabelPair(Record):
    """Label issues between two classes."""

    first: str
    second: str
    first_as_second: int
    """Images labelled `first` for which `second` is proposed."""
    second_as_first: int
    confusable: bool
    """Whether there are several issues in each direction: then the classes overlap, and are shown as a pair."""


class LabelIssues(Record):
    """The classifier that contradicted labels, and how often it did."""

    reader: str
    judged: int
    """Images with a label and out-of-fold probabilities."""
    agreed: float
    """Share of these images whose label is the most probable class."""
    precision: str
    """Share of the findings that are wrong labels, if it was measured on these images."""
    pairs: list[LabelPair]
    """The most frequent first."""
    words: str


class ClassCount(Record):
    """Images of a class."""

    label: str
    images: int
    different: int
    """Images if exact and near-duplicates are counted once."""


class AuditReport(Record):
    """The contents of `audit.json`."""

    version: int = 1
    answer: list[str] = []
    """The headline, then what to do first: a sentence each, the most important first."""
    train: str
    test: str | None
    n_train: int
    """Training images that can be decoded."""
    n_test: int
    n_files: int
    """All image files of both folders, including files that cannot be used."""
    counts: dict[str, int] = {}
    """Findings by kind, in the order of the table."""
    images_by_kind: dict[str, int] = {}
    """Number of images that the findings of each kind are about."""
    findings: list[Finding] = []
    groups: list[CopyGroup] = []
    similar: list[CopyGroup] = []
    """Groups of very similar pictures that are no duplicates: perhaps two photographs of one thing or scene."""
    duplicates: Duplicates = Duplicates()
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
        InputError: the file was not written by `eyeshot audit`.
    """
    try:
        return AuditReport.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"Cannot read {str(file)!r}: {error.strerror or error}.") from error
    except ValidationError as error:
        raise InputError(
            f"{str(file)!r} was not written by `eyeshot audit`. Run it again: eyeshot audit TRAIN."
        ) from error


def read_groups(file: Path) -> list[tuple[str, ...]]:
    """Groups of an `audit.json` that a split keeps together: duplicates, near duplicates and very similar pictures.

    They are content keys of training images. Where groups of very similar pictures hold half of a class or more, to be
    similar says nothing about it (pictures of one scene, simple drawings), and no split could be made of such groups:
    they are left out.

    Raises:
        InputError: the file was not written by `eyeshot audit`.
    """
    report = read_report(file)
    return train_groups([*report.groups, *_telling_groups(report)])


def train_groups(groups: Sequence[CopyGroup]) -> list[tuple[str, ...]]:
    """Content keys of the training images of each group that has at least two."""
    contents = (
        tuple(dict.fromkeys(image.content for image in group.images if image.split == "train" and image.content))
        for group in groups
    )
    return [group for group in contents if len(group) > 1]


def _telling_groups(report: AuditReport) -> list[CopyGroup]:
    """Groups of very similar pictures without those of classes that consist of such groups by half or more."""
    inside: Counter[str | None] = Counter()
    for group in report.similar:
        inside.update({image.content: image.label for image in group.images if image.split == "train"}.values())
    sizes = {count.label: count.images for count in report.classes}
    alike = {
        label
        for label, number in inside.items()
        if label is not None and number >= FEWEST_OF_A_SCENE and 2 * number >= sizes.get(label, 0)
    }
    return [group for group in report.similar if not alike & {image.label for image in group.images}]


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
    """Make a finding; its id depends on kind and contents, not on paths.

    Args:
        kind: kind of the finding.
        images: the images that it is about.
        words: the finding in a sentence.
        suggestion: what to do.
        basis: "exact" follows from the bytes; "rule" is measured, and a person says whether it matters.
        confidence: for "estimated" the share of such findings that are true; for "model" the model's probability, which
            is not a measured precision.
        evidence: numbers and names that support it.
    """
    # Files that cannot be read have no content, so their name is used.
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
    """The same findings; findings about equal files in the same class get numbers at the end of their ids."""
    counts: Counter[str] = Counter()
    unique = []
    for finding in findings:
        counts[finding.id] += 1
        number = counts[finding.id]
        unique.append(finding if number == 1 else finding.model_copy(update={"id": f"{finding.id}-{number}"}))
    return unique


def advice(finding: Finding) -> str:
    """What to do about a finding, in a few words."""
    return "drop from training" if finding.kind == "leak" else ADVICE[finding.suggestion]


def settling_policies(findings: Sequence[Finding]) -> list[str]:
    """The policies of `eyeshot decisions apply` that settle some of these findings, the most harmful kind first.

    Policies decide about training images, so duplicates among test images do not matter.
    """
    policies = {
        settled_by(finding)
        for finding in findings
        if finding.kind == "leak" or sum(image.split == "train" for image in finding.images) > 1
    }
    return [policy for policy in POLICY_KINDS if policy in policies]


def settled_by(finding: Finding) -> str:
    """The policy that settles a finding; empty where a person has to look."""
    if finding.suggestion == "look":
        return ""
    return next((policy for policy, kinds in POLICY_KINDS.items() if finding.kind in kinds), "")


def count_duplicates(groups: Sequence[CopyGroup]) -> Duplicates:
    """Count groups and images within training, within test and across."""
    sums = {name: [0, 0, 0] for name in ("train", "test", "across")}
    for group in groups:
        sides = Counter(image.split for image in group.images)
        train, test = sides["train"], sides["test"]
        for name, counts, here in (
            ("train", (1, train, 0), train > 1),
            ("test", (1, 0, test), test > 1),
            ("across", (1, train, test), train > 0 and test > 0),
        ):
            if here:
                sums[name] = [total + more for total, more in zip(sums[name], counts, strict=True)]
    return Duplicates(
        **{
            name: DuplicateCount(groups=groups, train_images=train, test_images=test)
            for name, (groups, train, test) in sums.items()
        }
    )


def first_things_to_do(report: AuditReport) -> list[str]:
    """The answer of an audit: a headline that counts what to look at, then at most five sentences with what to do.

    The terminal, the page and `audit.json` show the same sentences.
    """
    return [_headline(report), *_sentences(report)[:TO_DO]]


def _headline(report: AuditReport) -> str:
    count, duplicates = report.counts, _duplicates_alone(report)
    flat = count.get("one-colour", 0) + count.get("almost-blank", 0)
    parts = [
        f"{number:,} {single if number == 1 else many}"
        for number, single, many in (
            (count.get("conflict", 0), "picture with two labels", "pictures with two labels"),
            (
                report.duplicates.across.test_images,
                "test image that is also in training",
                "test images that are also in training",
            ),
            (count.get("label-issue", 0), "doubtful label", "doubtful labels"),
            (count.get("unreadable", 0), "broken file", "broken files"),
            (count.get("two-labels", 0), "path with two labels in the CSV", "paths with two labels in the CSV"),
            (duplicates.train.train_images, "duplicate training image", "duplicate training images"),
            (duplicates.test.test_images, "duplicate test image", "duplicate test images"),
            (count.get("class-names-alike", 0), "group of similar class names", "groups of similar class names"),
            (flat, "blank image", "blank images"),
        )
        if number
    ][:IN_HEADLINE]
    if parts:
        listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        return f"Before training, look at {listed}."
    nothing = "Nothing needs fixing before training: no conflicting labels, no duplicates, no broken files"
    return f"{nothing}; but test images differ from training images." if _tells_apart(report) else f"{nothing}."


def _sentences(report: AuditReport) -> list[str]:
    """What to do, the most harmful first."""
    sentences = []
    count, duplicates = report.counts, report.duplicates
    if conflicts := count.get("conflict"):
        often = f", most often {report.conflicts[0].first} and {report.conflicts[0].second}" if report.conflicts else ""
        sentences.append(
            f"{conflicts:,} {_plural(conflicts, 'picture has', 'pictures have')} two labels{often}. "
            f"Drop all {_plural(conflicts, 'its', 'their')} files, unless you know the right label."
        )
    if duplicates.across.groups:
        tests, trains = duplicates.across.test_images, duplicates.across.train_images
        sentences.append(
            f"{tests:,} test {_plural(tests, 'image duplicates', 'images duplicate')} {trains:,} training "
            f"{_plural(trains, 'image', 'images')} ({_groups(duplicates.across)}). Leave "
            f"{_plural(trains, 'it', 'them')} out of training, otherwise the test score is too good."
        )
    if report.label_issues is not None and count.get("label-issue"):
        sentences.append(report.label_issues.words)
    if broken := count.get("unreadable"):
        sentences.append(
            f"{broken:,} {_plural(broken, 'file', 'files')} cannot be read ({_reasons(report)}). Replace or delete "
            f"{_plural(broken, 'it', 'them')}."
        )
    if paths := count.get("two-labels"):
        sentences.append(
            f"{paths:,} {_plural(paths, 'path has', 'paths have')} two labels in the CSV and "
            f"{_plural(paths, 'was', 'were')} left out. Correct the CSV."
        )
    if sentence := _duplicates_within(_duplicates_alone(report)):
        sentences.append(sentence)
    if count.get("class-names-alike"):
        alike = next(finding for finding in report.findings if finding.kind == "class-names-alike")
        sentences.append(f"{alike.words} Merge them if they are the same class.")
    if flat := count.get("one-colour", 0) + count.get("almost-blank", 0):
        shows = _plural(flat, "image shows", "images show")
        sentences.append(f"{flat:,} {shows} next to nothing. Drop {_plural(flat, 'it', 'them')}.")
    sentences += [
        classifier.words
        for classifier in (report.adversarial, report.adversarial_features)
        if classifier and _apart(classifier)
    ]
    if small := count.get("small-class"):
        sentences.append(
            f"{small:,} {_plural(small, 'class has', 'classes have')} fewer than {report.small_class} "
            f"{_plural(report.small_class, 'image', 'images')}. Collect "
            "more, and make sure that cleaning does not empty them."
        )
    return sentences


def _duplicates_alone(report: AuditReport) -> Duplicates:
    """The duplicates of the table: without groups under several labels or on both sides, and without unsure groups."""
    unsure = {finding.id for finding in report.findings if finding.suggestion == "look"}
    return count_duplicates(
        [
            group
            for group in report.groups
            if len(group.labels) < 2
            and len({image.split for image in group.images}) == 1
            and not unsure & set(group.findings)
        ]
    )


def _duplicates_within(duplicates: Duplicates) -> str:
    train, test = duplicates.train, duplicates.test
    if not train.groups:
        if not test.groups:
            return ""
        return (
            f"{test.test_images:,} test images are duplicates of each other ({_groups(test)}). Count each group once "
            "in the test score."
        )
    also = f", and {test.test_images:,} test images are ({_groups(test)})" if test.groups else ""
    return (
        f"{train.train_images:,} training images are duplicates of each other ({_groups(train)}){also}. Split by "
        "duplicate group, otherwise a random split leaks."
    )


def _groups(count: DuplicateCount) -> str:
    return f"{count.groups:,} {_plural(count.groups, 'group', 'groups')}"


def _reasons(report: AuditReport) -> str:
    """Why files are broken: the reason, or several reasons with their counts."""
    reasons = Counter(str(finding.evidence["reason"]) for finding in report.findings if finding.kind == "unreadable")
    if len(reasons) == 1:
        return next(iter(reasons))
    parts = [f"{number:,} {reason}" for reason, number in reasons.most_common(REASONS)]
    other_count = reasons.total() - sum(number for _, number in reasons.most_common(REASONS))
    return ", ".join([*parts, f"{other_count:,} other"] if other_count else parts)


def _tells_apart(report: AuditReport) -> bool:
    return any(
        classifier is not None and _apart(classifier)
        for classifier in (report.adversarial, report.adversarial_features)
    )


def _apart(classifier: Adversarial | AdversarialFeatures) -> bool:
    return classifier.interval[0] > 0.5


def _plural(count: int, single: str, many: str) -> str:
    return single if count == 1 else many
