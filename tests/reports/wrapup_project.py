"""A project of seven experiments with decisions, texts, submissions and hostile names, by public functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from synthetic_models import synthetic_models
from synthetic_runs import make_full_report
from test_optimizers_page import made_report, made_tried

import eyeshot
from eyeshot.auditing import AuditReport, Finding, ImageRef, store_comparison
from eyeshot.auditing.findings import ClassCount
from eyeshot.auditing.split_quality import Comparison
from eyeshot.core import make_folder
from eyeshot.data import Leakage, Split, decide, find_log
from eyeshot.rankings import write_models
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
    eyeshot.write_learned(ids["worse"], "Rates above 0.001 diverge.", why_different="The warm-up was too short.",
                          author="dan")  # fmt: skip
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


def submit_of_no_run(folder: Path, score: float) -> None:
    """A submission whose run is not known."""
    rows = "".join(f"t{number}.png,{CLASS_NAMES[number % 2]}\n" for number in range(100))
    (folder / "others.csv").write_text(f"id,label\n{rows}", encoding="utf-8")
    eyeshot.submit("others.csv", score=f"{score:.4f}")


def cells(document: Any, anchor: str) -> list[dict[str, Any]]:
    """The cells of the first row of a document whose first cell links to an anchor."""
    for block in document["blocks"]:
        if block["kind"] == "table":
            for row in block["rows"]:
                if any(link["anchor"] == anchor for link in row[0].get("links", [])):
                    return list(row)
    raise AssertionError(f"no row for {anchor}")


def make_full_project(folder: Path) -> None:
    """A project with a result of every command: 500 classes of long and hostile names, and a picture that is gone."""
    make_project(folder)
    submit_of_no_run(folder, 0.9)
    random = np.random.default_rng(1)
    runs = [
        store_run(folder, random.random(300) < 0.8, model=name)
        for name in ("resnet18.a1_in1k", "convnext_atto.d2_in1k", "own.net:make")
    ]
    eyeshot.ensemble(runs, progress=False)
    eyeshot.find_errors(runs, progress=False).report.save(make_folder(folder / "eyeshot-out" / "errors"))
    results = folder / "eyeshot-out"
    write_models(synthetic_models(20), results / "models")
    ranking = make_full_report()
    other = ranking.model_copy(update={"models": [ranking.models[0].model_copy(update={"name": "another.net"})]})
    places = (results / "augmentations", results / "augmentations" / "another")
    for part, (place, made) in enumerate(zip(places, (ranking, other), strict=True)):
        make_folder(place)
        (place / "augmentations.json").write_text(made.model_dump_json(), encoding="utf-8")
        (place / "augmentations.svg").write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200"><text y="20">map {part}</text></svg>',
            encoding="utf-8",
        )
    made_report(made_tried()).save(make_folder(results / "optimizers"))
    measured = Comparison(12, 240, 0.85, 0.8875, 3.75, 0.4, 7.1, "a linear probe on thumbnails")
    store_comparison(measured, command="eyeshot decisions compare")
    leakage = Leakage(
        reader="thumbnails", images=300, copies=60, straddling=40, chance=0.34, plain=0.9, grouped=0.85,
        gap_points=5.0, gap_low=1.2, gap_high=8.8,
    )  # fmt: skip
    split = Split(seed=0, folds=5, val=0.3, leakage=leakage, counts={"val": 90, "0": 42}, parts={})
    split.write(folder / "split.json")
    find_log().append([decide("drop", ["1" * 32], author="ann", names=["train/cat/2.png"])])
    Image.new("RGB", (40, 30), "green").save(folder / "train" / "cat" / "here.png")
    names = [f"{HOSTILE} {'고양이' * 40} {number}" for number in range(500)]
    images = [ImageRef(split="train", id=f"cat/{name}.png", label=names[0]) for name in ("here", "gone")]
    conflict = Finding(
        id="conflict-1", kind="conflict", images=images, confidence=1.0, confidence_basis="exact", words="A conflict.",
        evidence={}, suggestion="drop-both",
    )  # fmt: skip
    report = AuditReport(
        train=str(folder / "train"), test=None, n_train=15_021, n_test=0, n_files=15_030, counts={"conflict": 1},
        images_by_kind={"conflict": 2}, findings=[conflict],
        classes=[ClassCount(label=name, images=30 + number % 3, different=29) for number, name in enumerate(names)],
    )  # fmt: skip
    make_folder(results / "audit")
    (results / "audit" / "audit.json").write_text(report.model_dump_json(), encoding="utf-8")
