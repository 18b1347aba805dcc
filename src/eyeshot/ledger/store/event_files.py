"""`experiments/<id>/events.jsonl`: the events once more, in files that outlive the database and that people can read.

A line is written after its event is committed. A kill between the two leaves the event marked as not yet written, and
whoever writes next writes it; a line that is there already is not written twice.
"""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections import defaultdict
from pathlib import Path

from eyeshot.core import append_lines, plural
from eyeshot.ledger.store.events import Event, is_sound
from eyeshot.ledger.store.schema import EVENT_COLUMNS, event_of

EXPERIMENTS_FOLDER = "experiments"
EVENTS_FILE = "events.jsonl"


def write_missing(connection: sqlite3.Connection, root: Path, *, new_after: int) -> None:
    """Write the events that are marked as in no file, in a transaction of the caller, who holds the ledger's lock.

    A file that cannot be written is no error: the events are in the database, and the next writer tries again.

    Args:
        connection: of the ledger.
        root: folder of the ledger.
        new_after: events behind this place are in no file for sure.
    """
    rows = connection.execute(f"SELECT {EVENT_COLUMNS} FROM events WHERE mirrored = 0 ORDER BY seq").fetchall()
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for row in rows:
        events[row[2]].append(event_of(row))
    for experiment, missing in events.items():
        file = root / EXPERIMENTS_FOLDER / experiment / EVENTS_FILE
        written = set()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if missing[0].seq <= new_after and file.is_file():
                written = {event.id for event in events_in(file)[0]}
            append_lines(file, [line_of(event) for event in missing if event.id not in written])
        except OSError as error:
            warnings.warn(
                f"Cannot write {str(file)!r}: {error.strerror or error}. What was said is in the ledger, and the file "
                "follows with a later change. Free some space.",
                stacklevel=2,
            )
            continue
        connection.executemany("UPDATE events SET mirrored = 1 WHERE seq = ?", [(event.seq,) for event in missing])


def line_of(event: Event) -> str:
    """An event as a line of JSON."""
    return json.dumps(event._asdict(), ensure_ascii=False)


def events_in(file: Path) -> tuple[list[Event], int]:
    """The events in a file, and how many lines cannot be read; a kill leaves at most one such line."""
    events, damaged = [], 0
    # Not `splitlines`: a text may hold other line breaks of Unicode, which JSON leaves as they are.
    for line in file.read_bytes().split(b"\n"):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            # The folder counts: it may have been renamed or copied by hand.
            event = Event(**{key: fields[key] for key in Event._fields} | {"experiment": file.parent.name})
        except (ValueError, KeyError, TypeError, RecursionError):
            damaged += 1
            continue
        if is_sound(event):
            events.append(event)
        else:
            damaged += 1
    return events, damaged


def all_events(root: Path) -> tuple[list[Event], list[str]]:
    """The events of all files in the order in which they were said, and what cannot be read, in sentences."""
    placed: list[tuple[int, int, Event]] = []
    notes: list[str] = []
    for file in sorted((root / EXPERIMENTS_FOLDER).glob(f"*/{EVENTS_FILE}")):
        events, damaged = events_in(file)
        if damaged:
            notes.append(
                f"{file}: {damaged} {plural(damaged, 'line')} cannot be read and {plural(damaged, 'is', 'are')} left "
                "out; a kill while writing leaves such a line, and the event is then on another."
            )
        last = 0
        for event in events:
            # Within a file lines are in order, even where places of another ledger were copied into it.
            last = max(last, event.seq)
            placed.append((last, len(placed), event))
    return [event for *_, event in sorted(placed, key=lambda entry: entry[:2])], notes
