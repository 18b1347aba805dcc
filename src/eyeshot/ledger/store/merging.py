"""`eyeshot ledger merge`: the events of several ledgers in one, and what both sides had set since they parted.

A merge is the union of events by their ids, so that merging twice, or in any direction, changes nothing more. Where
both sides had set one field to different values since they parted, the later time wins: it is said once more, as the
last word, so that all ledgers that merge come to the same experiment. Of two expectations the one that a run froze
first is kept, since the other may know what came; the other becomes a note.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eyeshot.core import DEFAULT_FOLDER, InputError, StorageError, plural
from eyeshot.ledger.store.database import Ledger, open_ledger
from eyeshot.ledger.store.event_files import EXPERIMENTS_FOLDER
from eyeshot.ledger.store.events import Event, is_sound
from eyeshot.ledger.store.opening import LEDGER_FILE, open_copy, open_reader
from eyeshot.ledger.store.rebuilding import LedgerChange, ledger_ids
from eyeshot.ledger.store.schema import EVENT_COLUMNS, event_of, folded, refold, unite

SAID_AGAIN = uuid.UUID("0c6f0a3e-54d3-4f83-a6ff-9f6c8d2f1e77")
"""Space of the ids of events that a merge says once more: every ledger gives them the same id."""
SET_FIELDS = ("state", "got", "verdict", "learned", "why_different")
"""Kinds of events that set a field, so that a later one replaces an earlier one."""


def merge_ledgers(
    others: Sequence[str | Path], *, root: str | Path | None = None, dry_run: bool = False
) -> LedgerChange:
    """Add the experiments and events of other ledgers to this one. The other ledgers are only read.

    Args:
        others: project folders, their eyeshot-out, or ledger.sqlite in it.
        root: the folder that holds everything eyeshot writes; None: that of the project around the current folder.
        dry_run: say what would be done, and do nothing.

    Returns:
        what was added, which ids were taken here, and which fields both sides had set to different values.

    Raises:
        InputError: there is no ledger at a place.
        StorageError: a ledger cannot be read, or this one cannot be written.
    """
    roots = [ledger_root(Path(other)) for other in others]
    with open_ledger(root, write=True) as ledger:
        histories, notes = [], []
        for other in roots:
            if other.resolve() == ledger.root.resolve():
                raise InputError(f"The other ledger must be another one, got {str(other)!r}, which is this one.")
            events = _events_of(other)
            histories.append([event for event in events if is_sound(event)])
            if lost := len(events) - len(histories[-1]):
                notes.append(
                    f"{other}: {lost} {plural(lost, 'event')} cannot be used and {plural(lost, 'is', 'are')} left out."
                )
        change = (
            _dry(ledger, histories) if dry_run else ledger.change(lambda connection: _merged(connection, histories))
        )
        return change.model_copy(update={"notes": (*notes, *change.notes)})


def ledger_root(place: Path) -> Path:
    """The folder of a ledger, named by the project, by itself, or by its file.

    Raises:
        InputError: there is none.
    """
    for folder in (place / DEFAULT_FOLDER, place, place.parent if place.name == LEDGER_FILE else place):
        if (folder / LEDGER_FILE).is_file() or (folder / EXPERIMENTS_FOLDER).is_dir():
            return folder
    raise InputError(
        f"A ledger must be a project folder, its {DEFAULT_FOLDER}, or the {LEDGER_FILE} in it, got {str(place)!r}, "
        "which holds none. Check the path."
    )


def _events_of(root: Path) -> list[Event]:
    """The events of another ledger, which is left as it is: one that is damaged or of an earlier version is copied.

    The database is read that lies with the project, wherever that of this one lies.
    """
    file = root / LEDGER_FILE
    with suppress(StorageError, sqlite3.DatabaseError), closing(open_reader(file, root)) as connection:
        return _events(connection)
    with suppress(sqlite3.DatabaseError), closing(open_copy(file, root)) as connection:
        return _events(connection)
    with closing(open_copy(file, root, damaged=True)) as connection:
        return _events(connection)


def _dry(ledger: Ledger, histories: Sequence[Sequence[Event]]) -> LedgerChange:
    """What merging would do: done, reported, and undone."""
    changes: list[LedgerChange] = []

    class Undone(Exception):
        pass

    def undone(connection: sqlite3.Connection) -> None:
        changes.append(_merged(connection, histories))
        raise Undone

    try:
        ledger.change(undone)
    except Undone:
        return changes[0]
    raise AssertionError("a dry run is always undone")


def _merged(connection: sqlite3.Connection, histories: Sequence[Sequence[Event]]) -> LedgerChange:
    added = 0
    conflicts: list[dict[str, Any]] = []
    renamed: dict[str, str] = {}
    for history in histories:
        before = _grouped(_events(connection))
        names = _new_names(before, history)
        renamed |= {old: new for old, new in names.items() if old != new}
        theirs = [_renamed(event, names) for event in history]
        count = len(ledger_ids(connection))
        unite(connection, theirs)
        for experiment, events in _grouped(theirs).items():
            contested = _conflicts(experiment, before.get(experiment, []), events)
            conflicts += [conflict for conflict, _ in contested if conflict is not None]
            unite(connection, [event for _, event in contested])
        added += len(ledger_ids(connection)) - count
    notes = refold(connection)
    total = connection.execute("SELECT count(*) FROM experiments").fetchone()[0]
    return LedgerChange(experiments=total, added=added, renamed=renamed, conflicts=tuple(conflicts), notes=tuple(notes))


def _events(connection: sqlite3.Connection) -> list[Event]:
    return [event_of(row) for row in connection.execute(f"SELECT {EVENT_COLUMNS} FROM events ORDER BY seq")]


def _grouped(events: Iterable[Event]) -> dict[str, list[Event]]:
    groups: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        groups[event.experiment].append(event)
    return groups


def _new_names(here: Mapping[str, Sequence[Event]], history: Sequence[Event]) -> dict[str, str]:
    """The id that each of their experiments has here: its own, unless another experiment has it."""
    homes = {event.id: event.experiment for events in here.values() for event in events}
    names: dict[str, str] = {}
    for experiment, events in _grouped(history).items():
        known = next((homes[event.id] for event in events if event.id in homes), None)
        if known is not None:
            names[experiment] = known
        elif experiment in here:
            names[experiment] = f"{experiment}-{events[0].id[:6]}"
        else:
            names[experiment] = experiment
    return names


def _renamed(event: Event, names: Mapping[str, str]) -> Event:
    data = event.data
    if event.kind == "stated" and names.get(str(data.get("parent")), data.get("parent")) != data.get("parent"):
        data = data | {"parent": names[data["parent"]]}
    return event._replace(experiment=names[event.experiment], data=data)


def _conflicts(
    experiment: str, here: Sequence[Event], there: Sequence[Event]
) -> list[tuple[dict[str, Any] | None, Event]]:
    """For each field that both sides set since they parted: both values, and the event that is said once more.

    Two that say the same at different times are no conflict, but one is said once more, so that ledgers agree on it.
    """
    known_here, known_there = {event.id for event in here}, {event.id for event in there}
    own_here = [event for event in here if event.id not in known_there]
    own_there = [event for event in there if event.id not in known_here]
    ours, theirs = _last_words(own_here), _last_words(own_there)
    contested: list[tuple[dict[str, Any] | None, Event]] = []
    # A run freezes an expectation, so that it contests what the other side expected instead.
    kinds = [{event.kind for event in own if event.kind in ("expected", "run")} for own in (own_here, own_there)]
    if all(kinds) and any("expected" in kind for kind in kinds):
        contested += _contested_expectation(experiment, here, there)
    for field in sorted(ours.keys() & theirs.keys()):
        (own, own_value), (other, other_value) = ours[field], theirs[field]
        if own_value == other_value:
            continue
        # Equal times are settled by id, so that every ledger settles them alike.
        kept_here = (datetime.fromisoformat(own.time), own.id) > (datetime.fromisoformat(other.time), other.id)
        kept = own if kept_here else other
        conflict = {
            "experiment": experiment, "field": field, "here": own_value, "there": other_value,
            "kept": "here" if kept_here else "there", "reason": "it was said later",
        }  # fmt: skip
        data = kept.data
        if kept.kind == "tag":
            data = {"add" if (own_value if kept_here else other_value) else "remove": [field.removeprefix("tag ")]}
        again = uuid.uuid5(SAID_AGAIN, f"{field} {' '.join(sorted((own.id, other.id)))}").hex
        contested.append((conflict, kept._replace(id=again, data=data)))
    return contested


def _contested_expectation(
    experiment: str, here: Sequence[Event], there: Sequence[Event]
) -> list[tuple[dict[str, Any] | None, Event]]:
    """Which of two expectations is kept: one that was stated before the first run; of two the one frozen first."""
    sides = {"here": here, "there": there}
    expected = {side: folded(experiment, [*events], []).expected for side, events in sides.items()}
    ours, theirs = expected["here"], expected["there"]
    if ours is None or theirs is None or ours == theirs:
        return []
    frozen = {
        side: min((event.time for event in events if event.kind == "run" and event.data.get("role") != "parent"),
                  key=datetime.fromisoformat, default=None)
        for side, events in sides.items()
    }  # fmt: skip
    never = datetime.max.replace(tzinfo=UTC)

    def rank(side: str) -> tuple[Any, ...]:
        stated, run = expected[side], frozen[side]
        assert stated is not None
        # Before any run an author may change it, so that of two which nothing froze the later counts.
        place = datetime.fromisoformat(run) if run else never
        return stated.late, place, never - stated.stated_at, stated.model_dump_json()

    kept, other = sorted(sides, key=rank)
    values = {side: value.model_dump(mode="json") for side, value in expected.items() if value is not None}
    alike = ("metric", "direction", "size")
    differ = any(values["here"][name] != values["there"][name] for name in alike)
    if values[kept]["late"] != values[other]["late"]:
        reason = "the other was stated after the first run"
    else:
        reason = "it was frozen first, by a run" if frozen[kept] else "it was said later, before any run"
    # The note about the one that is left out says who said it, and when.
    said = next(
        event
        for event in reversed(sides[other])
        if event.kind in ("expected", "stated") and event.data.get("expected")
        and datetime.fromisoformat(event.data["expected"].get("stated_at") or event.time)
        == datetime.fromisoformat(values[other]["stated_at"])
    )  # fmt: skip
    dropped = values[other] if differ and not values[other]["late"] else None  # a late one is a note already
    again = said._replace(
        id=uuid.uuid5(SAID_AGAIN, json.dumps([experiment, values[kept], values[other]], sort_keys=True)).hex,
        kind="expected",
        data={"expected": values[kept], "late": values[kept]["late"], "instead_of": dropped},
    )
    conflict = {
        "experiment": experiment, "field": "expected", "here": values["here"], "there": values["there"], "kept": kept,
        "reason": reason,
    }  # fmt: skip
    return [(conflict if differ else None, again)]


def _last_words(events: Iterable[Event]) -> dict[str, tuple[Event, Any]]:
    """By field: the event that set it last, and the value."""
    words: dict[str, tuple[Event, Any]] = {}
    for event in events:
        if event.kind in SET_FIELDS:
            words[event.kind.replace("_", " ")] = event, event.data.get("text", event.data.get(event.kind))
        elif event.kind == "insight":
            words[f"insight {event.data.get('insight_id')}"] = event, event.data.get("text")
        elif event.kind == "tag":
            for change, value in (("add", True), ("remove", False)):
                for tag in event.data.get(change) or ():
                    words[f"tag {tag}"] = event, value
    return words
