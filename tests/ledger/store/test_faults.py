"""Damaged, old, new, foreign and read-only ledgers, full disks, network disks."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from eyeshot.core import InputError, StorageError
from eyeshot.ledger import Experiment, open_ledger, rebuild_ledger
from eyeshot.ledger.store import network, opening, schema
from ledger.store.ledger_states import contents, damage, filled, lines


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("begin", [0, 4096, 8192, 20000])
def test_a_damaged_database_is_kept_aside_and_made_anew_from_the_files(tmp_path: Path, begin: int, write: bool) -> None:
    filled(tmp_path, 20).close()
    before = contents(tmp_path)
    damage(tmp_path / "ledger.sqlite", begin=begin, length=4096)

    def used() -> None:
        with open_ledger(tmp_path, write=write) as ledger:
            assert ledger.experiments() == before[0]
            assert [event.id for event in ledger.events_since(0)] == before[1]
            assert [ledger.experiment(experiment.id) for experiment in before[0]] == before[0]
        with open_ledger(tmp_path, write=True) as ledger:  # a page of an index is needed only now
            ledger.add("on")

    with pytest.warns(UserWarning, match="made anew"):
        used()
    assert len(list(tmp_path.glob("ledger.sqlite.damaged-*"))) == 1
    after = contents(tmp_path)
    assert after[0][:-1] == before[0]
    assert after[1][:-1] == before[1]
    assert len(lines(tmp_path)) == 101


def test_damage_that_the_first_write_meets_is_repaired(tmp_path: Path) -> None:
    filled(tmp_path, 20).close()
    before = contents(tmp_path)
    file = tmp_path / "ledger.sqlite"
    damage(file, begin=4096, length=file.stat().st_size - 4096)  # the first page alone is read on opening
    with open_ledger(tmp_path, write=True) as ledger, pytest.warns(UserWarning, match="made anew"):
        added = ledger.add("on")
    assert contents(tmp_path)[0] == [*before[0], added]


def test_events_that_are_in_no_file_yet_are_read_from_the_damaged_database(tmp_path: Path) -> None:
    with filled(tmp_path, 20) as ledger:
        last = ledger.experiment("latest")
    file = tmp_path / "experiments" / last.id / "events.jsonl"
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE events SET mirrored = 0 WHERE experiment = ?", (last.id,))
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'experiments'").fetchone()[0]
    file.unlink()
    before = contents(tmp_path)
    damage(tmp_path / "ledger.sqlite", begin=(page - 1) * 4096, length=4096)
    with pytest.warns(UserWarning, match="20 experiments"):
        assert contents(tmp_path) == before
    with open_ledger(tmp_path, write=True) as ledger:
        ledger.add("on")
    assert len(lines(tmp_path)) == 101


def test_a_reader_that_is_open_sees_the_new_file_after_a_repair(tmp_path: Path) -> None:
    filled(tmp_path, 20).close()
    with open_ledger(tmp_path) as reader, open_ledger(tmp_path, write=True) as other:
        assert len(reader.experiments()) == 20
        other.add("one more")
        damage(tmp_path / "ledger.sqlite", begin=0, length=100)
        with pytest.warns(UserWarning, match="made anew"), open_ledger(tmp_path, write=True) as writer:
            writer.add("after the repair")
        other.add("the other writer goes on")
        assert [experiment.why for experiment in reader.experiments()][-3:] == [
            "one more", "after the repair", "the other writer goes on",
        ]  # fmt: skip


@pytest.mark.parametrize("write", [False, True])
def test_a_database_that_was_deleted_is_made_from_the_files(tmp_path: Path, write: bool) -> None:
    filled(tmp_path).close()
    before = contents(tmp_path)
    (tmp_path / "ledger.sqlite").unlink()
    (tmp_path / "ledger.sqlite-wal").write_bytes(b"a leftover")
    with open_ledger(tmp_path, write=write) as ledger:
        assert ledger.experiments() == before[0]
    assert contents(tmp_path) == before


def test_the_ledger_of_the_first_version_is_brought_forward_and_loses_nothing(tmp_path: Path) -> None:
    """The file was written by the first commit that had a ledger."""
    file = tmp_path / "ledger.sqlite"
    shutil.copyfile(Path(__file__).parent / "version-1" / "ledger.sqlite", file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == 1
        records = [
            Experiment.model_validate_json(row[0])
            for row in connection.execute("SELECT record FROM experiments ORDER BY first_seq")
        ]
        ids = [row[0] for row in connection.execute("SELECT id FROM events ORDER BY seq")]
    experiments, events = contents(tmp_path)
    assert events == ids
    assert len(ids) == 21
    assert experiments == records
    assert experiments[1].why_different == "few images"
    with open_ledger(tmp_path, write=True) as ledger:
        rows = ledger.rows("id", "n", "words", "why_different", "hypothesis")
        ledger.append(experiments[2].id, "learned", text="smaller batches")
    assert [row["n"] for row in rows] == [40, 40, None]
    assert rows[1]["hypothesis"] == "warms up"
    assert rows[2]["words"] == "no memory"


def test_a_migration_that_fails_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path).close()
    before = contents(tmp_path)

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE events ADD COLUMN host TEXT")
        raise StorageError("stopped half way")

    def whole(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE events ADD COLUMN host TEXT")
        connection.execute("UPDATE events SET author = upper(author)")

    newer = schema.VERSION + 1
    for module in (schema, opening):
        monkeypatch.setattr(module, "VERSION", newer)
    monkeypatch.setitem(schema.MIGRATIONS, schema.VERSION - 1, half)
    with pytest.raises(StorageError, match="half way"):
        open_ledger(tmp_path, write=True)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == newer - 1
        assert connection.execute("SELECT count(*) FROM pragma_table_info('events')").fetchone()[0] == 8
    monkeypatch.setitem(schema.MIGRATIONS, schema.VERSION - 1, whole)
    after = contents(tmp_path)
    assert after[1] == before[1]
    assert [experiment.author for experiment in after[0]] == [experiment.author.upper() for experiment in before[0]]


@pytest.mark.parametrize("write", [False, True])
def test_a_newer_ledger_is_refused_and_left_as_it_is(tmp_path: Path, write: bool) -> None:
    filled(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 99")
    content = (tmp_path / "ledger.sqlite").read_bytes()
    with pytest.raises(StorageError, match=r"newer eyeshot .*version is 99.*pip install -U"):
        open_ledger(tmp_path, write=write)
    assert (tmp_path / "ledger.sqlite").read_bytes() == content


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(StorageError, match="no ledger of eyeshot"):
        open_ledger(tmp_path, write=True)


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home {home} nfs4 rw 0 0
/dev/sdb1 {home}/local xfs rw 0 0
//nas/team {home}/the\\040team cifs rw 0 0
"""


