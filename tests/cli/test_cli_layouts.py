"""A competition's layout from `init` to a trained model: later commands need no argument but the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import MODEL, Eyeshot

from competition_layouts import LAYOUTS, write_layout


@pytest.fixture
def work(eyeshot: Eyeshot) -> Path:
    """The empty folder in which the commands run."""
    return Path.cwd()


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["plant-pathology-2020", "plant-seedlings", "issue"])
def test_all_steps_run_after_init_without_naming_the_data_again(
    name: str, work: Path, tmp_path: Path, eyeshot: Eyeshot
) -> None:
    layout = LAYOUTS[name]
    write_layout(layout, tmp_path / "input", times=5)
    images = 5 * layout.found["images"]
    done = eyeshot("init", "../input")
    assert done.code == 0, done.err
    assert f"{images} images in {layout.found['classes']} classes" in done.out
    has_test = layout.found["test"] != "/"
    for command in (
        ("audit", "--no-images"),
        ("split", "--folds", "2", "--val-share", "0.2"),
        ("rank", "augmentations", *MODEL, "--budget", "0", "--candidates", "invert", "--dry-run"),
        # The plan has read the data of the layout already; that the ranking itself runs is seen once.
        *([("rank", "augmentations", *MODEL, "--budget", "0", "--candidates", "invert")] if name == "issue" else []),
        ("train", *MODEL, "--epochs", "1"),
        ("manifest", "export", "--csv", "clean.csv"),
    ):
        done = eyeshot(*command)
        assert done.code == 0, (command, done.err)
    audit = json.loads((work / "eyeshot-out" / "audit" / "audit.json").read_text("utf-8"))
    assert (audit["n_train"], audit["n_test"] > 0) == (images, has_test)
    assert audit["train"] == str(tmp_path / "input" / layout.found["train"])
    rows = (work / "clean.csv").read_text("utf-8").splitlines()
    assert len(rows) == images + 1
    assert not any("test" in row.split(",")[0].replace(str(tmp_path), "").lower() for row in rows[1:])


@pytest.mark.parametrize("name", ["dog-breed", "isic-2019", "plant-seedlings"])
def test_init_says_the_same_in_words_in_json_and_in_the_file(
    name: str, work: Path, tmp_path: Path, eyeshot: Eyeshot
) -> None:
    write_layout(LAYOUTS[name], tmp_path / "input")
    words = eyeshot("init", tmp_path / "input")
    text = (work / "eyeshot.toml").read_text("utf-8")
    facts = json.loads(eyeshot("init", tmp_path / "input", "--force", "--json").out)
    assert (work / "eyeshot.toml").read_text("utf-8") == text
    assert words.code == 0
    for note in facts["notes"]:
        assert note in words.out
    assert facts["images"] == LAYOUTS[name].found["images"]
    for place in (*facts["data"].values(), facts["submission"].get("file", facts["data"]["train"])):
        assert place in text
    assert Path(facts["data"]["train"]) == tmp_path / "input" / LAYOUTS[name].found["train"]


def test_a_refusal_of_init_is_one_error_in_words_and_in_json(work: Path, tmp_path: Path, eyeshot: Eyeshot) -> None:
    write_layout(LAYOUTS["dogs-vs-cats"], tmp_path / "input")
    words = eyeshot("init", tmp_path / "input")
    machine = json.loads(eyeshot("init", tmp_path / "input", "--json").out)
    assert words.code == 2
    assert f"error: {machine['error']}" in words.err
    assert "--labels-from-names" in machine["error"]
    assert list(work.iterdir()) == []
    done = eyeshot("init", tmp_path / "input", "--labels-from-names")
    assert done.code == 0, done.err
    assert (work / "labels-from-names.csv").read_text("utf-8").splitlines()[1] == "cat.0.jpg,cat"
    assert "labels-from-names.csv" in (work / "eyeshot.toml").read_text("utf-8")
    again = eyeshot("init", tmp_path / "input", "--labels-from-names")
    assert again.code == 2
