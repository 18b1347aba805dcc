"""Decisions about images, and `decisions.jsonl`: one decision per line; lines are only appended.

Images are identified by the hash of their bytes, never by path, so moved and renamed files keep their decisions. A
lock file makes writers take turns, and a line is complete on disk before it is reported as stored. A kill leaves at
most the beginning of one line, which was not reported as stored; the next writer ends it, and readers report it.
"""

from __future__ import annotations

import getpass
import os
import subprocess
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

import filelock
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from eyeshot.core import InputError, StorageError, append_lines, make_folder

Kind = Literal["drop", "drop-both", "keep", "keep-one", "relabel", "merge-classes", "group", "not-copy", "undo"]
KINDS: dict[Kind, str] = {
    "drop": "leave images out",
    "drop-both": "leave out all images of a group: one picture under two labels, and the right label is unknown",
    "keep": "images were reviewed and are right; reverses an earlier drop",
    "keep-one": "of duplicates, leave out all but one",
    "relabel": "give images another label, or a first one",
    "merge-classes": "classes become one",
    "group": "images stay on one side of every split; nothing else changes",
    "not-copy": "images are not duplicates of each other, even if they look alike",
    "undo": "an earlier decision no longer applies; to restore it, make it again",
}
DECISIONS_FILE = "decisions.jsonl"
COMPARISON_FILE = "decisions/compare.json"
"""In `eyeshot-out`: accuracy with and without decisions, as it was measured last."""
LOCK_TIMEOUT_S = 60.0
TAIL_BYTES = 512  # the end of what was read before; if these bytes changed, the file was edited
REVIEW_OF = "review of "
AUTHOR_VARIABLE = "EYESHOT_AUTHOR"
FEWEST = {"drop": 1, "drop-both": 1, "keep": 1, "keep-one": 1, "relabel": 1, "group": 2, "not-copy": 2}


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


Content = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Label = Annotated[str, Field(min_length=1), AfterValidator(_composed)]


class Decision(BaseModel):
    """A decision of a person or a policy; one line of `decisions.jsonl`. Keys are only added until 1.0.

    Attributes:
        id: unique across all files of all people.
        time: UTC.
        author: who decided.
        kind: one of `KINDS`.
        images: content keys (xxh3_128 of the bytes) of the images it applies to.
        given: applies only to files under this label, because identical files may lie under two labels.
        keep: for `keep-one`, the image that stays.
        label: for `relabel` and `merge-classes`, the new label; for `keep-one`, the label of the kept file.
        classes: for `merge-classes`, the classes that are merged.
        undoes: for `undo`, the id of the undone decision.
        reason: free text for people.
        names: ids of the images at the time of the decision; for people, never used for lookup.
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
            raise ValueError("keep-one needs `keep`, which must be one of its images")
        if self.kind in ("relabel", "merge-classes") and self.label is None:
            raise ValueError(f"{self.kind} needs a `label`")
        if self.kind == "merge-classes" and not self.classes:
            raise ValueError("merge-classes needs `classes`")
        if (self.kind == "undo") != (self.undoes is not None):
            raise ValueError("undo needs `undoes`, and no other kind may have it")
        return self

    def line(self) -> str:
        """The decision as one line of JSON without a line break; empty fields are left out."""
        return self.model_dump_json(exclude_defaults=True)

    def words(self) -> str:
        """What the decision is about, in a few words for a list."""
        if self.undoes is not None:
            return f"of {self.undoes[:8]}" + (f": {self.names[0]}" if self.names else "")
        if self.kind == "merge-classes":
            return f"{', '.join(self.classes)} -> {self.label}"
        if self.kind == "keep-one":
            return self._kept_words() + (f" ({self.reason})" if self.reason else "")
        names = [*(self.names or self.images)[:3]]
        if len(self.names or self.images) > 3:
            names.append(f"and {len(self.names or self.images) - 3} more")
        text = ", ".join(names)
        text += f" under {self.given}" if self.given else ""
        text += f" -> {self.label}" if self.label else ""
        return text + (f" ({self.reason})" if self.reason else "")

    def _kept_words(self) -> str:
        """Which image of a keep-one stays: the first name, unless each name has its own content."""
        names = [*(self.names or self.images)]
        keep = names.pop(self.images.index(self.keep) if self.keep and len(names) == len(self.images) else 0)
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        return f"keep {keep}" + (f", drop {', '.join(names[:2])}{more}" if names else "")

    @property
    def finding(self) -> str:
        """Id of the finding that it was made for on the review page; empty for other decisions."""
        return self.reason.removeprefix(REVIEW_OF) if self.reason.startswith(REVIEW_OF) else ""

    @property
    def order(self) -> tuple[datetime, str]:
        """Sort key: decisions take effect in this order, whatever their order in files."""
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
    """A new decision with the current time; nothing is stored. See `Decision` for the arguments.

    Raises:
        ValueError: the arguments are wrong for the kind.
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


