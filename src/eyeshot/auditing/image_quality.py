"""Files that are broken or odd, each with what was seen."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict

import numpy as np
from PIL import Image

from eyeshot.auditing.findings import Finding, ImageRef, finding, rule
from eyeshot.auditing.image_stats import Inspected
from eyeshot.auditing.images import Sources

FLAT_RANGE = 2  # levels between the darkest and the brightest pixel of a one-colour image, per channel
BLANK_CONTRAST = 2.0  # levels
TINY_SIDE = 32  # pixels: under it a network at 224 sees mostly interpolation
EXTREME_RATIO = 4.0
JUNK_SHARE = 0.5  # of the file
JUNK_BYTES = 65_536
# Formats that share an ending, or that Pillow names otherwise than people do.
SAME_FORMAT = {"MPO": "JPEG", "JPEG2000": "JPEG2000", "DIB": "BMP"}


def odd_files(sources: Sources, inspected: Inspected) -> list[Finding]:
    """What is wrong or unusual with single files; every file that cannot be used is named with its reason."""
    return [*_bad_files(sources, inspected), *_odd_pictures(sources, inspected)]


def bad_refs(sources: Sources, inspected: Inspected) -> list[tuple[ImageRef, str]]:
    """All files that cannot be used, with reasons: by their header, or because decoding failed."""
    late = [(sources.ref(position), reason) for position, reason in inspected.failed.items()]
    return [(bad.ref, bad.reason) for bad in sources.bad] + late


def _bad_files(sources: Sources, inspected: Inspected) -> list[Finding]:
    found = []
    for ref, reason in bad_refs(sources, inspected):
        if reason.startswith("two labels"):
            words = f"{ref.id} stands under two labels in the CSV; which one is right cannot be told."
            found.append(finding("two-labels", [ref], words, suggestion="relabel", evidence={"reason": reason}))
        elif reason.startswith("smaller than"):
            words = f"{ref.id} is {reason}."
            found.append(finding("tiny", [ref], words, suggestion="drop", evidence={"reason": reason}))
        else:
            words = f"{ref.id} cannot be used: {reason}."
            found.append(finding("unreadable", [ref], words, suggestion="drop", evidence={"reason": reason}))
    return found


def _odd_pictures(sources: Sources, inspected: Inspected) -> list[Finding]:
    found: list[Finding] = []
    number = {name: inspected.number(name) for name in _USED}
    formats = inspected.text("format")
    for position in range(len(sources)):
        if position in inspected.failed:
            continue
        ref = sources.ref(position)
        seen = {name: float(values[position]) for name, values in number.items()}
        width, height = seen["width"], seen["height"]
        if seen["range"] <= FLAT_RANGE:
            colour = "#" + "".join(f"{round(seen[f'border_{name}']):02x}" for name in ("red", "green", "blue"))
            words = f"{ref.id} is of one colour, {colour}."
            evidence: dict[str, float | str | list[str]] = {"colour": colour, "range": seen["range"]}
            found.append(finding("one-colour", [ref], words, suggestion="drop", evidence=evidence))
        elif seen["contrast"] < BLANK_CONTRAST:
            words = f"{ref.id} is almost blank: its brightness varies by {seen['contrast']:.1f} of 255 levels."
            found.append(rule("almost-blank", [ref], words, suggestion="look", evidence={"contrast": seen["contrast"]}))
        if min(width, height) < TINY_SIDE:
            words = f"{ref.id} has only {width:.0f} × {height:.0f} pixels."
            found.append(rule("tiny", [ref], words, suggestion="look", evidence={"width": width, "height": height}))
        if max(width, height) > EXTREME_RATIO * min(width, height):
            words = f"{ref.id} is {width:.0f} × {height:.0f}: a square crop shows little of it."
            ratio = max(width, height) / min(width, height)
            found.append(rule("extreme-ratio", [ref], words, suggestion="look", evidence={"ratio": ratio}))
        expected = _format_of(ref.id)
        actual = SAME_FORMAT.get(formats[position], formats[position])
        if expected and expected != actual:
            ending = os.path.splitext(ref.id)[1]
            words = f"{ref.id} is named {ending} and is a {actual} file. It was read all the same."
            found.append(
                finding(
                    "wrong-extension", [ref], words, suggestion="none", evidence={"format": actual, "ending": ending}
                )
            )
        if seen["frames"] > 1 and formats[position] != "MPO":
            words = f"{ref.id} holds {seen['frames']:.0f} pictures; only the first one is used."
            found.append(finding("animated", [ref], words, suggestion="look", evidence={"frames": seen["frames"]}))
        if seen["orientation"] != 1:
            words = (
                f"{ref.id} is turned by its EXIF orientation ({seen['orientation']:.0f}): programs that ignore the tag "
                "see it turned or mirrored. eyeshot shows it upright."
            )
            found.append(
                finding(
                    "exif-orientation", [ref], words, suggestion="none", evidence={"orientation": seen["orientation"]}
                )
            )
        junk = seen["metadata_bytes"] + seen["trailing_bytes"]
        if seen["trailing_bytes"] > JUNK_BYTES or (
            junk > JUNK_SHARE * sources.bytes[position] and junk > JUNK_BYTES // 4
        ):
            words = (
                f"{ref.id} carries {seen['metadata_bytes']:,.0f} bytes of metadata and {seen['trailing_bytes']:,.0f} "
                f"bytes behind the picture, of {sources.bytes[position]:,} in all."
            )
            evidence = {"metadata_bytes": seen["metadata_bytes"], "trailing_bytes": seen["trailing_bytes"]}
            found.append(rule("metadata-junk", [ref], words, suggestion="none", evidence=evidence))
    return found


_USED = (
    "width", "height", "frames", "orientation", "metadata_bytes", "trailing_bytes", "contrast", "range",
    "border_red", "border_green", "border_blue",
)  # fmt: skip


def _format_of(name: str) -> str:
    """The format that a file's ending promises; empty where it promises none."""
    promised = Image.registered_extensions().get(os.path.splitext(name)[1].lower(), "")
    return SAME_FORMAT.get(promised, promised)


def odd_classes(sources: Sources, *, small: int) -> list[Finding]:
    """Classes whose names differ only by case, spaces or Unicode form, and classes under `small` images."""
    found = []
    classes = sources.train.classes
    counts = Counter(sources.labels[~sources.in_test].tolist())
    alike: defaultdict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(classes):
        alike[re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())].append(number)
    for numbers in alike.values():
        if len(numbers) > 1:
            names = [classes[number] for number in numbers]
            words = f"Classes {', '.join(map(repr, names))} differ by case, spaces or signs only."
            refs = [sources.ref(_first_of(sources, number)) for number in numbers]
            found.append(
                rule("class-names-alike", refs, words, suggestion="merge-classes", evidence={"classes": names})
            )
    for number, name in enumerate(classes):
        if counts[number] < small:
            words = f"Class {name!r} has {counts[number]} {'image' if counts[number] == 1 else 'images'}."
            refs = [sources.ref(_first_of(sources, number))]
            evidence: dict[str, float | str | list[str]] = {"class": name, "images": float(counts[number])}
            found.append(rule("small-class", refs, words, suggestion="none", evidence=evidence))
    return found


def _first_of(sources: Sources, number: int) -> int:
    return int(np.flatnonzero(sources.labels == number)[0])
