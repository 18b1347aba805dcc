"""The figures that are published follow from the committed tables, all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.augmentation_truth import short_runs_table
from benchmarks.augmentation_truth.evidence_table import BEGIN, END, evidence_table
from benchmarks.augmentation_truth.judge import Judged
from benchmarks.augmentation_truth.judging import Judgement, count_trainings, hours, read_judgement
from benchmarks.augmentation_truth.short_runs_table import judge_short_runs
from benchmarks.augmentation_truth.table import read_table
from benchmarks.augmentation_truth.trust_file import trust_of
from benchmarks.augmentation_truth.truth import read_truths
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "benchmarks" / "augmentation_truth"


@pytest.fixture(scope="module")
def judgement() -> Judgement:
    return read_judgement(HERE / "tables", HERE / "scores", budget_s=0.0)


@pytest.fixture(scope="module")
def short_runs(judgement: Judgement) -> dict[float, list[Judged]]:
    return judge_short_runs(judgement.truths, judgement.scores, HERE / "estimates")


def test_the_table_of_short_runs_is_computed_from_the_committed_estimates(
    short_runs: dict[float, list[Judged]],
) -> None:
    text = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    shown = text.partition(short_runs_table.BEGIN)[2].partition(short_runs_table.END)[0].strip()
    assert shown == short_runs_table.short_runs_table(short_runs)
    assert "| pretrained, shifted | 10 % |" in shown


def test_the_table_of_the_evidence_is_computed_from_the_committed_tables(judgement: Judgement) -> None:
    text = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    shown = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == evidence_table(judgement.judged)
    assert "| pretrained, shifted |" in shown


def test_what_ships_in_the_package_is_computed_from_them_too(
    judgement: Judgement, short_runs: dict[float, list[Judged]]
) -> None:
    file = ROOT / "src" / "eyeshot" / "rankings" / "augmentations" / "trust.json"
    trainings = count_trainings(HERE / "tables")
    found = trust_of(judgement.judged, trainings=trainings, short_runs=short_runs)
    assert json.loads(file.read_text(encoding="utf-8")) == found
    assert f"{trainings:,} trainings of" in (ROOT / "docs" / "ranking-log.md").read_text(encoding="utf-8")


def test_the_evidence_says_how_many_trainings_there_are_and_what_they_took() -> None:
    text = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    assert f"{count_trainings(HERE / 'tables'):,} trainings, {hours(HERE / 'tables'):.1f} hours of one core" in text


def rows_of(table: str) -> list[dict[str, str]]:
    header, _, *rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_what_the_readme_says_of_trust_stands_in_the_tables(
    judgement: Judgement, short_runs: dict[float, list[Judged]]
) -> None:
    words = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    alone = {row["situation"]: row for row in rows_of(evidence_table(judgement.judged))}
    with_runs = {
        row["situation"]: row
        for row in rows_of(short_runs_table.short_runs_table(short_runs))
        if row["share of the steps"] == "10 %"
    }
    first, trivial = "regret, points: first", "TrivialAugment"
    pretrained, scratch = with_runs["pretrained, shifted"], with_runs["from scratch, shifted"]
    unmatched = with_runs["pretrained, shifted, cure left out"]
    unmatched_scratch = with_runs["from scratch, shifted, cure left out"]
    for said in (
        f"compared with {count_trainings(HERE / 'tables'):,} real trainings",
        f"on {pretrained['tasks'].split()[0]} tasks with a pretrained model",
        f"first candidate lost {pretrained[first]} points of accuracy against the best one",
        f"always TrivialAugment lost {pretrained[trivial]}, no augmentation {pretrained['clean']}",
        f"from scratch it lost {scratch[first]} points (TrivialAugment {scratch[trivial]})",
        f"it lost {unmatched[first]} (TrivialAugment {unmatched[trivial]})",
        f"from scratch {unmatched_scratch[first]} ({unmatched_scratch[trivial]})",
        f"correlation {pretrained['Spearman'].split()[0]} pretrained, {scratch['Spearman'].split()[0]} from scratch",
        f"By coverage alone the first lost {alone['pretrained, shifted'][first]}",
        f"and {alone['from scratch, shifted'][first]} points",
    ):
        assert said in words, said


def test_the_evidence_says_how_far_twice_the_epochs_keep_the_order_of_candidates() -> None:
    once, twice = (
        {(truth.source, truth.model, truth.target): truth.without_controls() for truth in read_truths(HERE / folder)[0]}
        for folder in ("tables", "doubled")
    )
    same = {}
    for (source, model, target), doubled in twice.items():
        assert (source, model) == ("photo", "squeezenet-tuned")
        single = once[source, model, target]
        means = dict(zip(single.names, single.accuracy[:, :2].mean(1), strict=True))
        assert set(means) == set(doubled.names)
        same[target] = float(spearmanr([means[name] for name in doubled.names], doubled.accuracy.mean(1))[0])
    for folder, epochs in (("tables", 6), ("doubled", 12)):
        assert {row.epochs for row in read_table(HERE / folder / "photo-squeezenet-tuned.csv").rows} == {epochs}
    own = same.pop("own")
    said = f"{min(same.values()):.2f} to {max(same.values()):.2f} on shifted targets"
    text = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    assert said in text
    assert f"({own:.2f} on own images)" in text


def test_no_row_was_edited_by_hand_or_left_out(judgement: Judgement) -> None:
    assert judgement.problems == []