@lru_cache(maxsize=32)  # sweeps ask for every event
def _git_user(folder: Path) -> str:
    """The user.name that git knows in a folder; empty without git or a name."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "config", "user.name"], capture_output=True, check=False, encoding="utf-8",
            errors="replace",
        )  # fmt: skip
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def default_author(folder: Path | None = None) -> str:
    """The author if none is given: EYESHOT_AUTHOR, else git's user.name, else the login name.

    Args:
        folder: whose repository may name the author; None: the current folder.
    """
    named = os.environ.get(AUTHOR_VARIABLE, "").strip() or _git_user(folder or Path.cwd())
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
        stored: all decisions including undone ones and undos, each id once.
        bad: lines that cannot be used: file, line number from 1, and reason.
        conflicting: ids shared by different decisions, which only a manual edit can cause; the latest is used.
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
        """Ids of undone decisions; an undo of an undo does nothing."""
        named = {decision.undoes for decision in self.stored}
        return frozenset(decision.id for decision in self.stored if decision.kind != "undo" and decision.id in named)

    @cached_property
    def active(self) -> tuple[Decision, ...]:
        """The decisions in effect, without undos."""
        return tuple(decision for decision in self.stored if decision.kind != "undo" and decision.id not in self.undone)


def ordered(decisions: Iterable[Decision], bad: Iterable[str] = ()) -> Decisions:
    """Sort decisions; if two share an id, the later one is used, whatever the input order."""
    by_id: dict[str, Decision] = {}
    conflicting: set[str] = set()
    for decision in decisions:
        previous = by_id.get(decision.id)
        if previous is not None and previous != decision:
            conflicting.add(decision.id)
        if previous is None or (decision.time, decision.line()) > (previous.time, previous.line()):
            by_id[decision.id] = decision
    stored = tuple(sorted(by_id.values(), key=lambda decision: decision.order))
    return Decisions(stored, tuple(bad), tuple(sorted(conflicting)))


def undo_of(decision: Decision, *, author: str | None = None, reason: str = "") -> Decision:
    """An undo of a decision, with the current time; nothing is stored.

    Raises:
        InputError: the decision is itself an undo.
    """
    if decision.kind == "undo":
        raise InputError(
            f"An undo cannot be undone, got {decision.id[:8]!r}. Make the undone decision again: on the review "
            "page, or with eyeshot decisions add (eyeshot decisions list --all shows it)."
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
        """All decisions in the file; lines that cannot be used are reported in `bad`, the rest is used.

        Args:
            needed: raise if the file is missing; otherwise a missing file holds no decisions.

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
        """Decisions appended since the last call by any program; only the new lines are read.

        Returns:
            new decisions, and whether the file was edited in between; if so, these are all its decisions. A last line
            without a line break may be returned twice, because it is read again once it is complete.

        Raises:
            InputError: the file exists but cannot be read.
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
        """Store decisions; they are on disk when this returns. Existing decisions are not read.

        Raises:
            StorageError: the disk is full, the folder cannot be written, or another program holds the file; then none
                of these decisions is stored.
        """
        if decisions:
            with self._locked():
                self._write(decisions)

    def merge(self, others: Iterable[Path], *, settled: Sequence[Decision] = ()) -> int:
        """Append the decisions of other files that this file lacks; returns their number.

        Decisions keep their ids and times, so merging in any order gives the same decisions.

        Args:
            others: decisions files.
            settled: decisions that settle contradictions; stored first.

        Raises:
            InputError: a file is missing.
            StorageError: as `append`.
        """
        theirs = [decision for file in others for decision in DecisionLog(file).read(needed=True).stored]
        with self._locked():
            own = self.read().by_id
            # If two decisions share an id, which only a manual edit can cause, `ordered` chooses the same one here and
            # in every other file.
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
                f"Cannot store decisions in {str(self.file)!r}: {error.strerror or error}. None of these was "
                "stored; earlier decisions are kept. Free some space if the disk is full, or name another file with "
                "--decisions-file."
            ) from error

    def _write(self, decisions: Iterable[Decision]) -> None:
        append_lines(self.file, (decision.line() for decision in decisions))


def parse(data: bytes, *, file: Path, first_line: int = 1) -> tuple[list[Decision], list[str]]:
    """The decisions in some lines, and the lines that cannot be used: file, line number and reason."""
    good: list[Decision] = []
    bad: list[str] = []
    for number, line in enumerate(data.split(b"\n"), first_line):
        text = line.strip(b" \t\r\xef\xbb\xbf") if number == 1 else line.strip()
        if not text:
            continue
        try:
            good.append(Decision.model_validate_json(text))
        except ValidationError as error:
            bad.append(f"{file}, line {number}: {_problem_of(text, error)}")
    return good, bad


def _problem_of(line: bytes, error: ValidationError) -> str:
    if line.startswith((b"<<<<<<<", b"=======", b">>>>>>>")):
        return "merge conflict marker; keep the lines of both sides and delete the markers"
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        cut = line.startswith(b"{") and not line.endswith(b"}")
        return "cut off" if cut else "not JSON"
    place = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _cannot_read(file: Path, error: OSError) -> InputError:
    return InputError(
        f"Decisions must be in a readable file, got {str(file)!r}: {error.strerror or error}. Check the path."
    )