def test_a_network_disk_is_refused_with_the_reason_and_can_still_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, mounts = tmp_path / "home", tmp_path / "mounts"
    mounts.write_text(MOUNTS.format(home=home), encoding="utf-8")
    filled(home / "project").close()
    filled(home / "local" / "project").close()
    before = contents(home / "project")
    monkeypatch.setattr(network, "MOUNTS", mounts)
    with pytest.raises(StorageError, match=r"network file system \(nfs4\).*EYESHOT_LEDGER.*local disk"):
        open_ledger(home / "project", write=True)
    with pytest.raises(StorageError, match=r"\(cifs\)"):
        open_ledger(home / "the team" / "project", write=True)
    (home / "project" / "ledger.sqlite").unlink()
    assert contents(home / "project") == before  # from the files, in memory
    assert not (home / "project" / "ledger.sqlite").exists()
    open_ledger(home / "local" / "project", write=True).close()
    monkeypatch.setattr(network, "MOUNTS", tmp_path / "none")
    open_ledger(home / "project", write=True).close()


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a project on a network disk, whose database a local folder holds: `tmp_path / "local"`."""
    (tmp_path / "mounts").write_text(f"server:/home {tmp_path / 'home'} nfs4 rw 0 0\n", encoding="utf-8")
    monkeypatch.setattr(network, "MOUNTS", tmp_path / "mounts")
    monkeypatch.setenv("EYESHOT_LEDGER", str(tmp_path / "local"))
    return tmp_path / "home" / "birds" / "eyeshot-out"


def test_on_a_network_disk_the_database_can_lie_elsewhere(moved: Path, tmp_path: Path) -> None:
    assert contents(moved)[0] == []
    assert not (tmp_path / "local").exists(), "reading a project without experiments makes nothing"
    filled(moved).close()
    before = contents(moved)
    (file,) = (tmp_path / "local").rglob("ledger.sqlite")
    assert file.parent.name.startswith("birds-")
    assert not list(moved.glob("ledger.*")), "neither the database nor its lock"
    assert len(lines(moved)) == len(before[1])
    assert rebuild_ledger(root=moved).added == 0
    assert contents(moved) == before
    shutil.rmtree(tmp_path / "local")
    assert rebuild_ledger(root=moved).experiments == len(before[0])
    assert contents(moved) == before
    with open_ledger(tmp_path / "home" / "fish" / "eyeshot-out", write=True) as ledger:
        assert ledger.experiments() == [], "each project has its own"


def test_what_another_machine_wrote_beside_it_comes_with_a_rebuild(
    moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = filled(moved)
    here.close()
    monkeypatch.setenv("EYESHOT_LEDGER", str(tmp_path / "local of the other"))
    with open_ledger(moved, write=True) as ledger:
        there = ledger.add("from the other machine").id
        both = ledger.experiments()
    monkeypatch.setenv("EYESHOT_LEDGER", str(tmp_path / "local"))
    assert len(contents(moved)[0]) == len(both) - 1
    assert rebuild_ledger(root=moved).added == 1
    with open_ledger(moved) as ledger:
        assert ledger.experiment(there).why == "from the other machine"


def test_a_database_from_before_the_move_is_taken_over_once(
    moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):  # the second time there is a database in both places
        monkeypatch.setattr(network, "MOUNTS", tmp_path / "none")
        monkeypatch.delenv("EYESHOT_LEDGER")
        with open_ledger(moved, write=True) as ledger:
            name = ledger.add(f"before move {number}").id
        shutil.rmtree(moved / "experiments")  # the database alone has it
        before = contents(moved)
        monkeypatch.setattr(network, "MOUNTS", tmp_path / "mounts")
        monkeypatch.setenv("EYESHOT_LEDGER", str(tmp_path / "local"))
        assert contents(moved) == before
        asides = [file for file in moved.glob("ledger.sqlite.moved-*") if not file.name.endswith(("-wal", "-shm"))]
        assert len(asides) == number + 1
        assert not (moved / "ledger.sqlite").exists()
        with open_ledger(moved, write=True) as ledger:
            assert ledger.append(name, "learned", text="moved").learned == "moved"
        assert [line["kind"] for line in lines(moved) if line["experiment"] == name] == ["stated", "learned"]


def test_a_place_for_the_database_that_cannot_be_used_is_named(
    moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EYESHOT_LEDGER", "ledgers")
    with pytest.raises(InputError, match="absolute path of a folder on a local disk, got 'ledgers'"):
        open_ledger(moved)
    (tmp_path / "a file").touch()
    monkeypatch.setenv("EYESHOT_LEDGER", str(tmp_path / "a file"))
    with pytest.raises(StorageError, match=r"EYESHOT_LEDGER must name a folder.*'.*a file'"):
        open_ledger(moved, write=True)
    with open_ledger(moved) as ledger:
        assert ledger.experiments() == [], "it can be read without the database"
    monkeypatch.setenv("EYESHOT_LEDGER", "~no-such-user-/ledgers")
    with pytest.raises(InputError, match="absolute path of a folder on a local disk, got '~no-such-user-/ledgers'"):
        open_ledger(moved)
    monkeypatch.setenv("EYESHOT_LEDGER", str(tmp_path / ("x" * 300)))
    for write in (False, True):
        with pytest.raises(StorageError, match="name too long"):
            open_ledger(moved, write=write)
    monkeypatch.setenv("EYESHOT_LEDGER", str(tmp_path / "home" / "ledgers"))
    with pytest.raises(StorageError, match=r"ledgers.*lies on a network file system"):
        open_ledger(moved, write=True)


def test_a_disk_without_a_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection(sqlite3.Connection):
        def execute(self, statement: str, *values: object) -> sqlite3.Cursor:  # type: ignore[override]
            statement = statement.replace("PRAGMA journal_mode = WAL", "PRAGMA journal_mode = DELETE")
            return super().execute(statement, *values)

    monkeypatch.setattr(
        opening, "_connect", lambda file: sqlite3.connect(file, isolation_level=None, factory=Connection)
    )
    with pytest.raises(StorageError, match="mode 'delete'"):
        open_ledger(tmp_path, write=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk of 1 MB can be mounted here: full and read-only disks were not tried")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.filterwarnings("ignore:Cannot write")
def test_a_full_disk_is_an_error_and_what_was_said_before_is_kept(small_disk: Path) -> None:
    root = small_disk / "eyeshot-out"
    (small_disk / "other").write_bytes(bytes(300_000))
    said: list[str] = []

    def fill() -> None:
        for number in range(5000):
            said.append(ledger.add(f"{number} " + "words " * 200).id)

    with filled(root, 1) as ledger:
        before = len(ledger.experiments())
        with pytest.raises(StorageError, match="full"):
            fill()
        assert [experiment.id for experiment in ledger.experiments()][before:] == said
    (small_disk / "other").unlink()
    with open_ledger(root, write=True) as ledger:
        ledger.append(said[0], "learned", text="disks fill")
    experiments, events = contents(root)
    assert experiments[before].learned == "disks fill"
    assert sorted(line["id"] for line in lines(root)) == sorted(events)


def test_a_full_disk_for_the_files_alone_is_a_warning_and_they_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eyeshot.ledger.store import event_files

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with filled(tmp_path) as ledger:
        with monkeypatch.context() as patched:
            patched.setattr(event_files, "append_lines", full)
            with pytest.warns(UserWarning, match=r"No space left.*is in the ledger"):
                late = ledger.add("late")
        assert len(lines(tmp_path)) == 15
        ledger.append(late.id, "note", text="x")
    assert [line["kind"] for line in lines(tmp_path) if line["experiment"] == late.id] == ["stated", "note"]


def test_a_read_only_disk_can_be_read_and_not_written(small_disk: Path) -> None:
    root = small_disk / "eyeshot-out"
    filled(root).close()
    before = contents(root)
    with open_ledger(root, write=True) as writer:
        late = writer.add("still in the log")
        copy = {name: (root / name).read_bytes() for name in ("ledger.sqlite", "ledger.sqlite-wal")}
    for name, content in copy.items():
        (root / name).write_bytes(content)  # as a kill leaves it
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    experiments, _ = contents(root)
    assert experiments == [*before[0], late]
    with pytest.raises(StorageError, match="can be written"):
        open_ledger(root, write=True)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    shutil.copyfile(Path(__file__).parent / "version-1" / "ledger.sqlite", root / "ledger.sqlite")
    (root / "ledger.sqlite-wal").unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert len(contents(root)[0]) == 3  # an earlier version, brought forward in memory


def test_threads_share_a_ledger(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for index in range(5):
                ledger.add(f"{number} {index}")
                ledger.rows("id")
        except BaseException as error:
            errors.append(error)

    with open_ledger(tmp_path, write=True) as ledger:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(ledger.rows("id")) == 20


WRITER = """
import sys
from eyeshot.ledger import open_ledger
root, name, first = sys.argv[1:]
with open_ledger(root, write=True) as ledger:
    for number in range(6):
        own = ledger.add(f"{name} {number}")
        ledger.append(own.id, "tag", add=[name])
        ledger.append(first, "note", text=f"{name} {number}")
        ledger.append(first, "tag", add=[f"{name}-{number}"])
