"""The ledger as its users see it: experiments are added, events appended, tables and events read.

The truth is the table of events, which are only added; the table of experiments follows from it and is changed in the
same transaction. Writers take turns by a lock file, which also lets a damaged database be replaced while others
wait; readers take no lock (SQLite's write-ahead log).
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import threading
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from eyeshot.core import InputError, StorageError, find_workspace, listing, make_folder
from eyeshot.ledger.store.event_files import EXPERIMENTS_FOLDER, write_missing
from eyeshot.ledger.store.events import Event
from eyeshot.ledger.store.opening import (
    BESIDE,
    LEDGER_VARIABLE,
    WAIT_S,
    is_damage,
    ledger_file,
    open_copy,
    open_reader,
    open_writer,
    replace_damaged,
)
from eyeshot.ledger.store.schema import (
    COLUMNS,
    EVENT_COLUMNS,
    JSON_COLUMNS,
    MOST_EVENTS,
    damage,
    event_of,
    experiment_of,
    last_seq,
    row_of,
    store_events,
    store_row,
    transaction,
)

# Readers of a table need no models and no lock, which take longer to load than the table takes to read.
if TYPE_CHECKING:
    import filelock

    from eyeshot.ledger.store.records import Experiment

T = TypeVar("T")
LOCK_FILE = "ledger.lock"
POLL_S = 0.01
READ_ONLY = "This ledger was opened to be read. Open it with write=True."
WORDS_IN_ID = 24
"""Characters of the reason in an id."""


def open_ledger(root: str | Path | None = None, *, write: bool = False) -> Ledger:
    """The ledger of a project; use it in a `with` statement.

    The environment variable EYESHOT_LEDGER moves its database into a folder on a local disk, for projects on a network
    file system.

    Args:
        root: the folder that holds everything eyeshot writes; None: that of the project around the current folder.
        write: False: the ledger is only read, and a project without one has no experiments.

    Raises:
        InputError: EYESHOT_LEDGER names no absolute path.
        StorageError: the file cannot be read, or cannot be written where it has to be.
    """
    return Ledger(find_workspace().root if root is None else Path(root), write=write)


class Ledger:
    """The experiments of a project and the events that they follow from."""

    def __init__(self, root: Path, *, write: bool = False, file: Path | None = None) -> None:
        """See `open_ledger`; `file` is the database where it is known."""
        self.root = root
        self.file = file or ledger_file(root)
        self.write = write
        if write:
            make_folder(root)
        self._turn = threading.RLock()  # threads of one process share the connection
        self._connection, self._opened = self._open()

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
            author: None: `EYESHOT_AUTHOR`, git's user.name or the login name.
            now: None: this moment.
            stated: more of what an event "stated" may have: parent, difference, expected, config, code, seeds,
                author_kind, tags, sweep, hypothesis, cost_planned_s, own_work, off_the_shelf.

        Raises:
            InputError: there is no reason, or a key or a value cannot be used.
            StorageError: the disk is full, or the folder cannot be written.
        """
        from eyeshot.ledger.store.folding import check_event, plain

        data = plain({"why": why.strip()} | stated)
        check_event("stated", data)
        moment = (now or datetime.now(UTC)).astimezone(UTC)

        def added(connection: sqlite3.Connection) -> Experiment:
            experiment_id = self._free_id(connection, why, moment)
            return _append(connection, experiment_id, "stated", data, author=author, moment=moment)

        return self.change(added)

    def append(
        self, experiment_id: str, kind: str, *, author: str | None = None, now: datetime | None = None, **data: Any
    ) -> Experiment:
        """Say something about an experiment.

        Args:
            experiment_id: its id or any unique beginning of it.
            kind: of the event, see `EventKind`.
            author: None: `EYESHOT_AUTHOR`, git's user.name or the login name.
            now: None: this moment.
            data: what the kind has, see `folding.KEYS`.

        Returns:
            the experiment after the event.

        Raises:
            InputError: there is no such experiment, or the kind, a key or a value cannot be used.
            StorageError: the disk is full, or the folder cannot be written.
        """
        from eyeshot.ledger.store.folding import check_event, plain

        data = plain(data)
        moment = (now or datetime.now(UTC)).astimezone(UTC)
        if kind == "insight":
            data.setdefault("insight_id", uuid.uuid4().hex[:6])  # no count: another machine would count alike
        check_event(kind, data)

        def appended(connection: sqlite3.Connection) -> Experiment:
            full_id = self._full_id(lambda *asked: connection.execute(*asked).fetchall(), experiment_id)
            return _append(connection, full_id, kind, data, author=author, moment=moment)

        return self.change(appended)

    def experiment(self, text: str) -> Experiment:
        """The experiment with this id, or the only one whose id begins so.

        "latest" is the last one, and "previous" the one before.

        Raises:
            InputError: there is none, or several begin so.
        """
        asked = "SELECT record FROM experiments WHERE id = ?"
        found: list[Experiment] = self._read(
            asked, (self._full_id(self._read, text),), make=lambda row: experiment_of(row[0])
        )
        return found[0]

    def experiments(
        self, where: str | None = None, values: Sequence[Any] = (), *, sort: str | None = None, limit: int | None = None
    ) -> list[Experiment]:
        """Experiments, the earliest first; arguments as for `rows`."""
        return self._table(("record",), lambda row: experiment_of(row[0]), where, values, sort, limit)

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

        def made(values: tuple[Any, ...]) -> dict[str, Any]:
            row = dict(zip(columns, values, strict=True))
            for name in JSON_COLUMNS:
                if row.get(name):
                    try:
                        row[name] = json.loads(row[name])
                    except (ValueError, TypeError) as error:
                        raise damage(f"{name!r} of an experiment cannot be read") from error
            if "tags" in row:
                row["tags"] = row["tags"].strip(",").split(",") if row["tags"] else []
            return row

        return self._table(columns, made, where, values, sort, limit, offset)

    def _table(
        self,
        columns: tuple[str, ...],
        make: Callable[[tuple[Any, ...]], T],
        where: str | None,
        values: Sequence[Any],
        sort: str | None,
        limit: int | None,
        offset: int = 0,
    ) -> list[T]:
        """What `make` makes of the rows of a table; the rest as for `rows`."""
        order = "first_seq"
        if sort:
            name = sort.removeprefix("-")
            columns_known((*columns, name))
            # Without the first term where it says nothing, the index of places is used instead of sorting all.
            empty = "" if name == "first_seq" else f"{name} IS NULL, "
            order = f"{empty}{name}{' DESC' if sort.startswith('-') else ''}, first_seq"
        columns_known(columns)
        statement = f"SELECT {', '.join(columns)} FROM experiments{f' WHERE {where}' if where else ''} ORDER BY {order}"
        try:
            part = (-1 if limit is None else min(limit, MOST_EVENTS), offset)
            return self._read(f"{statement} LIMIT ? OFFSET ?", (*values, *part), make=make)
        except (sqlite3.OperationalError, sqlite3.ProgrammingError, sqlite3.Warning) as error:
            raise InputError(
                f"A condition must compare columns with values, got {where!r}: {error}. Columns: "
                f"{listing(list(COLUMNS), most=len(COLUMNS))}."
            ) from error

    def events(self, text: str) -> list[Event]:
        """All events of an experiment, in their order.

        Raises:
            InputError: there is no such experiment.
        """
        return self._events("experiment = ?", (self._full_id(self._read, text),))

    def events_since(self, seq: int) -> list[Event]:
        """Events after place `seq`; 0: all."""
        return self._events("seq > ?", (seq,))

    def last_seq(self) -> int:
        """Place of the last event; 0 where there is none."""
        return int(self._read("SELECT coalesce(max(seq), 0) FROM events")[0][0])

    def change(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` in a transaction while no other process writes, then write the files of events.

        Raises:
            StorageError: the ledger was opened to be read, the disk is full, or the folder cannot be written; nothing
                of the job is kept.
        """
        if not self.write:
            raise StorageError(READ_ONLY)
        try:
            with self._turn, self._locked():
                if self._connection.in_transaction:  # within `together`
                    return job(self._connection)
                self._follow()
                try:
                    before = last_seq(self._connection)
                    with transaction(self._connection):
                        result = job(self._connection)
                except sqlite3.DatabaseError as error:
                    if not is_damage(error):
                        raise
                    self._repair()
                    before = last_seq(self._connection)
                    with transaction(self._connection):
                        result = job(self._connection)
                self._write_files(before)
                return result
        except UnicodeEncodeError as error:
            raise not_utf8(error) from error
        except sqlite3.DatabaseError as error:
            raise self._unwritten(error) from error

    @contextmanager
    def together(self) -> Iterator[Self]:
        """What is said within is stored at its end, all of it or, after an error, nothing; no other process writes.

        Each event waits for the disk once, so that ten together take as long as one. Keep it short.

        Raises:
            StorageError: as for `change`.
        """
        if not self.write:
            raise StorageError(READ_ONLY)
        try:
            with self._turn, self._locked():
                self._follow()
                before = last_seq(self._connection)
                with transaction(self._connection):
                    yield self
                self._write_files(before)
        except (sqlite3.DatabaseError, StorageError) as error:
            cause = error.__cause__ if isinstance(error, StorageError) else error
            if isinstance(cause, sqlite3.DatabaseError) and is_damage(cause):
                with self._turn:
                    self._repair()
                raise StorageError(
                    f"{str(self.file)!r} was damaged and has been made anew; what was being said is not in it. "
                    "Give the command again."
                ) from error
            if isinstance(error, StorageError):
                raise
            raise self._unwritten(error) from error

    def _write_files(self, before: int) -> None:
        """What was said is stored; where the files cannot be written now, the next writer does it."""
        try:
            # Losing this mark costs nothing, so that it need not wait for the disk.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            with transaction(self._connection):
                write_missing(self._connection, self.root, new_after=before)
            self._connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                self._repair()  # takes over what can be read, which is also what was just said

    def _unwritten(self, error: sqlite3.DatabaseError) -> StorageError:
        return StorageError(
            f"Cannot write {str(self.file)!r}: {error}. What was said before is kept. Free some space, or make the "
            "folder writable."
        )

    def _events(self, where: str, values: Sequence[Any]) -> list[Event]:
        return self._read(f"SELECT {EVENT_COLUMNS} FROM events WHERE {where} ORDER BY seq", values, make=event_of)

    def _read(
        self, statement: str, values: Sequence[Any] = (), *, make: Callable[[tuple[Any, ...]], Any] = tuple
    ) -> list[Any]:
        """What `make` makes of the rows: what it cannot read is damage, like what SQLite cannot."""
        with self._turn:
            self._follow()
            try:
                return [make(row) for row in self._connection.execute(statement, values)]
            except UnicodeEncodeError as error:
                raise not_utf8(error) from error
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    # The statement itself; several statements in one have no code.
                    if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR:
                        raise
                    raise StorageError(f"Cannot read {str(self.file)!r}: {error}.") from error
            self._repair()
            return [make(row) for row in self._connection.execute(statement, values)]

    def _follow(self) -> None:
        """Open the file again where another process has replaced it, or made the first one."""
        if self._identity() != self._opened:
            self._connection.close()
            self._connection, self._opened = self._open()

    def _identity(self, *, copied: bool | None = None) -> tuple[bool, tuple[int, ...]]:
        """Which file is open; of a copy also what it held."""
        copied = self._opened[0] if copied is None else copied
        identity: tuple[int, ...] = ()
        for ending in ("", *BESIDE[: int(copied)]):
            try:
                status = Path(f"{self.file}{ending}").stat()
            except OSError:
                continue
            identity += (status.st_dev, status.st_ino)
            if copied:
                identity += (status.st_mtime_ns, status.st_size)
        return copied, identity

    def _open(self) -> tuple[sqlite3.Connection, tuple[bool, tuple[int, ...]]]:
        if self.write:
            with self._locked():
                return open_writer(self.file, self.root), self._identity(copied=False)
        # Taken before the file is opened: a change in between is seen at the next reading.
        identity = self._identity(copied=False)
        try:
            return open_reader(self.file, self.root), identity
        except StorageError:
            return self._repaired()

    def _repaired(self, *, damaged: bool = False) -> tuple[sqlite3.Connection, tuple[bool, tuple[int, ...]]]:
        """A file that is damaged, missing or of an earlier version is made good; else a copy is read."""
        try:
            with self._locked():
                (replace_damaged if damaged else open_writer)(self.file, self.root).close()
                return open_reader(self.file, self.root), self._identity(copied=False)
        except (StorageError, OSError):
            identity = self._identity(copied=True)
            return open_copy(self.file, self.root, damaged=damaged), identity

    def _repair(self) -> None:
        """Open anew what was found damaged; another process may have replaced it meanwhile."""
        self._connection.close()
        if not self.write:
            damaged = self._identity() == self._opened
            self._connection, self._opened = self._repaired(damaged=damaged)
            return
        with self._locked():
            damaged = self._identity() == self._opened
            self._connection = (replace_damaged if damaged else open_writer)(self.file, self.root)
            self._opened = self._identity()

    @cached_property
    def _lock(self) -> filelock.BaseFileLock:
        import filelock

        return filelock.FileLock(self.file.with_name(LOCK_FILE), timeout=WAIT_S)

    def _make_moved_folder(self) -> None:
        try:
            if not self.file.parent.is_dir():
                make_folder(self.file.parent)
        except (StorageError, OSError) as error:
            raise StorageError(
                f"{LEDGER_VARIABLE} must name a folder that can be written, got {os.environ.get(LEDGER_VARIABLE)!r}: "
                f"{error.__cause__ or error}. Name another, or make it."
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        import filelock

        if self.file.parent != self.root:
            self._make_moved_folder()
        try:
            lock = self._lock.acquire(poll_interval=POLL_S)
        except filelock.Timeout as error:
            raise StorageError(
                f"Another process has been writing to {str(self.file)!r} for {WAIT_S:.0f} s. Wait for it or stop it."
            ) from error
        except OSError as error:
            raise StorageError(
                f"The ledger needs a folder that can be written, got {str(self.file.parent)!r} "
                f"({error.strerror or error})."
            ) from error
        with lock:
            yield

    def _free_id(self, connection: sqlite3.Connection, why: str, moment: datetime) -> str:
        def taken(experiment_id: str) -> bool:
            row = connection.execute("SELECT 1 FROM experiments WHERE id = ?", (experiment_id,)).fetchone()
            return row is not None or (self.root / EXPERIMENTS_FOLDER / experiment_id).exists()

        return new_experiment_id(why, moment, taken=taken)

    def _full_id(self, read: Callable[..., list[tuple[Any, ...]]], text: str) -> str:
        by_age = {"latest": 0, "previous": 1}  # as of runs
        if text in by_age and (
            rows := read("SELECT id FROM experiments ORDER BY first_seq DESC LIMIT 1 OFFSET ?", (by_age[text],))
        ):
            return str(rows[0][0])
        if read("SELECT 1 FROM experiments WHERE id = ?", (text,)):
            return text
        rows = read("SELECT id FROM experiments WHERE substr(id, 1, ?) = ? ORDER BY first_seq", (len(text), text))
        if text and len(rows) == 1:
            return str(rows[0][0])
        if text and rows:
            raise InputError(
                f"Several experiments begin with {text!r}: {listing([row[0] for row in rows])}. Give more of the id."
            )
        latest = [row[0] for row in read("SELECT id FROM experiments ORDER BY first_seq DESC LIMIT 50")]
        known = f"The latest: {listing(latest)}." if latest else "There are no experiments yet."
        raise InputError(f"No experiment in {str(self.root)!r} is called {text!r}. {known}")


def _append(
    connection: sqlite3.Connection,
    experiment_id: str,
    kind: str,
    data: dict[str, Any],
    *,
    author: str | None,
    moment: datetime,
) -> Experiment:
    from eyeshot.data import default_author
    from eyeshot.ledger.store.folding import fold

    row = connection.execute("SELECT record, first_seq FROM experiments WHERE id = ?", (experiment_id,)).fetchone()
    before = None if row is None else experiment_of(row[0])
    if kind == "expected":
        data = data | {"late": before is not None and bool(before.runs)}
    seq = last_seq(connection) + 1
    time = moment.isoformat(timespec="milliseconds")
    event = Event(seq, uuid.uuid4().hex, experiment_id, time, author or default_author(), kind, data)
    experiment = fold([event], before)
    store_events(connection, [event])
    store_row(connection, row_of(experiment, first_seq=seq if row is None else row[1], last_seq=seq))
    return experiment


def not_utf8(error: UnicodeEncodeError) -> InputError:
    """What is said of a text with half a character, as a terminal in another encoding sends it."""
    place = slice(max(0, error.start - 20), error.end + 20)
    return InputError(
        f"A text must be in UTF-8, got {error.object[place]!r}. Set the terminal to UTF-8, and type it again."
    )


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
