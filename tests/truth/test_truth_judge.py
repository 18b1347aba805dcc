"""The judge on made-up tables whose correlation and noise are known."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from benchmarks.augmentation_truth.evidence_table import BEGIN, END, evidence_table
from benchmarks.augmentation_truth.judge import CURE_LEFT_OUT, judge_ranking, judge_task, pool_worlds
from benchmarks.augmentation_truth.judging import Judgement, publish, read_judgement
from benchmarks.augmentation_truth.rankings import (
    ADVICE,
    CLEAN,
    OTHER_MODEL,
    PRETRAINED_MODEL,
    RANDOM,
    RANKING,
    STATIC,
    TRIVIAL,
    product_ranking,
)
from benchmarks.augmentation_truth.recipes import CANDIDATES, CONTROLS, candidate_fingerprint
from benchmarks.augmentation_truth.scores import COLUMNS, read_scores, score_file, write_scores
from benchmarks.augmentation_truth.statistics import spearman
from benchmarks.augmentation_truth.table import Row, add_training, read_table, table_file
from benchmarks.augmentation_truth.trust_file import trust_of
from benchmarks.augmentation_truth.truth import Truth, read_truths

from eyeshot.augment import augmentation

SOURCES = ("digits", "photo", "sketch")
TARGETS = ("own", "turned")


def made_up(
    folder: Path, *, seed: int = 0, skill: float = 0.8, noise: float = 0.01, seeds: int = 3, shuffled: bool = False
) -> Judgement:
    """Tables and scores, in `folder`, whose rank correlation without noise is about `skill`; and what they judge.

    The same figures are made and judged once; each test gets files of its own.
    """
    texts, judgement = _made(seed, skill, noise, seeds, shuffled)
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text)
    return judgement


@cache
def _made(seed: int, skill: float, noise: float, seeds: int, shuffled: bool) -> tuple[dict[str, bytes], Judgement]:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write(folder, seed=seed, skill=skill, noise=noise, seeds=seeds, shuffled=shuffled)
        files = [file for file in folder.rglob("*") if file.is_file()]
        texts = {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}
        return texts, read_judgement(folder / "tables", folder / "scores")


def _write(folder: Path, *, seed: int, skill: float, noise: float, seeds: int, shuffled: bool) -> None:
    random = np.random.default_rng(seed)
    names = [*CONTROLS, *CANDIDATES]
    for source in SOURCES:
        true = {
            target: dict(zip(names, random.normal(0.5, 0.05, len(names)).clip(0, 1), strict=True)) for target in TARGETS
        }
        for target in TARGETS:
            true[target]["no-op"] = true[target]["clean"]
        score_rows = []
        for target in TARGETS:
            values = np.array([true[target][name] for name in names])
            standard = (values - values.mean()) / values.std()
            score = skill * standard + np.sqrt(1 - skill**2) * random.normal(size=len(names))
            order = np.argsort(-score)
            places = {names[row]: place for place, row in enumerate([r for r in order if names[r] not in CONTROLS], 1)}
            for row, name in enumerate(names):
                score_rows.append(
                    dict.fromkeys(COLUMNS)
                    | {"source": source, "target": target, "model": "small-cnn", "seed": 1000, "budget_s": 0.0}
                    | {"candidate": name, "family": augmentation(name).family, "rank": places.get(name)}
                    | {"role": "control" if name in CONTROLS else "ranked", "advice": int(places.get(name) == 1)}
                    | {"score": float(score[row]), "coverage_gain": float(score[row]), "seconds": 10.0}
                )
            if shuffled:
                true[target] = dict(zip(names, random.permutation(values), strict=True))
        write_scores(score_file(folder / "scores", source, "small-cnn"), score_rows)
        for number in range(seeds):
            for name in names:
                rows = [
                    Row(
                        source, target, "small-cnn", name, number, 5, 100, 50, 0.5,
                        float(np.clip(true[target][name] + random.normal(0, noise), 0, 1)), 0.1, 2.0, "CPU", "abc",
                        "r", candidate_fingerprint(augmentation(name)),
                    )
                    for target in TARGETS
                ]  # fmt: skip
                add_quickly(table_file(folder / "tables", source, "small-cnn"), rows)


def add_quickly(file: Path, rows: list[Row]) -> None:
    """As `add_training`, without reading the table again for each of some hundred trainings."""
    from benchmarks.augmentation_truth.table import HEADER, line_of

    file.parent.mkdir(parents=True, exist_ok=True)
    text = file.read_text() if file.exists() else ",".join(HEADER) + "\n"
    file.write_text(text + "".join(map(line_of, rows)))


def test_a_known_correlation_and_reliability_come_back(tmp_path: Path) -> None:
    known = 6 / np.pi * np.arcsin(0.8 / 2)  # Spearman of normal values with a correlation of 0.8
    known_reliability = 0.05**2 / (0.05**2 + 0.03**2 / 3)
    inside, corrected, found_reliability = [], [], []
    for seed in range(5):
        found = made_up(tmp_path / str(seed), seed=seed, skill=0.8, noise=0.03)
        assert found.problems == []
        assert len(found.truths) == 6
        for one in found.judged:
            if one.world == CURE_LEFT_OUT:
                continue
            figures = one.rankings[RANKING]
            assert figures.n == len(CANDIDATES)
            assert one.cost == pytest.approx(10.0 / (2.0 * (len(CANDIDATES) + 1)))
            assert one.remark == ""
            # The interval is that of the noisy truth, whose correlation is smaller by the root of the reliability.
            inside.append(figures.low < known * np.sqrt(known_reliability) < figures.high)
            corrected.append(figures.corrected)
            found_reliability.append(one.reliability)
    assert np.mean(found_reliability) == pytest.approx(known_reliability, abs=0.03)
    assert np.mean(corrected) == pytest.approx(known, abs=0.04)
    assert np.mean(inside) >= 0.86


def test_shuffled_accuracies_show_no_skill(tmp_path: Path) -> None:
    values, losses, lucky = [], [], []
    for seed in range(6):
        found = made_up(tmp_path / str(seed), seed=seed, skill=0.95, noise=0.01, shuffled=True)
        for one in found.judged:
            if one.world != CURE_LEFT_OUT:
                values.append(one.rankings[RANKING].spearman)
                losses.append(one.rankings[RANKING].regret)
                lucky.append(one.rankings[RANDOM].regret)
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(losses) - np.mean(lucky)) < 3 * np.std(losses) / np.sqrt(len(losses))


def test_regret_of_a_perfect_ranking_is_none_and_that_of_random_is_the_mean(tmp_path: Path) -> None:
    found = made_up(tmp_path, skill=1.0, noise=0.0)
    for one in found.judged:
        if one.world != CURE_LEFT_OUT and one.best >= one.clean:
            assert one.rankings[RANKING].regret == pytest.approx(0, abs=1e-3)
            assert one.rankings[RANKING].spearman == pytest.approx(1)
            assert one.rankings[RANKING].hit == 1
            assert one.rankings[ADVICE].regret == pytest.approx(0, abs=1e-3)
            truth = next(t for t in found.truths if (t.source, t.target) == (one.source, one.target))
            candidates = truth.without_controls()
            assert one.rankings[RANDOM].regret == pytest.approx(100 * (one.best - candidates.mean.mean()), abs=1e-3)
            trivial = candidates.mean[candidates.names.index("trivial-augment")]
            assert one.rankings[TRIVIAL].regret == pytest.approx(100 * (one.best - trivial), abs=1e-3)


def test_controls_never_count_as_candidates(tmp_path: Path) -> None:
    found = made_up(tmp_path)
    truth = found.truths[0]
    values = dict.fromkeys(truth.names, 0.0) | {name: float(place) for place, name in enumerate(truth.names)}
    judged = judge_ranking(values, truth)
    rows = [number for number, name in enumerate(truth.names) if name not in CONTROLS]
    assert judged.n == len(rows) == len(CANDIDATES)
    assert judged.spearman == spearman(np.array(rows, float), truth.mean[rows]).value


def test_without_the_cure_its_family_is_in_neither_truth_nor_ranking(tmp_path: Path) -> None:
    found = made_up(tmp_path)
    truth = next(one for one in found.truths if one.target == "turned")
    judged = judge_task(truth, found.scores, found.truths, without="geometric")
    geometric = [name for name in CANDIDATES if augmentation(name).family == "geometric"]
    assert judged.world == CURE_LEFT_OUT
    assert judged.rankings[RANKING].n == len(CANDIDATES) - len(geometric)
    assert augmentation(judged.best_name).family != "geometric"
    assert any(one.world == CURE_LEFT_OUT for one in found.judged)


def test_a_static_ranking_is_learned_on_the_other_sources_alone(tmp_path: Path) -> None:
    found = made_up(tmp_path, noise=0.0)
    truth = found.truths[0]
    elsewhere = [replace(one, accuracy=-one.accuracy) if one.source == truth.source else one for one in found.truths]
    kept = judge_task(truth, found.scores, elsewhere).rankings[STATIC]
    assert kept == judge_task(truth, found.scores, found.truths).rankings[STATIC]
    copies = [replace(truth, source=source) for source in ("a", "b")]
    assert judge_task(truth, found.scores, [truth, *copies]).rankings[STATIC].spearman == pytest.approx(1)


def test_label_breaking_ones_stand_below_all_and_regularisers_nowhere() -> None:
    rows = [
        {"candidate": "a", "role": "ranked", "rank": 2.0},
        {"candidate": "b", "role": "ranked", "rank": 1.0},
        {"candidate": "c", "role": "label-breaking", "rank": None},
        {"candidate": "d", "role": "regulariser", "rank": 1.0},
        {"candidate": "clean", "role": "control", "rank": None},
    ]
    assert product_ranking(rows) == {"b": -1, "a": -2, "c": -3}


def test_rows_of_another_catalogue_are_named_and_left_out(tmp_path: Path) -> None:
    made_up(tmp_path)
    file = table_file(tmp_path / "tables", "digits", "small-cnn")
    old = [replace(row, catalogue="old") for row in read_table(file).rows if row.key == ("mirror", 0)]
    add_training(file, old)
    truths, problems = read_truths(tmp_path / "tables")
    assert problems == ["digits-small-cnn.csv: trained with another version of the catalogue: mirror; left out."]
    # Seed 0 lacks a candidate now: two seeds are left, and the table is unfinished.
    digits = [one for one in truths if one.source == "digits"]
    assert [(one.accuracy.shape[1], one.finished) for one in digits] == [(2, False)] * 2


def test_a_half_written_last_line_and_an_edited_one_are_named_and_left_out(tmp_path: Path) -> None:
    made_up(tmp_path, seeds=2)
    file = table_file(tmp_path / "tables", "photo", "small-cnn")
    lines = file.read_text().splitlines(keepends=True)
    lines[1] = lines[1].replace(",0.1", ",0.9", 1)
    file.write_text("".join(lines)[:-9])
    truths, problems = read_truths(tmp_path / "tables", seeds=2)
    assert len(problems) == 3
    assert "line 2: its checksum" in problems[0]
    assert "cut off" in problems[1]
    assert "no candidate, or no seed, is complete" in problems[2]
    assert {one.source for one in truths} == {"digits", "sketch"}


@pytest.mark.parametrize("trainings", range(1, 7))
def test_a_table_that_has_only_begun_stops_nobody(tmp_path: Path, trainings: int) -> None:
    made_up(tmp_path, seeds=2)
    file = table_file(tmp_path / "tables", "photo", "small-cnn")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[: 1 + trainings * len(TARGETS)]))
    found = read_judgement(tmp_path / "tables", tmp_path / "scores")
    begun = [one for one in found.judged if one.source == "photo"]
    assert all(one.remark == "unfinished" for one in begun)
    assert bool(begun) == (trainings > len(CONTROLS))
    assert any("no candidate, or no seed, is complete" in problem for problem in found.problems) != bool(begun)


def test_an_unfinished_and_a_noisy_table_are_marked(tmp_path: Path) -> None:
    found = made_up(tmp_path, seeds=2)
    assert {one.remark for one in found.judged} == {"unfinished"}
    noisy = made_up(tmp_path / "noisy", noise=0.4)
    assert {one.remark for one in noisy.judged} >= {"needs more seeds"}
    eight = made_up(tmp_path / "eight", noise=0.9, seeds=8)
    assert {one.remark for one in eight.judged} >= {"too noisy to judge"}


def test_everything_is_published_from_the_files_alone(tmp_path: Path) -> None:
    found = made_up(tmp_path)
    evidence = tmp_path / "evidence.md"
    evidence.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    paths = {name: tmp_path / name for name in ("results.json", "picture.svg", "trust.json")}
    table = publish(
        found, tables=tmp_path / "tables", results=paths["results.json"], picture=paths["picture.svg"],
        evidence=evidence, trust=paths["trust.json"], estimates=tmp_path / "estimates",
    )  # fmt: skip
    table = table.partition("\n\n")[0]
    assert table == evidence_table(read_judgement(tmp_path / "tables", tmp_path / "scores").judged)
    assert evidence.read_text() == f"before\n{BEGIN}\n{table}\n{END}\nafter\n"
    assert "from scratch, shifted" in table
    assert json.loads(paths["results.json"].read_text())["trainings"] == 3 * 3 * (len(CANDIDATES) + len(CONTROLS))
    picture = paths["picture.svg"].read_text()
    assert picture.count("<circle") == 6 * len(CANDIDATES)
    trust = json.loads(paths["trust.json"].read_text())
    pooled = pool_worlds(found.judged)["from scratch, shifted"][RANKING]
    assert trust["situations"]["from scratch, shifted"]["regret"]["value"] == pytest.approx(
        pooled["regret"]["value"], abs=1e-3
    )


def test_baselines_are_pooled_over_the_tasks_that_the_product_ranked(tmp_path: Path) -> None:
    found = made_up(tmp_path)
    ranked = [one for one in found.judged if one.source != "photo"]
    without = [replace(one, rankings={TRIVIAL: one.rankings[TRIVIAL]}) for one in found.judged if one.source == "photo"]
    assert pool_worlds([*ranked, *without]) == pool_worlds(ranked)
    assert evidence_table([*ranked, *without]) == evidence_table(ranked)


def test_a_situation_with_one_source_is_not_called_measured(tmp_path: Path) -> None:
    found = made_up(tmp_path)
    digits = [one for one in found.judged if one.source == "digits"]
    assert trust_of(digits, trainings=1, short_runs={})["situations"] == {}


def test_pretrained_models_rank_for_those_from_scratch_alone(tmp_path: Path) -> None:
    found = made_up(tmp_path, skill=1.0, noise=0.0)
    truth = next(one for one in found.truths if (one.source, one.target) == ("digits", "own"))
    file = score_file(tmp_path / "scores", "digits", "small-cnn")
    rows = [row for row in read_scores(file) if row["target"] == "own"]
    worst_first = [row | {"rank": row["rank"] and 100 - row["rank"]} for row in rows]
    scores = {
        ("digits", "small-cnn", "own"): worst_first,
        ("digits", "small-vit", "own"): worst_first,
        ("digits", "squeezenet-head", "own"): rows,
    }
    small = judge_task(truth, scores, found.truths)
    assert small.rankings[PRETRAINED_MODEL].spearman == pytest.approx(1)
    assert small.rankings[RANKING].spearman == pytest.approx(-1)
    assert small.rankings[OTHER_MODEL].spearman == pytest.approx(0)  # the mean of both others
    heads = judge_task(replace(truth, model="squeezenet-head"), scores, found.truths)
    assert PRETRAINED_MODEL not in heads.rankings
    del scores["digits", "squeezenet-head", "own"]
    assert PRETRAINED_MODEL not in judge_task(truth, scores, found.truths).rankings


def test_trust_names_a_pretrained_model_only_where_it_ranked_every_task(tmp_path: Path) -> None:
    found = made_up(tmp_path)
    ranked = [
        replace(one, rankings=one.rankings | {PRETRAINED_MODEL: replace(one.rankings[RANKING], regret=1.5)})
        for one in found.judged
    ]
    situation = "from scratch, shifted"
    found_there = trust_of(ranked, trainings=1, short_runs={})["situations"][situation]
    own = pool_worlds(found.judged)
    assert found_there["by_pretrained_model"]["regret"]["value"] == 1.5
    for name, world in (("by_pretrained_model", situation), ("without_cure", f"{situation}, cure left out")):
        expected = own[world][RANKING]["regret"]["value"]
        assert found_there[name]["regret_of_own"]["value"] == pytest.approx(expected, abs=1e-3)
    nothing_matched = found_there["nothing_matched"]
    world = own[f"{situation}, cure left out"]
    assert nothing_matched["tasks"] == world[RANKING]["tasks"]
    for name, ranking in (("regret", RANKING), ("regret_of_trivial_augment", TRIVIAL), ("regret_of_clean", CLEAN)):
        assert nothing_matched[name]["value"] == pytest.approx(world[ranking]["regret"]["value"], abs=1e-3)
    half = [one if one.source == "digits" else made for one, made in zip(found.judged, ranked, strict=True)]
    assert "by_pretrained_model" not in trust_of(half, trainings=1, short_runs={})["situations"][situation]


def test_scores_are_written_and_read_back(tmp_path: Path) -> None:
    made_up(tmp_path)
    with open(score_file(tmp_path / "scores", "digits", "small-cnn"), newline="") as text:
        assert tuple(next(csv.reader(text))) == COLUMNS


def test_truth_keeps_names_and_rows_together(tmp_path: Path) -> None:
    truth: Truth = made_up(tmp_path).truths[0]
    some = truth.only(["mirror", "clean"])
    assert some.names == ("clean", "mirror")
    for name in some.names:
        np.testing.assert_array_equal(some.accuracy[some.names.index(name)], truth.accuracy[truth.names.index(name)])
