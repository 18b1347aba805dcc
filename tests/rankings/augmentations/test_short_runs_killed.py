"""Short runs killed at random, or broken off at any call, end as if they had not been, within the same budget."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from small_run import World, run

from counted_clock import EVALUATE_S, counted_clock
from eyeshot.rankings import AugmentationRanking, RankingReport
from eyeshot.rankings.augmentations import short_runs
from eyeshot.sweep import RESERVE, DecisionFile, SweepStore

BUDGET_S = 8.0
COUNTED: dict[str, Any] = {"budget_s": 36.0, "candidates": ("invert", "edges"), "projections": ()}
RUN = f"""
import sys
from pathlib import Path
import torch
from small_run import World, run
folder, cache, out = map(Path, sys.argv[1:])
torch.set_num_threads(1)
print("ready", flush=True)
run(World(folder / "train", folder / "test", {{}}), cache, budget_s={BUDGET_S}).save(out)
print("done", flush=True)
"""


def start(world: World, cache: Path, out: Path) -> subprocess.Popen[str]:
    """The small run with a budget in a process of its own, at the moment when all is imported."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(world.train.parent), str(cache), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def evaluations(cache: Path) -> dict[str, str]:
    """Hashes of all stored evaluations."""
    return {
        f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (cache / "short-runs").glob("trials/*/*.evaluation")
    }


def left_over(cache: Path) -> list[str]:
    """Half files, and states that trials have gone on from."""
    files = [path for path in (cache / "short-runs").rglob("*") if path.suffix in (".part", ".state")]
    return [
        path.name
        for path in files
        if path.suffix == ".part" or (path.stem.count("-") > 1 and any(path.parent.glob(f"{path.stem}-*.state")))
    ]


@pytest.mark.slow
def test_short_runs_killed_at_random_keep_what_was_evaluated_and_the_budget(
    world: World, first: AugmentationRanking, first_cache: Path, tmp_path: Path
):
    """Killed twice, each time at another moment of the short runs, then left to end."""
    cache, out = tmp_path / "cache", tmp_path / "out"
    shutil.copytree(first_cache, cache)  # all that comes before the short runs is there
    out.mkdir()
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    print(f"seed {seed}")  # shown where the test fails
    before: dict[str, str] = {}
    for _ in range(2):
        process = start(world, cache, out)
        time.sleep(chance.uniform(1, 0.6 * BUDGET_S))
        process.kill()
        process.wait()
        now = evaluations(cache)
        assert {name: now.get(name) for name in before} == before
        before = now
    process = start(world, cache, out)
    rest, _ = process.communicate(timeout=200)
    assert (process.returncode, rest) == (0, "done\n")
    report = RankingReport.model_validate_json((out / "augmentations.json").read_text("utf-8"))
    after = evaluations(cache)
    assert {name: after.get(name) for name in before} == before
    assert left_over(cache) == []
    (sweep,) = (cache / "short-runs" / "sweeps").glob("*.json")
    # No more than the budget and an evaluation is counted: what a kill lost is done again and counted once.
    assert 0 < report.budget.used_s <= BUDGET_S * 1.05 + 1.0
    assert report.budget.used_s == pytest.approx(json.loads(sweep.read_text("utf-8"))["seconds"], abs=0.01)
    # The same again takes all of it from the disk.
    repeated = run(world, cache, budget_s=BUDGET_S).report
    untimed = {"seconds", "command"}
    assert repeated.model_dump(exclude=untimed) == report.model_dump(exclude=untimed)
    assert evaluations(cache) == after


class Stop(Exception):
    pass


PARTS = {
    "train": (short_runs.CandidateTraining, "__call__"),
    "evaluate": (short_runs, "evaluate_state"),
    "keep a state": (SweepStore, "keep_state"),
    "decide": (DecisionFile, "keep"),
}


def breaking(patch: pytest.MonkeyPatch, what: str, number: int) -> None:
    """The n-th call of a part raises, as a kill would end it."""
    place, name = PARTS[what]
    usual, calls = getattr(place, name), []

    def broken(*arguments, **options):
        # What a kill leaves uncounted is no decision.
        if arguments[1:2] not in [("seconds",), ("name",)]:
            calls.append(1)
        if len(calls) == number:
            raise Stop
        return usual(*arguments, **options)

    patch.setattr(place, name, broken)


def decided(report: RankingReport) -> dict[str, object]:
    """All that short runs decide."""
    return report.model_dump(include={"candidates", "order", "advice", "answer"}) | {"steps": report.budget.steps}


@pytest.fixture(scope="module")
def whole(world: World, first: AugmentationRanking, first_cache: Path, tmp_path_factory: pytest.TempPathFactory):
    """A run that nothing broke off, on a clock that counts; and how often each part was called."""
    cache = tmp_path_factory.mktemp("whole") / "cache"
    shutil.copytree(first_cache, cache)
    with counted_clock(batch_size=16) as calls:
        report = run(world, cache, **COUNTED).report
    return report, evaluations(cache), {what: calls.count(what) for what in ("train", "evaluate")}


@pytest.mark.parametrize("what", list(PARTS))
def test_short_runs_that_break_off_at_a_call_are_continued_to_the_same_report(
    world: World, whole, first_cache: Path, tmp_path: Path, what: str
):
    report, stored, counts = whole
    assert counts["train"] >= 8
    cache = tmp_path / "cache"
    shutil.copytree(first_cache, cache)
    # Each sitting gets further than the one before it, as what was done is not called again.
    for number in (1, 3):
        with counted_clock(batch_size=16), pytest.MonkeyPatch.context() as patch:
            breaking(patch, what, number)
            with pytest.raises(Stop):
                run(world, cache, **COUNTED)
        found = evaluations(cache)
        assert found == {name: stored[name] for name in found}
    with counted_clock(batch_size=16) as calls:
        continued = run(world, cache, **COUNTED).report
    assert decided(continued) == decided(report)
    assert evaluations(cache) == stored
    assert left_over(cache) == []
    assert calls.count("evaluate") < counts["evaluate"]
    assert continued.budget.used_s <= COUNTED["budget_s"] * (1 - RESERVE) + EVALUATE_S + 1e-6
