"""`audit.html`: what to do first, pictures under two labels, train against test, copies, broken files."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyeshot.auditing import NAMES, Audit, Distribution, Finding, ImageRef
from eyeshot.reports.audit_labels import view_labels
from eyeshot.reports.audit_pictures import Gallery, Shown
from eyeshot.reports.marks import Axis, make_axis
from eyeshot.reports.page import render, write_text

MOST_BYTES = 15_000_000
MOST_PICTURES = 600
MOST_CARDS = 24
MOST_IN_CARD = 6
MOST_LISTED = 200
MOST_ODD = 12
COPY_KINDS = ("conflict", "leak", "near-copy", "identical")
OWN_SECTION = (*COPY_KINDS, "label-issue", "outlier")


@dataclass
class Card:
    """A finding about copies, with pictures."""

    finding: Finding
    shown: list[Shown]
    more: int
    difference: str


def write_audit_page(audit: Audit, path: Path, *, images: bool = True) -> Path:
    """Write the page of `audit` to `path`: one file under 15 MB that needs no network.

    Args:
        audit: what `eyeshot.auditing.audit()` gave.
        path: the file to write; its folder is made where it is missing.
        images: without them no picture of the user's is on the page.

    Raises:
        StorageError: the file cannot be written.
    """
    page = ""
    for most in (MOST_PICTURES, MOST_PICTURES // 4, 0) if images else (0,):
        page = render("audit.html.j2", _context(audit, most))
        if len(page.encode("utf-8", "replace")) < MOST_BYTES:
            break
    return write_text(path, page)


def _context(audit: Audit, most: int) -> dict[str, Any]:
    report = audit.report
    gallery = Gallery(audit, most)
    by_kind: defaultdict[str, list[Finding]] = defaultdict(list)
    for one in report.findings:
        by_kind[one.kind].append(one)
    labels = view_labels(report, gallery)  # before copies, which may use up all pictures
    cards = {kind: _cards(by_kind[kind], gallery) for kind in COPY_KINDS}
    seen = report.adversarial_features
    effects = [value for one in report.distributions if one.interval for value in (*one.interval, one.effect or 0.0)]
    return {
        "report": report,
        "names": NAMES,
        "cards": cards,
        "labels": labels,
        "feature_ends": [[gallery.show(ref) for ref in end] for end in ((seen.low, seen.high) if seen else ())],
        "odd": [
            (NAMES[kind], [(one, gallery.show(one.images[0])) for one in found[:MOST_ODD]], found[:MOST_LISTED], found)
            for kind, found in by_kind.items()
            if kind not in OWN_SECTION
        ],
        "ends": [_ends(one, gallery) for one in report.distributions[:3] if one.apart],
        "effects_axis": make_axis([0.0, *effects]) if effects else None,
        "auc_axis": Axis(0.5, 1.0, (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
        "class_axis": make_axis([0.0, *(float(one.images) for one in report.classes)]),
        "most_listed": MOST_LISTED,
        "suggestions": _suggestions(report.findings),
        "pictures": bool(most),
    }


def _cards(findings: list[Finding], gallery: Gallery) -> list[Card]:
    made = []
    for one in findings[:MOST_CARDS]:
        transforms = dict(_named(text) for text in one.evidence.get("transforms", []) if isinstance(text, str))  # type: ignore[union-attr]
        first = _spread(one, str(one.evidence.get("reference", "")))
        shown = [gallery.show(ref, transforms.get(ref.id, "")) for ref in first]
        difference = ""
        if one.evidence.get("same") == "near" and len(first) > 1:
            other = next((ref for ref in first[1:] if ref.id in transforms), first[1])
            difference = gallery.difference(first[0], other)
        made.append(Card(one, shown, len(one.images) - len(shown), difference))
    return made


def _spread(one: Finding, reference: str) -> list[ImageRef]:
    """A few images of a finding: what the others are described from, then one of each label and split first."""
    seen: set[tuple[str, str | None]] = set()
    first: list[ImageRef] = []
    rest: list[ImageRef] = []
    for ref in sorted(one.images, key=lambda ref: ref.id != reference):
        new = (ref.split, ref.label) not in seen
        seen.add((ref.split, ref.label))
        (first if new else rest).append(ref)
    return [*first, *rest][:MOST_IN_CARD]


def _named(text: str) -> tuple[str, str]:
    name, _, words = text.rpartition(": ")
    return name, words


def _ends(one: Distribution, gallery: Gallery) -> tuple[Distribution, list[Shown], list[Shown]]:
    return one, [gallery.show(ref) for ref in one.low[:5]], [gallery.show(ref) for ref in one.high[:5]]


def _suggestions(findings: list[Finding]) -> dict[str, str]:
    words = {
        "drop-both": "drop both",
        "keep-one": "keep one",
        "drop": "drop",
        "group": "keep on one side of every split",
        "relabel": "give it its label",
        "merge-classes": "merge",
        "look": "look",
        "none": "nothing, good to know",
    }
    return {one.kind: words[one.suggestion] for one in findings}
