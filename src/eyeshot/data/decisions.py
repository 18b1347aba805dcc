"""Decisions about images, and `decisions.jsonl`: one decision a line, only ever appended to.

Images are named by the hash of their bytes, never by path: moved and renamed files keep their decisions. Writers take
turns by a lock file and end every line before they say that it is stored. A kill leaves at most the beginning of one
line, which nobody was told is stored; the next writer ends it, and readers name it.
"""

from __future__ import annotations

import getpass
import os
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

import filelock
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from eyeshot.core import InputError, StorageError, make_folder

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
    "undo": "an earlier decision counts no more; to bring it back, it is given again",
}
DECISIONS_FILE = "decisions.jsonl"
LOCK_TIMEOUT_S = 60.0
TAIL_BYTES = 512  # of what was read before; where they have changed, the file was edited
REVIEW_OF = "review of "
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
        time: in UTC.
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
    def finding(self) -> str:
        """Id of the finding that it was made about on the review page; empty for other decisions."""
        return self.reason.removeprefix(REVIEW_OF) if self.reason.startswith(REVIEW_OF) else ""

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


@dataclass(frozen=True, eq=False)
class Decisions:
    """A set of decisions, in the order in which they take effect.

    Attributes:
        stored: all of them, undone ones and undos too, each id once.
        bad: lines that cannot be used: file, number from 1, and why.
        conflicting: ids under which different decisions stand, which only an edit by hand can make: the latest counts.
    """

    stored: tuple[Decision, ...] = ()
    bad: tuple[str, ...] = ()
    conflicting: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.stored)

    @cached_property
    def by_id(self) -> dict[str, Decision]:
        """Each decision by its id."""
        return {decision.id: decision for decision in self.stored}

    @cached_property
    def undone(self) -> frozenset[str]:
        """Ids of the decisions that an undo names; an undo of an undo does nothing."""
        named = {decision.undoes for decision in self.stored}
        return frozenset(decision.id for decision in self.stored if decision.kind != "undo" and decision.id in named)

    @cached_property
    def active(self) -> tuple[Decision, ...]:
        """The decisions that count, without undos."""
        return tuple(decision for decision in self.stored if decision.kind != "undo" and decision.id not in self.undone)


def ordered(decisions: Iterable[Decision], bad: Iterable[str] = ()) -> Decisions:
    """A set of decisions from any order; of two under one id the later counts, whichever came first."""
    kept: dict[str, Decision] = {}
    conflicting: set[str] = set()
    for decision in decisions:
        other = kept.get(decision.id)
        if other is not None and other != decision:
            conflicting.add(decision.id)
        if other is None or (decision.time, decision.line()) > (other.time, other.line()):
            kept[decision.id] = decision
    stored = tuple(sorted(kept.values(), key=lambda decision: decision.order))
    return Decisions(stored, tuple(bad), tuple(sorted(conflicting)))


def undo_of(decision: Decision, *, author: str | None = None, reason: str = "") -> Decision:
    """An undo of a decision, made now; nothing is stored.

    Raises:
        InputError: it is an undo itself.
    """
    if decision.kind == "undo":
        raise InputError(
            f"An undo cannot be undone, got {decision.id[:8]!r}. Give the decision that it took back again: on the "
            "review page, or by eyeshot decisions add (eyeshot decisions list --all shows it)."
        )
    return decide("undo", undoes=decision.id, names=decision.names, author=author, reason=reason)


