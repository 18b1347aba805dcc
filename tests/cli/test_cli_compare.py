"""`eyeshot compare` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Eyeshot

from stored_runs import probabilities_of, store_run

RIGHT = np.arange(200)


def test_the_table_says_accuracy_difference_verdict_and_estimate(eyeshot: Eyeshot) -> None:
    test = probabilities_of(np.arange(60) % 3, np.ones(60, bool))
    here = Path.cwd()
    good, bad = store_run(here, RIGHT < 180, test=test), store_run(here, RIGHT < 120, model="vit.x")
    done = eyeshot("compare", bad, good)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split() == [
        "run", "accuracy", "95", "%", "difference", "95", "%", "p", "verdict", "estimate", "on", "test",
    ]  # fmt: skip
    assert lines[1].startswith(good)
    assert "90.0 %" in lines[1]
    assert "the reference" in lines[1]
    assert " % (" in lines[1]
    assert lines[2].startswith(bad)
    assert all(part in lines[2] for part in ("60.0 %", "-30.0 points", " 0.002 ", "worse"))
    assert lines[-1] == f"Next: Predict the test images with the better one: eyeshot predict {good}"


def test_json_holds_the_same_answer(eyeshot: Eyeshot) -> None:
    names = [store_run(Path.cwd(), count > RIGHT, model=f"m{count}.x") for count in (120, 121)]
    read = json.loads(eyeshot("compare", *names, "--json").out)
    assert read["version"] == 1
    assert read["members"][1]["difference"]["verdict"] == "not distinguishable"
    assert read["answer"] in eyeshot("compare", *names).out


def test_what_cannot_be_compared_is_said_in_one_line(eyeshot: Eyeshot) -> None:
    name = store_run(Path.cwd(), RIGHT < 120)
    done = eyeshot("compare", name)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: At least two runs are needed to compare, got 1.")
    assert "No run in" in eyeshot("compare", name, "nothing").err


def test_no_word_is_broken_at_80_columns(eyeshot: Eyeshot, monkeypatch: pytest.MonkeyPatch) -> None:
    test = probabilities_of(np.arange(60) % 3, np.ones(60, bool))
    here = Path.cwd()
    names = [
        store_run(here, count > RIGHT, model="test_resnet.x", augmentations=("trivialaugment",), seed=seed, test=test,
                  epochs=count)
        for seed, count in ((0, 180), (1, 179), (2, 100))
    ]  # fmt: skip
    monkeypatch.setenv("COLUMNS", "80")
    out = eyeshot("compare", *names).out
    table = out[: out.index("On 200 images")]
    assert max(map(len, table.splitlines())) <= 80
    words = table.replace("-\n", "- ").split()
    for word in ("accuracy", "difference", "estimate", "reference", "distinguishable", "worse"):
        assert word in words, table
