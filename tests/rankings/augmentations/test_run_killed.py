from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_run import World, numbers, run

from eyeshot.core import CallbackProgress
from eyeshot.models import FeatureBank
from eyeshot.rankings import AugmentationRanking, RankingReport


def start(world: World, cache: Path, out: Path) -> subprocess.Popen[str]:
    """The small run in a process of its own, at the moment when all is imported."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])}
    arguments = [str(world.train.parent), str(cache), str(out)]
    process = subprocess.Popen(
        [sys.executable, str(here / "small_run.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_a_run_killed_at_random_and_continued_ends_in_the_same_report(
    world: World, first: AugmentationRanking, tmp_path: Path
):
    """Killed twice, each time at another moment of a run of about two seconds, then left to end."""
    cache, out = tmp_path / "cache", tmp_path / "out"
    out.mkdir()
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    print(f"seed {seed}")  # shown where the test fails
    took = first.report.seconds["total"]
    for _ in range(2):
        process = start(world, cache, out)
        time.sleep(chance.uniform(0, took))
        process.kill()
        process.wait()
    process = start(world, cache, out)
    rest, _ = process.communicate(timeout=200)
    assert (process.returncode, rest) == (0, "done\n")
    report = RankingReport.model_validate_json((out / "augmentations.json").read_text("utf-8"))
    assert report.model_dump(mode="json", exclude={"seconds", "command"}) == numbers(first)


class Stop(Exception):
    pass


def test_a_run_that_breaks_off_in_every_stage_is_continued(world: World, first: AugmentationRanking, tmp_path: Path):
    """In each part of the run, one after the other: decoding, the baseline, clean features, candidates, the map."""
    for part in ("decoding test images", "training the baseline", "features of target", "measuring", "drawing"):
        heard = 0

        def broken(done: int, total: int, what: str, part: str = part) -> None:
            nonlocal heard
            heard += what.startswith(part)
            if heard == (1 if part != "measuring" else 4):
                raise Stop

        with pytest.raises(Stop):
            run(world, tmp_path, progress=CallbackProgress(broken))
        assert heard
    assert numbers(run(world, tmp_path)) == numbers(first)


@pytest.mark.slow
def test_two_runs_on_one_cache_at_once_both_end_in_the_same_report(
    world: World, first: AugmentationRanking, tmp_path: Path
):
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        out.mkdir()
    processes = [start(world, tmp_path / "cache", out) for out in outs]
    assert [process.communicate(timeout=200)[0] for process in processes] == ["done\n", "done\n"]
    for out in outs:
        report = RankingReport.model_validate_json((out / "augmentations.json").read_text("utf-8"))
        assert report.model_dump(mode="json", exclude={"seconds", "command"}) == numbers(first)


def test_features_of_a_killed_run_are_not_computed_again(
    world: World, first: AugmentationRanking, tmp_path: Path, monkeypatch
):
    computed: list[int] = []
    usual = FeatureBank._append

    def dying(self, keys, features, success):
        if len(computed) == 6:
            raise Stop
        usual(self, keys, features, success)
        computed.append(len(keys))

    monkeypatch.setattr(FeatureBank, "_append", dying)
    with pytest.raises(Stop):
        run(world, tmp_path)
    before = computed.copy()
    computed.extend([0])  # past the sixth
    assert numbers(run(world, tmp_path)) == numbers(first)
    assert len(before) == 6
    assert sum(computed) == rows_of(first)


def rows_of(result: AugmentationRanking) -> int:
    """How many features a whole run computes: of clean images, and of samples of sources and held-out images."""
    report = result.report
    clean = report.n_sources + report.n_target_used + report.n_val_used
    return clean + sum(
        report.n_sources * candidate.samples_per_image + report.n_val_used for candidate in report.candidates
    )
