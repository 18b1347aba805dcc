"""One decision about images, and what a set of decisions amounts to once some of them are undone.

Images are named by the hash of their bytes, never by path: moved and renamed files keep their decisions.
"""

from __future__ import annotations

import getpass
import os
import unicodedata
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

Kind = Literal["drop", "drop-both", "keep", "keep-one", "relabel", "merge-classes", "group", "not-copy", "undo"]
KINDS: dict[Kind, str] = {
    "drop": "leave images out",
    "drop-both": "leave out all images of a group: one picture under two labels, and nobody knows which is right",
    "keep": "images were looked at and are right; takes back what left them out before",
    "keep-one": "of copies, leave all out but one",
    "relabel": "give images another label, or a first one",
    "merge-classes": "classes become one",
    "group": "images stay on one side of every split, and nothing else",
    "not-copy": "images are no copies of each other, whatever they look like",
    "undo": "an earlier decision counts no more; undoing an undo brings it back",
}
AUTHOR_VARIABLE = "EYESHOT_AUTHOR"
FEWEST = {"drop": 1, "drop-both": 1, "keep": 1, "keep-one": 1, "relabel": 1, "group": 2, "not-copy": 2}


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


Content = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Label = Annotated[str, Field(min_length=1), AfterValidator(_composed)]


