from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import Eyeshot
from PIL import Image

from eyeshot.data import digits
from eyeshot.rankings import Candidate, planted_lines
from eyeshot.rankings.augmentations import demo
from eyeshot.rankings.augmentations.report import Role


def ranked(name: str, score: float, *, low: float, role: Role = "ranked") -> Candidate:
    return Candidate(
        name=name, family="colour", model="net", role=role, score=score, interval=(low, score + 0.05), group=1
    )


def report_of(*candidates: Candidate) -> SimpleNamespace:
    in_order = sorted((one for one in candidates if one.role == "ranked"), key=lambda one: -(one.score or 0))
    return SimpleNamespace(
        of=lambda role: in_order, candidate=lambda name: next(one for one in candidates if one.name == name)
    )


def test_where_what_was_planted_came_is_said_with_its_figures() -> None:
    lines = planted_lines(
        report_of(
            ranked("dilation", 0.28, low=0.2),
            ranked("invert", 0.3, low=0.25),
            ranked("rotate-15", 0.1, low=0.05),
            ranked("mirror", 0.01, low=-0.02),
            ranked("half-turns", -0.2, low=-0.3, role="label-breaking"),
        )
    )
    assert lines == [
        "a third inverted: invert is number 1 of 4 (30.0 points of the target gained)",
        "a third with thicker strokes: dilation is number 2 of 4 (28.0 points of the target gained)",
        "a third turned by up to 30°: rotate-15 is number 3 of 4 (10.0 points of the target gained)",
        "no digit was changed like this: mirror is number 4 of 4 (1.0 points of the target gained, not "
        "distinguishable from none)",
        "no digit was changed like this: half-turns is label-breaking here (-20.0 points of the target gained)",
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_the_demo_ends_in_few_lines_with_a_page_and_a_next_step(eyeshot: Eyeshot, monkeypatch) -> None:
    usual = demo.demo_settings
    few = {"candidates": ("invert", "dilation", "rotate-15", "mirror", "half-turns"), "max_images": 60}
    few |= {"samples_per_image": 1}
    monkeypatch.setattr(demo, "demo_settings", lambda *given, **options: usual(*given, **options) | few)
    done = eyeshot("demo", "--seed", 3)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert len(lines) <= 25
    assert "FOUND" not in done.out
    assert lines[-1] == "Next, with your own images: eyeshot rank augmentations TRAIN --test TEST"
    report = json.loads(Path("eyeshot-out/demo/augmentations.json").read_text("utf-8"))
    first = next(one["name"] for one in report["candidates"] if one["rank"] == 1)
    assert f"1. {first}" in done.out
    assert Path("eyeshot-out/demo/augmentations.html").is_file()
    assert "invert" in Path("eyeshot-out/demo/augmentations.svg").read_text("utf-8")
    silent = eyeshot("demo", "--seed", 3, "--json")
    assert json.loads(silent.out)["seed"] == 3


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.asarray(Image.open(path)) for path in sorted(folder.rglob("*.png"))}


def test_digits_of_the_target_are_others_a_third_each_turned_inverted_and_thickened(tmp_path: Path):
    train, test = digits.write_digits(tmp_path, seed=0)
    learnt, target = pictures(train), pictures(test)
    assert (len(learnt), len(target)) == (1200, 597)
    assert not set(learnt) & set(target)
    assert sorted(path.name for path in train.iterdir()) == list("0123456789")
    images, labels = digits.large_digits()
    for path in list(train.rglob("*.png"))[::50]:
        assert path.parent.name == str(labels[int(path.stem)])
        np.testing.assert_array_equal(np.asarray(Image.open(path)), images[int(path.stem)])
    inverted = [name for name, pixels in target.items() if (pixels == 255 - images[int(name)]).all()]
    thicker = [
        name
        for name, pixels in target.items()
        if (pixels >= images[int(name)]).all() and (pixels > images[int(name)]).any()
    ]
    assert abs(len(inverted) - 199) <= 1
    assert len(set(thicker) - set(inverted)) >= 198
    assert len(set(target) - set(inverted) - set(thicker)) > 150


def test_digits_follow_from_the_seed(tmp_path: Path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        digits.write_digits(tmp_path / name, seed=seed)
    first, again, other = (pictures(tmp_path / name / "test") for name in "abc")
    assert list(first) == list(again)
    assert all((first[name] == again[name]).all() for name in first)
    assert list(first) != list(other)


def test_digits_are_made_without_the_catalogue():
    tree = ast.parse(inspect.getsource(digits))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in imported if "augment" in name or "torch" in name}
