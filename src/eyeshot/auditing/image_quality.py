"""Files that are broken or unusual, and classes that are small or have similar names, each with its evidence."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict

import numpy as np
from PIL import Image

from eyeshot.auditing.findings import Evidence, Finding, ImageRef, make_finding
from eyeshot.auditing.image_stats import ImageStats
from eyeshot.auditing.images import AuditImages

FLAT_RANGE = 2  # levels between the darkest and the brightest pixel of a one-colour image, per channel
BLANK_CONTRAST = 2.0  # levels
RICH_LEVELS = 100  # different values of an image of more than 8 bits, which no blank picture has
TINY_SIDE = 32  # pixels: below it a network at 224 pixels sees mostly interpolation
EXTREME_RATIO = 4.0
JUNK_SHARE = 0.5  # of the file
JUNK_BYTES = 65_536
# Formats that share a file extension, or that have other names in Pillow.
SAME_FORMAT = {"MPO": "JPEG", "JPEG2000": "JPEG2000", "DIB": "BMP"}

_USED = (
    "width", "height", "frames", "orientation", "metadata_bytes", "trailing_bytes", "contrast", "range",
    "grey_levels", "border_red", "border_green", "border_blue",
)  # fmt: skip


def check_files(images: AuditImages, stats: ImageStats) -> list[Finding]:
    """Findings about single files; every file that cannot be used is reported with its reason."""
    return [*_check_unusable(images, stats), *_check_pictures(images, stats)]


def unusable_files(images: AuditImages, stats: ImageStats) -> list[tuple[ImageRef, str]]:
    """All files that cannot be used, with reasons: by their header, or because decoding failed."""
    late = [(images.ref(position), reason) for position, reason in stats.failed.items()]
    return [*images.unusable, *late]


def _check_unusable(images: AuditImages, stats: ImageStats) -> list[Finding]:
    findings = []
    for ref, reason in unusable_files(images, stats):
        if reason.startswith("two labels"):
            words = f"{ref.id} has two labels in the CSV and was left out."
            findings.append(make_finding("two-labels", [ref], words, suggestion="relabel", evidence={"reason": reason}))
        elif reason.startswith("smaller than"):
            words = f"{ref.id} is {reason}."
            findings.append(make_finding("tiny", [ref], words, suggestion="drop", evidence={"reason": reason}))
        else:
            words = f"{ref.id} cannot be read: {reason}."
            findings.append(make_finding("unreadable", [ref], words, suggestion="drop", evidence={"reason": reason}))
    return findings


def _check_pictures(images: AuditImages, stats: ImageStats) -> list[Finding]:
    findings: list[Finding] = []
    number = {name: stats.number(name) for name in _USED}
    formats = stats.text("format")
    for position in range(len(images)):
        if position in stats.failed:
            continue
        ref = images.ref(position)
        measured = {name: float(values[position]) for name, values in number.items()}
        width, height = measured["width"], measured["height"]
        # Dark in its set, but a picture: nobody should drop a file with hundreds of grey levels.
        rich = measured["grey_levels"] >= RICH_LEVELS
        if measured["range"] <= FLAT_RANGE and not rich:
            colour = "#" + "".join(f"{round(measured[f'border_{name}']):02x}" for name in ("red", "green", "blue"))
            words = f"{ref.id} has only one colour, {colour}."
            evidence: Evidence = {"colour": colour, "range": measured["range"]}
            findings.append(make_finding("one-colour", [ref], words, suggestion="drop", evidence=evidence))
        elif measured["contrast"] < BLANK_CONTRAST and not rich:
            words = f"{ref.id} is almost blank: its brightness varies by {measured['contrast']:.1f} of 255 levels."
            findings.append(
                make_finding(
                    "almost-blank",
                    [ref],
                    words,
                    basis="rule",
                    suggestion="look",
                    evidence={"contrast": measured["contrast"]},
                )
            )
        if min(width, height) < TINY_SIDE:
            words = f"{ref.id} has only {width:.0f} × {height:.0f} pixels."
            findings.append(
                make_finding(
                    "tiny", [ref], words, basis="rule", suggestion="look", evidence={"width": width, "height": height}
                )
            )
        if max(width, height) > EXTREME_RATIO * min(width, height):
            words = f"{ref.id} is {width:.0f} × {height:.0f}: a square crop shows little of it."
            ratio = max(width, height) / min(width, height)
            findings.append(
                make_finding("extreme-ratio", [ref], words, basis="rule", suggestion="look", evidence={"ratio": ratio})
            )
        expected = _format_of(ref.id)
        actual = SAME_FORMAT.get(formats[position], formats[position])
        if expected and expected != actual:
            ending = os.path.splitext(ref.id)[1]
            words = f"{ref.id} ends in {ending} but is a {actual} file. It can be read."
            findings.append(
                make_finding(
                    "wrong-extension", [ref], words, suggestion="none", evidence={"format": actual, "ending": ending}
                )
            )
        if measured["frames"] > 1 and formats[position] != "MPO":
            words = f"{ref.id} contains {measured['frames']:.0f} pictures; only the first is used."
            findings.append(
                make_finding("animated", [ref], words, suggestion="look", evidence={"frames": measured["frames"]})
            )
        if measured["orientation"] != 1:
            words = (
                f"{ref.id} is turned by its EXIF orientation ({measured['orientation']:.0f}): programs that ignore the "
                "tag show it turned or mirrored. eyeshot shows it upright."
            )
            findings.append(
                make_finding(
                    "exif-orientation",
                    [ref],
                    words,
                    suggestion="none",
                    evidence={"orientation": measured["orientation"]},
                )
            )
        junk = measured["metadata_bytes"] + measured["trailing_bytes"]
        if measured["trailing_bytes"] > JUNK_BYTES or (
            junk > JUNK_SHARE * images.bytes[position] and junk > JUNK_BYTES // 4
        ):
            words = (
                f"{ref.id} contains {measured['metadata_bytes']:,.0f} bytes of metadata and "
                f"{measured['trailing_bytes']:,.0f} bytes after the picture, of {images.bytes[position]:,} in all."
            )
            evidence = {"metadata_bytes": measured["metadata_bytes"], "trailing_bytes": measured["trailing_bytes"]}
            findings.append(
                make_finding("metadata-junk", [ref], words, basis="rule", suggestion="none", evidence=evidence)
            )
    return findings


def _format_of(name: str) -> str:
    """The format that a file's extension names; empty if it names none."""
    promised = Image.registered_extensions().get(os.path.splitext(name)[1].lower(), "")
    return SAME_FORMAT.get(promised, promised)


