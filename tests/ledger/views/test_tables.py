"""Tables of the ledger say what the ledger holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import eyeshot
from eyeshot.core import InputError
from eyeshot.ledger import open_ledger
from made_ledger import got, make_ledger
from stored_runs import store_run


@pytest.fixture
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    return make_ledger(tmp_path / "eyeshot-out")


def test_the_table_has_a_row_for_each_experiment_the_latest_last(ids: dict[str, str]) -> None:
    table = eyeshot.experiments()
    assert table["id"].to_list() == [*ids.values()]
    better = table.row(by_predicate=pl.col("id") == ids["better"], named=True)
    assert (better["difference"], better["expected"]) == ("training.optimizer: adamw → radam", "accuracy +2.0 points")
    assert (better["value"], better["change"], better["change_low"]) == (0.832, 0.022, pytest.approx(0.01))
    assert (better["gain"], better["verdict"], better["rung"], better["seeds"]) == ("better", "as expected", "full", 3)
    assert (better["tags"], better["open_insights"], better["learned"]) == (["optimizer"], 1, "Short runs profit.")
    empty = table.row(by_predicate=pl.col("id") == ids["hostile"], named=True)
    assert (empty["value"], empty["verdict"], empty["expected"]) == (None, None, "")


def test_where_tag_sort_and_limit(ids: dict[str, str]) -> None:
    def found(**asked: object) -> list[str]:
        return eyeshot.experiments(**asked)["id"].to_list()  # type: ignore[arg-type]

    assert found(where="value > 0.81 or state = 'failed'") == [ids["better"], ids["noise"], ids["failed"]]
    assert found(tag=["optimizer"]) == [ids["better"]]
    assert found(tag=["optimizer", "other"]) == []
    assert found(tag=["opt%"]) == []
    assert found(limit=2) == [ids["failed"], ids["hostile"]], "the latest, in their order"
    assert found(sort="-value", limit=2) == [ids["noise"], ids["better"]]
    assert found(where="verdict = 'worse'", sort="p") == [ids["worse"]]
    for wrong in ({"where": "nope = 1"}, {"where": "value >"}, {"sort": "nope"}, {"limit": 0}):
        with pytest.raises(InputError):
            found(**wrong)
    with pytest.raises(InputError):
        found(where="1); DELETE FROM events; --")
    assert len(eyeshot.experiments()) == len(ids)


def test_a_project_without_a_ledger_has_an_empty_table_with_all_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = eyeshot.experiments()
    assert (len(table), table.schema["value"], table.schema["tags"]) == (0, pl.Float64, pl.List(pl.String))
    assert (len(eyeshot.insights()), len(eyeshot.expectations())) == (0, 0)
    assert not (tmp_path / "eyeshot-out").exists()


def test_two_experiments_differ_where_their_settings_do(ids: dict[str, str]) -> None:
    found = {row["setting"]: (row["first"], row["second"]) for row in
             eyeshot.diff_experiments(ids["baseline"], ids["better"]).to_dicts()}  # fmt: skip
    assert found == {
        "training.optimizer": ("adamw", "radam"), "code.commit": ("none", "0123456789abcdef"),
        "code.difference": ("none", "+ a line"),
    }  # fmt: skip
    assert eyeshot.diff_experiments(ids["better"], ids["better"]).is_empty()
    with pytest.raises(InputError, match="No experiment"):
        eyeshot.diff_experiments(ids["better"], "nothing")


def test_what_was_learned_replaces_and_what_was_before_stays_an_event(ids: dict[str, str]) -> None:
    record = eyeshot.write_learned(ids["better"], "Only short runs profit.", why_different="Warm-up", author="bob")
    assert (record.learned, record.why_different) == ("Only short runs profit.", "Warm-up")
    assert eyeshot.write_learned(ids["better"], why_different="Less warm-up").learned == "Only short runs profit."
    with open_ledger() as ledger:
        told = [event.data["text"] for event in ledger.events(ids["better"]) if event.kind == "learned"]
    assert told == ["Short runs profit.", "Only short runs profit."]
    for wrong in ((None, None), ("  ", None), ("x", "")):
        with pytest.raises(InputError, match="Say what was learned"):
            eyeshot.write_learned(ids["better"], wrong[0], why_different=wrong[1])


def test_an_insight_is_open_until_something_was_done(ids: dict[str, str]) -> None:
    record = eyeshot.add_insight(ids["worse"], "Look at the warm-up", author="bob")
    new = record.insights[-1].id
    assert eyeshot.insights(open_insights=True)["id"].to_list() == ["abc123", new]
    eyeshot.act_on_insight(new[:4], "Longer warm-up")
    assert eyeshot.insights(open_insights=True)["id"].to_list() == ["abc123"]
    rows = {row["id"]: row for row in eyeshot.insights().to_dicts()}
    assert (rows[new]["actions"], rows[new]["open"], rows[new]["author"]) == (["Longer warm-up"], False, "bob")
    for name in ("nothing", ""):
        with pytest.raises(InputError):
            eyeshot.act_on_insight(name, "x")


def test_tags_are_added_and_taken_off(ids: dict[str, str]) -> None:
    assert eyeshot.tag_experiment(ids["better"], ["b", "a"], remove=["optimizer", "never"]).tags == ("a", "b")
    assert eyeshot.experiments(tag=["a", "b"])["id"].to_list() == [ids["better"]]
    for wrong in ("", "a,b", "x" * 61, "a\nb"):
        with pytest.raises(InputError):
            eyeshot.tag_experiment(ids["better"], [wrong])
    with pytest.raises(InputError, match="A tag is needed"):
        eyeshot.tag_experiment(ids["better"])


def test_expectations_are_counted_by_author_and_month(ids: dict[str, str]) -> None:
    by_author = eyeshot.expectations()
    assert by_author["group"].to_list() == ["all", "ann", "bob", "night agent"]
    assert by_author["came"].to_list() == [1, 1, 0, 0]
    assert by_author["sizes_came"].to_list() == [1, 1, 0, 0]
    assert len(eyeshot.expectations(by="month")) == 2


def test_compare_takes_experiments_for_their_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    ids = []
    with open_ledger(write=True) as ledger:
        for rate, optimizer in ((0.6, "adamw"), (0.9, "sgd")):
            name = ledger.add(f"With {optimizer}", config={"optimizer": optimizer}).id
            for seed in (0, 1):
                run = store_run(tmp_path, random.random(300) < rate, seed=seed, optimizer=optimizer)
                ledger.append(name, "run", run=run, seed=seed)
            ids.append(name)
        waiting = ledger.add("Nothing ran yet").id
    found = eyeshot.compare(*ids, against=ids[0], progress=False)
    assert [member.seeds for member in found.members] == [2, 2]
    assert found.members[0].difference is not None
    assert found.members[0].difference.verdict == "better"
    with open_ledger() as ledger:
        runs = [run for name in ids for run in ledger.experiment(name).runs]
    assert eyeshot.compare(*runs, against=runs[0], progress=False) == found
    with pytest.raises(InputError, match="no run yet"):
        eyeshot.compare(ids[0], waiting)


def test_a_run_keeps_its_name_where_an_experiment_begins_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [store_run(tmp_path, np.arange(30) % 3 > seed, seed=seed) for seed in (0, 1)]
    with open_ledger(write=True) as ledger:
        ledger.add("Something else")
    assert eyeshot.compare(*runs, progress=False).members[0].runs == tuple(runs)


def test_curves_of_a_run_whose_name_is_no_folder_here_are_none(ids: dict[str, str], tmp_path: Path) -> None:
    from eyeshot.ledger import experiment_curves

    (tmp_path / "eyeshot-out" / "metrics.jsonl").write_text('{"epoch": 1, "train_loss": 1}\n', encoding="utf-8")
    with open_ledger(write=True) as ledger:
        ledger.append(ids["hostile"], "run", run="..", seed=0)
        ledger.append(ids["hostile"], "got", got=got(0.5))
        assert experiment_curves(ledger, [ids["hostile"]], "train_loss")["series"] == []


def test_a_notebook_shows_whole_texts_and_leaves_out_columns_without_a_value(ids: dict[str, str]) -> None:
    table = eyeshot.experiments()
    shown = table._repr_html_()
    assert all(name in shown for name in ids.values()), "ids can be copied"
    assert "RAdam warms up by itself, so a short run should profit" in shown
    assert "<img" not in shown
    assert "<b>tag" not in shown
    alone = eyeshot.experiments(where=f"id = '{ids['baseline']}'")._repr_html_()
    assert "<th>why</th>" in alone
    assert "<th>sweep</th>" not in alone
    assert "Without a value: parent, difference" in alone
    assert "<th>id</th>" in eyeshot.experiments(where="id = ''")._repr_html_(), "an empty table names its columns"
    assert isinstance(table, pl.DataFrame)
    assert table.filter(pl.col("state") == "done").height == 4


def test_a_notebook_shows_an_experiment(ids: dict[str, str]) -> None:
    shown = eyeshot.experiment(ids["better"])._repr_html_()
    for words in ("training.optimizer: adamw → radam", "accuracy +2.0 points",
                  "83.2 % accuracy (95 %: 82.2 to 84.2), n 3,004, 3 seeds", "Short runs profit."):  # fmt: skip
        assert words in shown
    assert "<img" not in eyeshot.experiment(ids["hostile"])._repr_html_()
