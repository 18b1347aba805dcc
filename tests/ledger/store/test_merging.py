"""Several ledgers become one, whichever merges first."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

import eyeshot
from eyeshot.core import InputError
from eyeshot.ledger import Experiment, open_ledger
from ledger.store.ledger_states import contents, filled, lines

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def two_servers(tmp_path: Path) -> tuple[Path, Path, str]:
    """Two projects with one experiment in common, and its id."""
    here, there = tmp_path / "here" / "eyeshot-out", tmp_path / "there" / "eyeshot-out"
    with open_ledger(here, write=True) as ledger:
        experiment = ledger.add("common", now=NOW)
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
        {"experiment": common, "field": "tag a", "here": True, "there": False, "kept": "there"},
        {"experiment": common, "field": "why different", "here": "here", "there": "there", "kept": "here"},
    )
    (merged,) = contents(here)[0]
    assert (merged.learned, merged.why_different, merged.tags) == ("same", "here", ("b",))
    assert eyeshot.merge_ledgers([here], root=there).conflicts == ()
    assert contents(there)[0] == [merged]


SAID = st.one_of(
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
    """What must be alike in all ledgers; notes may stand in another order."""
    fields = experiment.model_dump(mode="json")
    return fields | {"notes": sorted(str(note) for note in experiment.notes)} | {
        "insights": [insight.text for insight in experiment.insights]
    }  # fmt: skip


@hypothesis.settings(max_examples=25)
@hypothesis.given(first=HISTORY, second=HISTORY, more=HISTORY)
def test_ledgers_that_merge_in_any_direction_hold_the_same(
    tmp_path_factory: pytest.TempPathFactory, first: Sequence[Any], second: Sequence[Any], more: Sequence[Any]
) -> None:
    here, there, common = two_servers(tmp_path_factory.mktemp("servers"))

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
