"""Label issues and outliers on the page of `eyeshot audit`: what each image is like, confusable classes as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from eyeshot.auditing import AuditReport, Finding, ImageRef, LabelPair
from eyeshot.reports.audit_pictures import Gallery, Shown

MOST_CARDS = 12
MOST_PAIRS = 8
MOST_IN_PAIR = 8
MOST_OUTLIERS = 24
MOST_OF_CLASS = 3
MOST_LISTED_PAIRS = 20


@dataclass
class LabelCard:
    """One label issue with the nearest images of both classes."""

    finding: Finding
    shown: Shown
    given: list[Shown]
    proposed: list[Shown]


@dataclass
class PairCard:
    """All label issues between two classes that overlap."""

    pair: LabelPair
    shown: list[Shown]
    more: int


@dataclass
class LabelView:
    """What the page shows of label issues and outliers.

    Attributes:
        cards: the first issues, those of confusable pairs left out.
        more: issues that are on no card.
        pairs: confusable pairs.
        table: pairs of classes with issues, the most frequent first.
        outliers: the farthest, a few of each class.
        outliers_found: all of them.
        per_class: how many of one class are shown at most.
    """

    cards: list[LabelCard]
    more: int
    pairs: list[PairCard]
    table: list[LabelPair]
    outliers: list[Shown]
    outliers_found: int
    per_class: int = MOST_OF_CLASS


def view_labels(report: AuditReport, gallery: Gallery) -> LabelView:
    """The part of a report that is about labels and outliers, with pictures."""
    issues = [finding for finding in report.findings if finding.kind == "label-issue"]
    pairs = [] if report.label_issues is None else report.label_issues.pairs
    confusable = {frozenset((one.first, one.second)) for one in pairs if one.confusable}
    alone = [one for one in issues if _classes(one) not in confusable]
    cards = [_card(one, gallery) for one in alone[:MOST_CARDS]]
    merged = [_pair(one, issues, gallery) for one in pairs if one.confusable][:MOST_PAIRS]
    hidden = len(issues) - len(cards) - sum(len(one.shown) + one.more for one in merged)
    outliers = [finding for finding in report.findings if finding.kind == "outlier"]
    shown = [
        gallery.show(one.images[0], f"{one.evidence['distance']:.2f}, usual {one.evidence['usual']:.2f}")
        for one in a_few_of_each(outliers)
    ]
    return LabelView(cards, hidden, merged, pairs[:MOST_LISTED_PAIRS], shown, len(outliers))


def a_few_of_each(outliers: Sequence[Finding]) -> list[Finding]:
    """The first of each class, so that one class of many kinds does not fill the page."""
    seen: Counter[str | None] = Counter()
    kept = []
    for one in outliers:
        label = one.images[0].label
        seen[label] += 1
        if seen[label] <= MOST_OF_CLASS:
            kept.append(one)
    return kept[:MOST_OUTLIERS]


def _classes(one: Finding) -> frozenset[str]:
    return frozenset((str(one.evidence["given"]), str(one.evidence["proposed"])))


def _card(one: Finding, gallery: Gallery) -> LabelCard:
    given, proposed = str(one.evidence["given"]), str(one.evidence["proposed"])
    return LabelCard(
        one,
        gallery.show(one.images[0]),
        [gallery.show(ref) for ref in _refs(one, "nearest_given", given)],
        [gallery.show(ref) for ref in _refs(one, "nearest_proposed", proposed)],
    )


def _refs(one: Finding, key: str, label: str) -> list[ImageRef]:
    names = one.evidence[key]
    return [ImageRef(split="train", id=name, label=label) for name in names] if isinstance(names, list) else []


def _pair(pair: LabelPair, issues: Sequence[Finding], gallery: Gallery) -> PairCard:
    own = [one for one in issues if _classes(one) == {pair.first, pair.second}]
    shown = [
        gallery.show(one.images[0], f"or {one.evidence['proposed']}, {one.evidence['probability']:.2f}")
        for one in own[:MOST_IN_PAIR]
    ]
    return PairCard(pair, shown, len(own) - len(shown))
