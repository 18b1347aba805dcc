"""What other programs trained, judged by the rule; and an agent that keeps what the rule calls better."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import eyeshot
from eyeshot.core import InputError
from eyeshot.ledger import next_step, open_ledger
from eyeshot.ledger.judging.verdicts import allowed_p
from eyeshot.predictions import gain_of, paired_gain
from killed_writes import Killed, killed_at
from stored_runs import CLASSES, probabilities_of, store_run

IMAGES = 400


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EYESHOT_AUTHOR", "ada")
    monkeypatch.delenv("EYESHOT_AGENT", raising=False)
    return tmp_path


def write(file: Path, right: Any, *, labels: bool = True, ids: list[str] | None = None, test: bool = False) -> Path:
    """An npz file as a script writes it."""
    truth = np.arange(len(right)) % 3
    names = ids or [f"{number:04d}.jpg" for number in range(len(right))]
    arrays = {"ids": np.array(names), "probabilities": probabilities_of(truth, right), "classes": np.array(CLASSES)}
    np.savez(file, **arrays, **({"labels": truth} if labels and not test else {}))
    return file


def luck(seed: int, chances: Any) -> Any:
    return np.random.default_rng(seed).random(len(chances)) < chances


CHANCES = np.random.default_rng(0).beta(2.4, 0.6, IMAGES)


def test_the_first_is_a_beginning_and_the_next_is_judged_against_it(project):
    first = eyeshot.log_run(write(project / "a.npz", luck(1, CHANCES)), why="our script as it was")
    assert (first.state, first.parent, first.gain, first.author) == ("done", None, None, "ada")
    assert first.got.value == pytest.approx(luck(1, CHANCES).mean())
    better = luck(2, np.minimum(1, CHANCES + 0.2))
    child = eyeshot.log_run(
        write(project / "b.npz", better, labels=False), why="longer training", expect="+20 accuracy",
        settings={"epochs": 90}, own_work="the loop",
    )  # fmt: skip
    assert child.parent == first.id
    assert child.difference == {"epochs": (None, 90)}
    assert child.got.difference == pytest.approx(better.mean() - luck(1, CHANCES).mean())
    expected = paired_gain(better[None], luck(1, CHANCES)[None])
    assert (child.got.p, child.got.difference_low) == pytest.approx((expected.p, expected.low))
    assert child.gain == "better"
    assert child.verdict in ("as expected", "worse")
    assert (child.own_work, child.got.comparisons, child.got.allowed_p) == ("the loop", 1, 0.05)
    assert "together with the result" in child.notes[0]["text"]


def test_the_same_call_gives_the_same_experiment(project):
    file = write(project / "a.npz", luck(1, CHANCES))
    first = eyeshot.log_run(file, why="as it was")
    assert eyeshot.log_run(file, why="as it was") == first
    with open_ledger() as ledger:
        assert len(ledger.experiments()) == 1
        assert [event.data.get("state") for event in ledger.events(first.id) if event.kind == "state"] == ["done"]


def test_an_expectation_can_be_stated_before_the_program_runs(project):
    eyeshot.log_run(write(project / "a.npz", luck(1, CHANCES)), why="as it was")
    stated = eyeshot.log_run(why="mixup", expect="up accuracy", agent="helper")
    assert (stated.state, stated.author, stated.author_kind) == ("waiting", "helper", "agent")
    file = write(project / "b.npz", luck(2, np.minimum(1, CHANCES + 0.2)))
    done = eyeshot.log_run(file, experiment=stated.id)
    assert (done.id, done.state, done.verdict, done.expected.late) == (stated.id, "done", "as expected", False)
    assert done.notes == ()
    assert eyeshot.log_run(file, experiment=stated.id) == done
    with pytest.raises(InputError, match="would favour chance"):
        eyeshot.log_run(write(project / "c.npz", luck(3, CHANCES)), experiment=stated.id)
    with pytest.raises(InputError, match="takes --predictions alone"):
        eyeshot.log_run(file, experiment=stated.id, expect="down accuracy")


def test_files_of_several_seeds_are_one_recipe_and_tell_the_noise(project):
    files = [write(project / f"a{seed}.npz", luck(seed, CHANCES)) for seed in range(3)]
    first = eyeshot.log_run(files, why="as it was", seeds=[4, 5, 6])
    values = [luck(seed, CHANCES).mean() for seed in range(3)]
    assert first.got.seeds == (4, 5, 6)
    assert first.got.value == pytest.approx(np.mean(values))
    assert first.got.noise == pytest.approx(np.std(values, ddof=1))
    child = eyeshot.log_run(write(project / "b.npz", luck(9, CHANCES)), why="weight decay", settings=["wd=0.1"])
    assert child.got.noise == pytest.approx(np.std(values, ddof=1))
    own = np.stack([luck(seed, CHANCES) for seed in range(3)])
    noise = (float(np.var(values, ddof=1)), 2)
    assert child.got.p == pytest.approx(paired_gain(luck(9, CHANCES)[None], own, noise=noise).p)


def test_nothing_but_the_seed_is_a_replicate_and_no_comparison(project):
    first = eyeshot.log_run(write(project / "a.npz", luck(1, CHANCES)), why="as it was", settings=["lr=0.1", "seed=0"])
    great = luck(2, np.minimum(1, CHANCES + 0.2))  # even if chance were this kind
    again = eyeshot.log_run(write(project / "b.npz", great), why="another seed", settings=["seed=1"])
    assert again.difference == {"seed": ("0", "1")}
    assert (again.gain, again.got.seeds) == ("not distinguishable", (1,))
    assert "nothing but the seed" in again.verdict_words
    assert again.got.noise == pytest.approx(np.std([great.mean(), luck(1, CHANCES).mean()], ddof=1))
    third = eyeshot.log_run(write(project / "c.npz", luck(3, CHANCES)), why="lr", settings=["lr=0.2"])
    assert (third.parent, third.got.comparisons) == (first.id, 1)


def test_the_level_falls_with_each_comparison_with_one_parent(project):
    first = eyeshot.log_run(write(project / "a.npz", luck(1, CHANCES)), why="as it was")
    for number in range(3):
        child = eyeshot.log_run(
            write(project / f"b{number}.npz", luck(10 + number, CHANCES)), why=f"idea {number}", parent=first.id
        )
        assert (child.got.comparisons, child.got.allowed_p) == (number + 1, pytest.approx(0.05 / (number + 1)))


def test_a_run_that_eyeshot_trained_can_be_the_parent(project):
    run = store_run(project, luck(1, CHANCES))
    child = eyeshot.log_run(
        write(project / "b.npz", luck(2, np.minimum(1, CHANCES + 0.2)), labels=False), why="our own loop",
        settings={"lr": 1},
    )  # fmt: skip
    with open_ledger() as ledger:
        parent = ledger.experiment(child.parent)
    assert parent.runs == (run,)
    assert parent.why == "without a stated reason"
    assert child.difference == {"program": ("eyeshot", "own"), "lr": (None, 1)}
    assert child.gain == "better"


def test_the_first_that_is_logged_is_not_compared_with_what_cannot_be_told_apart(project):
    runs = [store_run(project, luck(seed, CHANCES), model=f"m{seed}.x") for seed in (1, 2)]
    with open_ledger(write=True) as ledger:
        first = ledger.add("beginning")
        second = ledger.add("no gain", parent=first.id, difference={"model": ("m1.x", "m2.x")})
        for experiment, run in zip((first, second), runs, strict=True):
            ledger.append(experiment.id, "run", run=run, seed=0, role="own")
            ledger.append(experiment.id, "state", state="done")
        ledger.append(second.id, "verdict", gain="not distinguishable", verdict="not distinguishable")
    assert eyeshot.log_run(write(project / "a.npz", luck(3, CHANCES)), why="our own loop").parent == first.id


def test_the_next_step_after_a_log_is_a_log(project):
    first = eyeshot.log_run(write(project / "a.npz", luck(1, CHANCES)), why="as it was")
    same = eyeshot.log_run(write(project / "b.npz", luck(2, CHANCES)), why="lr", settings=["lr=0.2"])
    better = write(project / "c.npz", luck(3, np.minimum(1, CHANCES + 0.2)))
    gained = eyeshot.log_run(better, why="mixup", settings=["mixup=0.2"])
    stated = eyeshot.log_run(why="later", settings=["mixup=0.3"])
    assert next_step(first) == 'eyeshot log --why "WHY" --set NAME=VALUE --expect "up accuracy"'
    assert "log both with more seeds, a file each" in next_step(same)
    assert next_step(gained).endswith('go on from it: eyeshot log --why "WHY" --set NAME=VALUE')
    assert next_step(stated) == f"eyeshot log --experiment {stated.id} --predictions FILE"


def test_logged_runs_are_compared_and_join_ensembles(project):
    first = eyeshot.log_run(
        [write(project / f"a{n}.npz", luck(n, CHANCES)) for n in range(2)], why="as it was",
        test_predictions=[write(project / f"t{n}.npz", luck(50 + n, CHANCES[:90]), test=True) for n in range(2)],
    )  # fmt: skip
    trained = store_run(project, luck(7, CHANCES), test=probabilities_of(np.arange(90) % 3, luck(60, CHANCES[:90])))
    compared = eyeshot.compare([*first.runs, trained], progress=False)
    assert sorted((member.seeds, member.runs) for member in compared.members) == [(1, (trained,)), (2, first.runs)]
    ensemble = eyeshot.ensemble([*first.runs, trained], method="soft", progress=False)
    assert {part for member in ensemble.members for part in member.parts} == {*first.runs, trained}
    assert set(ensemble.estimates) >= {first.runs[0], trained}


def test_the_estimate_on_the_test_images_stands_beside_validation_and_may_disagree(project):
    sure = np.full(300, True)
    right, worse = luck(1, CHANCES), luck(2, np.minimum(1, CHANCES + 0.2))
    first = eyeshot.log_run(
        write(project / "a.npz", right), why="as it was",
        test_predictions=write(project / "ta.npz", sure, test=True),
    )  # fmt: skip
    doubtful = write(project / "tb.npz", sure, test=True)
    stored = dict(np.load(doubtful))
    # Answers that pile up on one class cannot be right if classes are as frequent as in validation.
    stored["probabilities"] = np.tile([0.96, 0.02, 0.02], (300, 1))
    np.savez(doubtful, **stored)
    child = eyeshot.log_run(write(project / "b.npz", worse), why="other colours", test_predictions=doubtful)
    assert first.got.estimate is not None
    assert child.gain == "better"
    assert child.got.estimate_difference < -0.2
    assert child.got.estimate_disagrees
    assert "disagrees with validation" in child.verdict_words


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"predictions": "other.npz"}, "images and classes of what they are compared with"),
        ({"predictions": "short.npz"}, "predictions of 400 images and .* of 390"),
        ({"predictions": "none.npz"}, "does not exist"),
        ({"expect": "1.0 accuracy"}, "needs one direction"),
        ({"parent": "nobody"}, "must be an experiment or a run, got 'nobody'"),
        ({"settings": ["lr"]}, "takes NAME=VALUE, got 'lr'"),
        ({"seeds": [1, 2]}, "one seed for each file, got 2 for 1"),
        ({"why": None}, "one of them"),
        ({"why": " \t"}, "needs a reason"),
        ({"why": "half \udcff"}, "must be in UTF-8, got 'half"),
        ({"seeds": [-1]}, "--seed must be from 0 to .*, got -1"),
        ({"tags": ["a,b"]}, "without a comma, got 'a,b'"),
        ({"predictions": ["b.npz", "b.npz"]}, "two hold the same"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_anything_is_written(project, change, says):
    eyeshot.log_run(write(project / "a.npz", luck(1, CHANCES)), why="as it was")
    write(project / "b.npz", luck(2, CHANCES))
    write(project / "other.npz", luck(2, CHANCES), ids=[f"x{number}.jpg" for number in range(IMAGES)])
    write(project / "short.npz", luck(2, CHANCES)[:390])
    options: dict[str, Any] = {"predictions": "b.npz", "why": "an idea"} | change
    with open_ledger() as ledger:
        before = ledger.last_seq()
    with pytest.raises(InputError, match=says):
        eyeshot.log_run(options.pop("predictions"), **options)
    with open_ledger() as ledger:
        assert ledger.last_seq() == before
    assert len(list((project / "eyeshot-out" / "runs").iterdir())) == 1


def test_labels_may_be_missing_only_where_something_else_says_them(project):
    with pytest.raises(InputError, match="Add a column `label`"):
        eyeshot.log_run(write(project / "a.npz", luck(1, CHANCES), labels=False), why="as it was")


def log_two(folder: Path = Path()) -> None:
    """A beginning with two seeds, and a change of it."""
    eyeshot.log_run([folder / "f0.npz", folder / "f1.npz"], why="as it was", test_predictions=folder_tests(folder))
    eyeshot.log_run(folder / "f2.npz", why="an idea", expect="up accuracy", settings={"idea": 1})


def folder_tests(folder: Path) -> list[Path]:
    return [folder / "t0.npz", folder / "t1.npz"]


def write_two(folder: Path) -> None:
    for number in range(2):
        write(folder / f"f{number}.npz", luck(number, CHANCES))
        write(folder / f"t{number}.npz", luck(50 + number, CHANCES[:60]), test=True)
    write(folder / "f2.npz", luck(2, np.minimum(1, CHANCES + 0.15)))


def what_came(root: Path) -> list[dict[str, Any]]:
    """All that experiments say but times, ids and authors; that each was stated and finished once is checked."""
    with open_ledger(root) as ledger:
        experiments = ledger.experiments()
        names = {experiment.id: experiment.why for experiment in experiments}
        for experiment in experiments:
            kinds = [(event.kind, event.data.get("state")) for event in ledger.events(experiment.id)]
            assert (kinds.count(("stated", None)), kinds.count(("state", "done"))) == (1, 1)
            assert kinds.count(("run", None)) == len(experiment.runs) == len(set(experiment.runs))
    records = {file.parent.name for file in (root / "runs").glob("*/run.json")}
    assert records == {run for experiment in experiments for run in experiment.runs}
    assert {path.name for path in (root / "runs").iterdir()} == records
    return [
        experiment.model_dump(
            include={"why", "state", "difference", "gain", "verdict", "verdict_words", "own_work", "seeds", "config"}
        )
        | {
            "parent": names.get(experiment.parent or ""),
            "expected": experiment.expected and experiment.expected.model_dump(exclude={"stated_at"}),
            "got": experiment.got and experiment.got.model_dump(exclude={"against", "seconds"}),
            "notes": [note["text"] for note in experiment.notes],
        }
        for experiment in experiments
    ]


@pytest.mark.slow
def test_killed_at_any_write_the_same_calls_end_as_if_nothing_had_been(project, monkeypatch):
    write_two(project)
    folder = project / "whole"
    folder.mkdir()
    monkeypatch.chdir(folder)
    log_two(project)
    whole = what_came(folder / "eyeshot-out")
    assert [experiment["verdict"] for experiment in whole] == [None, "as expected"]
    point, finished = 0, False
    while not finished:
        folder = project / f"killed-{point}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        with killed_at(point):
            try:
                log_two(project)
                finished = True
            except Killed:
                pass
        log_two(project)
        assert what_came(folder / "eyeshot-out") == whole, f"killed at {point}"
        point += 1
    assert point > 40, "a beginning and a change take more than 20 writes"


KILLS = int(os.environ.get("EYESHOT_KILLS", "1"))
PROGRAM = """
import sys, eyeshot
for number in range(int(sys.argv[1])):
    eyeshot.log_run(f"f{number}.npz", why=f"idea {number}", expect="up accuracy", settings={"idea": number})
