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

from eyeshot.cli import demo
from eyeshot.data import digits
from eyeshot.rankings import Candidate
from eyeshot.rankings.augmentations.report import MixedClasses, Role


def told(
    name: str,
    score: float,
    *,
    low: float | None = None,
    role: Role = "ranked",
    tie: int = 2,
    mixes: tuple[tuple[str, str], ...] = (),
) -> Candidate:
    pairs = [MixedClasses(true=true, taken_for=other, share=0.5) for true, other in mixes]
    interval = (score - 0.05 if low is None else low, score + 0.05)
    return Candidate(
        name=name, family="colour", model="net", role=role, group=tie, score=score, interval=interval, mixes=pairs
    )


def report_of(*candidates: Candidate, advice: str = "invert") -> SimpleNamespace:
    ranked = sorted((one for one in candidates if one.role == "ranked"), key=lambda one: -(one.score or 0))
    return SimpleNamespace(
        advice=advice,
        candidates=list(candidates),
        of=lambda role: ranked,
        candidate=lambda name: next(one for one in candidates if one.name == name),
    )


KNOWN = {
    "invert": told("invert", 0.3, tie=1),
    "dilation": told("dilation", 0.28, tie=1),
    "rotate-15": told("rotate-15", 0.1),
    "mirror": told("mirror", -0.1),
    "half-turns": told("half-turns", -0.2, role="label-breaking", mixes=(("9", "6"),)),
}
MISTAKES = {
    "dilation lies behind": told("dilation", 0.1, tie=3),
    "small turns do not help for sure": told("rotate-15", 0.1, low=-0.01),
    "mirror helps": told("mirror", 0.09, low=0.01),
    "mirror is above small turns": told("mirror", 0.12, low=-0.3),
    "half turns help": told("half-turns", 0.06, low=0.01, role="label-breaking", mixes=(("9", "6"),)),
    "half turns are no destroyer": told("half-turns", -0.2, mixes=(("9", "6"),)),
    "half turns mix others": told("half-turns", -0.2, role="label-breaking", mixes=(("1", "7"),)),
}


def found(report: SimpleNamespace) -> list[bool]:
    return [held for _, held in demo.check_answer(report)]


def test_the_known_answer_is_recognised():
    assert found(report_of(*KNOWN.values())) == [True] * 5


def test_dilation_may_be_second_where_invert_is_clearly_first():
    second = KNOWN | {"dilation": told("dilation", 0.2, tie=2)}
    assert found(report_of(*second.values())) == [True] * 5


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_mistake_is_seen_and_no_other(mistake: str):
    wrong = MISTAKES[mistake]
    assert found(report_of(*(KNOWN | {wrong.name: wrong}).values())).count(False) == 1


def test_another_advice_is_seen():
    assert found(report_of(*KNOWN.values(), advice="dilation")) == [False, True, True, True, True]


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_the_demo_ends_by_saying_whether_the_answer_was_found(eyeshot: Eyeshot, monkeypatch):
    usual = demo.demo_settings
    few = {"candidates": tuple(KNOWN), "max_images": 60, "samples_per_image": 1}
    monkeypatch.setattr(demo, "demo_settings", lambda *told, **options: usual(*told, **options) | few)
    done = eyeshot("demo", "--seed", 3)
    assert done.code == 0
    statements = [line.split(maxsplit=1)[0] for line in done.out.splitlines() if line.startswith(("  yes", "  NO"))]
    assert len(statements) == 5
    assert done.out.rstrip().splitlines()[-1] == ("NOT FOUND" if "NO" in statements else "FOUND")
    assert {"augmentations.json", "augmentations.html"} <= {path.name for path in Path("eyeshot-out/demo").iterdir()}
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
