"""`ledger.sqlite`: opened, written by one at a time, read by anybody.

The truth is the table of events, which are only added; the table of experiments follows from it and is changed in the
same transaction. Writers take turns by a lock file, which also lets a damaged database be replaced while others
wait; readers take no lock (SQLite's write-ahead log).
"""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import filelock

from eyeshot.core import InputError, StorageError, find_workspace, listing, make_folder
from eyeshot.data import default_author
from eyeshot.ledger.store.event_files import EXPERIMENTS_FOLDER, write_missing
from eyeshot.ledger.store.folding import check_event, fold, plain
from eyeshot.ledger.store.records import Event, Experiment
from eyeshot.ledger.store.schema import COLUMNS, JSON_COLUMNS, VERSION, create_tables, event_of, row_of

LEDGER_FILE = "ledger.sqlite"
LOCK_FILE = "ledger.lock"
WAIT_S = 60.0
"""Longest wait for another writer; a write takes milliseconds."""
POLL_S = 0.01
WORDS_IN_ID = 24
"""Characters of the reason in an id."""


def open_ledger(root: str | Path | None = None, *, write: bool = False) -> Ledger:
    """The ledger of a project; use it in a `with` statement.

    Args:
        root: the folder that holds everything eyeshot writes; None: that of the project around the current folder.
        write: False: the ledger is only read, and a project without one has no experiments.

    Raises:
        StorageError: the file cannot be read, or cannot be written where it has to be.
    """
    return Ledger(find_workspace().root if root is None else Path(root), write=write)


