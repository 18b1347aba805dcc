"""A sweep with real trainings: from a folder of images to the ledger, and after a kill."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

import eyeshot
from eyeshot.core import InputError, ModelError, StorageError, find_workspace
from eyeshot.ledger import open_ledger
from eyeshot.sweep.search.job import ASKED_S, _alone, _devices
from eyeshot.sweep.search.space import known_space
from eyeshot.training import keep_recipe, read_result, read_validation
from labelled_pictures import write_bright_and_dark

OPTIONS: dict[str, Any] = {
    "models": ["test_resnet.r160_in1k"], "from_scratch": True, "size": 32, "epochs": 2, "val_share": 0.3,
    "space": ["training.learning_rate=1e-3,1e-2", "augmentation=none,mirror", "probe.penalty=10",
              "training.optimizer=adamw", "training.weight_decay=0.05", "training.label_smoothing=0",
              "training.schedule=cosine"],
    "settings": {"batch_size": 8}, "device": "cpu", "progress": False,
}  # fmt: skip
COMMAND = [
    "sweep", "bright or dark", "images", "--model", "test_resnet.r160_in1k", "--from-scratch", "--size", "32",
    "--epochs", "2", "--val-share", "0.3", "--set", "training.batch_size=8", "--device", "cpu",
    *(word for text in OPTIONS["space"] for word in ("--space", text)),
]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_bright_and_dark(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def once_each(root: Path) -> list[str]:
    """States of all trials; every rung was said once."""
    with open_ledger(root) as ledger:
        experiments = ledger.experiments()
    assert all(set(Counter(rung["rung"] for rung in e.rungs).values()) == {1} for e in experiments)
    return sorted(experiment.state for experiment in experiments)


@pytest.mark.slow
def test_a_sweep_is_killed_and_the_same_command_ends_it(project: Path) -> None:
    command = [sys.executable, "-m", "eyeshot", *COMMAND, "--budget", "20m"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    running = subprocess.Popen(command, cwd=project, env=environment, stderr=subprocess.DEVNULL)
    root, deadline = project / "eyeshot-out", time.monotonic() + 200
    while time.monotonic() < deadline and running.poll() is None:
        with open_ledger(root) as ledger:
            if sum(event.kind == "rung" for event in ledger.events_since(0)) >= 3:
                break
        time.sleep(0.2)
    running.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    running.wait()
    (decisions,) = (root / "sweeps").glob("*/sweep.json")
    decisions.write_text("{", "utf-8")
    report = eyeshot.start_sweep("bright or dark", "images", budget_s=1200.0, **OPTIONS)
    assert any("was damaged, and its copy was used" in note for note in report.notes)
    assert report.state == "finished"
    assert [level["name"] for level in report.levels] == [
        "probe", "last stage, 1 epoch", "full, 1 epoch", "full, 2 epochs"
    ]  # fmt: skip
    assert report.levels[0]["trials"] == 5
    assert once_each(root).count("done") == report.levels[-1]["trials"] >= 2
    assert report.best is not None
    assert report.base is not None
    # What came to the end is a run like any other, and was judged by the ledger's rule.
    folder = root / "runs" / report.best["id"]
    result = read_result(folder)
    assert result is not None
    assert result.accuracy.value == report.best["value"]
    assert read_validation(folder).accuracy().value == report.best["value"]
    with open_ledger(root) as ledger:
        done = [e for e in ledger.experiments("state = 'done'") if e.parent is not None]
    assert all(e.gain is not None and e.got is not None and e.got.comparisons for e in done)
    again = eyeshot.start_sweep("bright or dark", "images", budget_s=1200.0, **OPTIONS)
    assert again.levels == report.levels
    assert len(once_each(root)) == 5
    pace = eyeshot.pace("2100-01-01", wanted=500)
    assert pace["experiments"] == 5
    assert [rung["done"] for rung in pace["rungs"]] == [level["trials"] for level in report.levels]
    assert pace["hours_wanted"] == pytest.approx(495 / 5 * pace["hours_used"])
    minutes = math.ceil(1.2 * 60 * pace["hours_wanted"])
    budget = f"{minutes}m" if minutes < 120 else f"{minutes // 60}h"
    assert pace["next_command"] == f'eyeshot sweep "what else helps?" --budget {budget}'
    idle = eyeshot.pace("2100-01-01", wanted=1)
    assert (idle["fits"], idle["hours_wanted"]) == (True, 0.0)
    for file in decisions.parent.glob("sweep.json*"):
        file.write_text("{", "utf-8")
    with pytest.raises(StorageError, match=r"measured and decided is lost.* 5 trials stay in the ledger"):
        eyeshot.start_sweep("bright or dark", "images", budget_s=1200.0, **OPTIONS)
    hours = int(idle["next_command"].rpartition(" ")[2].removesuffix("h"))
    assert hours == pytest.approx(0.9 * idle["hours_idle"], abs=1)


def test_a_second_sweep_of_the_project_is_refused_with_the_reason_of_the_first(project: Path) -> None:
    with (
        _alone(find_workspace(), "first-123456", "does size help?", wait=False),
        pytest.raises(StorageError, match=r"'does size help\?' is running since"),
    ):
        eyeshot.start_sweep("another", "images", budget_s=60.0, **OPTIONS)
    assert not list((project / "eyeshot-out").glob("experiments/*"))


def test_a_second_sweep_that_waits_begins_when_the_first_ends(project: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with _alone(find_workspace(), "second-123456", "and depth?", wait=True):
            order.append("second")

    with _alone(find_workspace(), "first-123456", "does size help?", wait=False):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(2 * ASKED_S)  # longer than one that does not wait asks
        order.append("first")
        assert waiting.is_alive()
    waiting.join(60)
    assert order == ["first", "second"]


def test_there_is_a_slot_for_each_gpu_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert _devices("cuda", None) == ["cuda:0", "cuda:1"]
    assert _devices("cuda:1", "cuda:1") == ["cuda:1"]
    assert _devices("cpu", None) == ["cpu"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"budget_s": 2.0}, "--budget must be at least 10 s, got 2 s"),
        ({"space": ["learning_rate=1e-3,1e-2"]}, "Did you mean training.learning_rate"),
        ({"space": ["training.learnin_rate=1e-3,1e-2"]}, "there is no setting"),
        ({"space": ["training.learning_rate=1e-2..1e-3"]}, "from a number to a larger one"),
        ({"space": ["training.epochs=1,2"]}, "cannot choose training.epochs"),
        ({"space": ["augmentation=mirro,none"]}, "mirror"),
        ({"space": ["size=0,32"]}, "takes numbers above 0"),
        ({"space": ["model=a,b", "model=c"]}, "names each thing once"),
        ({"most_trials": 1}, "--most-trials must be at least 3"),
        ({"seed": -1}, "--seed must be from 0 to .*, got -1"),
        ({"jobs": 0}, "--jobs must be at least 1, got 0"),
    ],
)
def test_bad_options_are_refused_before_anything_is_read(project: Path, more: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        eyeshot.start_sweep("why", "images", **({"budget_s": 60.0} | OPTIONS | more))
    assert not (project / "eyeshot-out").exists()


def test_rates_are_chosen_around_the_recipe_that_was_kept_for_the_model(project: Path) -> None:
    recipe = {"optimizer": "sgd", "learning_rate": 0.02, "momentum": 0.9}
    keep_recipe(project, "test_resnet.r160_in1k", recipe, "of a test")
    options = OPTIONS | {"space": ["augmentation=none,mirror"]}
    report = eyeshot.start_sweep("which rate?", "images", budget_s=600.0, dry_run=True, **options)
    text = "\n".join(report.notes)
    assert "training.learning_rate: 0.002 to 0.2, by ratio (around the recipe's 0.02" in text
    assert "training.optimizer: sgd, adamw and lion" in text
    # What is typed goes before what was kept.
    options["settings"] = {"learning_rate": 0.004}
    report = eyeshot.start_sweep("which rate?", "images", budget_s=600.0, dry_run=True, **options)
    assert "training.learning_rate: 0.0004 to 0.04" in "\n".join(report.notes)


def test_sizes_and_schedule_that_the_rankings_found_are_among_the_choices(tmp_path: Path) -> None:
    def size(pixels: int, interval: tuple[float, float] | None) -> dict[str, Any]:
        return {"size": pixels, "difference_interval": interval}

    resolution = {"sizes": [size(168, (-0.05, -0.01)), size(224, None), size(288, (-0.01, 0.02)), size(320, None)]}
    models = [{"name": "a", "rank": 1, "resolution": resolution}, {"name": "b", "rank": 2, "resolution": None}]
    for name, report in {"models": {"models": models}, "optimizers": {"schedule": "one-cycle"}}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.json").write_text(json.dumps(report), "utf-8")

    def known(folder: Path, **more: Any) -> dict[str, tuple[Any, ...]]:
        options: dict[str, Any] = {"models": (), "learning_rate": 1e-3, "optimizer": "adamw", "schedule": "step"}
        return {choice.name: choice.values for choice in known_space(folder, **(options | more))}

    assert known(tmp_path)["model"] == ("a", "b", "a at 288 px")
    assert known(tmp_path, models=["b"])["model"] == ("b",)
    assert known(tmp_path, sizes=False)["model"] == ("a", "b")
    assert known(tmp_path)["training.schedule"] == ("step", "one-cycle", "cosine", "wsd")
    assert known(tmp_path / "none")["training.schedule"] == ("step", "cosine", "wsd")


@pytest.mark.parametrize("report", [{"models": [1]}, {"models": 1}, {"models": None}, []])
def test_a_ranking_of_models_that_cannot_be_understood_counts_as_none(tmp_path: Path, report: object) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "models.json").write_text(json.dumps(report), "utf-8")
    options: dict[str, Any] = {"models": (), "learning_rate": 1e-3, "optimizer": "adamw", "schedule": "step"}
    assert known_space(tmp_path, **options) == known_space(tmp_path / "none", **options)


def test_models_of_the_ranking_are_loaded_from_the_files_that_it_was_given(project: Path) -> None:
    """Without a network `eyeshot rank models --weights DIR` found them, and the next command must as well."""
    name = "test_resnet.r160_in1k"
    file = project / "weights" / f"{name}.safetensors"
    file.parent.mkdir()
    save_file(timm.create_model("test_resnet").state_dict(), file)
    folder = find_workspace().root / "models"
    folder.mkdir(parents=True)
    sizes = [{"size": 192, "difference_interval": [-0.01, 0.02]}]
    report = {"models": [{"name": name, "rank": 1, "weights_file": str(file), "resolution": {"sizes": sizes}}]}
    (folder / "models.json").write_text(json.dumps(report), "utf-8")
    options = OPTIONS | {"models": (), "from_scratch": False, "space": ["augmentation=none,mirror"]}
    notes = eyeshot.start_sweep("which?", "images", budget_s=600.0, dry_run=True, **options).notes
    assert any(note.startswith(f"model: {name} (") for note in notes)  # --size holds for all models
    notes = eyeshot.start_sweep("which?", "images", budget_s=600.0, dry_run=True, **(options | {"size": None})).notes
    assert any(note.startswith(f"model: {name} and {name} at 192 px (") for note in notes)
    file.unlink()
    with pytest.raises(ModelError):
        eyeshot.start_sweep("which?", "images", budget_s=600.0, dry_run=True, **options)


def test_a_deadline_that_has_passed_is_refused(project: Path) -> None:
    with pytest.raises(InputError, match="must lie in the future"):
        eyeshot.pace("2020-01-01")
    with pytest.raises(InputError, match="--jobs must be at least 1, got -4"):
        eyeshot.pace("2127-01-01", jobs=-4)
    with pytest.raises(InputError, match="takes a date such as"):
        eyeshot.pace("soon")
