"""What decisions amount to: how each image stands, the manifest, and where decisions of two people contradict.

The manifest is the image table after decisions. It is computed each time; no file of the user is touched. The review
page asks for single images, by the same rules.
"""

from __future__ import annotations

import shlex
import unicodedata
import uuid
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import polars as pl

from eyeshot.data.decisions import Decision, Decisions, ordered, undo_of
from eyeshot.data.table import ImageTable

Winner = Literal["mine", "theirs", "newer"]
WINNERS: tuple[Winner, ...] = get_args(Winner)
# One decision about many images is given again for those that nobody disagrees about.
BY_IMAGE = frozenset({"drop", "drop-both", "keep", "relabel"})
# What these say about a pair of images.
PAIRS = {"group": "copies", "keep-one": "copies", "not-copy": "no copies"}


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


@dataclass(frozen=True)
class Contradiction:
    """Two decisions, of which only one can count.

    Attributes:
        mine: the decision that is there.
        theirs: the one that would be merged.
        images: content keys of the images that both are about; of merge-classes none.
    """

    mine: Decision
    theirs: Decision
    images: tuple[str, ...]

    def words(self) -> str:
        """Which images, what each side says, and who said it when."""
        names = [_name(content, (self.mine, self.theirs)) for content in self.images[:3]]
        if not self.images:
            names = [f"class {name}" for name in self.mine.classes if name in self.theirs.classes]
        more = len(self.images) - 3
        what = ", ".join(names) + (f" and {more} more" if more > 0 else "")
        return f"{what}: mine {_verdict(self.mine)}; theirs {_verdict(self.theirs)}"


def find_contradictions(mine: Decisions, theirs: Decisions) -> list[Contradiction]:
    """Pairs of decisions about the same images that cannot both count, in an order that follows from `mine`.

    An image is left out by one side and stays by the other, it gets two labels, one side keeps its label and the
    other gives it a new one, images are copies and no copies, or a class is merged into two.

    Args:
        mine: decisions that are there.
        theirs: decisions that would be merged.
    """
    images: dict[tuple[str, str], list[str]] = defaultdict(list)
    for content, mine_id, theirs_id in [*_about_images(mine, theirs), *_about_pairs(mine, theirs)]:
        if content not in images[mine_id, theirs_id]:
            images[mine_id, theirs_id].append(content)
    for first in _own(mine, theirs, {"merge-classes"}):
        for second in _own(theirs, mine, {"merge-classes"}):
            if first.label != second.label and set(first.classes) & set(second.classes):
                images[first.id, second.id] = []
    found = [
        Contradiction(mine.by_id[mine_id], theirs.by_id[theirs_id], tuple(contents))
        for (mine_id, theirs_id), contents in images.items()
    ]
    return sorted(found, key=lambda contradiction: (contradiction.mine.order, contradiction.theirs.order))


def settle(
    mine: Decisions, theirs: Decisions, choose: Callable[[Contradiction], Winner], *, author: str | None = None
) -> tuple[list[Decision], Counter[Winner]]:
    """The decisions that make one side of each contradiction count; nothing is stored.

    The other side is undone. Where it is about further images one by one, it is given again for those, in the name of
    its author and with its time.

    Args:
        mine: decisions that are there.
        theirs: decisions that would be merged.
        choose: which side counts; "newer" is the decision with the later time.
        author: who settles.

    Returns:
        undos and decisions given again, and how often "mine" and "theirs" count.
    """
    settled: list[Decision] = []
    counts: Counter[Winner] = Counter()
    # An image may have several decisions of one side: where the last is undone, the one before it is looked at.
    while contradictions := find_contradictions(mine, theirs):
        lost: dict[str, tuple[Decision, Decision, set[str]]] = {}
        for contradiction in contradictions:
            winner = choose(contradiction)
            if winner == "newer":
                winner = "mine" if contradiction.mine.order > contradiction.theirs.order else "theirs"
            counts[winner] += 1
            sides = (contradiction.theirs, contradiction.mine)
            loser, kept = sides if winner == "mine" else sides[::-1]
            lost.setdefault(loser.id, (loser, kept, set()))[2].update(contradiction.images)
        made = []
        for loser, kept, contents in lost.values():
            reason = f"merge: {kept.id[:8]} of {kept.author} counts instead"
            made.append(undo_of(loser, author=author, reason=reason))
            rest = tuple(content for content in dict.fromkeys(loser.images) if content not in contents)
            if loser.kind in BY_IMAGE and rest:
                names = tuple(_name(content, (loser,)) for content in rest) if _named_one_by_one(loser) else ()
                made.append(loser.model_copy(update={"id": uuid.uuid4().hex, "images": rest, "names": names}))
        settled += made
        mine, theirs = ordered([*mine.stored, *made]), ordered([*theirs.stored, *made])
    return settled, counts


