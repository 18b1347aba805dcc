"""Adds, undoes, merges and exports decisions. Decisions refer to content and are reversible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl
import xxhash
from pydantic import ValidationError

from eyeshot.core import InputError, check_output, find_project, find_workspace, make_folder, replacing
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
from eyeshot.data.manifest import Contradiction, Winner, find_contradictions, settle

SHORTEST_ID = 4


class Merged(NamedTuple):
    """The result of a merge: new decisions, how often each side won, and the number of active decisions."""

    new: int
    won: dict[Winner, int]
    active: int


def find_log(decisions_file: str | Path | None = None) -> DecisionLog:
    """The decisions file that is named; None: that of the project."""
    return DecisionLog(find_workspace().project / DECISIONS_FILE if decisions_file is None else Path(decisions_file))


def bad_lines(decisions: Decisions, *, most: int = 10) -> list[str]:
    """Sentences about the lines of a decisions file that cannot be used; all other lines are used."""
    sentences = [f"{bad}; this line is skipped, the rest is used." for bad in decisions.bad[:most]]
    if len(decisions.bad) > most:
        sentences.append(f"{len(decisions.bad) - most} more lines of decisions cannot be used.")
    sentences += [f"Two different decisions have the id {name}; the later counts." for name in decisions.conflicting]
    return sentences


def list_decisions(*, decisions_file: str | Path | None = None) -> Decisions:
    """The stored decisions; `active` are in effect, `bad` are lines that cannot be used.

    Args:
        decisions_file: None: decisions.jsonl of the project.

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
    """Decide about images, given by their files, and store the decision.

    Args:
        kind: drop, drop-both, keep, keep-one, relabel, merge-classes, group or not-copy.
        images: the files; their content keys are stored. With keep-one the first image stays.
        label: the new label (relabel, merge-classes).
        given: apply the decision only to files under this label.
        classes: the classes to merge (merge-classes).
        reason: free text.
        author: who decides; None: EYESHOT_AUTHOR, git's user.name or the login name.
        decisions_file: where the decision is stored; None: decisions.jsonl of the project.

    Raises:
        InputError: the kind is unknown, a file cannot be read, or the rules for test images forbid it.
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
    """Undo decisions. An undo cannot be undone; make the decision again instead.

    Args:
        ids: beginnings of the ids, at least four characters each.
        last: undo this many of the latest active decisions.
        policy: undo all decisions of the latest policy.
        author: who undoes them; None: EYESHOT_AUTHOR, git's user.name or the login name.
        decisions_file: None: decisions.jsonl of the project.

    Returns:
        the decisions that were undone.

    Raises:
        InputError: there is nothing to undo, or an id matches none, several, or an already undone decision.
        StorageError: the undo cannot be stored.
    """
    log = find_log(decisions_file)
    stored = log.read()
    undone = []
    for start in ids:
        decision = find_decision(stored, start)
        if decision.id in stored.undone:
            raise InputError(f"{start!r} is undone already. See `eyeshot decisions list --all`.")
        undone.append(decision)
    if last > 0:
        undone += stored.active[-last:]
    if policy:
        latest = next((decision.policy for decision in reversed(stored.active) if decision.policy), "")
        undone += [decision for decision in stored.active if latest and decision.policy == latest]
    if not undone:
        raise InputError("Nothing to undo: give an id, --last 1 or --policy. See `eyeshot decisions list`.")
    unique = list({decision.id: decision for decision in undone}.values())
    log.append([undo_of(decision, author=author) for decision in unique])
    return unique


def merge_decisions(
    files: Sequence[str | Path],
    *,
    on_conflict: Winner | Callable[[Contradiction], Winner] | None = None,
    author: str | None = None,
    decisions_file: str | Path | None = None,
) -> Merged:
    """Merge other people's decisions by id. Merging twice, or in another order, changes nothing.

    Args:
        files: decisions files of other people.
        on_conflict: which decision wins a contradiction: "mine", "theirs" or "newer", or a function that chooses for
            each; None: refuse to merge.
        author: author of the decisions that settle contradictions.
        decisions_file: the file to merge into; None: decisions.jsonl of the project.

    Raises:
        InputError: a file is missing, or contradictions are not settled; the message lists them; nothing is stored.
        StorageError: the decisions cannot be stored.
    """
    log = find_log(decisions_file)
    mine = log.read()
    contradictions: list[Contradiction] = []
    settled: list[Decision] = []
    won: Counter[Winner] = Counter()
    for file, theirs in [(file, DecisionLog(Path(file)).read(needed=True)) for file in files]:
        if theirs.bad and not theirs.stored:
            raise InputError(f"{str(file)!r} holds no decision that can be used: {theirs.bad[0]}. Name another file.")
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
            f"{len(contradictions)} of their decisions contradict yours, and nothing was stored:\n{listed}\nChoose "
            "which win: --on-conflict mine, theirs or newer; or merge in a terminal to be asked for each."
        )
    count = log.merge([Path(file) for file in files], settled=settled)
    return Merged(count, dict(won), len(log.read().active))


def export_decisions(file: str | Path, *, decisions_file: str | Path | None = None) -> int:
    """Write all decisions in order of time.

    Args:
        file: .jsonl to merge elsewhere, .csv to read as a table.
        decisions_file: the file to export; None: decisions.jsonl of the project.

    Returns:
        the number of decisions; lines that cannot be used are left out.

    Raises:
        InputError: another kind of file, or the decisions cannot be read.
        StorageError: the file cannot be written.
    """
    log = find_log(decisions_file)
    if Path(file).absolute() == log.file.absolute():
        raise InputError(f"Decisions must be exported to another file than their own, got {str(file)!r}. Name another.")
    decisions = log.read()
    write_decisions(decisions, Path(file))
    return len(decisions)


def find_decision(decisions: Decisions, start: str) -> Decision:
    """The decision whose id begins with `start`.

    Raises:
        InputError: no id or several ids begin with it, or it is too short.
    """
    matches = [decision for decision in decisions.stored if decision.id.startswith(start)]
    if len(start) < SHORTEST_ID or len(matches) != 1:
        count = 0 if len(start) < SHORTEST_ID else len(matches)
        raise InputError(
            f"An id must be the beginning of exactly one decision id (at least {SHORTEST_ID} characters), got "
            f"{start!r}, which matches {count}. See `eyeshot decisions list --all`."
        )
    return matches[0]


def write_decisions(decisions: Decisions, file: Path) -> None:
    """Write all decisions in the order in which they take effect: a table if the name ends in .csv, else JSON lines.

    Raises:
        InputError: the file exists and holds no exported decisions.
        StorageError: the file cannot be written.
    """
    is_table = file.suffix.lower() == ".csv"
    check_output(file, suffixes=(".csv", ".jsonl"), mark=b"id,time,author,kind" if is_table else b'"kind":')
    make_folder(file.absolute().parent)
    with replacing(file) as temporary:
        if file.suffix.lower() != ".csv":
            temporary.write_text("".join(f"{decision.line()}\n" for decision in decisions.stored), encoding="utf-8")
            return
        columns: dict[str, list[str]] = {
            "id": [decision.id for decision in decisions.stored],
            "time": [decision.time.isoformat() for decision in decisions.stored],
            "author": [decision.author for decision in decisions.stored],
            "kind": [decision.kind for decision in decisions.stored],
            "counts": ["no" if decision.id in decisions.undone else "yes" for decision in decisions.stored],
            "label": [decision.label or "" for decision in decisions.stored],
            "what": [decision.words() for decision in decisions.stored],
            "images": [" ".join(decision.images) for decision in decisions.stored],
            "policy": [decision.policy for decision in decisions.stored],
        }
        pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).write_csv(temporary)


def _judge(on_conflict: Winner | Callable[[Contradiction], Winner]) -> Callable[[Contradiction], Winner]:
    """`on_conflict` as a function."""
    return on_conflict if callable(on_conflict) else lambda _: on_conflict


def _first_reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
    return str(error)
