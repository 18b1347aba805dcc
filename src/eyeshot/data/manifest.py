"""What decisions amount to: how each image stands, and the manifest, which is the image table after decisions.

It is computed each time; no file of the user is touched. The review page asks for single images, by the same rules.
"""

from __future__ import annotations

import shlex
import unicodedata
from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from eyeshot.data.decisions import Decision, Decisions
from eyeshot.data.table import ImageTable


@dataclass(frozen=True, eq=False)
class Manifest:
    """What is left of an image table, under which labels.

    Attributes:
        table: the images that stay, sorted by id, with their labels after decisions.
        given: the label that each of these has in the files; None where it has none.
        left_out: the images that decisions leave out, as they lie in the files.
        decided: id of the decision that left each of these out.
        gone: active decisions of whose images none is in the table.
        notes: what a person should know, in sentences.
    """

    table: ImageTable
    given: tuple[str | None, ...]
    left_out: pl.DataFrame
    decided: tuple[str, ...]
    gone: tuple[Decision, ...]
    notes: tuple[str, ...]

    @property
    def relabelled(self) -> int:
        """How many of the images that stay have another label than in the files."""
        return sum(now != given for now, given in zip(self.table.frame["label"], self.given, strict=True))


@dataclass(slots=True)
class Standing:
    """How an image stands after decisions.

    Attributes:
        left_out: id of the decision that leaves it out; None where it stays.
        label: its label now.
        kept: a person looked and kept it.
    """

    left_out: str | None
    label: str | None
    kept: bool


class DecisionState:
    """What decisions amount to for each image: they are taken one at a time, and looked up by image or finding.

    Args:
        contents: content key of each image, N.
        labels: its label in the files; None where it has none.
        in_test: it is a test image, of which a keep-one neither keeps nor leaves out any; None: all are of training.
    """

    def __init__(
        self, contents: Sequence[str], labels: Sequence[str | None], in_test: Sequence[bool] | None = None
    ) -> None:
        self.by_id: dict[str, Decision] = {}
        self.undone: set[str] = set()
        self.rows_of: defaultdict[str, list[int]] = defaultdict(list)
        for row, content in enumerate(contents):
            self.rows_of[content].append(row)
        self._contents, self._labels, self._in_test = contents, labels, in_test
        self._about: defaultdict[str, list[Decision]] = defaultdict(list)
        self._of_finding: defaultdict[str, list[Decision]] = defaultdict(list)
        self._merged: list[Decision] = []
        self._kept_rows: dict[str, int | None] = {}

    def take(self, decisions: Iterable[Decision]) -> list[Decision]:
        """Add decisions, those known already aside; returns those that changed something, of an undo what it undoes."""
        changed = []
        for decision in decisions:
            if decision.id in self.by_id:
                continue
            self.by_id[decision.id] = decision
            if decision.undoes is not None:
                self.undone.add(decision.undoes)
                undone = self.by_id.get(decision.undoes)
                changed += [] if undone is None or undone.kind == "undo" else [undone]
                continue
            changed.append(decision)
            if decision.kind == "merge-classes":
                insort(self._merged, decision, key=_order)
            for content in dict.fromkeys(decision.images):
                insort(self._about[content], decision, key=_order)
            if decision.finding:
                self._of_finding[decision.finding].append(decision)
        return changed

    def about(self, content: str) -> list[Decision]:
        """The decisions about a content that count, in the order in which they take effect."""
        return [decision for decision in self._about.get(content, ()) if decision.id not in self.undone]

    def of_finding(self, finding: str) -> list[Decision]:
        """The decisions that count and were made on the review page about a finding."""
        return [decision for decision in self._of_finding.get(finding, ()) if decision.id not in self.undone]

    def rows_meant(self, decision: Decision) -> list[int]:
        """The images that a decision is about."""
        return [
            row
            for content in dict.fromkeys(decision.images)
            for row in self.rows_of.get(content, ())
            if self._is_meant(row, decision)
        ]

    def standing(self, row: int) -> Standing:
        """How an image stands. The last decision about it decides; classes are merged in the end."""
        standing = Standing(None, self._labels[row], False)
        for decision in self.about(self._contents[row]):
            if not self._is_meant(row, decision):
                continue
            if decision.kind in ("drop", "drop-both"):
                standing.left_out, standing.kept = decision.id, False
            elif decision.kind == "keep":
                standing.left_out, standing.kept = None, True
            elif decision.kind == "keep-one" and not self._is_test(row):
                standing.kept = self._kept_row(decision) == row
                standing.left_out = None if standing.kept else decision.id
            elif decision.kind == "relabel":
                standing.label = decision.label
        for decision in self._merged:
            if standing.label in decision.classes and decision.id not in self.undone:
                standing.label = decision.label
        return standing

    def _is_meant(self, row: int, decision: Decision) -> bool:
        return decision.given in (None, self._labels[row])

    def _is_test(self, row: int) -> bool:
        return self._in_test is not None and self._in_test[row]

    def _kept_row(self, decision: Decision) -> int | None:
        """The file that a keep-one keeps; where it is gone the next of its images, so that no picture is lost."""
        if decision.id not in self._kept_rows:
            label, files = decision.label, list[int]()
            for content in (decision.keep or "", *decision.images):
                rows = self.rows_of.get(content, ())
                files = [row for row in rows if self._is_meant(row, decision) and not self._is_test(row)]
                if files:
                    break
            self._kept_rows[decision.id] = min(
                files, key=lambda row: (label is not None and self._labels[row] != label, row), default=None
            )
        return self._kept_rows[decision.id]


