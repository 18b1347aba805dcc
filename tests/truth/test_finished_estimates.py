"""Estimates for finished trainings: the published tables follow from the committed ones; scores are what they are
called."""

import numpy as np
import pytest
from benchmarks.augmentation_truth.table import read_table
from benchmarks.common import ROOT
from benchmarks.finished_estimates import (
    FINISHED,
    HALVED,
    MISSING,
    NAMES,
    confidence_threshold,
    nuclear_norm,
    published,
    read_rows,
    scores_on,
    shares_changed,
    write_rows,
)

TABLES = sorted(file.stem.removesuffix("-choices") for file in FINISHED.glob("*-choices.csv"))


@pytest.mark.parametrize("table", TABLES)
def test_the_published_tables_follow_from_the_committed_ones(table):
    evidence = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    for line in published(*table.split("-", 1)):
        assert line in evidence, line


@pytest.mark.parametrize("table", TABLES)
def test_the_finished_trainings_are_all_there_and_those_of_the_truth_but_for_the_processor(table):
    rows = [row for row in read_rows(FINISHED / f"{table}.csv") if row["part"] == "all"]
    assert {row["candidate"] for row in rows} == set(NAMES)
    truth = {
        (row.candidate, row.target): row.target_accuracy
        for row in read_table(FINISHED.parent / "tables" / f"{table}.csv").rows
        if row.seed == 0
    }
    away = [abs(row["true"] - truth[row["candidate"], row["target"]]) for row in rows]
    assert np.median(away) < 0.02  # sums in another order lead a training elsewhere, as another seed does


def test_an_edited_line_is_noticed(tmp_path):
    file = tmp_path / "table.csv"
    write_rows(file, [{"target": "own", "true": 0.5}, {"target": "far", "true": 0.25, "n": 7}])
    assert read_rows(file) == [{"target": "own", "true": 0.5, "n": ""}, {"target": "far", "true": 0.25, "n": 7}]
    file.write_text(file.read_text("utf-8").replace("0.25", "0.75"), "utf-8")
    with pytest.raises(ValueError, match=r"table\.csv, line 3: its checksum does not fit"):
        read_rows(file)


def test_scores_have_their_closed_forms():
    sure = np.eye(4)[np.arange(40) % 4]
    assert nuclear_norm(sure) == pytest.approx(1)
    assert nuclear_norm(np.eye(4)[np.zeros(40, int)]) == pytest.approx(0.5)
    assert nuclear_norm(np.full((40, 4), 0.25)) == pytest.approx(0.25)
    confidence = np.linspace(0.5, 1, 10, endpoint=False)
    validation, labels = np.stack([confidence, 1 - confidence], 1), np.array([1] * 3 + [0] * 7)
    threshold = confidence_threshold(validation, labels)
    assert (validation.max(1) >= threshold).mean() == (validation.argmax(1) == labels).mean() == 0.7
    assert confidence_threshold(sure, np.arange(40) % 4) == 1
    of_all = scores_on(validation, validation, labels)(np.arange(10))
    assert of_all["atc"] == pytest.approx(0.7)


def test_shares_are_changed_as_they_are_called():
    labels = np.repeat(np.arange(6), 10)
    left = {what: np.bincount(labels[keep], minlength=6).tolist() for what, keep in shares_changed(labels, 6).items()}
    assert left == {"all": [10] * 6, HALVED: [5] * 3 + [10] * 3, MISSING: [10] * 4 + [0] * 2}
