"""Experiments are what their events come to, and the two tables agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eyeshot.core import InputError, StorageError
from eyeshot.ledger import Event, Expected, Experiment, Got, Insight, Ledger, open_ledger
from eyeshot.ledger.store.folding import fold

UP = {"metric": "accuracy", "direction": "up", "size": 0.01, "words": "+1.0 accuracy"}


def test_an_experiment_holds_what_was_said_about_it(tmp_path: Path) -> None:
    with open_ledger(tmp_path, write=True) as ledger:
        first = ledger.add("The baseline", author="Ana", config={"epochs": 3})
        second = ledger.add(
            "RAdam, since the rate is high", author="Ben", parent=first.id, expected=UP, tags=["b", "a", "b"],
            difference={"training.optimizer": ["adamw", "radam"]}, seeds=[0, 1],
        )  # fmt: skip
        ledger.append(second.id, "run", run="r1", seed=0)
        ledger.append(second.id, "rung", rung="probe", value=0.7, n=40, seconds=2.5)
        ledger.append(second.id, "rung", rung="full", value=0.8, n=40, seconds=7.5)
        ledger.append(second.id, "got", got=Got(value=0.8, low=0.7, high=0.9, n=40, difference=0.02, p=0.3))
        ledger.append(second.id, "verdict", verdict="not distinguishable", gain="not distinguishable", words="few")
        ledger.append(second.id, "state", state="done")
        ledger.append(second.id, "learned", text="needs more images")
        ledger.append(second.id, "tag", add=["c"], remove=["a"])
        ledger.append(second.id, "insight", insight_id="1", text="seeds differ", author="Cem")
        last = ledger.append(second.id, "note", text="look again")
        assert ledger.experiment(second.id) == last
        assert ledger.experiments() == [first, last]
        rows = ledger.rows("id", "value", "change", "expected", "difference", "tags", "open_insights", "seeds")
    assert first.id.endswith("-the-baseline")
    assert (last.state, last.rung, last.cost_s, last.tags) == ("done", "full", 10.0, ("b", "c"))
    assert last.got is not None
    assert last.got.difference == 0.02
    assert last.expected == Expected(**UP, stated_at=last.created)
    assert last.insights == (Insight(id="1", text="seeds differ", time=last.insights[0].time, author="Cem"),)
    assert last.insights[0].open
    assert (last.verdict, last.gain, last.verdict_words) == ("not distinguishable", "not distinguishable", "few")
    assert last.difference == {"training.optimizer": ("adamw", "radam")}
    assert rows[0] == {
        "id": first.id, "value": None, "change": None, "expected": None, "difference": {}, "tags": [],
        "open_insights": 0, "seeds": 0,
    }  # fmt: skip
    assert rows[1]["tags"] == ["b", "c"]
    assert rows[1]["expected"]["size"] == 0.01
    assert (rows[1]["value"], rows[1]["change"], rows[1]["open_insights"]) == (0.8, 0.02, 1)


def test_folding_all_events_at_once_gives_what_adding_them_gave(tmp_path: Path) -> None:
    with open_ledger(tmp_path, write=True) as ledger:
        experiment = ledger.add("x", expected=UP)
        for kind, data in (
            ("run", {"run": "p", "role": "parent"}), ("run", {"run": "r"}),
            ("insight", {"insight_id": "1", "text": "a"}),
            ("action", {"insight_id": "1", "text": "done"}), ("state", {"state": "failed", "words": "no memory"}),
        ):  # fmt: skip
            experiment = ledger.append(experiment.id, kind, **data)
        events = ledger.events(experiment.id)
    assert fold(events) == experiment
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6]
    assert (experiment.runs, experiment.parent_runs) == (("r",), ("p",))
    assert not experiment.insights[0].open


def test_an_expectation_is_frozen_by_the_first_run_and_a_later_one_is_marked(tmp_path: Path) -> None:
    with open_ledger(tmp_path, write=True) as ledger:
        frozen = ledger.add("a", expected=UP)
        ledger.append(frozen.id, "expected", expected=UP | {"size": 0.02})
        ledger.append(frozen.id, "run", run="r")
        frozen = ledger.append(frozen.id, "expected", expected=UP | {"size": 0.05, "words": "+5 accuracy"})
        late = ledger.add("b")
        ledger.append(late.id, "run", run="p", role="parent")
        late = ledger.append(late.id, "expected", expected=UP)
        assert late.expected is not None
        assert not late.expected.late  # only a run of the experiment itself freezes
        none = ledger.add("c")
        ledger.append(none.id, "run", run="r")
        none = ledger.append(none.id, "expected", expected=UP)
    assert frozen.expected is not None
    assert (frozen.expected.size, frozen.expected.late) == (0.02, False)
    assert frozen.notes[0]["text"].endswith("+5 accuracy")
    assert none.expected is not None
    assert none.expected.late


def test_a_clock_that_is_set_back_changes_no_order(tmp_path: Path) -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    with open_ledger(tmp_path, write=True) as ledger:
        first = ledger.add("first", now=now)
        second = ledger.add("second", now=now - timedelta(days=400))
        ledger.append(first.id, "learned", text="new", now=now - timedelta(days=800))
        assert [experiment.id for experiment in ledger.experiments()] == [first.id, second.id]
        assert ledger.experiment("latest").id == second.id
        assert ledger.experiment("previous").id == first.id
        assert [event.kind for event in ledger.events_since(1)] == ["stated", "learned"]
        assert ledger.last_seq() == 3


def test_an_id_is_found_by_its_beginning_and_is_never_taken_twice(tmp_path: Path) -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    with open_ledger(tmp_path, write=True) as ledger:
        ids = [ledger.add("Try RAdam, it may help with a high rate", now=now).id for _ in range(3)]
        assert ids[1:] == [f"{ids[0]}-2", f"{ids[0]}-3"]
        assert ledger.experiment(ids[0]).id == ids[0]
        assert ledger.experiment(f"{ids[0]}-3").id == ids[2]
        with pytest.raises(InputError, match="Several experiments begin"):
            ledger.experiment(ids[0][:8])
        with pytest.raises(InputError, match="called 'nothing'"):
            ledger.experiment("nothing")


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("verdit", {}, "Did you mean 'verdict'"),
        ("note", {"txt": "x"}, "Did you mean 'text'"),
        ("note", {}, "needs 'text'"),
        ("state", {"state": "finished"}, "'state' of an experiment"),
        ("expected", {"expected": {"metric": "accuracy"}}, "needs a direction"),
        ("note", {"text": object()}, "what JSON can"),
        ("rung", {"rung": "probe", "value": float("nan")}, "what JSON can"),
    ],
)
def test_what_cannot_be_used_is_refused_and_leaves_nothing(
    tmp_path: Path, kind: str, data: dict[str, object], message: str
) -> None:
    with open_ledger(tmp_path, write=True) as ledger:
        experiment = ledger.add("a")
        with pytest.raises(InputError, match=message):
            ledger.append(experiment.id, kind, **data)
        assert ledger.last_seq() == 1
        assert ledger.experiment(experiment.id) == experiment


def test_rows_are_filtered_sorted_and_paged(tmp_path: Path) -> None:
    with open_ledger(tmp_path, write=True) as ledger:
        for number, value in enumerate((0.5, None, 0.9, 0.7)):
            experiment = ledger.add(f"why {number}", tags=["even"] if number % 2 == 0 else [])
            if value is not None:
                ledger.append(experiment.id, "got", got=Got(value=value))
        rows = ledger.rows("why", "value", sort="-value")
        assert [row["value"] for row in rows] == [0.9, 0.7, 0.5, None]
        assert [row["why"] for row in ledger.rows("why", sort="-value", limit=1, offset=1)] == ["why 3"]
        even = ledger.experiments("tags LIKE ? AND value > ?", ("%,even,%", 0.6))
        assert [experiment.why for experiment in even] == ["why 2"]
        assert set(ledger.rows(limit=1)[0]) >= {"id", "state", "first_seq"}
        with pytest.raises(InputError, match="no such column: vlue"):
            ledger.rows("id", where="vlue > 1")
        with pytest.raises(InputError, match="got 'vlue'"):
            ledger.rows("vlue")


def test_a_project_without_a_ledger_has_no_experiments_and_reading_makes_none(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        assert isinstance(ledger, Ledger)
        assert ledger.experiments() == []
        assert ledger.last_seq() == 0
        with pytest.raises(StorageError, match="write=True"):
            ledger.add("x")
    assert list(tmp_path.iterdir()) == []


def test_every_event_is_also_a_line_in_a_file(tmp_path: Path) -> None:
    with open_ledger(tmp_path, write=True) as ledger:
        experiment: Experiment = ledger.add("x")
        ledger.append(experiment.id, "note", text="한국어")
        events: list[Event] = ledger.events(experiment.id)
    lines = (tmp_path / "experiments" / experiment.id / "events.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == len(events) == 2
    assert "한국어" in lines[1]


def test_what_is_said_together_is_stored_together_or_not_at_all(tmp_path: Path) -> None:
    with open_ledger(tmp_path, write=True) as ledger, open_ledger(tmp_path) as reader:
        with ledger.together():
            experiment = ledger.add("x")
            ledger.append(experiment.id, "note", text="y")
            assert ledger.experiment(experiment.id).notes[0]["text"] == "y"
            assert reader.last_seq() == 0
        assert reader.last_seq() == 2

        def interrupted() -> None:
            with ledger.together():
                ledger.append(experiment.id, "note", text="z")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert reader.last_seq() == 2
        ledger.append(experiment.id, "note", text="z")
    assert len((tmp_path / "experiments" / experiment.id / "events.jsonl").read_text("utf-8").splitlines()) == 3
