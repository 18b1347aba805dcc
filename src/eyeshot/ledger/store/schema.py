"""The tables of `ledger.sqlite`, and how a file of an earlier version becomes one of today."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from eyeshot.ledger.store.records import Event, Experiment

VERSION = 1
"""`PRAGMA user_version` of the file."""
EVENTS_TABLE = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, experiment TEXT NOT NULL, time TEXT NOT NULL,
    author TEXT NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL, mirrored INTEGER NOT NULL DEFAULT 0
)
"""
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
    "learned": "TEXT NOT NULL",
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


def create_tables(connection: sqlite3.Connection) -> None:
    """The tables of a new file."""
    connection.execute(EVENTS_TABLE)
    connection.execute("CREATE INDEX events_of ON events (experiment, seq)")
    connection.execute("CREATE INDEX unmirrored ON events (seq) WHERE mirrored = 0")
    create_experiments(connection)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def create_experiments(connection: sqlite3.Connection) -> None:
    """The table that follows from the events, empty."""
    connection.execute(f"CREATE TABLE experiments ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
    connection.execute("CREATE INDEX experiments_by_parent ON experiments (parent)")
    connection.execute("CREATE INDEX experiments_by_last ON experiments (last_seq)")


MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {}
"""By the version that a file has: what makes it one of the next version. The experiments are folded anew after it."""


def event_of(row: Sequence[Any]) -> Event:
    """The event in a row (seq, id, experiment, time, author, kind, data)."""
    return Event._make((*row[:6], json.loads(row[6])))


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
        "learned": experiment.learned,
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
