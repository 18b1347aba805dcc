"""Label issues and outliers on the page of `eyeshot audit`; confusable classes share a card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from eyeshot.auditing import AuditReport, Finding, ImageRef, LabelPair
from eyeshot.reports.audit_pictures import Gallery

MOST_CARDS = 12
MOST_PAIRS = 8
MOST_IN_PAIR = 8
MOST_OUTLIERS = 24
MOST_OF_CLASS = 3
MOST_LISTED_PAIRS = 20


def view_labels(report: AuditReport, gallery: Gallery) -> dict[str, Any]:
    """The part of a report that is about labels and outliers, with pictures.

    Returns:
        `cards` (an issue each: `finding`, picture `shown`, and the nearest images of both classes, `given` and
        `proposed`; without the issues of confusable pairs), `more` (number of issues on no card), `pairs` (a card for
        each confusable `pair`: `shown`, and how many `more`), `table` (pairs of classes with issues, the most frequent
        first), `outliers` (the farthest, at most `per_class` of a class), `outliers_found` (number of all).
    """
    issues = [finding for finding in report.findings if finding.kind == "label-issue"]
    pairs = [] if report.label_issues is None else report.label_issues.pairs
    confusable = {frozenset((pair.first, pair.second)) for pair in pairs if pair.confusable}
    single = [issue for issue in issues if _classes(issue) not in confusable]
    cards = [_card(issue, gallery) for issue in single[:MOST_CARDS]]
    merged = [_pair(pair, issues, gallery) for pair in pairs if pair.confusable][:MOST_PAIRS]
    outliers = [finding for finding in report.findings if finding.kind == "outlier"]
    return {
        "cards": cards,
        "more": len(issues) - len(cards) - sum(len(card["shown"]) + card["more"] for card in merged),
        "pairs": merged,
        "table": pairs[:MOST_LISTED_PAIRS],
        "outliers": [
            gallery.show(
                outlier.images[0], f"{outlier.evidence['distance']:.2f}, usual {outlier.evidence['usual']:.2f}"
            )
            for outlier in a_few_of_each(outliers)
        ],
        "outliers_found": len(outliers),
        "per_class": MOST_OF_CLASS,
    }


def a_few_of_each(outliers: Sequence[Finding]) -> list[Finding]:
    """The first of each class, so that a class with many outliers does not fill the page."""
    counts: Counter[str | None] = Counter()
    kept = []
    for outlier in outliers:
        label = outlier.images[0].label
        counts[label] += 1
        if counts[label] <= MOST_OF_CLASS:
            kept.append(outlier)
    return kept[:MOST_OUTLIERS]


def _classes(issue: Finding) -> frozenset[str]:
    return frozenset((str(issue.evidence["given"]), str(issue.evidence["proposed"])))


def _card(issue: Finding, gallery: Gallery) -> dict[str, Any]:
    given, proposed = str(issue.evidence["given"]), str(issue.evidence["proposed"])
    return {
        "finding": issue,
        "shown": gallery.show(issue.images[0]),
        "given": [gallery.show(ref) for ref in _refs(issue, "nearest_given", given)],
        "proposed": [gallery.show(ref) for ref in _refs(issue, "nearest_proposed", proposed)],
    }


def _refs(issue: Finding, key: str, label: str) -> list[ImageRef]:
    names = issue.evidence[key]
    return [ImageRef(split="train", id=name, label=label) for name in names] if isinstance(names, list) else []


def _pair(pair: LabelPair, issues: Sequence[Finding], gallery: Gallery) -> dict[str, Any]:
    of_pair = [issue for issue in issues if _classes(issue) == {pair.first, pair.second}]
    shown = [
        gallery.show(issue.images[0], f"or {issue.evidence['proposed']}, {issue.evidence['probability']:.2f}")
        for issue in of_pair[:MOST_IN_PAIR]
    ]
    return {"pair": pair, "shown": shown, "more": len(of_pair) - len(shown)}
