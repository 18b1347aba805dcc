"""`eyeshot rank models` as a user runs it: weights in a folder by tag, none at hand, a dry run, JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from command_line import Digits, Eyeshot
from safetensors.torch import save_file

from eyeshot.models import line_of

RESNET, VIT = "test_resnet.r160_in1k", "test_vit.r160_in1k"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files named by tag, of untrained weights."""
    folder = tmp_path_factory.mktemp("weights")
    for tag in (RESNET, VIT):
        torch.manual_seed(0)
        save_file(timm.create_model(tag).state_dict(), folder / f"{tag}.safetensors")
    return folder


@pytest.fixture
def nothing_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def loaded(text: str) -> Any:
    return json.loads(text)


@pytest.mark.usefixtures("nothing_cached")
def test_models_of_a_folder_are_ranked_and_the_next_command_can_be_typed(
    eyeshot: Eyeshot, digits: Digits, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    options = ("--test", digits.test, "--weights", weights, "--size", 32, "--budget", 0)
    done = eyeshot("rank", "models", digits.train, *options, "--models", "test_*.r160_in1k")
    assert done.code == 0, done.err
    report = loaded(Path("eyeshot-out/models/models.json").read_text("utf-8"))
    assert {model["name"] for model in report["models"]} == {RESNET, VIT}
    assert report["not_at_hand"]
    assert done.out.splitlines()[-1].startswith("Next: eyeshot rank augmentations ")
    assert f"--model {report['advised']['name']}" in done.out.splitlines()[-1]
    table = [line for line in done.out.splitlines() if line.startswith((" 1", " 2", "1*", "2*"))]
    assert "<html" in Path("eyeshot-out/models/models.html").read_text("utf-8")
    assert f"Page: {Path('eyeshot-out/models/models.html').absolute()}" in done.out
    assert not Path("recipes.json").exists()  # nothing was trained
    assert len(table) == 2
    assert all(len(line) <= 80 for line in table)
    again = eyeshot("rank", "models", digits.train, *options, "--models", RESNET, "--json")
    assert loaded(again.out)["models"][0]["name"] == RESNET


@pytest.mark.usefixtures("nothing_cached")
def test_a_dry_run_says_time_and_memory_and_writes_no_result(eyeshot: Eyeshot, digits: Digits, weights: Path) -> None:
    done = eyeshot(
        "rank", "models", digits.train, "--weights", weights, "--size", 32, "--models", RESNET, "--dry-run", "--json"
    )
    plan = loaded(done.out)
    assert plan["models"][0]["name"] == RESNET
    assert plan["models"][0]["images"] == plan["n_images"] > 0
    assert plan["models"][0]["memory_bytes"] > plan["models"][0]["weights_bytes"] > 0
    assert plan["estimated_seconds"] >= 0
    assert not Path("eyeshot-out/models").exists()


@pytest.mark.usefixtures("nothing_cached")
def test_without_any_weights_the_ways_on_are_said(eyeshot: Eyeshot, digits: Digits) -> None:
    done = eyeshot("rank", "models", digits.train)
    assert done.code == 2
    for way in ("eyeshot models fetch", "--weights DIR", "eyeshot train --from-scratch"):
        assert way in done.err
    offered = done.err.split("eyeshot models fetch ")[1].split(")")[0].split()
    assert len({line_of(tag) for tag in offered}) == len(offered) == 3


def test_a_file_for_a_tag_is_taken(eyeshot: Eyeshot, digits: Digits, weights: Path) -> None:
    file = weights / f"{RESNET}.safetensors"
    done = eyeshot(
        "rank", "models", digits.train, "--models", f"{RESNET}={file}", "--size", 32, "--budget", 0, "--json"
    )
    assert loaded(done.out)["models"][0]["name"] == RESNET
    assert str(file) in loaded(done.out)["next_command"]
    assert str(Path.cwd()) not in loaded(done.out)["next_command"].replace(str(file), "")


def test_the_recipe_of_a_short_training_is_kept_and_taken_by_train(
    eyeshot: Eyeshot, digits: Digits, weights: Path
) -> None:
    done = eyeshot(
        "rank", "models", digits.train, "--models", VIT, "--weights", weights, "--size", 32, "--budget", "60s"
    )
    assert f"Recipes kept for eyeshot train, in recipes.json: {VIT}." in done.out
    report = loaded(Path("eyeshot-out/models/models.json").read_text("utf-8"))
    model = report["models"][0]
    tuned, lines = model["fine_tuning"], done.out.splitlines()
    # Each rung is shown as it comes, before the answer.
    shown = [line for line in lines[: lines.index(report["headline"])] if line.startswith(f"{VIT}: ")]
    words = [model["model_or_data"]["words"], *([model["resolution"]["words"]] if model["resolution"] else [])]
    assert shown[0].startswith(f"{VIT}: probe ")
    assert shown[1].startswith(f"{VIT}: fine-tuned ")
    assert shown[2:] == [f"{VIT}: {sentence}" for sentence in words]
    train = eyeshot("train", digits.train, "--model", VIT, "--weights", weights, "--size", 32, "--dry-run")
    assert f"kept for {VIT} in recipes.json (rank models: " in train.out
    assert f"learning rate up to {tuned['settings']['learning_rate']:g}" in train.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--budget", "soon"), "--budget takes a time"),
        (("--weights", "nowhere"), "--weights must be a folder"),
        (("--models", "no_such_net.x"), "no_such_net.x"),
        (("--models", "resnet18.a1_in1k=nowhere.pth"), "which is not a file"),
        (("--max-test", "3"), "--max-test"),
    ],
)
def test_unusable_options_are_refused(eyeshot: Eyeshot, digits: Digits, arguments: tuple[str, ...], words: str) -> None:
    done = eyeshot("rank", "models", digits.train, *arguments)
    assert done.code in (2, 3)
    assert words in done.err


def test_what_cannot_be_used_is_refused_before_the_images_are_read(
    eyeshot: Eyeshot, digits: Digits, weights: Path
) -> None:
    other = weights / f"{VIT}.safetensors"
    common = ("rank", "models", digits.train, "--size", 32, "--budget", 0, "--json")
    wrong = eyeshot(*common, "--models", f"{RESNET}={other}")
    assert (wrong.code, loaded(wrong.out)["exit_code"]) == (3, 3)
    assert "of the architecture 'test_resnet.r160_in1k'" in loaded(wrong.out)["error"]
    Path("file").write_text("of the user", encoding="utf-8")
    taken = eyeshot(*common, "--models", RESNET, "--weights", weights, "--out", "file")
    assert (taken.code, loaded(taken.out)["kind"]) == (4, "StorageError")
    assert not Path("eyeshot-out/cache").exists()