def _own(decisions: Decisions, other: Decisions, kinds: Iterable[str]) -> list[Decision]:
    """Decisions that count and that the other side does not know."""
    return [decision for decision in decisions.active if decision.kind in kinds and decision.id not in other.by_id]


def _about_images(mine: Decisions, theirs: Decisions) -> Iterable[tuple[str, str, str]]:
    """Content and the ids of both decisions, where an image stands otherwise for each side."""
    scopes: defaultdict[str, set[str]] = defaultdict(set)
    for decision in (*mine.active, *theirs.active):
        label = decision.given or (decision.label if decision.kind == "keep-one" else None)
        for content in decision.images:
            scopes[content].update([] if label is None else [label])
    # Nobody reads the images here: they stand for the labels that decisions name, or for any label.
    no_label: list[str | None] = [None]
    rows = [(content, label) for content, named in scopes.items() for label in [*sorted(named)] or no_label]
    contents, labels = [content for content, _ in rows], [label for _, label in rows]
    states = []
    for decisions in (mine, theirs):
        state = DecisionState(contents, labels)
        state.take(decision for decision in decisions.stored if decision.kind != "merge-classes")
        states.append(state)
    for row, (content, label) in enumerate(rows):
        standings = [state.standing(row) for state in states]
        if not _disagree(standings[0], standings[1], label):
            continue
        said = [[decision for decision in state.about(content) if decision.given in (None, label)] for state in states]
        first, second = (_saying(standing, decisions) for standing, decisions in zip(standings, said, strict=True))
        if first is None or second is None or first.id in theirs.by_id or second.id in mine.by_id:
            continue
        # Of copies one was kept, whatever its label is.
        kept_alone = "keep-one" in (first.kind, second.kind)
        if not (kept_alone and all(standing.left_out is None for standing in standings)):
            yield content, first.id, second.id


def _disagree(mine: Standing, theirs: Standing, label: str | None) -> bool:
    decided = [standing.left_out or standing.kept or standing.label != label for standing in (mine, theirs)]
    if not all(decided):
        return False
    if (mine.left_out is None) != (theirs.left_out is None):
        return True
    return mine.left_out is None and mine.label != theirs.label


def _saying(standing: Standing, decisions: Sequence[Decision]) -> Decision | None:
    """The decision that an image stands as it does by: the last one about whether it stays, or about its label."""
    if standing.left_out is not None:
        return next((decision for decision in decisions if decision.id == standing.left_out), None)
    kinds = ("keep", "relabel") if any(d.kind in ("keep", "relabel") for d in decisions) else ("keep-one",)
    return next((decision for decision in reversed(decisions) if decision.kind in kinds), None)


def _about_pairs(mine: Decisions, theirs: Decisions) -> Iterable[tuple[str, str, str]]:
    """Content and the ids of both decisions, where images are copies for one side and none for the other."""
    others: defaultdict[str, list[Decision]] = defaultdict(list)
    for decision in _own(theirs, mine, PAIRS):
        for content in dict.fromkeys(decision.images):
            others[content].append(decision)
    for decision in _own(mine, theirs, PAIRS):
        shared: defaultdict[str, list[str]] = defaultdict(list)
        for content in dict.fromkeys(decision.images):
            for other in others.get(content, ()):
                if PAIRS[other.kind] != PAIRS[decision.kind]:
                    shared[other.id].append(content)
        for name, contents in shared.items():
            if len(contents) > 1:
                yield from ((content, decision.id, name) for content in contents)


def _named_one_by_one(decision: Decision) -> bool:
    return len(decision.names) == len(decision.images)


def _name(content: str, decisions: Iterable[Decision]) -> str:
    """What a file was called when somebody decided about it; the beginning of its content key where that is unknown."""
    for decision in decisions:
        if content in decision.images and _named_one_by_one(decision):
            return decision.names[decision.images.index(content)]
    return content[:8]


def _verdict(decision: Decision) -> str:
    label = f" -> {decision.label}" if decision.label and decision.kind != "keep-one" else ""
    if decision.kind == "keep-one" and decision.keep:
        label = f" {_name(decision.keep, (decision,))}"
    return f"{decision.kind}{label} ({decision.author}, {decision.time:%Y-%m-%d %H:%M})"
