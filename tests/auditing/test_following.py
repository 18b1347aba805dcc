from __future__ import annotations

from pathlib import Path

from decisions_made import key

from eyeshot.auditing import Follower, Journal, decide


def test_only_what_is_new_is_told(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "decisions.jsonl")
    follower = Follower(journal.file)
    assert follower.news() == ([], False)
    for count in (1, 3, 2):
        made = journal.append([decide("drop", [key(number)]) for number in range(count)])
        assert follower.news() == (list(made), False)
    assert follower.news() == ([], False)


def test_an_edited_shortened_or_deleted_file_is_told_from_the_beginning(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "decisions.jsonl")
    follower = Follower(journal.file)
    made = journal.append([decide("drop", [key(number)]) for number in range(3)])
    follower.news()
    lines = journal.file.read_bytes().splitlines(keepends=True)
    journal.file.write_bytes(b"".join(lines[:2]))
    assert follower.news() == (list(made[:2]), True)
    journal.file.write_bytes(b"".join([lines[2], lines[1]]))
    assert follower.news() == ([made[2], made[1]], True)
    journal.file.unlink()
    assert follower.news() == ([], True)
    assert follower.news() == ([], False)


def test_a_line_that_is_cut_off_is_passed_over_until_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    one, other = decide("drop", [key(1)]), decide("keep", [key(1)])
    follower = Follower(file)
    file.write_text(f"{one.line()}\n{other.line()[:40]}", encoding="utf-8")
    assert follower.news() == ([one], False)
    file.write_text(f"{one.line()}\n{other.line()}", encoding="utf-8")
    assert follower.news() == ([other], False)
    file.write_text(f"{one.line()}\n{other.line()}\n", encoding="utf-8")
    assert follower.news() == ([other], False)  # told again, now that it has its end
    assert follower.news() == ([], False)
