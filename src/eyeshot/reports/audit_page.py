"""`audit.html`: the answer, findings by kind, labels, duplicates, similar pictures, broken files, train and test."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, Literal

from eyeshot.auditing import NAMES, OF_CLASSES, Audit, Distribution, Finding, ImageRef, advice
from eyeshot.reports.audit_labels import view_labels
from eyeshot.reports.audit_pictures import Gallery, audited_paths
from eyeshot.reports.marks import make_axis
from eyeshot.reports.page import number, percent, shortened, write_fitting

MOST_PICTURES = 600
MOST_CARDS = 24
MOST_SIMILAR = 6  # cards of very similar pictures, about which nothing is to be dropped
MOST_IN_CARD = 6
MOST_LISTED = 200
MOST_ODD = 12
MOST_SHARES = 3  # values of a category
MOST_ENDS = 5
COPY_KINDS = ("conflict", "leak", "near-copy", "identical")
OWN_SECTION = (*COPY_KINDS, "very-similar", "label-issue", "outlier")


def write_audit_page(audit: Audit, path: Path | str, *, images: bool = True) -> Path:
    """Write the page of `audit` to `path`: a single file under 15 MB that needs no network.

    Args:
        audit: the result of `eyeshot.audit()`.
        path: the file to write; a missing folder is created.
        images: whether to show pictures of the user's images.

    Raises:
        StorageError: the file cannot be written.
    """
    numbers = (MOST_PICTURES, MOST_PICTURES // 4, 0) if images else (0,)
    return write_fitting(Path(path), "audit.html.j2", (_context(audit, most) for most in numbers))


def _context(audit: Audit, most: int) -> dict[str, Any]:
    report = audit.report
    gallery = Gallery(audited_paths(audit), most)
    by_kind: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        by_kind[finding.kind].append(finding)
    labels = view_labels(report, gallery)  # before duplicates, which may use up all pictures
    cards = {kind: _cards(by_kind.get(kind, []), gallery) for kind in COPY_KINDS}
    similar = _cards(by_kind.get("very-similar", [])[:MOST_SIMILAR], gallery)
    features = report.adversarial_features
    feature_ends = () if features is None else (features.low, features.high)
    effects = [value for row in report.distributions if row.interval for value in (*row.interval, row.effect or 0.0)]
    return {
        "report": report,
        "names": NAMES,
        "of_classes": OF_CLASSES,
        "to_do": {kind: advice(findings[0]) for kind, findings in by_kind.items()},
        "cards": cards,
        "similar": similar,
        "labels": labels,
        "feature_ends": [[gallery.show(ref) for ref in end] for end in feature_ends],
        "odd": [
            _fault(kind, findings, gallery)
            for kind, findings in by_kind.items()
            if findings and kind not in OWN_SECTION
        ],
        "ends": [_ends(row, gallery) for row in report.distributions[:3] if row.apart],
        "values_of": _values_of,
        "effects_axis": make_axis([0.0, *effects]) if effects else None,
        "class_axis": make_axis([0.0, *(float(row.images) for row in report.classes)]),
        "most_listed": MOST_LISTED,
        "pictures": bool(most),
    }


def _cards(findings: list[Finding], gallery: Gallery) -> list[dict[str, Any]]:
    """Cards of findings about duplicates: the `finding`, pictures `shown`, how many `more`, and their `difference`."""
    cards = []
    for finding in findings[:MOST_CARDS]:
        named = finding.evidence.get("transforms", [])
        transforms = dict(map(_named, named)) if isinstance(named, list) else {}
        first = _spread(finding, str(finding.evidence.get("reference", "")))
        shown = [gallery.show(ref, transforms.get(ref.id, "")) for ref in first]
        difference = ""
        if finding.evidence.get("same") == "near" and len(first) > 1:
            duplicate = next((ref for ref in first[1:] if ref.id in transforms), first[1])
            difference = gallery.difference(first[0], duplicate)
        more = len(finding.images) - len(shown)
        cards.append({"finding": finding, "shown": shown, "more": more, "difference": difference})
    return cards


def _spread(finding: Finding, reference: str) -> list[ImageRef]:
    """A few images of a finding: the reference of the comparison, then the first of each label and split."""
    shown: set[tuple[str, str | None]] = set()
    first: list[ImageRef] = []
    rest: list[ImageRef] = []
    for ref in sorted(finding.images, key=lambda ref: ref.id != reference):
        new = (ref.split, ref.label) not in shown
        shown.add((ref.split, ref.label))
        (first if new else rest).append(ref)
    return [*first, *rest][:MOST_IN_CARD]


def _named(text: str) -> tuple[str, str]:
    name, _, words = text.rpartition(": ")
    return name, words


def _fault(kind: str, findings: list[Finding], gallery: Gallery) -> dict[str, Any]:
    """All findings of a kind of broken or odd files or classes: a line with a count, and a folded list.

    Returns:
        `name` of the kind, `total` number of findings, `reasons` of broken files (with counts, the most frequent
        first), `shots` (pictures of the first) and `listed` (the first findings).
    """
    reasons = Counter(str(finding.evidence["reason"]) for finding in findings if kind == "unreadable")
    shots = [gallery.show(finding.images[0]) for finding in findings[:MOST_ODD]]
    return {
        "name": NAMES[kind],
        "total": len(findings),
        "reasons": reasons.most_common(),
        "shots": [shown for shown in shots if shown.picture],
        "listed": findings[:MOST_LISTED],
    }


def _ends(row: Distribution, gallery: Gallery) -> dict[str, Any]:
    """A property in which training and test differ, with images from both ends."""
    words = row.words.removeprefix(f"{row.name}: ")
    low, high = ([gallery.show(ref) for ref in end[:MOST_ENDS]] for end in (row.low, row.high))
    return {"title": _capital(row.name), "words": _capital(words), "low": low, "high": high}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _values_of(row: Distribution, side: Literal["train", "test"]) -> str:
    """A property on a side: median and the middle 90 %, or the most frequent values."""
    if row.kind == "number":
        quantiles = row.train if side == "train" else row.test
        return f"{number(quantiles[3], 1)} ({number(quantiles[1], 1)} to {number(quantiles[5], 1)})"
    shares = [(share.value, share.train if side == "train" else share.test) for share in row.shares[:MOST_SHARES]]
    return ", ".join(f"{shortened(value, 18)} {percent(share)}" for value, share in shares)