def check_classes(images: AuditImages, *, small: int) -> list[Finding]:
    """Classes whose names differ only by case, spaces or Unicode form, and classes with fewer than `small` images."""
    findings = []
    classes = images.train.classes
    counts = Counter(images.labels[~images.in_test].tolist())
    alike: defaultdict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(classes):
        alike[re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())].append(number)
    for numbers in alike.values():
        if len(numbers) > 1:
            names = [classes[number] for number in numbers]
            words = f"Classes {', '.join(map(repr, names))} differ only by case, spaces or punctuation."
            refs = [images.ref(_first_row_of(images, number)) for number in numbers]
            findings.append(
                make_finding(
                    "class-names-alike",
                    refs,
                    words,
                    basis="rule",
                    suggestion="merge-classes",
                    evidence={"classes": names},
                )
            )
    for number, name in enumerate(classes):
        if counts[number] < small:
            words = f"Class {name!r} has {counts[number]} {'image' if counts[number] == 1 else 'images'}."
            refs = [images.ref(_first_row_of(images, number))]
            evidence: Evidence = {"class": name, "images": float(counts[number])}
            findings.append(
                make_finding("small-class", refs, words, basis="rule", suggestion="none", evidence=evidence)
            )
    return findings


def _first_row_of(images: AuditImages, number: int) -> int:
    return int(np.flatnonzero(images.labels == number)[0])