class DecisionLog:
    """The decisions of one file.

    Args:
        file: need not exist yet.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._read_bytes = 0
        self._tail = b""

    def read(self, *, needed: bool = False) -> Decisions:
        """All decisions of the file as it is now; lines that cannot be used are named, the rest counts.

        Args:
            needed: the file must be there; else a missing one holds no decisions.

        Raises:
            InputError: the file is missing and needed, or cannot be read.
        """
        try:
            data = self.file.read_bytes()
        except FileNotFoundError as error:
            if needed:
                raise _cannot_read(self.file, error) from error
            return Decisions()
        except OSError as error:
            raise _cannot_read(self.file, error) from error
        return ordered(*parse(data, file=self.file))

    def news(self) -> tuple[list[Decision], bool]:
        """Decisions that were appended since the last call, by whomever; only these are read.

        Returns:
            new decisions, and whether the file was edited in between: then these are all there are. A last line
            without its end may come twice, for it is read again when it has one.

        Raises:
            InputError: the file is there and cannot be read.
        """
        try:
            with open(self.file, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, self._read_bytes - len(self._tail)))
                edited = size < self._read_bytes or file.read(len(self._tail)) != self._tail
                if edited:
                    self._read_bytes, self._tail = 0, b""
                    file.seek(0)
                data = file.read()
        except FileNotFoundError:
            edited = self._read_bytes > 0
            self._read_bytes, self._tail = 0, b""
            return [], edited
        except OSError as error:
            raise _cannot_read(self.file, error) from error
        first_line = 1 if self._read_bytes == 0 else 2
        whole = data.rfind(b"\n") + 1
        self._tail = (self._tail + data[max(0, whole - TAIL_BYTES) : whole])[-TAIL_BYTES:]
        self._read_bytes += whole
        return parse(data, file=self.file, first_line=first_line)[0], edited

    def append(self, decisions: Sequence[Decision]) -> None:
        """Store decisions; when this returns they are on the disk. What is stored already is not read.

        Raises:
            StorageError: the disk is full, the folder cannot be written, or another writer holds the file; nothing
                of these decisions is stored then.
        """
        if decisions:
            with self._locked():
                self._write(decisions)

    def merge(self, others: Iterable[Path], *, settled: Sequence[Decision] = ()) -> int:
        """Append what other files have and this one does not; returns how many decisions that were.

        They keep their ids and times, so that merging in any order gives the same decisions.

        Args:
            others: files of decisions.
            settled: decisions that say which of contradicting ones count; stored before the others.

        Raises:
            InputError: a file is missing.
            StorageError: as `append`.
        """
        theirs = [decision for other in others for decision in DecisionLog(other).read(needed=True).stored]
        with self._locked():
            own = self.read().by_id
            # Of two decisions under one id, which only an edit by hand can make, `ordered` lets the same one
            # count, here and in every other file.
            new = [
                decision for decision in ordered([*own.values(), *theirs]).stored if own.get(decision.id) != decision
            ]
            if new or settled:
                self._write([*settled, *new])
            return len(new)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        make_folder(self.file.absolute().parent)
        try:
            with filelock.FileLock(f"{self.file}.lock", timeout=LOCK_TIMEOUT_S):
                yield
        except filelock.Timeout as error:
            raise StorageError(
                f"Another program has held {str(self.file)!r} for {LOCK_TIMEOUT_S:.0f} s. Close it and try again."
            ) from error
        except OSError as error:
            raise StorageError(
                f"Cannot store decisions in {str(self.file)!r}: {error.strerror or error}. Nothing of this was "
                "stored; what was stored before is kept. Free some space, or name another file with --decisions."
            ) from error

    def _write(self, decisions: Iterable[Decision]) -> None:
        data = "".join(f"{decision.line()}\n" for decision in decisions).encode("utf-8")
        with open(self.file, "ab", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                if size and not _ends_a_line(self.file):
                    data = b"\n" + data
                left = memoryview(data)
                while left:
                    left = left[file.write(left) or 0 :]
                os.fsync(file.fileno())
            except OSError:
                os.truncate(file.fileno(), size)  # half a batch on a full disk would count without its rest
                raise


def parse(data: bytes, *, file: Path, first_line: int = 1) -> tuple[list[Decision], list[str]]:
    """The decisions of some lines, and which lines are none, with file, number and why."""
    good: list[Decision] = []
    bad: list[str] = []
    for number, line in enumerate(data.split(b"\n"), first_line):
        text = line.strip(b" \t\r\xef\xbb\xbf") if number == 1 else line.strip()
        if not text:
            continue
        try:
            good.append(Decision.model_validate_json(text))
        except ValidationError as error:
            bad.append(f"{file}, line {number}: {_what_is_wrong(text, error)}")
    return good, bad


def _what_is_wrong(line: bytes, error: ValidationError) -> str:
    if line.startswith((b"<<<<<<<", b"=======", b">>>>>>>")):
        return "mark of a merge conflict; keep the lines of both sides and delete the marks"
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        cut = line.startswith(b"{") and not line.endswith(b"}")
        return "cut off" if cut else "no JSON"
    place = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _ends_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _cannot_read(file: Path, error: OSError) -> InputError:
    return InputError(
        f"Decisions must lie in a file that can be read, got {str(file)!r}: {error.strerror or error}. Check the path."
    )
