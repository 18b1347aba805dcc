"""A project of seven experiments with decisions, texts, submissions and hostile names, by public functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import eyeshot
from eyeshot.data import decide, find_log
from made_ledger import HOSTILE, make_ledger
from stored_runs import store_run

CLASS_NAMES = ("cat", "dog", "owl")


def make_project(folder: Path) -> dict[str, str]:
    """A project in `folder`, which must be the current one; returns ids of experiments by what they stand for."""
    assert Path.cwd().resolve() == folder.resolve()
    (folder / "train" / "cat").mkdir(parents=True)
    (folder / "eyeshot.toml").write_text('[data]\ntrain = "train"\n', encoding="utf-8")
    ids = make_ledger(folder / "eyeshot-out")
    random = np.random.default_rng(0)
    for seed in (0, 1):
        store_run(folder, random.random(300) < 0.8, seed=seed, augmentations=("invert",), command="eyeshot train <x>")
    eyeshot.write_learned(ids["worse"], "Rates above 0.001 diverge.", why_different="The warm-up was too short.")
    first = eyeshot.add_insight(ids["noise"], f"Invert is no cure {HOSTILE}", author="bob")
    eyeshot.act_on_insight(first.insights[-1].id, "Left it out.", author="ann")
    find_log().append([decide("drop", ["0" * 32], author="cho <b>수지</b>", names=["train/cat/1.png"])])
    eyeshot.write_report_text("goal", f"Tell drawings apart.\n{HOSTILE}\x07 \u202eend", author="ann")
    eyeshot.write_report_text("role", "Models", person="ann", author="bob")
    submit(folder, 0.81)
    return ids


def submit(folder: Path, score: float) -> None:
    """A submission of 100 images with a score, by the latest run."""
    rows = "".join(f"t{number}.png,{CLASS_NAMES[number % 3]}\n" for number in range(100))
    (folder / "answers.csv").write_text(f"id,label\n{rows}", encoding="utf-8")
    eyeshot.submit("answers.csv", score=f"{score:.4f}", run="latest")


def cells(document: Any, anchor: str) -> list[dict[str, Any]]:
    """The cells of the first row of a document whose first cell links to an anchor."""
    for block in document["blocks"]:
        if block["kind"] == "table":
            for row in block["rows"]:
                if any(link["anchor"] == anchor for link in row[0].get("links", [])):
                    return list(row)
    raise AssertionError(f"no row for {anchor}")