"""


@pytest.mark.slow
@pytest.mark.timeout(120 + 60 * KILLS)
def test_after_real_kills_every_experiment_is_finished_exactly_once(project):
    """Each process is killed a moment after its second new run appears, and the last one is left alone."""
    count = 3 * KILLS + 2
    for number in range(count):
        write(project / f"f{number}.npz", luck(number, CHANCES))
    random, runs = np.random.default_rng(5), project / "eyeshot-out" / "runs"
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(count)], cwd=project)
        before = len(list(runs.glob("*/run.json")))
        while process.poll() is None and len(list(runs.glob("*/run.json"))) < before + 2:
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.1))
        process.kill()
        killed += process.wait(timeout=60) != 0
    assert killed == KILLS, "each kill hit a process at work"
    process = subprocess.run([sys.executable, "-c", PROGRAM, str(count)], cwd=project, timeout=200, check=False)
    assert process.returncode == 0
    came = what_came(project / "eyeshot-out")
    assert [experiment["why"] for experiment in came] == [f"idea {number}" for number in range(count)]
    assert {experiment["state"] for experiment in came} == {"done"}
    assert all(experiment["verdict"] for experiment in came[1:])


# A night of a coding agent: 30 tries, of which 25 change nothing but the seed or a dead option ------------------------
TRIES = 30
REAL = {4, 10, 16, 22, 28}
"""Tries that change something: 10 points each."""
NIGHT_IMAGES = 2000


def night(seed: int, keep: Any) -> tuple[int, int]:
    """Kept tries that change nothing, and kept ones that do. `keep` is asked with child and parent, bool (1, n)."""
    random = np.random.default_rng(seed)
    chances = random.beta(1.2, 1.2, NIGHT_IMAGES)
    best = random.random(NIGHT_IMAGES) < chances
    level, kept = 0.0, [0, 0]
    for number in range(TRIES):
        real = number in REAL
        gained = level + 0.1 * real
        # A seed shifts all images a little, beside its luck on each.
        child = random.random(NIGHT_IMAGES) < np.clip(chances + gained + random.normal(0, 0.005), 0, 1)
        if keep(child[None], best[None]):
            best, level = child, gained
            kept[real] += 1
    return kept[0], kept[1]


class Rule:
    """The ledger's rule with its count of comparisons."""

    def __init__(self) -> None:
        self.comparisons = 0

    def __call__(self, child: Any, parent: Any) -> bool:
        self.comparisons += 1
        difference = paired_gain(child, parent)
        better = gain_of(difference.value, difference.p, allowed_p(self.comparisons)) == "better"
        self.comparisons = 0 if better else self.comparisons
        return better


