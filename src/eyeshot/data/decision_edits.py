"""Decisions from Python and from commands: add, take back, merge and export them, by content and reversibly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import xxhash
from pydantic import ValidationError

from eyeshot.core import InputError, find_project, find_workspace
from eyeshot.data.decisions import (
    DECISIONS_FILE,
    KINDS,
    Decision,
    DecisionLog,
    Decisions,
    Kind,
    decide,
    ordered,
    undo_of,
)
from eyeshot.data.decoding import os_reason
from eyeshot.data.export import write_decisions
from eyeshot.data.manifest import Contradiction, Winner, find_contradictions, settle

SHORTEST_ID = 4


class Merged(NamedTuple):
    """What a merge did: decisions that are new here, how often each side counts, and all that count now."""

    new: int
    won: dict[Winner, int]
    active: int


def find_log(decisions_file: str | Path | None = None) -> DecisionLog:
    """The decisions of a file or, where none is named, those of the project."""
    return DecisionLog(find_workspace().project / DECISIONS_FILE if decisions_file is None else Path(decisions_file))


def bad_lines(decisions: Decisions, *, most: int = 10) -> list[str]:
    """Which lines of a file of decisions cannot be used, in sentences; the others count."""
    sentences = [f"{bad}; this line is passed over, the rest counts." for bad in decisions.bad[:most]]
    if len(decisions.bad) > most:
        sentences.append(f"{len(decisions.bad) - most} more lines of decisions cannot be used.")
    sentences += [f"Two different decisions have the id {name}; the later counts." for name in decisions.conflicting]
    return sentences


def list_decisions(*, decisions_file: str | Path | None = None) -> Decisions:
    """The decisions of people; `active` are those that count, `bad` lines that cannot be used.

    Args:
        decisions_file: decisions.jsonl of the project where not given.

    Raises:
        InputError: the file cannot be read.
    """
    return find_log(decisions_file).read()


def add_decision(
    kind: Kind,
    images: Sequence[str | Path] = (),
    *,
    label: str | None = None,
    given: str | None = None,
    classes: Sequence[str] = (),
    reason: str = "",
    author: str | None = None,
    decisions_file: str | Path | None = None,
) -> Decision:
    """Decide about images by their files, and store it.

    Args:
        kind: drop, drop-both, keep, keep-one, relabel, merge-classes, group or not-copy.
        images: the files; what is stored is their content. With keep-one the first stays.
        label: the new label (relabel, merge-classes).
        given: only where the file lies under this label.
        classes: which to merge (merge-classes).
        reason: why, in words.
        author: who decides; EYESHOT_AUTHOR or the name of the login where not given.
        decisions_file: where it is stored; decisions.jsonl of the project where not given.

    Raises:
        InputError: no such kind, a file that cannot be read, or what the rules for test images do not allow.
        StorageError: the decision cannot be stored.
    """
    if kind not in KINDS or kind == "undo":
        raise InputError(f"KIND must be one of {', '.join(name for name in KINDS if name != 'undo')}, got {kind!r}.")
    files = [Path(image) for image in images]
    project = find_project()
    test = project.value("test", None)
    if kind == "relabel" and test is not None and any(file.resolve().is_relative_to(test.resolve()) for file in files):
        project.check_use("hand-labels", "A label for test images")
    contents = []
    for file in files:
        try:
            contents.append(xxhash.xxh3_128_hexdigest(file.read_bytes()))
        except OSError as error:
            raise InputError(
                f"An image must be a file that can be read, got {str(file)!r}: {os_reason(error)}."
            ) from error
    try:
        decision = decide(
            kind,
            tuple(dict.fromkeys(contents)),
            keep=contents[0] if kind == "keep-one" and contents else None,
            author=author, given=given, label=label, classes=tuple(classes), reason=reason,
            names=tuple(map(str, files)),
        )  # fmt: skip
    except ValueError as error:
        raise InputError(f"{kind}: {_first_reason(error)}. See `eyeshot decisions add --help`.") from error
    find_log(decisions_file).append([decision])
    return decision


def undo_decisions(
    ids: Sequence[str] = (),
    *,
    last: int = 0,
    policy: bool = False,
    author: str | None = None,
    decisions_file: str | Path | None = None,
) -> list[Decision]:
    """Take decisions back. An undo cannot be undone: give the decision again.

    Args:
        ids: how the ids begin, four characters at least.
        last: so many of the latest that count.
        policy: all that the latest policy decided.
        author: who takes them back; EYESHOT_AUTHOR or the name of the login where not given.
        decisions_file: decisions.jsonl of the project where not given.

    Returns:
        the decisions that do not count any more.

    Raises:
        InputError: nothing to undo, or an id that fits none, several, or one that is undone already.
        StorageError: the undo cannot be stored.
    """
    log = find_log(decisions_file)
    known = log.read()
    chosen = []
    for start in ids:
        decision = find_decision(known, start)
        if decision.id in known.undone:
            raise InputError(f"{start!r} is undone already. See `eyeshot decisions list --all`.")
        chosen.append(decision)
    if last > 0:
        chosen += known.active[-last:]
    if policy:
        latest = next((decision.policy for decision in reversed(known.active) if decision.policy), "")
        chosen += [decision for decision in known.active if latest and decision.policy == latest]
    if not chosen:
        raise InputError("Nothing to undo: give an id, --last 1 or --policy. See `eyeshot decisions list`.")
    unique = list({decision.id: decision for decision in chosen}.values())
    log.append([undo_of(decision, author=author) for decision in unique])
    return unique


def merge_decisions(
    files: Sequence[str | Path],
    *,
    on_conflict: Winner | Callable[[Contradiction], Winner] | None = None,
    author: str | None = None,
    decisions_file: str | Path | None = None,
) -> Merged:
    """Take over other people's decisions, by id, so that merging twice or in another order changes nothing.

    Args:
        files: of other people.
        on_conflict: which counts where two contradict each other: "mine", "theirs" or "newer", or a function that says
            it for each; None refuses.
        author: of the decisions that settle contradictions.
        decisions_file: one's own; decisions.jsonl of the project where not given.

    Raises:
        InputError: a file is missing, or contradictions that nobody settles; each is named, and nothing is stored.
        StorageError: the decisions cannot be stored.
    """
    log = find_log(decisions_file)
    mine = log.read()
    contradictions: list[Contradiction] = []
    settled: list[Decision] = []
    won: Counter[Winner] = Counter()
    for theirs in [DecisionLog(Path(file)).read(needed=True) for file in files]:
        if on_conflict is None:
            contradictions += find_contradictions(mine, theirs)
        else:
            more, winners = settle(mine, theirs, _judge(on_conflict), author=author)
            settled += more
            won.update(winners)
        mine = ordered([*mine.stored, *theirs.stored, *settled])
    if contradictions:
        listed = "\n".join(f"  {contradiction.words()}" for contradiction in contradictions)
        raise InputError(
            f"{len(contradictions)} decisions of theirs contradict yours, and nothing was stored:\n{listed}\nSay which "
            "count: --on-conflict mine, theirs or newer; or merge in a terminal to be asked for each."
        )
    count = log.merge([Path(file) for file in files], settled=settled)
    return Merged(count, dict(won), len(log.read().active))


def export_decisions(file: str | Path, *, decisions_file: str | Path | None = None) -> int:
    """Write all decisions in the order of their times.

    Args:
        file: .jsonl to merge elsewhere, .csv to read in a table.
        decisions_file: whose decisions; decisions.jsonl of the project where not given.

    Returns:
        how many; lines that cannot be used are left out.

    Raises:
        InputError: another kind of file, or the decisions cannot be read.
        StorageError: the file cannot be written.
    """
    known = find_log(decisions_file).read()
    write_decisions(known, Path(file))
    return len(known)


def find_decision(known: Decisions, start: str) -> Decision:
    """The decision whose id begins so.

    Raises:
        InputError: none does, several do, or `start` is too short.
    """
    fitting = [decision for decision in known.stored if decision.id.startswith(start)]
    if len(start) < SHORTEST_ID or len(fitting) != 1:
        count = 0 if len(start) < SHORTEST_ID else len(fitting)
        raise InputError(
            f"An id must begin like exactly one decision ({SHORTEST_ID} characters at least), got {start!r}, which "
            f"fits {count}. See `eyeshot decisions list --all`."
        )
    return fitting[0]


def _judge(on_conflict: Winner | Callable[[Contradiction], Winner]) -> Callable[[Contradiction], Winner]:
    """A rule as a function."""
    return on_conflict if callable(on_conflict) else lambda _: on_conflict


def _first_reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
    return str(error)
