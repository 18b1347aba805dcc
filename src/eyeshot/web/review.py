"""The state of a review: its items, images and decisions, and the file that stores every key press."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eyeshot.auditing import OF_CLASSES, AuditImages, AuditReport
from eyeshot.core import InputError, Project
from eyeshot.data import Decision, DecisionLog, DecisionState, default_author, undo_of
from eyeshot.web.actions import Press, decisions_of
from eyeshot.web.image_index import ImageIndex
from eyeshot.web.queue import CONFLICT, COPIES, UNLABELLED, Filters, Item, Queue

# Kinds of decisions that settle a finding only if they cover all of its training images.
WHOLE = frozenset({"drop-both", "keep-one", "group", "not-copy"})
APART = frozenset({"group", "not-copy"})  # what a person says about a training and a test image together
MOST_NAMED = 4


class Review:
    """A review. Several windows may work on it at once, and other programs may write to its file.

    Args:
        report: the report of `eyeshot audit`.
        images: the images of the report, read again.
        file: the file for decisions; it need not exist yet.
        project: the project, whose rules apply.
        author: the person who decides.

    Attributes:
        lock: to be held while reading or storing, because requests arrive on several threads.
        stored_count: decisions stored so far.
    """

    def __init__(
        self,
        report: AuditReport,
        images: AuditImages,
        file: Path,
        *,
        project: Project | None = None,
        author: str | None = None,
    ) -> None:
        self.project = project or Project()
        self.author = author or default_author()
        self.index = ImageIndex(images)
        self.queue = Queue(report.findings, self.index, self._without_label())
        self.missing = sum(len(item.positions) != len(item.here) for item in self.queue.items if item.kind in COPIES)
        self.stored_count = 0
        self._log = DecisionLog(file)
        self._state = self._nothing_decided()
        self.lock = threading.RLock()
        self.refresh()

    def _without_label(self) -> list[int]:
        """Images that may get a first label by hand; test images only if the rules allow it."""
        # Without a rules file nobody has allowed looking at single test images, so they stay out of the queue.
        allowed = self.project.file is not None and self.project.test_images == "hand-labels"
        index = self.index
        return [
            row
            for row in range(len(index))
            if index.labels[row] is None
            and (allowed or not index.in_test[row])
            # An identical file with a label is already a finding: a leak.
            and all(index.labels[equal_row] is None for equal_row in index.rows_of[index.contents[row]])
        ]

    def _nothing_decided(self) -> DecisionState:
        self.queue.decided[:] = False
        return DecisionState(self.index.contents, self.index.labels, self.index.in_test, self.index.ids)

    def refresh(self) -> DecisionState:
        """Read the decisions stored since the last call, by this and other programs; return the state.

        Raises:
            InputError: the decisions file cannot be read.
        """
        with self.lock:
            news, edited = self._log.news()
            if edited:
                self._state = self._nothing_decided()
            touched: set[int] = set()
            for decision in self._state.take(news):
                for content in decision.images:
                    touched.update(self.queue.holding.get(content, ()))
                if decision.finding in self.queue.number_of:
                    touched.add(self.queue.number_of[decision.finding])
                if decision.kind == "merge-classes":  # images under two labels may now have the same label
                    touched.update(self.queue.matching(Filters(kind=CONFLICT), decided_too=True).tolist())
            for number in touched:
                self.queue.decided[number] = self._is_decided(self.queue.items[number])
            return self._state

    def _is_decided(self, item: Item) -> bool:
        """Whether an item is decided: by a decision about the finding, or by decisions that cover all its images."""
        if item.kind == CONFLICT:
            return self._is_touched(item) and (self._is_decided_whole(item) or not self._different(item))
        if item.kind != UNLABELLED and self._state.of_finding(item.id):
            return True
        if item.kind in OF_CLASSES:
            return False
        if not item.here:  # broken or gone
            return self._is_dropped(item)
        if item.kind == "leak":
            return self._is_decided_leak(item)
        if item.kind in COPIES:
            return self._is_decided_whole(item)
        standing = self._state.standing(item.here[0])
        if item.kind == UNLABELLED:
            return standing.left_out is not None or standing.label is not None
        label = self.index.labels[item.here[0]]
        return standing.left_out is not None or standing.kept or standing.label != label or self._is_one_left(item)

    def _is_dropped(self, item: Item) -> bool:
        """Whether each file of a finding was dropped, by its content."""
        contents = [ref.content for ref in item.finding.images] if item.finding is not None else []
        return bool(contents) and all(
            any(decision.kind in ("drop", "drop-both") for decision in self._state.about(content))
            for content in contents
        )

    def _is_one_left(self, item: Item) -> bool:
        """Whether of several training images of an item at most one is left in training."""
        training = [row for row in item.here if not self.index.in_test[row]]
        return sum(self._state.standing(row).left_out is None for row in training) <= 1 < len(training)

    def _is_decided_whole(self, item: Item) -> bool:
        """Whether a single decision covers all training images of an item, or at most one of them is left."""
        if self._is_one_left(item):
            return True
        training = {self.index.contents[row] for row in item.here if not self.index.in_test[row]}
        about = self._state.about(self.index.contents[item.here[0]]) if item.here else []
        return any(decision.kind in WHOLE and training <= set(decision.images) for decision in about)

    def _is_decided_leak(self, item: Item) -> bool:
        """Whether no training image of an item is left in training but those that a person kept."""
        contents = {self.index.contents[row] for row in item.here}
        about = {content: self._state.about(content) for content in contents}
        if any(decision.kind in APART and contents <= set(decision.images) for decision in about[min(contents)]):
            return True
        return all(
            self._state.standing(row).left_out is not None
            or any(decision.kind == "keep" for decision in about[self.index.contents[row]])
            for row in item.here
            if not self.index.in_test[row]
        )

    def _is_touched(self, item: Item) -> bool:
        """Whether any decision applies to an item, to one of its images, or to their classes."""
        state = self._state
        if state.of_finding(item.id) or any(state.about(self.index.contents[row]) for row in item.here):
            return True
        return any(state.standing(row).label != self.index.labels[row] for row in item.here)

    def _different(self, item: Item) -> list[tuple[int, str]]:
        """Images of a conflict that still have different labels; empty if a person kept all of them."""
        labels: list[tuple[int, str]] = []
        all_kept = True
        for row in item.here:
            standing = self._state.standing(row)
            if standing.left_out is None and standing.label is not None:
                labels.append((row, standing.label))
                all_kept = all_kept and standing.kept
        return [] if all_kept or len({label for _, label in labels}) < 2 else labels

    def still_different(self, item: Item) -> str:
        """For a conflict with a decision that is still open: the current labels of its images; otherwise empty."""
        if item.kind != CONFLICT or not self._is_touched(item) or self._is_decided(item):
            return ""
        different = [f"{self.index.ids[row]} is {label}" for row, label in self._different(item)]
        more = len(different) - MOST_NAMED
        return "Still different: " + ", ".join(different[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "") + "."

    def store(self, press: Press) -> tuple[Decision, ...]:
        """Store the decisions of a press; they are on disk when this returns. A press is stored only once.

        Raises:
            InputError: the rules or the images do not allow the action; nothing was stored.
            StorageError: the disk is full or the file is locked; nothing was stored.
        """
        with self.lock:
            before = self._stored(press.id)
            if before:
                return before
            return self._append(decisions_of(press, self.index, self.project, self.author))

    def undo(self, press: str, names: Sequence[str]) -> tuple[Decision, ...]:
        """Undo decisions; decisions that are already undone stay undone.

        Raises:
            InputError: a decision does not exist, all are already undone, or a decision is itself an undo.
            StorageError: as `store`.
        """
        with self.lock:
            before = self._stored(press)
            if before:
                return before
            state = self.refresh()
            unknown = [name for name in names if name not in state.by_id]
            if unknown or not names:
                raise InputError(f"Nothing to undo: there is no decision {', '.join(unknown) or 'of this window'}.")
            remaining = [state.by_id[name] for name in names if name not in state.undone]
            if not remaining:
                raise InputError("This was undone already, in another window or by another program.")
            return self._append([
                undo_of(decision, author=self.author).model_copy(
                    update={"id": press if not number else f"{press}-{number}"}
                )
                for number, decision in enumerate(remaining)
            ])  # fmt: skip

    def _stored(self, press: str) -> tuple[Decision, ...]:
        """Decisions that a press stored before. All decisions of a press are written at once."""
        by_id = self.refresh().by_id
        return tuple(by_id[name] for name in [press, *(f"{press}-{n}" for n in range(1, 1000))] if name in by_id)

    def _append(self, decisions: Sequence[Decision]) -> tuple[Decision, ...]:
        self._log.append(decisions)
        self.stored_count += len(decisions)
        self.refresh()
        return tuple(decisions)

    @property
    def open_items(self) -> int:
        """Number of items without a decision."""
        return int(np.count_nonzero(~self.queue.decided))

    @property
    def open_findings(self) -> int:
        """Number of findings without a decision; images without a label are not counted."""
        return sum(
            not decided for item, decided in zip(self.queue.items, self.queue.decided, strict=True) if item.finding
        )
