"""The tables of `ledger.sqlite`: made, filled, and brought from an earlier version to today's."""

from __future__ import annotations

import itertools
import json
import operator
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from eyeshot.core import InputError
from eyeshot.ledger.store.events import Event

# The models take longer to load than the table of `eyeshot runs` takes to read, which does without them.
if TYPE_CHECKING:
    from eyeshot.ledger.store.records import Experiment

VERSION = 2
"""`PRAGMA user_version` of the file."""
EVENTS_TABLE = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, experiment TEXT NOT NULL, time TEXT NOT NULL,
    author TEXT NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL, mirrored INTEGER NOT NULL DEFAULT 0
)
"""
EVENT_COLUMNS = "seq, id, experiment, time, author, kind, data"
NO_REASON = "Without a stated reason"
MOST_EVENTS = 2**40
"""No ledger has so many: a larger place of an event is a damaged one."""
COLUMNS: dict[str, str] = {
    "id": "TEXT PRIMARY KEY",
    "created": "TEXT NOT NULL",
    "state": "TEXT NOT NULL",
    "why": "TEXT NOT NULL",
    "parent": "TEXT",
    "author": "TEXT NOT NULL",
    "author_kind": "TEXT NOT NULL",
    "rung": "TEXT",
    "gain": "TEXT",
    "verdict": "TEXT",
    "metric": "TEXT",
    "value": "REAL",
    "low": "REAL",
    "high": "REAL",
    "change": "REAL",
    "change_low": "REAL",
    "change_high": "REAL",
    "p": "REAL",
    "n": "INTEGER",
    "words": "TEXT NOT NULL",
    "verdict_words": "TEXT NOT NULL",
    "learned": "TEXT NOT NULL",
    "why_different": "TEXT NOT NULL",
    "hypothesis": "TEXT NOT NULL",
    "tags": "TEXT NOT NULL",
    "sweep": "TEXT",
    "cost_s": "REAL NOT NULL",
    "seeds": "INTEGER NOT NULL",
    "open_insights": "INTEGER NOT NULL",
    "difference": "TEXT NOT NULL",
    "expected": "TEXT",
    "got": "TEXT",
    "first_seq": "INTEGER NOT NULL",
    "last_seq": "INTEGER NOT NULL",
    "record": "TEXT NOT NULL",
}
"""Columns of the table of experiments: what is shown, filtered and sorted without reading whole records.

`change` is the measured difference to the parent; `difference`, `expected`, `got` and `record` are JSON; `tags` is
",one,two,", so that a tag is looked for as "%,one,%"; `first_seq` and `last_seq` are places of its events.
"""
JSON_COLUMNS = ("difference", "expected", "got", "record")


def _events_as_they_were(connection: sqlite3.Connection) -> None:
    """1 → 2: more columns of experiments, which are folded anew in any case."""


MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _events_as_they_were}
"""By the version that a file has: what makes its events those of the next version."""


def create_tables(connection: sqlite3.Connection) -> None:
    """The tables of a new file."""
    connection.execute(EVENTS_TABLE)
    connection.execute("CREATE INDEX events_of ON events (experiment, seq)")
    connection.execute("CREATE INDEX unmirrored ON events (seq) WHERE mirrored = 0")
    _create_experiments(connection)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring a file of an earlier version to today's, within the caller's transaction."""
    for earlier in range(version, VERSION):
        MIGRATIONS[earlier](connection)
    refold(connection)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def refold(connection: sqlite3.Connection) -> list[str]:
    """Make the table of experiments anew from the events, within the caller's transaction.

    Returns:
        what could not be taken over, in sentences: an event that a person's hand spoiled is left out, and an
        experiment whose first event is lost has no stated reason.
    """
    connection.execute("DROP TABLE IF EXISTS experiments")
    _create_experiments(connection)
    notes: list[str] = []
    rows = connection.execute(f"SELECT {EVENT_COLUMNS} FROM events ORDER BY experiment, seq")
    for experiment_id, group in itertools.groupby(rows, key=operator.itemgetter(2)):
        events = [event_of(row) for row in group]
        experiment = folded(experiment_id, events, notes)
        store_row(connection, row_of(experiment, first_seq=events[0].seq, last_seq=events[-1].seq))
    return notes


