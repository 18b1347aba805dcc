"""What the page works on: items, images, what was decided, and the file that every press is stored in."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from eyeshot.auditing import AuditReport, Decision, Follower, Journal, Sources, decide
from eyeshot.errors import InputError
from eyeshot.project import Project
from eyeshot.web.actions import Press, decisions_of
from eyeshot.web.queue import COPIES, OF_CLASSES, UNLABELLED, Item, Queue
from eyeshot.web.shown import Shown
from eyeshot.web.standing import Standing

WHOLE = frozenset({"drop-both", "keep-one", "group", "not-copy"})


class Review:
    """One review: many windows may work on it at once, and other programs on its file.

    Args:
        report: of `eyeshot audit`.
        sources: its images, read again.
        journal: where decisions go.
        project: whose rules hold.
        author: who decides.

    Attributes:
        lock: held by whoever reads or stores: windows ask from several threads.
    """

    def __init__(
        self,
        report: AuditReport,
        sources: Sources,
        journal: Journal,
        *,
        project: Project | None = None,
        author: str | None = None,
    ) -> None:
        self.project = project or Project()
        self.author = author or decide("keep", ["0" * 32]).author
        self.shown = Shown(sources)
        self.queue = Queue(report.findings, self.shown, self._without_label())
        self.missing = sum(len(item.positions) != len(item.here) for item in self.queue.items if item.kind in COPIES)
        self.made = 0
        self._journal = journal
        self.lock = threading.RLock()
        self._start()

    def _without_label(self) -> list[int]:
        """Images that may get a first label by hand; those of test only where the rules allow it."""
        # Without rules nobody said that test images may be looked at one by one: they are not put in the queue.
        allowed = self.project.file is not None and self.project.test_images == "hand-labels"
        shown = self.shown
        return [
            row
            for row in range(len(shown))
            if shown.labels[row] is None
            and (allowed or not shown.in_test[row])
            # An equal file with a label is a finding of its own: a leak.
            and all(shown.labels[other] is None for other in shown.rows_of[shown.contents[row]])
        ]

    def _start(self) -> None:
        self._follower = Follower(self._journal.file)
        self._standing = Standing(self.shown)
        self.queue.decided[:] = False
        self.refresh()

    def refresh(self) -> Standing:
        """Take over what this and other programs stored meanwhile; returns how everything stands.

        Raises:
            InputError: the file of decisions cannot be read.
        """
        with self.lock:
            news, edited = self._follower.news()
            if edited:
                self._standing = Standing(self.shown)
                self.queue.decided[:] = False
            contents, findings = self._standing.take(news)
            touched = {number for content in contents for number in self.queue.holding.get(content, ())}
            touched.update(self.queue.number_of[name] for name in findings if name in self.queue.number_of)
            for number in touched:
                self.queue.decided[number] = self._is_decided(self.queue.items[number])
            return self._standing

    def _is_decided(self, item: Item) -> bool:
        """Whether somebody decided about an item: on the page, or elsewhere about all of it."""
        standing = self._standing
        if item.kind != UNLABELLED and standing.named(item.id):
            return True
        if not item.here or item.kind in OF_CLASSES:
            return False
        if item.kind in COPIES:
            training = {self.shown.contents[row] for row in item.here if not self.shown.in_test[row]}
            about = standing.about(self.shown.contents[item.here[0]])
            return any(one.kind in WHOLE and training <= set(one.images) for one in about)
        state = standing.state(item.here[0])
        if item.kind == UNLABELLED:
            return state.out or state.label is not None
        return state.out or state.kept or state.label != self.shown.labels[item.here[0]]

    def store(self, press: Press) -> tuple[Decision, ...]:
        """Store what a press decides; when this returns it is on the disk. A press stored before is not again.

        Raises:
            InputError: the rules or the images do not allow it; nothing was stored.
            StorageError: the disk is full or the file is locked; nothing was stored.
        """
        with self.lock:
            before = self._stored(press.id)
            if before:
                return before
            return self._append(decisions_of(press, self.shown, self.project, self.author))

    def undo(self, press: str, names: Sequence[str]) -> tuple[Decision, ...]:
        """Take decisions back; those that are undone already stay so.

        Raises:
            InputError: there is no such decision, or all are undone.
            StorageError: as `store`.
        """
        with self.lock:
            before = self._stored(press)
            if before:
                return before
            standing = self.refresh()
            unknown = [name for name in names if name not in standing.by_id]
            if unknown or not names:
                raise InputError(f"Nothing to undo: there is no decision {', '.join(unknown) or 'of this window'}.")
            left = [standing.by_id[name] for name in names if standing.counts(name)]
            if not left:
                raise InputError("This was undone already, in another window or by another program.")
            return self._append([
                decide("undo", undoes=one.id, names=one.names, author=self.author).model_copy(
                    update={"id": press if not number else f"{press}-{number}"}
                )
                for number, one in enumerate(left)
            ])  # fmt: skip

    def _stored(self, press: str) -> tuple[Decision, ...]:
        """What a press stored before; all of it was written at once."""
        known = self.refresh().by_id
        return tuple(known[name] for name in [press, *(f"{press}-{n}" for n in range(1, 1000))] if name in known)

    def _append(self, made: Sequence[Decision]) -> tuple[Decision, ...]:
        stored = self._journal.append(made)
        self.made += len(stored)
        self.refresh()
        return stored

    @property
    def open_items(self) -> int:
        """How many items nobody decided about."""
        return int(np.count_nonzero(~self.queue.decided))

    @property
    def open_findings(self) -> int:
        """How many of these are findings, not images without a label."""
        return sum(
            not decided for item, decided in zip(self.queue.items, self.queue.decided, strict=True) if item.finding
        )
