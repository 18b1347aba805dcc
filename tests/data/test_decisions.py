from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions_made import decision_lists, key, table_of
from eyeshot.core.errors import InputError, StorageError
from eyeshot.data import decisions
from eyeshot.data.decisions import Decision, DecisionLog, Decisions, decide, default_author, ordered, undo_of
from eyeshot.data.manifest import compute_manifest


def drop(picture: int, **fields: str) -> Decision:
    return decide("drop", [key(picture)], author="ann", **fields)


def reading(decisions: Decisions) -> list[str]:
    return [one.line() for one in decisions.stored]


def test_decisions_come_back_as_they_were_stored(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    assert reading(log.read()) == []
    made = [
        drop(1, reason='blurred, \n"quoted", ünïcode  '),
        decide("relabel", [key(2)], author="ben", label="cat"),
        drop(3),
    ]
    log.append(made[:1])
    log.append(made[1:])
    assert reading(log.read()) == [one.line() for one in sorted(made, key=lambda one: one.order)]
    assert reading(DecisionLog(log.file).read()) == reading(log.read())
    assert len(log.file.read_text("utf-8").splitlines()) >= 3


def test_labels_are_kept_in_one_unicode_form() -> None:
    assert decide("relabel", [key(1)], label="café").label == "café"


BAD_LINES = {
    b'{"id":"abcdefgh","time":"2026-11-01T00:00:00Z","author":"a","kind":"dr': "cut off",
    b"hello": "not JSON",
    b"\x00" * 50: "not JSON",
    b"\xff\xfe{}": "not JSON",
    b"[]": "object",
    b"<<<<<<< HEAD": "merge conflict",
    b"=======": "merge conflict",
    b'{"id":"abcdefgh","time":"2026-11-01T00:00:00Z","author":"a","kind":"burn"}': "kind: ",
    b'{"id":"abcdefgh","time":"2026-11-01T00:00:00","author":"a","kind":"drop"}': "time: ",
    b'{"id":"abcdefgh","time":"2026-11-01T00:00:00Z","author":"a","kind":"drop","images":["../x"]}': "images.0: ",
    b'{"id":"abcdefgh","time":"2026-11-01T00:00:00Z","author":"a","kind":"drop"}': "at least 1 different images, got 0",
    b'{"id":"a b","time":"2026-11-01T00:00:00Z","author":"a","kind":"drop"}': "id: ",
    b'{"version":2,"id":"abcdefgh","time":"2026-11-01T00:00:00Z","author":"a","kind":"drop"}': "version: ",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_is_named_and_the_rest_counts(tmp_path: Path, line: bytes) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    first, second = drop(1), drop(2)
    log.append([first])
    with open(log.file, "ab") as file:
        file.write(line + b"\n")
    log.append([second])
    for reader in (log, DecisionLog(log.file)):
        found = reader.read()
        assert [one.id for one in found.stored] == [
            one.id for one in sorted([first, second], key=lambda one: one.order)
        ]
        (bad,) = found.bad
        assert bad.startswith(f"{log.file}, line 2: ")
        assert BAD_LINES[line] in bad


def test_a_file_edited_by_hand_with_marks_and_ends_of_windows_is_read(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    one, two = drop(1), drop(2)
    log.file.write_bytes(b"\xef\xbb\xbf" + f"{one.line()}\r\n\r\n{two.line()}".encode())
    assert {each.id for each in log.read().stored} == {one.id, two.id}
    log.append([drop(3)])  # the last line had no end
    assert len(log.read()) == 3
    assert log.read().bad == ()


def test_an_edit_in_the_middle_is_seen_by_a_reader_that_has_read_before(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append([drop(1), drop(2), drop(3)])
    assert len(log.read()) == 3
    lines = log.file.read_text("utf-8").splitlines(keepends=True)
    log.file.write_text(lines[0] + lines[2] + drop(4).line() + "\n" + drop(5).line() + "\n", "utf-8")
    assert len(log.read()) == 4
    log.file.unlink()
    assert len(log.read()) == 0


def test_unknown_keys_of_a_later_version_do_not_matter(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    record = json.loads(drop(1).line()) | {"certainty": 0.7}
    log.file.write_text(json.dumps(record), "utf-8")
    assert len(log.read()) == 1


@settings(max_examples=60, deadline=None)
@given(decision_lists(), st.integers(0, 6000))
def test_a_file_cut_off_anywhere_keeps_all_whole_lines(tmp_path_factory, made: list[Decision], left: int) -> None:
    log = DecisionLog(tmp_path_factory.mktemp("cut") / "decisions.jsonl")
    data = "".join(f"{one.line()}\n" for one in made).encode()
    log.file.write_bytes(data[:left])
    whole = data[:left].count(b"\n")
    also = left < len(data) and data[left : left + 1] == b"\n"  # only the end of the line is missing
    found = log.read()
    assert {one.id for one in found.stored} == {one.id for one in made[: whole + also]}
    assert len(found.bad) == (0 if also or data[:left].endswith(b"\n") or left == 0 or not data else 1)
    log.append([drop(99)])
    assert len(log.read()) == whole + also + 1


@settings(max_examples=100, deadline=None)
@given(decision_lists(most=20), st.data())
def test_the_news_of_a_growing_file_are_what_a_reader_of_all_of_it_knows(
    tmp_path_factory, made: list[Decision], data
) -> None:
    log = DecisionLog(tmp_path_factory.mktemp("on") / "decisions.jsonl")
    if made:  # some stand twice
        made = [*made, *data.draw(st.lists(st.sampled_from(made), max_size=3))]
    written = "".join(f"{one.line()}\n" for one in made).encode()
    log.file.touch()
    told: list[Decision] = []
    while written:
        count = data.draw(st.integers(1, len(written)))
        with open(log.file, "ab") as file:
            file.write(written[:count])
        written = written[count:]
        news, edited = log.news()
        told += news
        assert not edited
        assert ordered(told).stored == DecisionLog(log.file).read().stored


def test_only_what_is_new_is_told(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    assert log.news() == ([], False)
    for count in (1, 3, 2):
        made = [drop(number) for number in range(count)]
        log.append(made)
        assert log.news() == (made, False)
    assert log.news() == ([], False)


def test_the_news_of_a_long_file_read_its_end_alone(tmp_path: Path, monkeypatch) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append([drop(number) for number in range(200)])
    log.news()
    parsed: list[int] = []
    parse = decisions.parse

    def counted(data: bytes, **options):
        parsed.append(data.count(b"\n"))
        return parse(data, **options)

    monkeypatch.setattr(decisions, "parse", counted)
    log.append([drop(200)])
    assert len(log.news()[0]) == 1
    assert parsed == [1]


def test_an_edited_shortened_or_deleted_file_is_told_from_the_beginning(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    made = [drop(number) for number in range(3)]
    log.append(made)
    log.news()
    lines = log.file.read_bytes().splitlines(keepends=True)
    log.file.write_bytes(b"".join(lines[:2]))
    assert log.news() == (made[:2], True)
    log.file.write_bytes(b"".join([lines[2], lines[1]]))
    assert log.news() == ([made[2], made[1]], True)
    log.file.unlink()
    assert log.news() == ([], True)
    assert log.news() == ([], False)


def test_a_line_that_is_cut_off_is_passed_over_until_it_is_whole(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    one, other = drop(1), decide("keep", [key(1)], author="ann")
    log.file.write_text(f"{one.line()}\n{other.line()[:40]}", encoding="utf-8")
    assert log.news() == ([one], False)
    log.file.write_text(f"{one.line()}\n{other.line()}", encoding="utf-8")
    assert log.news() == ([other], False)
    log.file.write_text(f"{one.line()}\n{other.line()}\n", encoding="utf-8")
    assert log.news() == ([other], False)  # told again, now that it has its end
    assert log.news() == ([], False)


def merged(folder: Path, files: list[Path]) -> DecisionLog:
    log = DecisionLog(folder / "decisions.jsonl")
    for file in files:
        log.merge([file])
    return log


@settings(max_examples=60, deadline=None)
@given(decision_lists(), decision_lists(), st.data())
def test_two_peoples_files_merged_in_any_order_give_the_same(tmp_path_factory, ann, ben, data) -> None:
    folder = tmp_path_factory.mktemp("merge")
    shared = data.draw(st.lists(st.sampled_from(ann), max_size=5)) if ann else []
    ben = [*ben, *shared]
    if ann and data.draw(st.booleans()):  # one was edited by hand: two decisions under one id
        ben.append(ann[0].model_copy(update={"author": "ben"}))
    files = [folder / "ann.jsonl", folder / "ben.jsonl"]
    for file, made in zip(files, (ann, ben), strict=True):
        DecisionLog(file).append([]) if not made else file.write_text(
            "".join(f"{one.line()}\n" for one in made), "utf-8"
        )
        file.touch()
    one, other = merged(folder / "1", files), merged(folder / "2", files[::-1])
    assert reading(one.read()) == reading(other.read())
    assert {each.id for each in one.read().stored} == {each.id for each in (*ann, *ben)}
    table = table_of([("ant", 1), ("bee", 2), ("bee", 1), ("cat", 3), ("cat", 4)])
    assert one.read().active == other.read().active
    first, second = (compute_manifest(table, log.read()) for log in (one, other))
    assert first.table.frame.equals(second.table.frame)
    assert one.merge(files) == 0


def test_one_id_with_two_decisions_is_named(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    one = drop(1)
    log.append([one])
    assert log.read().conflicting == ()
    with open(log.file, "a", encoding="utf-8") as file:
        file.write(one.model_copy(update={"reason": "edited", "time": one.time + timedelta(1)}).line() + "\n")
    for reader in (log, DecisionLog(log.file)):
        assert reader.read().conflicting == (one.id,)
        assert [each.reason for each in reader.read().stored] == ["edited"]


def test_a_merge_with_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        DecisionLog(tmp_path / "decisions.jsonl").merge([tmp_path / "other.jsonl"])


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "decisions.jsonl").mkdir()
    with pytest.raises(InputError, match="readable file"):
        DecisionLog(tmp_path / "decisions.jsonl").read()
    with pytest.raises(StorageError, match="None of these was stored"):
        DecisionLog(tmp_path / "decisions.jsonl").append([drop(1)])


def test_a_read_only_folder_is_told(tmp_path: Path, monkeypatch) -> None:
    def refused(file, mode="r", **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("eyeshot.core.files.open", refused, raising=False)
    with pytest.raises(StorageError, match=r"Permission denied.*--decisions"):
        DecisionLog(tmp_path / "decisions.jsonl").append([drop(1)])


@pytest.mark.parametrize("room", [0, 1, 100, 400])
def test_a_full_disk_stores_nothing_of_a_batch_and_keeps_the_rest(tmp_path: Path, monkeypatch, room: int) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append([drop(1)])
    before = log.file.read_bytes()

    class FullDisk:
        """The file on a disk that has room for a few bytes more."""

        def __init__(self, file) -> None:
            self.file, self.left = file, room

        def __enter__(self):
            return self

        def __exit__(self, *_) -> None:
            self.file.close()

        def fileno(self) -> int:
            return self.file.fileno()

        def write(self, data) -> int:
            if not self.left:
                raise OSError(28, "No space left on device")
            count = self.file.write(bytes(data[: self.left]))
            self.left -= count
            return count

    def opened(file, mode="r", **options):
        return FullDisk(open(file, mode, **options)) if mode == "ab" else open(file, mode, **options)

    with monkeypatch.context() as patched:
        patched.setattr("eyeshot.core.files.open", opened, raising=False)
        with pytest.raises(StorageError, match=r"No space left.*Free some space"):
            log.append([drop(2), drop(3), drop(4)])
    assert log.file.read_bytes() == before
    log.append([drop(5)])
    assert len(log.read()) == 2


WRITER = """
import sys
from pathlib import Path
from eyeshot.data.decisions import DecisionLog, decide
log = DecisionLog(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    log.append([decide("drop", [f"{number:032x}"], author=sys.argv[2])])
"""


def test_two_writers_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    count = 100
    running = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), who, str(count)]) for who in ("ann", "ben")]
    assert [one.wait(timeout=120) for one in running] == [0, 0]
    found = DecisionLog(file).read()
    assert found.bad == ()
    lines = [json.loads(line)["id"] for line in file.read_text("utf-8").splitlines()]
    assert sorted(lines) == sorted(one.id for one in found.stored)
    for who in ("ann", "ben"):
        images = [one.images[0] for one in found.stored if one.author == who]
        assert sorted(images) == [f"{number:032x}" for number in range(count)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_hundred_random_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    print(f"seed {seed}")  # shown where the test fails
    told: list[str] = []
    begun: set[str] = set()
    kills = 0
    while kills < 100 or (len(told) <= 20 and kills < 2000):  # on a busy machine most are killed before they store one
        kills += 1
        receiver, sender = os.pipe()
        child = os.fork()
        if child == 0:  # stores decisions until it is killed; says which it begins, and which are stored
            os.close(receiver)
            while True:
                one = drop(chance.randrange(1000), reason="x" * chance.choice((0, 5000)))
                os.write(sender, f"-{one.id}\n".encode())
                log.append([one])
                os.write(sender, f"+{one.id}\n".encode())
        os.close(sender)
        time.sleep(chance.uniform(0.0, 0.06))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(receiver) as said:
            lines = said.read().splitlines()
        told += [line[1:] for line in lines if line.startswith("+")]
        begun |= {line[1:] for line in lines if line.startswith("-")}
    assert len(told) > 20
    found = DecisionLog(log.file).read()
    stored = [one.id for one in found.stored]
    assert set(told) <= set(stored) <= begun
    assert len(stored) == len(set(stored))
    lines = [json.loads(line)["id"] for line in log.file.read_text("utf-8").splitlines() if line.endswith("}")]
    assert len(lines) == len(set(lines))


@settings(max_examples=100, deadline=None)
@given(decision_lists())
def test_what_counts_is_what_a_simple_rule_says(made: list[Decision]) -> None:
    """Independent: a decision counts unless an undo names it; an undo cannot be undone."""
    undone = {one.undoes for one in made if one.kind == "undo"}
    assert {one.id for one in ordered(made).active} == {
        one.id for one in made if one.kind != "undo" and one.id not in undone
    }


def test_an_undo_of_an_undo_is_refused_with_the_next_step() -> None:
    undo = undo_of(drop(1), author="ann")
    with pytest.raises(InputError, match=r"cannot be undone.*Make the undone decision again.*eyeshot decisions add"):
        undo_of(undo)


def test_an_undone_decision_given_again_counts() -> None:
    first, again = drop(1), drop(1)
    assert ordered([first, undo_of(first), again]).active == (again,)


def test_a_keep_one_says_which_image_stays() -> None:
    first, second = "0" * 32, "1" * 32
    made = decide("keep-one", [first, second], keep=second, names=["a.png", "b.png"], label="cat", author="ann")
    assert made.words() == "keep b.png, drop a.png"
    same = decide("keep-one", [first], keep=first, names=["a.png", "b.png", "c.png", "d.png"], author="ann", reason="x")
    assert same.words() == "keep a.png, drop b.png, c.png and 1 more (x)"


def test_the_author_is_named_by_the_variable_then_by_git_then_by_the_login(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("EYESHOT_AUTHOR", raising=False)
    monkeypatch.setenv("LOGNAME", "login")
    decisions._git_user.cache_clear()
    assert default_author() == "login"
    if shutil.which("git") is None:
        return
    subprocess.run(["git", "init", "--quiet", "."], check=True)
    subprocess.run(["git", "config", "user.name", "Ada L."], check=True)
    decisions._git_user.cache_clear()
    assert default_author() == default_author(tmp_path / "not" / "there") == "Ada L."
    monkeypatch.setenv("EYESHOT_AUTHOR", "grace")
    assert default_author() == "grace"
