"""How `ledger.sqlite` is opened: made, brought to today's version, or, where it is damaged, made anew from the files.

Whoever writes holds the lock of the ledger here; a kill at any point leaves a file that the next one opens.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import warnings
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from eyeshot.core import InputError, StorageError
from eyeshot.ledger.store.event_files import EXPERIMENTS_FOLDER, all_events
from eyeshot.ledger.store.events import Event, is_sound
from eyeshot.ledger.store.network import network_type
from eyeshot.ledger.store.schema import (
    EVENT_COLUMNS,
    VERSION,
    create_tables,
    event_of,
    migrate,
    refold,
    transaction,
    unite,
)

LEDGER_FILE = "ledger.sqlite"
BESIDE = ("-wal", "-shm")
"""Files that SQLite keeps beside a database."""
LEDGER_VARIABLE = "EYESHOT_LEDGER"
MOVE_IT = (
    f"Set {LEDGER_VARIABLE} to a folder on a local disk, such as {LEDGER_VARIABLE}=~/.local/share/eyeshot: the "
    "database then lies there, and everything else stays where it is. Or work in a project folder on a local disk. "
    "`eyeshot ledger merge` unites the ledgers of several machines."
)
WAIT_S = 60.0
"""Longest wait for another writer; a write takes milliseconds."""
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is damaged: not a full disk, nor a folder that cannot be written."""
    # The module sqlite3 has no code for bytes that are no text.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED or "not decode to UTF-8" in str(error)


def ledger_file(root: Path) -> Path:
    """Where the database of a project lies: in `root`, or, with `EYESHOT_LEDGER`, in a folder of its own in that one.

    Raises:
        InputError: the variable names no absolute path, which would mean another place in each folder.
    """
    moved = os.environ.get(LEDGER_VARIABLE)
    if not moved:
        return root / LEDGER_FILE
    with suppress(RuntimeError):  # "~name" of a user who does not exist
        moved = str(Path(moved).expanduser())
    folder = Path(moved)
    if not folder.is_absolute():
        raise InputError(
            f"{LEDGER_VARIABLE} must be the absolute path of a folder on a local disk, got {moved!r}. For instance "
            f"{LEDGER_VARIABLE}=~/.local/share/eyeshot."
        )
    from eyeshot.core import key_of

    place = root.resolve()
    return folder / f"{place.parent.name or 'project'}-{key_of(str(place))[:8]}" / LEDGER_FILE


def refuse_network(file: Path) -> None:
    """Refuse to write on a network file system.

    Raises:
        StorageError: `file` lies on one.
    """
    if kind := network_type(file.parent):
        raise StorageError(
            f"The ledger needs a local disk, and {str(file.parent)!r} lies on a network file system ({kind}): the log "
            f"that SQLite writes ahead needs memory that all processes share, and two machines would damage the file. "
            f"{MOVE_IT}"
        )


def open_writer(file: Path, root: Path) -> sqlite3.Connection:
    """A connection that can write, to a file of today's version; the caller holds the ledger's lock.

    Raises:
        StorageError: the file is of a newer version or no ledger, or the folder cannot be written.
    """
    refuse_network(file)
    if not file.is_file():
        _remove_leftovers(file)
    connection = _connect(file)
    try:
        _prepare(connection, file, root)
        if file.parent != root and (root / LEDGER_FILE).is_file():
            _take_over(connection, root)
    except sqlite3.DatabaseError as error:
        connection.close()
        if not is_damage(error):
            raise StorageError(f"Cannot open {str(file)!r}: {error}. Is the folder writable, the disk full?") from error
        return replace_damaged(file, root)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(file: Path, root: Path) -> sqlite3.Connection:
    """A connection that can only read a file of today's version, which need not be there.

    Raises:
        StorageError: there is no file of today's version to read; `open_writer` makes one where it can.
    """
    if file.parent != root and (root / LEDGER_FILE).is_file():
        raise StorageError(f"{str(root / LEDGER_FILE)!r} has not been taken over yet.")
    try:
        is_there = file.is_file() and file.stat().st_size > 0
    except OSError as error:
        raise StorageError(f"Cannot read {str(file)!r}: {error.strerror or error}.") from error
    if not is_there:
        if not (root / EXPERIMENTS_FOLDER).is_dir():
            empty = _connect(":memory:")
            create_tables(empty)
            return empty
        raise StorageError(f"{str(file)!r} is missing.")
    place = f"{file.resolve().as_uri()}?mode=ro"
    try:
        connection = sqlite3.connect(place, uri=True, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise StorageError(f"Cannot read {str(file)!r}: {error}.") from error
    try:
        version = _version(connection, file)
        if version == VERSION:
            connection.execute("SELECT 1 FROM experiments LIMIT 1").fetchone()
            return connection
        raise StorageError(f"{str(file)!r} is of version {version}.")
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.DatabaseError):
            raise StorageError(f"Cannot read {str(file)!r}: {error}.") from error
        raise