def test_over_many_nights_the_rule_lets_at_most_the_nominal_rate_through_and_keep_if_better_about_half():
    nights = 20
    by_rule = np.sum([night(seed, Rule()) for seed in range(nights)], axis=0)
    naive = np.sum([night(seed, lambda child, parent: child.mean() > parent.mean()) for seed in range(nights)], axis=0)
    nothing = nights * (TRIES - len(REAL))
    assert by_rule[0] <= stats.binom.ppf(0.999, nothing, 0.025)
    # What was lucky stays the best, so later tries are held against luck: fewer than half beat it.
    assert naive[0] > 0.15 * nothing
    assert naive[0] > 10 * max(1, by_rule[0])
    assert by_rule[1] > 0.5 * nights * len(REAL)


def test_a_scripted_agent_keeps_by_the_ledger_what_is_real(project):
    """The loop of docs/agents.md with the real ledger: state, run, log, read the verdict, go on from what is better."""
    random = np.random.default_rng(3)
    chances = random.beta(1.2, 1.2, NIGHT_IMAGES)
    level, kept, naive, others = 0.0, [], 0, np.random.default_rng(4)
    base = random.random(NIGHT_IMAGES) < chances
    first = eyeshot.log_run(write(project / "base.npz", base), why="the script as it was", agent="night", seeds=[0])
    again = write(project / "base1.npz", random.random(NIGHT_IMAGES) < chances)
    eyeshot.log_run(again, why="noise", settings={"seed": 1}, agent="night")
    for number in range(TRIES):
        real = number in REAL
        right = random.random(NIGHT_IMAGES) < np.clip(chances + level + 0.1 * real, 0, 1)
        stated = eyeshot.log_run(
            why=f"try {number}", expect="up accuracy", settings={"dead_option": number, "real": level + 0.1 * real},
            agent="night",
        )  # fmt: skip
        done = eyeshot.log_run(write(project / f"{number}.npz", right), experiment=stated.id, agent="night")
        # What "keep if better" sees: this run beside another of its parent's recipe.
        parent = others.random(NIGHT_IMAGES) < np.clip(chances + level, 0, 1)
        naive += not real and right.mean() > parent.mean()
        if done.gain == "better":
            kept.append(real)
            level += 0.1 * real
    with open_ledger() as ledger:
        experiments = ledger.experiments()
        assert len(experiments) == TRIES + 2
        better = {one.id for one in experiments if one.gain == "better"} | {first.id}
        assert {one.parent for one in experiments if one.parent} <= better, "built on what cannot be told apart"
        assert {one.author_kind for one in experiments} == {"agent"}
    assert kept.count(False) <= stats.binom.ppf(0.999, TRIES - len(REAL), 0.025)
    assert kept.count(True) >= 3
    assert naive >= 0.25 * (TRIES - len(REAL))


@pytest.mark.parametrize("seed", ["²", "٣", "9" * 5000, "-1", "first"])
def test_a_setting_named_seed_that_is_no_usable_number_stays_a_setting(project, seed):
    logged = eyeshot.log_run(write(project / "a.npz", luck(1, CHANCES)), why="own words", settings={"seed": seed})
    assert (logged.state, logged.seeds, logged.config["seed"]) == ("done", (0,), seed)
