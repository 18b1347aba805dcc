"""The ledger made anew from its files, and run folders that become experiments."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eyeshot
from eyeshot.ledger import create_run, open_ledger
from ledger.store.ledger_states import contents, filled, lines
from stored_runs import store_run


def test_rebuilding_changes_nothing_where_nothing_is_missing(tmp_path: Path) -> None:
    filled(tmp_path).close()
    before, written = contents(tmp_path), lines(tmp_path)
    change = eyeshot.rebuild_ledger(root=tmp_path)
    assert (change.experiments, change.added, change.adopted, change.notes) == (3, 0, (), ())
    assert contents(tmp_path) == before
    assert lines(tmp_path) == written


def test_files_give_the_ledger_and_the_ledger_gives_the_files(tmp_path: Path) -> None:
    filled(tmp_path).close()
    before, written = contents(tmp_path), lines(tmp_path)
    (tmp_path / "ledger.sqlite").unlink()
    eyeshot.rebuild_ledger(root=tmp_path)
    assert contents(tmp_path) == before
    shutil.rmtree(tmp_path / "experiments")
    eyeshot.rebuild_ledger(root=tmp_path)
    assert contents(tmp_path) == before
    assert lines(tmp_path) == written


def test_a_table_of_experiments_that_a_hand_changed_follows_from_the_events_again(tmp_path: Path) -> None:
    with filled(tmp_path) as ledger:
        before = ledger.experiments()
        ledger.change(lambda connection: connection.execute("UPDATE experiments SET state = 'done', record = '{}'"))
        ledger.change(lambda connection: connection.execute("DELETE FROM experiments WHERE why = 'why 1'"))
        eyeshot.rebuild_ledger(root=tmp_path)
        assert ledger.experiments() == before


def test_lines_that_cannot_be_read_are_told_and_cost_nothing_else(tmp_path: Path) -> None:
    with filled(tmp_path) as ledger:
        first, second, third = ledger.experiments()
    (tmp_path / "ledger.sqlite").unlink()
    files = [tmp_path / "experiments" / experiment.id / "events.jsonl" for experiment in (first, second, third)]
    with files[0].open("a", encoding="utf-8") as opened:
        opened.write('{"seq": 99, "id": "cut')
    second_lines = files[1].read_text(encoding="utf-8").splitlines()
    files[1].write_text("\n".join(second_lines[1:]) + "\n", encoding="utf-8")  # the event that stated it is lost
    third_lines = [json.loads(line) for line in files[2].read_text(encoding="utf-8").splitlines()]
    third_lines[2]["data"] = {"got": {"value": "many"}}
    files[2].write_text("\n".join(map(json.dumps, third_lines)) + "\n", encoding="utf-8")
    change = eyeshot.rebuild_ledger(root=tmp_path)
    assert change.experiments == 3
    assert len(change.notes) == 3
    assert "1 line cannot be read" in change.notes[0]
    by_id = {experiment.id: experiment for experiment in contents(tmp_path)[0]}
    assert by_id[first.id] == first
    assert by_id[second.id].why == "Without a stated reason"
    assert by_id[second.id].learned == second.learned
    assert by_id[third.id].got is None
    assert by_id[third.id].learned == third.learned
    with open_ledger(tmp_path, write=True) as ledger:
        assert ledger.append(second.id, "note", text="on").why == "Without a stated reason"


def test_a_text_with_odd_line_breaks_comes_back_from_its_file(tmp_path: Path) -> None:
    text = "a\u2028b\u0085c\x0bd\r\ne\x00 \ud7ff 🧪"
    with open_ledger(tmp_path, write=True) as ledger:
        ledger.add(text)
    before = contents(tmp_path)
    (tmp_path / "ledger.sqlite").unlink()
    assert contents(tmp_path) == before
    assert before[0][0].why == text


def test_run_folders_without_an_experiment_are_adopted_once(tmp_path: Path) -> None:
    root = tmp_path / "eyeshot-out"
    right = np.arange(40) < 30
    owned, alone = store_run(tmp_path, right), store_run(tmp_path, right, augmentations=("invert",), seed=3)
    begun = create_run(root / "runs", kind="train", key="k", model="m", augmentations=(), seed=5, config={"a": 1}).name
    create_run(root / "runs", kind="ensemble", key="e", model="m", augmentations=(), seed=0, config={})
    with open_ledger(root, write=True) as ledger:
        experiment = ledger.add("mine")
        ledger.append(experiment.id, "run", run=owned, seed=0)
    change = eyeshot.rebuild_ledger(root=root)
    assert set(change.adopted) == {alone, begun}
    with open_ledger(root) as ledger:
        adopted, unfinished = ledger.experiment(alone), ledger.experiment(begun)
    assert adopted.why == "Without a stated reason: resnet18, invert"
    assert (adopted.state, adopted.runs) == ("done", (alone,))
    assert adopted.got is not None
    assert (adopted.got.value, adopted.got.n, adopted.got.seeds) == (pytest.approx(0.75), 40, (3,))
    assert (unfinished.state, unfinished.got, unfinished.config) == ("stopped", None, {"a": 1})
    assert eyeshot.rebuild_ledger(root=root).added == 0
    shutil.copyfile(root / "runs" / alone / "result.json", root / "runs" / begun / "result.json")
    assert eyeshot.rebuild_ledger(root=root).added == 2  # what came, and that it is done
    with open_ledger(root) as ledger:
        assert ledger.experiment(begun).state == "done"
    assert eyeshot.rebuild_ledger(root=root).adopted == ()
    (root / "runs" / owned / "result.json").write_text("{", encoding="utf-8")
    assert eyeshot.rebuild_ledger(root=root, adopt=False).notes == ()


def test_a_damaged_result_of_an_adopted_run_is_told(tmp_path: Path) -> None:
    run = store_run(tmp_path, np.arange(6) < 4)
    root = tmp_path / "eyeshot-out"
    (root / "runs" / run / "result.json").write_text("{", encoding="utf-8")
    change = eyeshot.rebuild_ledger(root=root)
    assert change.adopted == ()
    assert "no result of a training run" in change.notes[0]


@pytest.mark.parametrize(
    "spoiled",
    [
        {"time": None}, {"time": "yesterday"}, {"time": ""}, {"time": [1]}, {"author": None}, {"author": {}},
        {"author": "\udcff"}, {"id": "\udcff"}, {"id": ""}, {"kind": None}, {"kind": []}, {"seq": "1"}, {"seq": 1.5},
        {"data": [1]}, {"data": {"text": "\ud800"}}, {"data": {"text": float("nan")}},
    ],
)  # fmt: skip
def test_a_line_with_a_spoiled_field_costs_that_line_alone(tmp_path: Path, spoiled: dict[str, Any]) -> None:
    with filled(tmp_path) as ledger:
        before = ledger.experiments()
    (tmp_path / "ledger.sqlite").unlink()
    file = tmp_path / "experiments" / before[1].id / "events.jsonl"
    events = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert events[3]["kind"] == "learned"
    events[3] |= spoiled
    file.write_text("\n".join(map(json.dumps, events)) + "\n", encoding="utf-8")
    after = contents(tmp_path)[0]
    assert after == [before[0], before[1].model_copy(update={"learned": ""}), before[2]]
    (note,) = eyeshot.rebuild_ledger(root=tmp_path).notes
    assert "1 line cannot be read" in note


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("run", {"run": ["a"]}), ("got", {"got": "x"}), ("tag", {"add": "abc", "remove": 5}), ("action", {}),
        ("learned", {}), ("rung", {"rung": "full", "seconds": "x"}), ("expected", {"expected": "up"}),
        ("insight", {"insight_id": {}, "text": []}),
    ],
)  # fmt: skip
def test_an_event_whose_data_is_of_the_wrong_kind_is_left_out_and_told(
    tmp_path: Path, kind: str, data: dict[str, Any]
) -> None:
    with filled(tmp_path) as ledger:
        before = ledger.experiments()
    file = tmp_path / "experiments" / before[1].id / "events.jsonl"
    event = json.loads(file.read_text(encoding="utf-8").splitlines()[-1]) | {"id": "f" * 32, "kind": kind, "data": data}
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(event) + "\n")
    for name in ("ledger.sqlite", "nothing"):  # added to a ledger that is there, and found by a new one
        change = eyeshot.rebuild_ledger(root=tmp_path)
        assert [note for note in change.notes if f"an event {kind!r} cannot be used" in note]
        assert contents(tmp_path)[0] == before
        (tmp_path / name).unlink(missing_ok=True)


def test_a_line_nested_without_end_is_left_out(tmp_path: Path) -> None:
    filled(tmp_path).close()
    before = contents(tmp_path)
    (tmp_path / "ledger.sqlite").unlink()
    file = next((tmp_path / "experiments").glob("*/events.jsonl"))
    with file.open("a", encoding="utf-8") as opened:
        opened.write("[" * 100_000 + "\n")
    assert contents(tmp_path) == before
