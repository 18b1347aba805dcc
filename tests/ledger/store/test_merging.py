"""Several ledgers become one, whichever merges first."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

import eyeshot
from eyeshot.core import InputError
from eyeshot.ledger import Experiment, open_ledger
from ledger.store.ledger_states import contents, damage, filled, lines

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def two_servers(tmp_path: Path, **stated: Any) -> tuple[Path, Path, str]:
    """Two projects with one experiment in common, and its id."""
    here, there = tmp_path / "here" / "eyeshot-out", tmp_path / "there" / "eyeshot-out"
    with open_ledger(here, write=True) as ledger:
        experiment = ledger.add("common", now=NOW, **stated)
    shutil.copytree(here, there)
    return here, there, experiment.id


def test_experiments_of_both_are_there_and_a_second_merge_adds_nothing(tmp_path: Path) -> None:
    here, there, common = two_servers(tmp_path)
    filled(here, 2).close()
    with filled(there, 3) as ledger:
        ledger.append(common, "note", text="from there")
    change = eyeshot.merge_ledgers([there.parent], root=here)
    assert (change.added, change.conflicts) == (16, ())
    experiments, events = contents(here)
    assert len(experiments) == change.experiments == 6
    assert experiments[0].notes[0]["text"] == "from there"
    assert sorted(line["id"] for line in lines(here)) == sorted(events)
    assert eyeshot.merge_ledgers([there / "ledger.sqlite", there], root=here).added == 0
    assert contents(here) == (experiments, events)


def test_an_id_that_another_experiment_has_here_gets_another_name_and_children_follow(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    with open_ledger(here, write=True) as ledger:
        own = ledger.add("same words", now=NOW, author="Ana")
    with open_ledger(there, write=True) as ledger:
        parent = ledger.add("same words", now=NOW, author="Ben")
        ledger.add("child", now=NOW, parent=parent.id)
    assert own.id == parent.id
    change = eyeshot.merge_ledgers([there], root=here)
    new = change.renamed[own.id]
    by_id = {experiment.id: experiment for experiment in contents(here)[0]}
    assert (by_id[own.id].author, by_id[new].author) == ("Ana", "Ben")
    assert next(experiment for experiment in by_id.values() if experiment.why == "child").parent == new
    assert eyeshot.merge_ledgers([there], root=here).added == 0


def test_a_field_that_both_set_is_shown_and_the_later_time_wins(tmp_path: Path) -> None:
    here, there, common = two_servers(tmp_path)
    with open_ledger(here, write=True) as ledger:
        ledger.append(common, "learned", text="same", now=NOW + timedelta(minutes=3))
        ledger.append(common, "why_different", text="here", now=NOW + timedelta(minutes=2))
        ledger.append(common, "tag", add=["a"], now=NOW + timedelta(minutes=1))
    with open_ledger(there, write=True) as ledger:
        ledger.append(common, "learned", text="same", now=NOW + timedelta(minutes=2))
        ledger.append(common, "why_different", text="there", now=NOW + timedelta(minutes=1))
        ledger.append(common, "tag", remove=["a"], add=["b"], now=NOW + timedelta(minutes=2))
    before = contents(here)
    dry = eyeshot.merge_ledgers([there], root=here, dry_run=True)
    assert contents(here) == before
    change = eyeshot.merge_ledgers([there], root=here)
    assert change == dry
    assert change.conflicts == (
        {"experiment": common, "field": "tag a", "here": True, "there": False, "kept": "there",
         "reason": "it was said later"},
        {"experiment": common, "field": "why different", "here": "here", "there": "there", "kept": "here",
         "reason": "it was said later"},
    )  # fmt: skip
    (merged,) = contents(here)[0]
    assert (merged.learned, merged.why_different, merged.tags) == ("same", "here", ("b",))
    assert eyeshot.merge_ledgers([here], root=there).conflicts == ()
    assert contents(there)[0] == [merged]


def points_up(points: int) -> dict[str, Any]:
    return {"direction": "up", "size": points / 100, "words": f"+{points} accuracy"}


@pytest.mark.parametrize(
    ("ours", "theirs", "kept", "size", "reason"),
    [
        ([("expected", 1), ("run", 5)], [("expected", 3), ("run", 6)], "here", 0.01, "it was frozen first, by a run"),
        ([("expected", 1), ("run", 7)], [("expected", 3), ("run", 6)], "there", 0.03, "it was frozen first, by a run"),
        ([("run", 5)], [("expected", 3)], "here", 0.09, "it was frozen first, by a run"),
        ([("expected", 2)], [("expected", 3)], "there", 0.03, "it was said later, before any run"),
    ],
    ids=["ours ran first", "theirs ran first", "what was common ran", "neither ran"],
)
def test_of_two_expectations_the_one_frozen_first_is_kept_and_the_other_is_shown(
    tmp_path: Path, ours: list[tuple[str, int]], theirs: list[tuple[str, int]], kept: str, size: float, reason: str
) -> None:
    here, there, common = two_servers(tmp_path, expected=points_up(9))
    for root, history in ((here, ours), (there, theirs)):
        with open_ledger(root, write=True) as ledger:
            for kind, minutes in history:
                data = {"expected": points_up(minutes)} if kind == "expected" else {"run": f"{root.parent.name} run"}
                ledger.append(common, kind, now=NOW + timedelta(minutes=minutes), author=root.parent.name, **data)
    own = {root.parent.name: contents(root)[0][0].expected for root in (here, there)}
    (conflict,) = eyeshot.merge_ledgers([there], root=here).conflicts
    assert (conflict["field"], conflict["kept"], conflict["reason"]) == ("expected", kept, reason)
    sizes = {name: expected and expected.size for name, expected in own.items()}
    assert {name: conflict[name]["size"] for name in own} == sizes
    (merged,) = contents(here)[0]
    assert merged.expected == own[kept]
    assert merged.expected is not None
    assert merged.expected.size == size
    (note,) = merged.notes
    (other,) = own.keys() - {kept}
    words = f"+{round(100 * (sizes[other] or 0))} accuracy"
    assert note["text"] == f"Expected in another ledger, which counts for nothing: {words}"
    assert eyeshot.merge_ledgers([here], root=there).conflicts == ()
    assert settled(contents(there)[0][0]) == settled(merged)
    assert eyeshot.merge_ledgers([there], root=here).added == 0
    assert eyeshot.rebuild_ledger(root=here).added == 0
    assert contents(here)[0] == [merged]


def test_an_expectation_that_may_know_what_came_never_replaces_one_that_cannot(tmp_path: Path) -> None:
    here, there, common = two_servers(tmp_path)
    with open_ledger(here, write=True) as ledger:
        ledger.append(common, "run", run="r", now=NOW + timedelta(minutes=1))
        assert ledger.append(common, "expected", expected=points_up(1), now=NOW + timedelta(minutes=2)).expected
    with open_ledger(there, write=True) as ledger:
        ledger.append(common, "expected", expected=points_up(3), now=NOW + timedelta(minutes=3))
    (conflict,) = eyeshot.merge_ledgers([there], root=here).conflicts
    assert (conflict["kept"], conflict["reason"]) == ("there", "the other was stated after the first run")
    (merged,) = contents(here)[0]
    assert merged.expected is not None
    assert (merged.expected.size, merged.expected.late) == (0.03, False)
    assert [note["text"] for note in merged.notes] == [
        "Expected after the first run, which counts for nothing: +1 accuracy"
    ]
    eyeshot.merge_ledgers([here], root=there)
    assert settled(contents(there)[0][0]) == settled(merged)


SAID = st.one_of(
    st.tuples(st.just("expected"), st.fixed_dictionaries({"expected": st.integers(1, 3).map(points_up)})),
    st.tuples(st.just("run"), st.fixed_dictionaries({"run": st.sampled_from("rst")})),
    st.tuples(st.just("learned"), st.fixed_dictionaries({"text": st.sampled_from(["x", "y", "z"])})),
    st.tuples(st.just("why_different"), st.fixed_dictionaries({"text": st.sampled_from(["x", "y"])})),
    st.tuples(st.just("state"), st.fixed_dictionaries({"state": st.sampled_from(["done", "failed", "stopped"])})),
    st.tuples(st.just("tag"), st.fixed_dictionaries({"add": st.sets(st.sampled_from("ab")).map(sorted)})),
    st.tuples(st.just("tag"), st.fixed_dictionaries({"remove": st.sets(st.sampled_from("ab")).map(sorted)})),
    st.tuples(st.just("note"), st.fixed_dictionaries({"text": st.sampled_from(["x", "y"])})),
    st.tuples(
        st.just("insight"), st.fixed_dictionaries({"insight_id": st.just("1"), "text": st.sampled_from(["x", "y"])})
    ),
)
HISTORY = st.lists(st.tuples(SAID, st.integers(0, 5)), max_size=5)


def settled(experiment: Experiment) -> dict[str, Any]:
    """What must be alike in all ledgers; notes and runs may stand in another order."""
    fields = experiment.model_dump(mode="json")
    return fields | {"notes": sorted(str(note) for note in experiment.notes), "runs": sorted(experiment.runs)} | {
        "insights": [insight.text for insight in experiment.insights]
    }  # fmt: skip


@hypothesis.settings(max_examples=40)
@hypothesis.given(first=HISTORY, second=HISTORY, more=HISTORY, stated=st.booleans())
def test_ledgers_that_merge_in_any_direction_hold_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    first: Sequence[Any],
    second: Sequence[Any],
    more: Sequence[Any],
    *,
    stated: bool,
) -> None:
    expected = {"expected": points_up(9)} if stated else {}
    here, there, common = two_servers(tmp_path_factory.mktemp("servers"), **expected)

    def say(root: Path, history: Sequence[Any]) -> None:
        with open_ledger(root, write=True) as ledger:
            for (kind, data), minutes in history:
                ledger.append(common, kind, now=NOW + timedelta(minutes=minutes), **data)

    say(here, first)
    say(there, second)
    eyeshot.merge_ledgers([there], root=here)
    eyeshot.merge_ledgers([here], root=there)
    assert settled(contents(here)[0][0]) == settled(contents(there)[0][0])
    say(there, more)
    eyeshot.merge_ledgers([there], root=here)
    assert settled(contents(here)[0][0]) == settled(contents(there)[0][0])
    assert eyeshot.merge_ledgers([here], root=there).added == 0


def test_a_place_without_a_ledger_and_the_ledger_itself_are_refused(tmp_path: Path) -> None:
    filled(tmp_path / "here").close()
    with pytest.raises(InputError, match="which holds none"):
        eyeshot.merge_ledgers([tmp_path / "nowhere"], root=tmp_path / "here")
    with pytest.raises(InputError, match="which is this one"):
        eyeshot.merge_ledgers([tmp_path / "here"], root=tmp_path / "here")


@pytest.mark.parametrize("begin", [0, 4096])
def test_another_ledger_that_is_damaged_is_read_and_left_as_it_is(tmp_path: Path, begin: int) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    open_ledger(here, write=True).close()
    filled(there, 20).close()
    before = contents(there)[0]
    damage(there / "ledger.sqlite", begin=begin, length=4096)
    kept = (there / "ledger.sqlite").read_bytes()
    with pytest.warns(UserWarning, match="is damaged; what is shown is from the files"):
        change = eyeshot.merge_ledgers([there], root=here)
    assert (change.experiments, change.added) == (20, 100)
    assert {experiment.id: experiment for experiment in contents(here)[0]} == {one.id: one for one in before}
    assert (there / "ledger.sqlite").read_bytes() == kept
    assert not list(there.glob("*.damaged-*"))


@pytest.mark.parametrize("name", ["../../outside", "/outside", "..", "a\x00b"])
def test_an_experiment_of_another_ledger_whose_id_is_a_path_is_left_out(tmp_path: Path, name: str) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    filled(here).close()
    filled(there).close()
    target = str(tmp_path / "outside") if name == "/outside" else name
    with closing(sqlite3.connect(there / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE events SET experiment = ? WHERE seq > 10", (target,))
    change = eyeshot.merge_ledgers([there], root=here)
    assert change.notes == (f"{there}: 5 events cannot be used and are left out.",)
    assert change.experiments == 5
    assert not (tmp_path / "outside").exists()
    assert sorted(path.name for path in here.iterdir()) == ["experiments", "ledger.lock", "ledger.sqlite"]