def compute_manifest(table: ImageTable, decisions: Decisions) -> Manifest:
    """Apply the decisions that count to an image table.

    They take effect in the order of their times. The last one about an image decides whether it stays and which
    label it has; merged classes are merged in the end, so that a label given later goes along.

    Args:
        table: all usable images, labelled or not.
        decisions: of `DecisionLog.read`; those about images that are not in the table change nothing.
    """
    given: list[str | None] = table.frame["label"].to_list()
    state = DecisionState(table.contents, given)
    state.take(decisions.stored)
    standings = [state.standing(row) for row in range(len(table))]
    stay = [row for row, standing in enumerate(standings) if standing.left_out is None]
    leave = [row for row, standing in enumerate(standings) if standing.left_out is not None]
    gone = [decision for decision in decisions.active if decision.images and not state.rows_meant(decision)]
    labels = pl.Series("label", [standing.label for standing in standings], dtype=pl.String)
    frame = table.frame.with_columns(labels)[stay]
    classes = tuple(sorted(set(frame["label"].drop_nulls())))
    left = ImageTable(frame, classes, table.skipped, table.notes)
    return Manifest(
        table=left,
        given=tuple(given[row] for row in stay),
        left_out=table.frame[leave],
        decided=tuple(standings[row].left_out or "" for row in leave),
        gone=tuple(gone),
        notes=tuple(_notes(table, left, gone, decisions)),
    )


def _order(decision: Decision) -> tuple[datetime, str]:
    return decision.order


def _notes(table: ImageTable, left: ImageTable, gone: Sequence[Decision], decisions: Decisions) -> list[str]:
    notes = []
    if gone:
        notes.append(
            f"{len(gone)} of {len(decisions.active)} decisions are about images that are not here (moved away or "
            "changed); they are kept and count again when the images are back."
        )
    empty = [name for name in table.classes if name not in left.classes]
    if empty and left.classes:
        names = ", ".join(map(repr, empty[:5])) + (", …" if len(empty) > 5 else "")
        notes.append(f"Classes without an image after decisions: {names}.")
    for alike in similar_classes(left.classes):
        options = " ".join(f"--class {shlex.quote(name)}" for name in alike)
        notes.append(
            f"Classes {', '.join(map(repr, alike))} differ only by case or Unicode form. If they are one: "
            f"eyeshot decisions add merge-classes {options} --label {shlex.quote(alike[0])}"
        )
    return notes


def similar_classes(classes: Sequence[str]) -> list[tuple[str, ...]]:
    """Groups of class names that differ only by case, Unicode form or spaces around them."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        alike[unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()].append(name)
    return [tuple(sorted(names)) for names in alike.values() if len(names) > 1]
