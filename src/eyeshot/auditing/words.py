"""The findings in words: what each kind is called, and what to do first."""

from __future__ import annotations

from typing import get_args

from eyeshot.auditing.report import AuditReport, Kind
from eyeshot.core import plural

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


def answer(report: AuditReport, *, skipped: int) -> list[str]:
    """The three things to do first, the most important first."""
    said = []
    count, images = report.counts, report.images_by_kind
    if report.conflicts:
        worst = report.conflicts[0]
        pictures = sum(one.pictures for one in report.conflicts)
        said.append(
            f"{pictures} {plural(pictures, 'picture stands', 'pictures stand')} under two labels, most often "
            f"{worst.first} and {worst.second} ({worst.pictures}): drop both copies, unless you know which label is "
            "right."
        )
    if count.get("leak"):
        said.append(
            f"{count['leak']} {plural(count['leak'], 'picture is', 'pictures are')} in training and in test: keep "
            "them out of training, or out of what you measure."
        )
    if count.get("two-labels"):
        said.append(f"{count['two-labels']} paths stand under two labels in the CSV and were left out: correct it.")
    if count.get("class-names-alike"):
        one = next(one for one in report.findings if one.kind == "class-names-alike")
        said.append(f"{one.words} Merge them if they are one class.")
    copies = count.get("identical", 0) + count.get("near-copy", 0)
    if copies:
        number = images.get("identical", 0) + images.get("near-copy", 0)
        said.append(
            f"{number} images are copies of each other, in {copies} {plural(copies, 'group', 'groups')}: make splits "
            "that keep groups whole, or a random split will leak."
        )
    if report.label_issues is not None and count.get("label-issue"):
        said.append(report.label_issues.words)
    if skipped:
        said.append(f"{skipped} {plural(skipped, 'file', 'files')} cannot be used: see why, and replace them.")
    if report.adversarial is not None and report.adversarial.interval[0] > 0.5:
        said.append(report.adversarial.words)
    if report.adversarial_features is not None and report.adversarial_features.interval[0] > 0.5:
        said.append(report.adversarial_features.words)
    flat = count.get("one-colour", 0) + count.get("almost-blank", 0)
    if flat:
        said.append(f"{flat} {plural(flat, 'image shows', 'images show')} next to nothing: drop them.")
    if count.get("small-class"):
        small = count["small-class"]
        said.append(
            f"{small} {plural(small, 'class has', 'classes have')} under {report.small_class} images: collect more, "
            "and let no cleaning empty them."
        )
    if not said:
        said.append("Nothing was found that has to be done first: no conflicts, no copies, no broken files.")
    return said[:TO_DO]
