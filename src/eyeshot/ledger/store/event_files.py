"""`experiments/<id>/events.jsonl`: the events once more, in files that outlive the database and that people can read.

A line is written after its event is committed. A kill between the two leaves the event marked as not yet written, and
whoever writes next writes it; a line that is there already is not written twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from eyeshot.core import StorageError, append_lines
from eyeshot.ledger.store.records import Event
from eyeshot.ledger.store.schema import event_of

EXPERIMENTS_FOLDER = "experiments"
EVENTS_FILE = "events.jsonl"


def write_missing(connection: sqlite3.Connection, root: Path) -> None:
    """Write the events that are in no file yet; the caller holds the lock of the ledger.

    Raises:
        StorageError: the disk is full or a folder cannot be written; the events are in the database.
    """
    rows = connection.execute(
        "SELECT seq, id, experiment, time, author, kind, data FROM events WHERE mirrored = 0 ORDER BY seq"
    ).fetchall()
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for row in rows:
        events[row[2]].append(event_of(row))
    for experiment, missing in events.items():
        file = root / EXPERIMENTS_FOLDER / experiment / EVENTS_FILE
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            written = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
            append_lines(file, [line_of(event) for event in missing if f'"id": "{event.id}"' not in written])
        except OSError as error:
            raise StorageError(
                f"Cannot write {str(file)!r}: {error.strerror or error}. What was said is in the ledger; the file "
                "follows with the next change. Free some space."
            ) from error
    if rows:
        connection.executemany("UPDATE events SET mirrored = 1 WHERE seq = ?", [row[:1] for row in rows])


def line_of(event: Event) -> str:
    """An event as a line of JSON."""
    return json.dumps(event._asdict(), ensure_ascii=False)


def read_events(root: Path) -> Iterator[tuple[Path, list[Event], int]]:
    """For each file of events: its path, its events, and how many lines cannot be read."""
    for file in sorted((root / EXPERIMENTS_FOLDER).glob(f"*/{EVENTS_FILE}")):
        events, damaged = [], 0
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                fields = json.loads(line)
                events.append(Event(**{key: fields[key] for key in Event._fields}))
            except (ValueError, KeyError, TypeError):
                damaged += 1
        yield file, events, damaged
