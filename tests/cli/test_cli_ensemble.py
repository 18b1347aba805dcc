"""`eyeshot ensemble` on files of the user's own."""

import json
import warnings
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from command_line import Eyeshot

CLASSES = ("cat", "개", "fox")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three files whose errors are independent, with names that must be escaped."""
    monkeypatch.chdir(tmp_path)
    labels = np.arange(300) % 3
    names = []
    for seed in range(3):
        scores = np.random.default_rng(seed).normal(size=(300, 3))
        scores[np.arange(300), labels] += 1.2
        values = np.exp(scores)
        names.append(f"$m&{seed}.npz")
        np.savez(
            names[-1], ids=[f"{number}.png" for number in range(300)], classes=CLASSES, labels=labels,
            probabilities=values / values.sum(1, keepdims=True),
        )  # fmt: skip
    return names


def test_the_answer_comes_first_and_the_next_step_last(eyeshot: Eyeshot, files: list[str]) -> None:
    done = eyeshot("ensemble", *files, "--method", "soft")
    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0].startswith("An ensemble is right on ")
    assert any(line.split()[:1] == ["stacking"] for line in lines)
    assert lines[-1].startswith("Next: eyeshot predict ")
    assert lines[-1].endswith("-ensemble-soft-s0")


def test_what_is_advised_against_is_not_stored(eyeshot: Eyeshot, files: list[str]) -> None:
    stored = dict(np.load(files[0]))
    moved = stored["probabilities"] * np.random.default_rng(9).uniform(0.98, 1.02, (300, 3))
    np.savez("near.npz", **(stored | {"probabilities": moved / moved.sum(1, keepdims=True)}))
    done = eyeshot("ensemble", files[0], "near.npz")
    assert done.code == 0
    assert "No ensemble is stored." in done.out
    assert not list(Path("eyeshot-out").glob("runs/*/ensemble.json"))


def test_the_picture_is_a_plain_svg_with_all_members_and_classes(eyeshot: Eyeshot, files: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of letters that matplotlib's font lacks; the reader's fonts have them
        report = json.loads(eyeshot("ensemble", *files, "--json").out)
    picture = Path("eyeshot-out", "runs", report["run"], "ensemble.svg")
    text = picture.read_text(encoding="utf-8")
    words = {element.text for element in ElementTree.fromstring(text).iter() if element.text}
    assert {"$m&0", "$m&1", "$m&2", *CLASSES} <= words
    assert "1.00" in words
    assert "<script" not in text
    ends = [element.attrib for element in ElementTree.fromstring(text).iter() if "end" in element.get("style", "")]
    assert min(float(end["x"]) for end in ends) > 70, "names of a wide font fit beside the map"
    assert np.allclose(np.diag(report["correlation"]), 1)


def test_errors_are_one_message(eyeshot: Eyeshot, files: list[str]) -> None:
    done = eyeshot("ensemble", files[0])
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "An ensemble needs at least 2 runs, got 1." in done.err