class Ledger:
    """The experiments of a project and the events that they follow from."""

    def __init__(self, root: Path, *, write: bool = False) -> None:
        """See `open_ledger`."""
        self.root = root
        self.file = root / LEDGER_FILE
        self.write = write
        if write:
            make_folder(root)
        self._lock = filelock.FileLock(root / LOCK_FILE, timeout=WAIT_S)
        self._connection = self._open()

    def __enter__(self) -> Self:
        """The ledger itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; what was written is kept."""
        self._connection.close()

    def add(self, why: str, *, author: str | None = None, now: datetime | None = None, **stated: Any) -> Experiment:
        """A new experiment.

        Args:
            why: the reason; its first words become part of the id.
            author: None: `EYESHOT_AUTHOR`, or the login name.
            now: None: this moment.
            stated: more of what an event "stated" may have: parent, difference, expected, config, code, seeds,
                author_kind, tags, sweep, hypothesis, cost_planned_s, own_work, off_the_shelf.

        Raises:
            InputError: there is no reason, or a key or a value cannot be used.
            StorageError: the disk is full, or the folder cannot be written.
        """
        data = plain({"why": why.strip()} | stated)
        check_event("stated", data)
        moment = (now or datetime.now(UTC)).astimezone(UTC)
        with self._writing() as connection:
            experiment_id = self._free_id(connection, why, moment)
            return self._append(connection, experiment_id, [("stated", data)], author=author, moment=moment)

    def append(
        self, experiment_id: str, kind: str, *, author: str | None = None, now: datetime | None = None, **data: Any
    ) -> Experiment:
        """Say something about an experiment.

        Args:
            experiment_id: its id or any unique beginning of it.
            kind: of the event, see `EventKind`.
            author: None: `EYESHOT_AUTHOR`, or the login name.
            now: None: this moment.
            data: what the kind has, see `folding.KEYS`.

        Returns:
            the experiment after the event.

        Raises:
            InputError: there is no such experiment, or the kind, a key or a value cannot be used.
            StorageError: the disk is full, or the folder cannot be written.
        """
        data = plain(data)
        check_event(kind, data)
        moment = (now or datetime.now(UTC)).astimezone(UTC)
        with self._writing() as connection:
            experiment_id = self._full_id(connection, experiment_id)
            return self._append(connection, experiment_id, [(kind, data)], author=author, moment=moment)

    def experiment(self, text: str) -> Experiment:
        """The experiment with this id, or the only one whose id begins so; "latest" is the last one.

        Raises:
            InputError: there is none, or several begin so.
        """
        experiment_id = self._full_id(self._connection, text)
        row = self._connection.execute("SELECT record FROM experiments WHERE id = ?", (experiment_id,)).fetchone()
        return Experiment.model_validate_json(row[0])

    def experiments(
        self, where: str | None = None, values: Sequence[Any] = (), *, sort: str | None = None, limit: int | None = None
    ) -> list[Experiment]:
        """Experiments, the earliest first; arguments as for `rows`."""
        rows = self.rows("record", where=where, values=values, sort=sort, limit=limit)
        return [Experiment.model_validate(row["record"]) for row in rows]

    def rows(
        self,
        *columns: str,
        where: str | None = None,
        values: Sequence[Any] = (),
        sort: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """A table of experiments, without reading whole records; the earliest first.

        Args:
            columns: of `schema.COLUMNS`; none: all but `record`.
            where: a condition of SQL on columns, such as "state = ? and value > 0.8".
            values: for its question marks.
            sort: a column; with "-" before it the largest first. Without a value is last.
            limit, offset: which part of the table.

        Returns:
            a dictionary for each row; JSON is parsed and `tags` is a list.

        Raises:
            InputError: a column is unknown, or the condition is no SQL.
        """
        columns = columns or tuple(name for name in COLUMNS if name != "record")
        order = "first_seq"
        if sort:
            name = sort.removeprefix("-")
            order = f"{name} IS NULL, {name}{' DESC' if sort.startswith('-') else ''}, first_seq"
            columns_known((*columns, name))
        columns_known(columns)
        statement = f"SELECT {', '.join(columns)} FROM experiments{f' WHERE {where}' if where else ''} ORDER BY {order}"
        try:
            rows = self._connection.execute(
                f"{statement} LIMIT ? OFFSET ?", (*values, -1 if limit is None else limit, offset)
            )
            table = [dict(zip(columns, row, strict=True)) for row in rows]
        except (sqlite3.OperationalError, sqlite3.ProgrammingError, sqlite3.Warning) as error:
            raise InputError(
                f"A condition must compare columns with values, got {where!r}: {error}. Columns: "
                f"{listing(list(COLUMNS), most=len(COLUMNS))}."
            ) from error
        for name in JSON_COLUMNS:
            if name in columns:
                for row in table:
                    row[name] = row[name] and json.loads(row[name])
        if "tags" in columns:
            for row in table:
                row["tags"] = row["tags"].strip(",").split(",") if row["tags"] else []
        return table

    def events(self, text: str) -> list[Event]:
        """All events of an experiment, in their order.

        Raises:
            InputError: there is no such experiment.
        """
        return self._events("experiment = ?", (self._full_id(self._connection, text),))

    def events_since(self, seq: int) -> list[Event]:
        """Events after place `seq`; 0: all."""
        return self._events("seq > ?", (seq,))

    def last_seq(self) -> int:
        """Place of the last event; 0 where there is none."""
        return int(self._connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def _events(self, where: str, values: Sequence[Any]) -> list[Event]:
        rows = self._connection.execute(
            f"SELECT seq, id, experiment, time, author, kind, data FROM events WHERE {where} ORDER BY seq", values
        )
        return [event_of(row) for row in rows]

    def _open(self) -> sqlite3.Connection:
        if not self.write and not self.file.is_file():
            connection = sqlite3.connect(":memory:", isolation_level=None)
            create_tables(connection)
            return connection
        connection = sqlite3.connect(self.file, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
        if not self.write:
            connection.execute("PRAGMA query_only = ON")
            return connection
        connection.execute("PRAGMA journal_mode = WAL")
        with self._lock:
            if connection.execute("PRAGMA user_version").fetchone()[0] < VERSION:
                with transaction(connection):
                    create_tables(connection)
        return connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """The lock of the ledger and a transaction; afterwards the files of events are written."""
        if not self.write:
            raise StorageError("This ledger was opened to be read. Open it with write=True.")
        try:
            with self._lock.acquire(poll_interval=POLL_S):
                with transaction(self._connection):
                    yield self._connection
                with transaction(self._connection):
                    write_missing(self._connection, self.root)
        except filelock.Timeout as error:
            raise StorageError(
                f"Another process has been writing to {str(self.file)!r} for {WAIT_S:.0f} s. Wait for it or stop it."
            ) from error
        except sqlite3.OperationalError as error:
            raise StorageError(f"Cannot write {str(self.file)!r}: {error}. What was said before is kept.") from error

    def _append(
        self,
        connection: sqlite3.Connection,
        experiment_id: str,
        said: Iterable[tuple[str, dict[str, Any]]],
        *,
        author: str | None,
        moment: datetime,
    ) -> Experiment:
        author = author or default_author()
        time = moment.isoformat(timespec="milliseconds")
        row = connection.execute("SELECT record, first_seq FROM experiments WHERE id = ?", (experiment_id,)).fetchone()
        before = None if row is None else Experiment.model_validate_json(row[0])
        seq = int(connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])
        first_seq = seq + 1 if row is None else row[1]
        events = [
            Event(number, uuid.uuid4().hex, experiment_id, time, author, kind, data)
            for number, (kind, data) in enumerate(said, seq + 1)
        ]
        experiment = fold(events, before)
        store_events(connection, events)
        store_row(connection, row_of(experiment, first_seq=first_seq, last_seq=events[-1].seq))
        return experiment

    def _free_id(self, connection: sqlite3.Connection, why: str, moment: datetime) -> str:
        def taken(experiment_id: str) -> bool:
            row = connection.execute("SELECT 1 FROM experiments WHERE id = ?", (experiment_id,)).fetchone()
            return row is not None or (self.root / EXPERIMENTS_FOLDER / experiment_id).exists()

        return new_experiment_id(why, moment, taken=taken)

    def _full_id(self, connection: sqlite3.Connection, text: str) -> str:
        if text == "latest":
            row = connection.execute("SELECT id FROM experiments ORDER BY first_seq DESC LIMIT 1").fetchone()
            if row is not None:
                return str(row[0])
        if connection.execute("SELECT 1 FROM experiments WHERE id = ?", (text,)).fetchone():
            return text
        fitting = [
            row[0]
            for row in connection.execute(
                "SELECT id FROM experiments WHERE substr(id, 1, ?) = ? ORDER BY first_seq", (len(text), text)
            )
        ]
        if len(fitting) == 1:
            return str(fitting[0])
        if fitting and text:
            raise InputError(f"Several experiments begin with {text!r}: {listing(fitting)}. Give more of the id.")
        latest = [row[0] for row in connection.execute("SELECT id FROM experiments ORDER BY first_seq DESC LIMIT 50")]
        known = f"The latest: {listing(latest)}." if latest else "There are no experiments yet."
        raise InputError(f"No experiment in {str(self.root)!r} is called {text!r}. {known}")


def columns_known(columns: Iterable[str]) -> None:
    """Refuse names that are no columns.

    Raises:
        InputError: a name is unknown.
    """
    for name in columns:
        if name not in COLUMNS:
            raise InputError(f"A column must be one of {listing(list(COLUMNS), most=len(COLUMNS))}, got {name!r}.")


def new_experiment_id(why: str, moment: datetime, *, taken: Callable[[str], bool]) -> str:
    """An id that sorts by time, can be read, and is free: "20261130-1432-radam". The time in it is local."""
    words = re.findall(r"\w+", unicodedata.normalize("NFC", why).lower())
    text = ""
    for word in words:
        if text and len(text) + 1 + len(word) > WORDS_IN_ID:
            break
        text = f"{text}-{word}" if text else word[:WORDS_IN_ID]
    stem = f"{moment.astimezone().strftime('%Y%m%d-%H%M')}-{text or 'experiment'}"
    number, experiment_id = 1, stem
    while taken(experiment_id):
        number += 1
        experiment_id = f"{stem}-{number}"
    return experiment_id


def store_events(connection: sqlite3.Connection, events: Iterable[Event], *, mirrored: bool = False) -> None:
    """Add events at their places."""
    connection.executemany(
        "INSERT INTO events (seq, id, experiment, time, author, kind, data, mirrored) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(*event[:6], json.dumps(event.data, ensure_ascii=False), int(mirrored)) for event in events],
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
