"""`rank models` is killed once in each rung, at a random place, and ends as if nothing had happened."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_networks import write_networks, write_pictures

from eyeshot import rank_models
from eyeshot.rankings.models import fine_tuning

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


@pytest.mark.parametrize("seed", [0])
def test_killed_at_random_in_each_rung_it_ends_as_the_run_that_was_not(tmp_path, monkeypatch, seed):
    write_networks(tmp_path)
    write_pictures(tmp_path / "train", (56, 56, 56))  # enough steps for a range test
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EYESHOT_CACHE", raising=False)
    random = np.random.default_rng(seed)
    for stage, words in STAGES.items():
        number = int(random.integers(1, MOST_REPORTS[stage] + 1))
        process = subprocess.run([sys.executable, "-c", CODE, words, str(number), json.dumps(OPTIONS)], check=False)
        assert process.returncode == 9, f"{stage}: report {number} never came"
        plans = list(Path("eyeshot-out/cache").rglob(fine_tuning.PLAN_FILE))
        assert bool(plans) or stage == "range test"
    resumed = rank_models("train", progress=False, **OPTIONS)
    whole = rank_models("train", progress=False, cache=tmp_path / "another", **OPTIONS)
    assert all(model.fine_tuning and model.fine_tuning.tested_rates and model.curve for model in whole.models)
    assert any(model.resolution for model in whole.models)
    assert numbers(resumed) == numbers(whole)
