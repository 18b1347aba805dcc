"""The effect of decisions: the state of each image, the manifest, and contradictions between two people.

The manifest is the image table after decisions. It is computed on demand, and no file of the user is changed. The
review page looks up single images by the same rules.
"""

from __future__ import annotations

import shlex
import unicodedata
import uuid
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, get_args

import polars as pl

from eyeshot.core import plural
from eyeshot.data.decisions import Decision, Decisions, ordered, undo_of
from eyeshot.data.decoding import has_common_name
from eyeshot.data.table import ImageTable

Winner = Literal["mine", "theirs", "newer"]
WINNERS: tuple[Winner, ...] = get_args(Winner)
# When such a decision loses for some of its images, it is made again for the images without disagreement.
BY_IMAGE = frozenset({"drop", "drop-both", "keep", "relabel"})
# What these kinds say about a pair of images.
PAIRS = {"group": "duplicates", "keep-one": "duplicates", "not-copy": "not duplicates"}


@dataclass(frozen=True, eq=False)
class Manifest:
    """An image table after decisions.

    Attributes:
        table: the remaining images, sorted by id, with their labels after decisions.
        given: the label of each remaining image in the files; None without a label.
        left_out: the images that decisions leave out, with their labels in the files.
        decided: for each of these, the id of the decision that left it out.
        gone: active decisions none of whose images is in the table or among the files that it leaves out.
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
        """Number of remaining images whose label differs from the files."""
        return sum(now != given for now, given in zip(self.table.frame["label"], self.given, strict=True))


@dataclass(slots=True)
class Standing:
    """The state of an image after decisions.

    Attributes:
        left_out: id of the decision that leaves it out; None if it stays.
        label: its current label.
        kept: a person reviewed and kept it.
    """

    left_out: str | None
    label: str | None
    kept: bool


class DecisionState:
    """Applies decisions one at a time, and looks up the state by image or finding.

    Args:
        contents: content key of each of N images.
        labels: label of each image in the files; None without a label.
        in_test: whether each image is a test image, which is never left out; None: all are training images.
        ids: of identical files, keep-one keeps a file whose name common readers take; None: names do not matter.
    """

    def __init__(
        self,
        contents: Sequence[str],
        labels: Sequence[str | None],
        in_test: Sequence[bool] | None = None,
        ids: Sequence[str] | None = None,
    ) -> None:
        self.by_id: dict[str, Decision] = {}
        self.undone: set[str] = set()
        self.rows_of: defaultdict[str, list[int]] = defaultdict(list)
        for row, content in enumerate(contents):
            self.rows_of[content].append(row)
        self._contents, self._labels, self._in_test, self._ids = contents, labels, in_test, ids
        self._about: defaultdict[str, list[Decision]] = defaultdict(list)
        self._of_finding: defaultdict[str, list[Decision]] = defaultdict(list)
        self._merged: list[Decision] = []
        self._kept_rows: dict[str, int | None] = {}

    def take(self, decisions: Iterable[Decision]) -> list[Decision]:
        """Add decisions that are not known yet; returns the decisions that took effect or, for an undo, lost it."""
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
        """The active decisions about a content key, in the order in which they take effect."""
        return [decision for decision in self._about.get(content, ()) if decision.id not in self.undone]

    def of_finding(self, finding: str) -> list[Decision]:
        """The active decisions that were made about a finding on the review page."""
        return [decision for decision in self._of_finding.get(finding, ()) if decision.id not in self.undone]

    def rows_meant(self, decision: Decision) -> list[int]:
        """The images that a decision applies to."""
        return [
            row
            for content in dict.fromkeys(decision.images)
            for row in self.rows_of.get(content, ())
            if self._is_meant(row, decision)
        ]

    def standing(self, row: int) -> Standing:
        """The state of an image. The last decision about it wins; classes are merged at the end."""
        standing = Standing(None, self._labels[row], False)
        for decision in self.about(self._contents[row]):
            if not self._is_meant(row, decision):
                continue
            if decision.kind in ("drop", "drop-both"):
                if not self._is_test(row):
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
        """The file that a keep-one keeps; if it is gone, the next of its images, so that no picture is lost."""
        if decision.id not in self._kept_rows:
            label, files = decision.label, list[int]()
            for content in (decision.keep or "", *decision.images):
                rows = self.rows_of.get(content, ())
                files = [row for row in rows if self._is_meant(row, decision) and not self._is_test(row)]
                if files:
                    break
            self._kept_rows[decision.id] = min(
                files,
                key=lambda row: (
                    label is not None and self._labels[row] != label,
                    self._ids is not None and not has_common_name(self._ids[row]),
                    row,
                ),
                default=None,
            )
        return self._kept_rows[decision.id]


def compute_manifest(table: ImageTable, decisions: Decisions) -> Manifest:
    """Apply the active decisions to an image table.

    Decisions take effect in order of time. The last decision about an image determines whether it stays and which
    label it has. Classes are merged at the end, so a label assigned later is merged too.

    Args:
        table: all usable images, labelled or not.
        decisions: from `DecisionLog.read`; decisions about images that are not in the table change nothing.
    """
    given: list[str | None] = table.frame["label"].to_list()
    state = DecisionState(table.contents, given, ids=table.ids)
    state.take(decisions.stored)
    standings = [state.standing(row) for row in range(len(table))]
    stay = [row for row, standing in enumerate(standings) if standing.left_out is None]
    leave = [row for row, standing in enumerate(standings) if standing.left_out is not None]
    there = {skipped.content for skipped in table.skipped if skipped.content}  # files that are there, but unusable
    gone = [
        decision
        for decision in decisions.active
        if decision.images and not state.rows_meant(decision) and there.isdisjoint(decision.images)
    ]
    labels = pl.Series("label", [standing.label for standing in standings], dtype=pl.String)
    frame = table.frame.with_columns(labels)[stay]
    classes = tuple(sorted(set(frame["label"].drop_nulls())))
    remaining = replace(table, frame=frame, classes=classes)
    return Manifest(
        table=remaining,
        given=tuple(given[row] for row in stay),
        left_out=table.frame[leave],
        decided=tuple(standings[row].left_out or "" for row in leave),
        gone=tuple(gone),
        notes=tuple(_notes(table, remaining, gone, decisions)),
    )


def _order(decision: Decision) -> tuple[datetime, str]:
    return decision.order


def _notes(table: ImageTable, remaining: ImageTable, gone: Sequence[Decision], decisions: Decisions) -> list[str]:
    notes = []
    if gone:
        notes.append(
            f"{len(gone)} of {len(decisions.active)} {plural(len(decisions.active), 'decision')} "
            f"{plural(len(gone), 'is', 'are')} about images that are missing (moved or changed); "
            f"{plural(len(gone), 'it is kept and applies', 'they are kept and apply')} again when the images are back."
        )
    empty = [name for name in table.classes if name not in remaining.classes]
    if empty and remaining.classes:
        names = ", ".join(map(repr, empty[:5])) + (", …" if len(empty) > 5 else "")
        notes.append(f"Classes without an image after decisions: {names}.")
    for alike in similar_classes(remaining.classes):
        options = " ".join(f"--class {shlex.quote(name)}" for name in alike)
        notes.append(
            f"Classes {', '.join(map(repr, alike))} differ only by case or Unicode form. To merge them: "
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
    """Two decisions that cannot both take effect.

    Attributes:
        mine: the stored decision.
        theirs: the decision to be merged.
        images: content keys of the images that both apply to; empty for merge-classes.
    """

    mine: Decision
    theirs: Decision
    images: tuple[str, ...]

    def words(self) -> str:
        """The images, the decision of each side, its author and its time."""
        names = [_name(content, (self.mine, self.theirs)) for content in self.images[:3]]
        if not self.images:
            names = [f"class {name}" for name in self.mine.classes if name in self.theirs.classes]
        more = len(self.images) - 3
        images = ", ".join(names) + (f" and {more} more" if more > 0 else "")
        return f"{images}: mine {_verdict(self.mine)}; theirs {_verdict(self.theirs)}"


def find_contradictions(mine: Decisions, theirs: Decisions) -> list[Contradiction]:
    """Pairs of decisions about the same images that cannot both take effect, in the order of `mine`.

    One side leaves an image out and the other keeps it, the sides assign different labels, one side keeps the label
    and the other changes it, images are duplicates and not duplicates, or a class is merged into two classes.

    Args:
        mine: stored decisions.
        theirs: decisions to be merged.
    """
    images: dict[tuple[str, str], list[str]] = defaultdict(list)
    for content, mine_id, theirs_id in [*_about_images(mine, theirs), *_about_pairs(mine, theirs)]:
        if content not in images[mine_id, theirs_id]:
            images[mine_id, theirs_id].append(content)
    for first in _own(mine, theirs, {"merge-classes"}):
        for second in _own(theirs, mine, {"merge-classes"}):
            if first.label != second.label and set(first.classes) & set(second.classes):
                images[first.id, second.id] = []
    contradictions = [
        Contradiction(mine.by_id[mine_id], theirs.by_id[theirs_id], tuple(contents))
        for (mine_id, theirs_id), contents in images.items()
    ]
    return sorted(contradictions, key=lambda contradiction: (contradiction.mine.order, contradiction.theirs.order))


def settle(
    mine: Decisions, theirs: Decisions, choose: Callable[[Contradiction], Winner], *, author: str | None = None
) -> tuple[list[Decision], Counter[Winner]]:
    """Decisions that settle each contradiction in favour of one side; nothing is stored.

    The losing decision is undone. If it also applies to other images, it is made again for those, with its author and
    time.

    Args:
        mine: stored decisions.
        theirs: decisions to be merged.
        choose: the winning side; "newer" is the decision with the later time.
        author: who settles.

    Returns:
        the undos and repeated decisions, and how often "mine" and "theirs" won.
    """
    settled: list[Decision] = []
    counts: Counter[Winner] = Counter()
    # An image may have several decisions of one side: when the last is undone, the previous one is compared.
    while contradictions := find_contradictions(mine, theirs):
        lost: dict[str, tuple[Decision, Decision, set[str]]] = {}
        for contradiction in contradictions:
            winner = choose(contradiction)
            if winner == "newer":
                winner = "mine" if contradiction.mine.order > contradiction.theirs.order else "theirs"
            counts[winner] += 1
            sides = (contradiction.theirs, contradiction.mine)
            loser, winner_decision = sides if winner == "mine" else sides[::-1]
            lost.setdefault(loser.id, (loser, winner_decision, set()))[2].update(contradiction.images)
        settling = []
        for loser, winner_decision, contents in lost.values():
            reason = f"merge: {winner_decision.id[:8]} of {winner_decision.author} counts instead"
            settling.append(undo_of(loser, author=author, reason=reason))
            undisputed = tuple(content for content in dict.fromkeys(loser.images) if content not in contents)
            if loser.kind in BY_IMAGE and undisputed:
                names = tuple(_name(content, (loser,)) for content in undisputed) if _named_one_by_one(loser) else ()
                settling.append(loser.model_copy(update={"id": uuid.uuid4().hex, "images": undisputed, "names": names}))
        settled += settling
        mine, theirs = ordered([*mine.stored, *settling]), ordered([*theirs.stored, *settling])
    return settled, counts


def _own(decisions: Decisions, other_side: Decisions, kinds: Iterable[str]) -> list[Decision]:
    """Active decisions that the other side does not have."""
    return [decision for decision in decisions.active if decision.kind in kinds and decision.id not in other_side.by_id]


def _about_images(mine: Decisions, theirs: Decisions) -> Iterable[tuple[str, str, str]]:
    """(content, id of mine, id of theirs) for each image whose state differs between the sides."""
    scopes: defaultdict[str, set[str]] = defaultdict(set)
    for decision in (*mine.active, *theirs.active):
        label = decision.given or (decision.label if decision.kind == "keep-one" else None)
        for content in decision.images:
            scopes[content].update([] if label is None else [label])
    # The images are not read here. Each row stands for a label that decisions name, or for any label.
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
        about = [[decision for decision in state.about(content) if decision.given in (None, label)] for state in states]
        first, second = (_saying(standing, decisions) for standing, decisions in zip(standings, about, strict=True))
        if first is None or second is None or first.id in theirs.by_id or second.id in mine.by_id:
            continue
        # A keep-one keeps the image, whatever its label is, so the labels do not contradict.
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
    """The decision that determines the state of an image: the last about keeping it, or about its label."""
    if standing.left_out is not None:
        return next((decision for decision in decisions if decision.id == standing.left_out), None)
    kinds = ("keep", "relabel") if any(d.kind in ("keep", "relabel") for d in decisions) else ("keep-one",)
    return next((decision for decision in reversed(decisions) if decision.kind in kinds), None)


def _about_pairs(mine: Decisions, theirs: Decisions) -> Iterable[tuple[str, str, str]]:
    """(content, id of mine, id of theirs) for images that are duplicates for one side but not for the other."""
    their_decisions: defaultdict[str, list[Decision]] = defaultdict(list)
    for decision in _own(theirs, mine, PAIRS):
        for content in dict.fromkeys(decision.images):
            their_decisions[content].append(decision)
    for decision in _own(mine, theirs, PAIRS):
        shared: defaultdict[str, list[str]] = defaultdict(list)
        for content in dict.fromkeys(decision.images):
            for their_decision in their_decisions.get(content, ()):
                if PAIRS[their_decision.kind] != PAIRS[decision.kind]:
                    shared[their_decision.id].append(content)
        for name, contents in shared.items():
            if len(contents) > 1:
                yield from ((content, decision.id, name) for content in contents)


def _named_one_by_one(decision: Decision) -> bool:
    return len(decision.names) == len(decision.images)


def _name(content: str, decisions: Iterable[Decision]) -> str:
    """The name of a file at the time of a decision; the beginning of its content key if the name is unknown."""
    for decision in decisions:
        if content in decision.images and _named_one_by_one(decision):
            return decision.names[decision.images.index(content)]
    return content[:8]


def _verdict(decision: Decision) -> str:
    label = f" -> {decision.label}" if decision.label and decision.kind != "keep-one" else ""
    if decision.kind == "keep-one" and decision.keep:
        label = f" {_name(decision.keep, (decision,))}"
    return f"{decision.kind}{label} ({decision.author}, {decision.time:%Y-%m-%d %H:%M})"