class Decision(BaseModel):
    """What a person or a policy decided; one line of `decisions.jsonl`. Keys are only added until 1.0.

    Attributes:
        id: unique over all files of all people.
        time: in UTC; within one file it only grows.
        author: who decided.
        kind: one of `KINDS`.
        images: content keys (xxh3_128 of the bytes) of the images it is about.
        given: only files that lie under this label are meant: equal bytes may lie under two.
        keep: of `keep-one`, the image that stays.
        label: the new label of `relabel` and `merge-classes`; of `keep-one`, the label that the kept file lies under.
        classes: of `merge-classes`, the classes that are merged.
        undoes: of `undo`, the id of the decision.
        reason: in words; for people.
        names: ids of the images when it was decided; for people, never used to find them.
        policy: the policy that decided, with its options; empty for a person.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1] = 1
    id: Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[0-9A-Za-z_-]+$")]
    time: AwareDatetime
    author: str
    kind: Kind
    images: tuple[Content, ...] = ()
    given: Label | None = None
    keep: Content | None = None
    label: Label | None = None
    classes: tuple[Label, ...] = ()
    undoes: str | None = None
    reason: str = ""
    names: tuple[str, ...] = ()
    policy: str = ""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        fewest = FEWEST.get(self.kind, 0)
        if len(set(self.images)) < fewest:
            raise ValueError(f"{self.kind} needs at least {fewest} different images, got {len(set(self.images))}")
        if self.kind == "keep-one" and self.keep not in self.images:
            raise ValueError("keep-one needs `keep`, one of its images")
        if self.kind in ("relabel", "merge-classes") and self.label is None:
            raise ValueError(f"{self.kind} needs a `label`")
        if self.kind == "merge-classes" and not self.classes:
            raise ValueError("merge-classes needs `classes`")
        if (self.kind == "undo") != (self.undoes is not None):
            raise ValueError("undo, and only undo, needs `undoes`")
        return self

    def line(self) -> str:
        """The decision as one line of JSON, without the end of the line; empty fields are left out."""
        return self.model_dump_json(exclude_defaults=True)

    def words(self) -> str:
        """What it is about, in a few words for a list."""
        if self.undoes is not None:
            return f"of {self.undoes[:8]}" + (f": {self.names[0]}" if self.names else "")
        if self.kind == "merge-classes":
            return f"{', '.join(self.classes)} -> {self.label}"
        shown = [*(self.names or self.images)[:3]]
        if len(self.names or self.images) > 3:
            shown.append(f"and {len(self.names or self.images) - 3} more")
        text = ", ".join(shown)
        text += f" under {self.given}" if self.given else ""
        text += f" -> {self.label}" if self.label else ""
        return text + (f" ({self.reason})" if self.reason else "")

    @property
    def order(self) -> tuple[datetime, str]:
        """Decisions take effect in this order, in whichever order they lie in files."""
        return self.time, self.id


def decide(
    kind: Kind,
    images: Sequence[str] = (),
    *,
    author: str | None = None,
    given: str | None = None,
    keep: str | None = None,
    label: str | None = None,
    classes: Sequence[str] = (),
    undoes: str | None = None,
    reason: str = "",
    names: Sequence[str] = (),
    policy: str = "",
) -> Decision:
    """A new decision, made now; nothing is stored. See `Decision` for the arguments.

    Raises:
        ValueError: the arguments do not fit the kind.
    """
    return Decision(
        id=uuid.uuid4().hex,
        time=datetime.now(UTC),
        author=author or default_author(),
        kind=kind,
        images=tuple(images),
        given=given,
        keep=keep,
        label=label,
        classes=tuple(classes),
        undoes=undoes,
        reason=reason,
        names=tuple(names),
        policy=policy,
    )


def default_author() -> str:
    """Who decides where nobody is named: EYESHOT_AUTHOR, or the name of the login."""
    named = os.environ.get(AUTHOR_VARIABLE, "").strip()
    if named:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container whose user has no name
        return "unknown"


@dataclass(frozen=True)
class BadLine:
    """A line of a file of decisions that cannot be used.

    Attributes:
        file: its path.
        line: its number, from 1.
        reason: why, in a few words.
    """

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Decisions:
    """A set of decisions, in the order in which they take effect.

    Attributes:
        stored: all of them, undone ones and undos too, each id once.
        bad: lines that cannot be used.
        conflicting: ids under which different decisions stand, which only an edit by hand can make: the latest counts.
    """

    stored: tuple[Decision, ...] = ()
    bad: tuple[BadLine, ...] = ()
    conflicting: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.stored)

    @cached_property
    def by_id(self) -> dict[str, Decision]:
        """Each decision by its id."""
        return {one.id: one for one in self.stored}

    @cached_property
    def undone(self) -> frozenset[str]:
        """Ids of the decisions that do not count; undos can be undone themselves."""
        undos: dict[str, list[str]] = {}
        for one in self.stored:
            if one.undoes is not None and one.id not in self.circular:
                undos.setdefault(one.undoes, []).append(one.id)
        counts: dict[str, bool] = {}
        for start in self.by_id:
            waiting = [start]
            while waiting:  # no recursion: a chain of undos may be longer than Python's stack
                name = waiting[-1]
                unknown = [undo for undo in undos.get(name, ()) if undo not in counts]
                if unknown and name not in counts:
                    waiting.extend(unknown)
                    continue
                counts[name] = not any(counts[undo] for undo in undos.get(name, ()))
                waiting.pop()
        return frozenset(name for name, does in counts.items() if not does)

    @cached_property
    def circular(self) -> frozenset[str]:
        """Ids of undos that undo each other in a ring, which only an edit by hand can make: they are ignored."""
        target = {one.id: one.undoes for one in self.stored if one.undoes is not None}
        ring: set[str] = set()
        seen: set[str] = set()
        for start in target:
            path: dict[str, int] = {}
            name: str | None = start
            while name in target and name not in seen and name not in path:
                path[name] = len(path)
                name = target[name]
            if name in path:
                first = path[name]
                ring.update(one for one, place in path.items() if place >= first)
            seen.update(path)
        return frozenset(ring)

    @cached_property
    def active(self) -> tuple[Decision, ...]:
        """The decisions that count, without undos."""
        return tuple(one for one in self.stored if one.kind != "undo" and one.id not in self.undone)


def ordered(decisions: Iterable[Decision], bad: Iterable[BadLine] = ()) -> Decisions:
    """A set of decisions from any order; of two under one id the later counts, whichever came first."""
    kept: dict[str, Decision] = {}
    conflicting: set[str] = set()
    for one in decisions:
        other = kept.get(one.id)
        if other is not None and other != one:
            conflicting.add(one.id)
        if other is None or (one.time, one.line()) > (other.time, other.line()):
            kept[one.id] = one
    stored = tuple(sorted(kept.values(), key=lambda one: one.order))
    return Decisions(stored, tuple(bad), tuple(sorted(conflicting)))