def folded(experiment_id: str, events: list[Event], notes: list[str]) -> Experiment:
    """The experiment that its events come to, whatever they are; what cannot be used is added to `notes`."""
    from eyeshot.ledger.store.folding import fold

    if events[0].kind != "stated":
        # An event of a merge may stand before the one that stated the experiment; else that one is lost.
        stated = [event for event in events if event.kind == "stated"]
        events = stated + [event for event in events if event.kind != "stated"]
        if not stated:
            notes.append(f"{experiment_id}: the event that stated it is lost, so that its reason is unknown.")
            events.insert(0, events[0]._replace(kind="stated", data={"why": NO_REASON}))
    unusable = (InputError, KeyError, TypeError, ValueError, AttributeError)
    try:
        return fold(events)
    except unusable:
        experiment: Experiment | None = None
        for event in events:
            try:
                experiment = fold([event], experiment)
            except unusable as error:
                words = str(error) if isinstance(error, InputError) else "its values are of the wrong kind."
                notes.append(f"{experiment_id}: an event {event.kind!r} cannot be used and is left out: {words}")
        return experiment or fold([events[0]._replace(kind="stated", data={"why": NO_REASON})])


def unite(connection: sqlite3.Connection, events: Iterable[Event]) -> list[Event]:
    """Add those of `events` that are not there yet behind those that are, in the order given; refold afterwards.

    Returns:
        what was added, at its new places.
    """
    known = {row[0] for row in connection.execute("SELECT id FROM events")}
    seq, added = last_seq(connection), []
    for event in events:
        if event.id not in known:
            known.add(event.id)
            seq += 1
            added.append(event._replace(seq=seq))
    store_events(connection, added)
    return added


def last_seq(connection: sqlite3.Connection) -> int:
    """Place of the last event; 0 where there is none."""
    seq = int(connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])
    if seq > MOST_EVENTS:
        raise damage(f"there is an event at place {seq}")
    return seq


def store_events(connection: sqlite3.Connection, events: Iterable[Event]) -> None:
    """Add events at their places."""
    connection.executemany(
        f"INSERT INTO events ({EVENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(*event[:6], _json(event.data)) for event in events],
    )


def store_row(connection: sqlite3.Connection, row: dict[str, Any]) -> None:
    """Add or replace the row of an experiment."""
    connection.execute(
        f"INSERT OR REPLACE INTO experiments ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()]
    )


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is written within, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _create_experiments(connection: sqlite3.Connection) -> None:
    connection.execute(f"CREATE TABLE experiments ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
    connection.execute("CREATE INDEX experiments_by_parent ON experiments (parent)")
    connection.execute("CREATE INDEX experiments_by_place ON experiments (first_seq)")


def event_of(row: Sequence[Any]) -> Event:
    """The event in a row (seq, id, experiment, time, author, kind, data).

    Raises:
        sqlite3.DatabaseError: as for a damaged file.
    """
    try:
        datetime.fromisoformat(row[3])
        data = json.loads(row[6])
    except (ValueError, TypeError, RecursionError) as error:
        raise damage(f"an event of {row[2]!r} cannot be read") from error
    if not isinstance(data, dict):
        raise damage(f"an event of {row[2]!r} holds no data")
    return Event._make((*row[:6], data))


def experiment_of(record: Any) -> Experiment:
    """The experiment in a column `record`.

    Raises:
        sqlite3.DatabaseError: as for a damaged file.
    """
    from eyeshot.ledger.store.records import Experiment

    try:
        return Experiment.model_validate_json(record)
    except ValueError as error:  # of pydantic
        raise damage("an experiment cannot be read") from error


def damage(words: str) -> sqlite3.DatabaseError:
    """The error that SQLite raises for a damaged file: what changed within a text is damage that it cannot see."""
    error = sqlite3.DatabaseError(words)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def row_of(experiment: Experiment, *, first_seq: int, last_seq: int) -> dict[str, Any]:
    """The row of the table of experiments, by column."""
    got, record = experiment.got, experiment.model_dump(mode="json")
    return {
        "id": experiment.id,
        "created": record["created"],
        "state": experiment.state,
        "why": experiment.why,
        "parent": experiment.parent,
        "author": experiment.author,
        "author_kind": experiment.author_kind,
        "rung": experiment.rung,
        "gain": experiment.gain,
        "verdict": experiment.verdict,
        "metric": got and got.metric,
        "value": got and got.value,
        "low": got and got.low,
        "high": got and got.high,
        "change": got and got.difference,
        "change_low": got and got.difference_low,
        "change_high": got and got.difference_high,
        "p": got and got.p,
        "n": got and got.n,
        "words": experiment.words,
        "verdict_words": experiment.verdict_words,
        "learned": experiment.learned,
        "why_different": experiment.why_different,
        "hypothesis": experiment.hypothesis,
        "tags": f",{','.join(experiment.tags)}," if experiment.tags else "",
        "sweep": experiment.sweep,
        "cost_s": experiment.cost_s,
        "seeds": len(got.seeds) if got else 0,
        "open_insights": sum(insight.open for insight in experiment.insights),
        "difference": _json(record["difference"]),
        "expected": record["expected"] and _json(record["expected"]),
        "got": record["got"] and _json(record["got"]),
        "first_seq": first_seq,
        "last_seq": last_seq,
        "record": _json(record),
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
