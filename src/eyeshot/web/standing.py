"""What decisions amount to for single images, kept up to date one decision at a time.

The same rules as `compute_manifest`, which goes through all decisions and is for whole tables.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from eyeshot.auditing import Decision
from eyeshot.web.shown import Shown

ABOUT = "review of "


@dataclass
class State:
    """How an image stands after decisions.

    Attributes:
        out: it is left out.
        label: its label now.
        kept: a person looked and kept it.
    """

    out: bool
    label: str | None
    kept: bool


@dataclass
class Standing:
    """All decisions, found by image and by finding.

    Attributes:
        shown: the images.
        by_id: each decision by its id.
    """

    shown: Shown
    by_id: dict[str, Decision] = field(default_factory=dict)
    _about: defaultdict[str, list[Decision]] = field(default_factory=lambda: defaultdict(list))
    _named: defaultdict[str, list[Decision]] = field(default_factory=lambda: defaultdict(list))
    _undos: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _merged: list[Decision] = field(default_factory=list)

    def take(self, news: Iterable[Decision]) -> tuple[set[str], set[str]]:
        """Add decisions, those known already aside; returns the contents and the findings that they touch."""
        contents: set[str] = set()
        findings: set[str] = set()
        for one in news:
            if one.id in self.by_id:
                continue
            self.by_id[one.id] = one
            if one.undoes is not None:
                self._undos[one.undoes].append(one.id)
            elif one.kind == "merge-classes":
                insort(self._merged, one, key=lambda other: other.order)
            for content in dict.fromkeys(one.images):
                insort(self._about[content], one, key=lambda other: other.order)
            if finding := finding_of(one):
                self._named[finding].append(one)
            last: Decision | None = one
            seen: set[str] = set()
            while last is not None and last.undoes is not None and last.id not in seen:  # of an undo: what it is of
                seen.add(last.id)
                last = self.by_id.get(last.undoes)
            if last is not None:
                contents.update(last.images)
                findings.add(finding_of(last))
        return contents, findings

    def counts(self, name: str) -> bool:
        """Whether a decision is not undone."""
        return self._counts(name, frozenset())

    def _counts(self, name: str, above: frozenset[str]) -> bool:
        # A ring of undos, which only an edit by hand can make, undoes nothing.
        undos = [undo for undo in self._undos.get(name, ()) if undo not in above]
        return not any(self._counts(undo, above | {name}) for undo in undos)

    def about(self, content: str) -> list[Decision]:
        """The decisions about a content that count, in the order in which they take effect."""
        return [one for one in self._about.get(content, ()) if self.counts(one.id)]

    def named(self, finding: str) -> list[Decision]:
        """The decisions that count and were made on the page about a finding."""
        return [one for one in self._named.get(finding, ()) if self.counts(one.id)]

    def state(self, position: int) -> State:
        """How an image stands."""
        found = State(False, self.shown.labels[position], False)
        for one in self.about(self.shown.contents[position]):
            if not self.shown.fits(one, position):
                continue
            if one.kind in ("drop", "drop-both"):
                found.out, found.kept = True, False
            elif one.kind == "keep":
                found.out, found.kept = False, True
            elif one.kind == "keep-one" and not self.shown.in_test[position]:
                found.kept = self.shown.kept_by(one) == position
                found.out = not found.kept
            elif one.kind == "relabel":
                found.label = one.label
        for one in self._merged:
            if found.label in one.classes and self.counts(one.id):
                found.label = one.label
        return found

    def labels(self) -> set[str]:
        """Labels that decisions gave."""
        return {one.label for one in self.by_id.values() if one.kind in ("relabel", "merge-classes") and one.label}


def finding_of(one: Decision) -> str:
    """Id of the finding that a decision was made about on the page; empty for other decisions."""
    return one.reason.removeprefix(ABOUT) if one.reason.startswith(ABOUT) else ""