def open_copy(file: Path, root: Path, *, damaged: bool = False) -> sqlite3.Connection:
    """The ledger in memory, brought to today's version: for folders that cannot be written.

    Args:
        file: the database.
        root: folder of the files of events.
        damaged: the file is known to be; what can be read of it is taken, with the files of events.

    Raises:
        StorageError: the file is of a newer version, is no ledger, or cannot be read.
    """
    connection = _connect(":memory:")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / LEDGER_FILE
        for ending in ("", "-wal"):
            try:
                shutil.copyfile(f"{file}{ending}", f"{copy}{ending}")
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise StorageError(
                    f"Cannot read '{file}{ending}': {error.strerror or error}. Check the path and who may read it."
                ) from error
        try:
            if copy.is_file() and not damaged:
                with closing(_connect(copy)) as source:
                    source.backup(connection)
            if not damaged:
                _prepare(connection, file, root)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise StorageError(f"Cannot read {str(file)!r}: {error}.") from error
            damaged = True
        if damaged:
            connection = _connect(":memory:")
            _prepare(connection, file, root, more=readable_events(copy))
            warnings.warn(f"{str(file)!r} is damaged; what is shown is from the files of events.", stacklevel=2)
    return connection


def replace_damaged(file: Path, root: Path) -> sqlite3.Connection:
    """Move a damaged file aside and make it anew from the files of events; the caller holds the ledger's lock.

    Raises:
        StorageError: the folder cannot be written, or another program holds the file open.
    """
    aside = file.with_name(f"{file.name}.damaged-{datetime.now().strftime('%Y%m%d-%H%M%S-%f')}")
    try:
        # The database goes first: without it, what lies beside it is known to be a leftover.
        for ending in ("", *BESIDE):
            with suppress(FileNotFoundError):
                Path(f"{file}{ending}").rename(f"{aside}{ending}")
    except OSError as error:
        raise StorageError(
            f"{str(file)!r} is damaged and cannot be moved aside: {error.strerror or error}. Close other programs that "
            "use it, and give the command again."
        ) from error
    connection = _connect(file)
    try:
        _prepare(connection, file, root, more=readable_events(aside))
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StorageError(f"Cannot make {str(file)!r} anew: {error}.") from error
    count = connection.execute("SELECT count(*) FROM experiments").fetchone()[0]
    warnings.warn(
        f"{str(file)!r} was damaged. It is kept as {aside.name!r}; the ledger was made anew from the files of events: "
        f"{count} {'experiment' if count == 1 else 'experiments'}.",
        stacklevel=2,
    )
    return connection


def readable_events(file: Path) -> list[Event]:
    """The events that can still be read of a damaged file, by their places."""
    least_bytes = 64  # of an event: its id alone has 32
    events: list[Event] = []
    with suppress(sqlite3.Error, OSError), closing(_connect(file)) as connection:
        last = connection.execute("SELECT max(seq) FROM events").fetchone()[0] or 0
        # A damaged place may be any number; the log beside the file may hold more than the file.
        sizes = [Path(f"{file}{ending}").stat().st_size for ending in ("", "-wal") if Path(f"{file}{ending}").exists()]
        for seq in range(1, min(last, sum(sizes) // least_bytes) + 1):
            # Each by itself: a page that cannot be read takes only its own events along.
            with suppress(sqlite3.Error, ValueError, TypeError):
                row = connection.execute(f"SELECT {EVENT_COLUMNS} FROM events WHERE seq = ?", (seq,)).fetchone()
                if row is not None:
                    events.append(event_of(row))
    return [event for event in events if is_sound(event)]


def _take_over(connection: sqlite3.Connection, root: Path) -> None:
    """Add what a database in the project's folder holds, from before `EYESHOT_LEDGER` was set, and move it aside."""
    file = root / LEDGER_FILE
    with closing(open_copy(file, root)) as old:
        events = [event_of(row) for row in old.execute(f"SELECT {EVENT_COLUMNS} FROM events ORDER BY seq")]
    with transaction(connection):
        if unite(connection, events):
            refold(connection)
    aside = file.with_name(f"{file.name}.moved-{datetime.now().strftime('%Y%m%d-%H%M%S-%f')}")
    # Where nothing can be written there, it is taken over again next time, which adds nothing twice.
    with suppress(OSError):
        for ending in ("", *BESIDE):
            with suppress(FileNotFoundError):
                Path(f"{file}{ending}").rename(f"{aside}{ending}")


def _prepare(connection: sqlite3.Connection, file: Path, root: Path, more: list[Event] | None = None) -> None:
    """Tables of today's version; those of a new file hold what the files of events say, and `more`."""
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode not in ("wal", "memory"):
        raise StorageError(
            f"The ledger needs a disk on which SQLite can write ahead, and {str(file.parent)!r} lies on none (its log "
            f"is in mode {mode!r}). {MOVE_IT}"
        )
    version = _version(connection, file)
    if version == VERSION:
        return
    with transaction(connection):
        if version:
            migrate(connection, version)
            return
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            raise StorageError(f"{str(file)!r} is a database, but no ledger of eyeshot. Move it elsewhere.")
        create_tables(connection)
        events, _ = all_events(root)
        unite(connection, [*events, *(more or ())])
        # Marked as in no file; `write_missing` finds which are there.
        refold(connection)


def _version(connection: sqlite3.Connection, file: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version < 0:
        raise StorageError(f"{str(file)!r} is a database, but no ledger of eyeshot. Move it elsewhere.")
    if version > VERSION:
        raise StorageError(
            f"{str(file)!r} was written by a newer eyeshot (its version is {version}; this one reads up to {VERSION}). "
            "Update with: pip install -U eyeshot"
        )
    return version


def _connect(file: Path | str) -> sqlite3.Connection:
    try:
        return sqlite3.connect(file, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise StorageError(f"Cannot open {str(file)!r}: {error}. Is the folder writable?") from error


def _remove_leftovers(file: Path) -> None:
    """What lies beside a database that is gone must not be taken for that of a new one."""
    for ending in BESIDE:
        Path(f"{file}{ending}").unlink(missing_ok=True)
