"""`rank models` is stopped once in each rung, at a random place, and ends as if nothing had happened.

Starting a process takes far longer than such a ranking, so that one stage alone is killed in a process of its own. In
the others an exception that no code expects ends the work; what is stored then is what a kill would leave.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_networks import write_networks, write_pictures

from eyeshot import rank_models
from eyeshot.core import CallbackProgress
from eyeshot.rankings.models import fine_tuning
from eyeshot.training import sitting

OPTIONS = {"models": ["nets:good", "nets:poor"], "size": 64, "budget_s": 600.0}
STAGES = {"range test": "range test", "training": "epoch ", "learning curve": "learning curve ", "sizes": " px"}
MOST_REPORTS = {"range test": 12, "training": 140, "learning curve": 20, "sizes": 2}
"""Reports of a stage that come for certain, of both models together: the random one is among them."""

CODE = """
import json, os, sys
from eyeshot import rank_models
from eyeshot.core import CallbackProgress
from eyeshot.training import sitting
words, number, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
sitting.CHECKPOINT_EVERY_S = 0.0
seen = 0
def report(done, total, text):
    global seen
    seen += words in text and total > 0
    if seen == number:
        os._exit(9)  # as kill -9: nothing is closed and nothing tidied up
rank_models("train", progress=CallbackProgress(report), **options)
"""


def numbers(report):
    """All that does not depend on how long something took."""
    values = json.loads(report.model_dump_json())
    for name in ("used_s", "command", "headline", "advised", "cheap"):
        values.pop(name)
    for model in values["models"]:
        del model["cost"], model["probe"]["seconds"], model["fine_tuning"]["seconds"]
        for size in (model["resolution"] or {"sizes": []})["sizes"]:
            size.pop("seconds_per_1000")
        (model["resolution"] or {}).pop("words", None)  # name the cost in time
    return values


class Killed(BaseException):
    pass


def stopped_at(words, number):
    """A progress that ends the work at the report with this number of those that contain the words."""
    seen = 0

    def report(done, total, text):
        nonlocal seen
        seen += words in text and total > 0
        if seen == number:
            raise Killed

    return CallbackProgress(report)


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_networks(tmp_path)
    write_pictures(tmp_path / "train", (56, 56, 56))  # enough steps for a range test
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EYESHOT_CACHE", raising=False)
    monkeypatch.setattr(sitting, "CHECKPOINT_EVERY_S", 0.0)
    return tmp_path


@pytest.fixture
def whole(here):
    report = rank_models("train", progress=False, cache=here / "another", **OPTIONS)
    assert all(model.fine_tuning and model.fine_tuning.tested_rates and model.curve for model in report.models)
    assert any(model.resolution for model in report.models)
    return numbers(report)


def test_stopped_at_random_in_each_rung_it_ends_as_the_run_that_was_not(here, whole):
    for seed in range(2):
        random, cache = np.random.default_rng(seed), here / f"cache-{seed}"
        for stage, words in STAGES.items():
            number = int(random.integers(1, MOST_REPORTS[stage] + 1))
            with pytest.raises(Killed):
                rank_models("train", progress=stopped_at(words, number), cache=cache, **OPTIONS)
        assert numbers(rank_models("train", progress=False, cache=cache, **OPTIONS)) == whole


def test_killed_for_good_while_a_model_is_trained_it_ends_as_the_run_that_was_not(whole):
    number = int(np.random.default_rng(2).integers(1, MOST_REPORTS["training"] + 1))
    words = STAGES["training"], str(number), json.dumps(OPTIONS)
    process = subprocess.run([sys.executable, "-c", CODE, *words], check=False)
    assert process.returncode == 9
    assert list(Path("eyeshot-out/cache").rglob(fine_tuning.PLAN_FILE))
    assert numbers(rank_models("train", progress=False, **OPTIONS)) == whole