"""


def test_eight_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    with open_ledger(tmp_path, write=True) as ledger:
        first = ledger.add("shared").id
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    names = [f"w{number}" for number in range(8)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), name, first],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    assert [process.communicate(timeout=240)[1] for process in processes] == [""] * 8
    experiments, events = contents(tmp_path)
    assert len(events) == len(set(events)) == 1 + 8 * 6 * 4
    said = {f"{name} {number}" for name in names for number in range(6)}
    assert {note["text"] for note in experiments[0].notes} == said
    assert {experiment.why for experiment in experiments[1:]} == said
    assert set(experiments[0].tags) == {text.replace(" ", "-") for text in said}
    assert sorted(line["id"] for line in lines(tmp_path)) == sorted(events)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE experiments SET record = substr(record, 1, 50)", "UPDATE experiments SET record = 'null'",
        "UPDATE experiments SET record = replace(record, '\"running\"', '\"rumning\"')",
        "UPDATE experiments SET difference = '{'", "UPDATE events SET data = substr(data, 1, 20) WHERE seq = 2",
        "UPDATE events SET data = x'ff00ff' WHERE seq = 2", "UPDATE events SET data = '[]' WHERE seq = 2",
        "UPDATE events SET data = CAST(x'7b22ff227d' AS TEXT) WHERE seq = 2",
        "UPDATE events SET time = '?' WHERE seq = 1",
        "UPDATE events SET seq = 9223372036854775807 WHERE seq = 15",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*was damaged:UserWarning")
def test_damage_within_a_text_which_sqlite_cannot_see_is_repaired(tmp_path: Path, change: str) -> None:
    filled(tmp_path).close()
    before = contents(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection, connection:
        connection.execute(change)
    with open_ledger(tmp_path, write=True) as ledger:
        ids = [ledger.append(experiment.id, "note", text="on").id for experiment in before[0]]
        assert ids == [experiment.id for experiment in before[0]]
        ledger.rows()
        assert [experiment.learned for experiment in ledger.experiments()] == ["learned 0", "learned 1", "learned 2"]
    rebuild_ledger(root=tmp_path)
    with open_ledger(tmp_path) as ledger:
        assert [event.id for event in ledger.events_since(0) if event.kind != "note"] == before[1]
        assert [len(experiment.notes) for experiment in ledger.experiments()] == [1, 1, 1]


def test_text_that_is_no_utf8_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with filled(tmp_path) as ledger:
        seq = ledger.last_seq()
        for ask in (
            lambda: ledger.add("half \udcff"),
            lambda: ledger.append("latest", "note", text="half \udcff"),
            lambda: ledger.append("latest", "note", text="x", author="\udcff"),
            lambda: ledger.experiment("\udcff"),
            lambda: ledger.rows(where="why = ?", values=["\udcff"]),
        ):
            with pytest.raises(InputError, match=r"must be in UTF-8, got '.*\\udcff"):
                ask()
        assert ledger.last_seq() == seq
        assert len(ledger.rows(limit=10**30)) == 3
