from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from command_line import Digits, Eyeshot

from eyeshot.auditing import AuditReport

FOLDER = Path("eyeshot-out/audit")
SEES = """
from torch import nn

def grey_levels():
    return nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Conv2d(3, 1, 1), nn.Flatten())
"""


@pytest.fixture
def planted(digits: Digits, tmp_path: Path) -> tuple[Path, str]:
    """The digits with one seven among the zeros, and its id."""
    train = tmp_path / "train"
    shutil.copytree(digits.train, train)
    seven = sorted((train / "7").iterdir())[2]
    seven.rename(train / "0" / "planted.png")
    return train, "0/planted.png"


@pytest.fixture
def model(tmp_path: Path) -> list[str]:
    """Options of a network that sees 8 x 8 grey levels."""
    import torch

    (tmp_path / "sees.py").write_text(SEES, encoding="utf-8")
    weights = tmp_path / "weights.pt"
    torch.save({"1.weight": torch.full((1, 3, 1, 1), 1 / 3), "1.bias": torch.zeros(1)}, weights)
    return ["--model", f"{tmp_path / 'sees.py'}:grey_levels", "--weights", str(weights), "--size", "32"]


def read() -> AuditReport:
    return AuditReport.model_validate_json((FOLDER / "audit.json").read_text("utf-8"))


def test_with_a_model_label_issues_are_a_row_of_the_table_and_first_in_the_file(
    eyeshot: Eyeshot, planted: tuple[Path, str], digits: Digits, model: list[str]
) -> None:
    train, name = planted
    done = eyeshot("audit", train, "--test", digits.test, *model)
    assert done.code == 0, done.err
    assert "label issues" in done.out
    assert "precision not measured on these images" in done.out
    assert "a linear classifier tells test from training easily" in done.out
    report = read()
    first = next(one for one in report.findings if one.kind == "label-issue")
    assert first.images[0].id == name
    assert (first.evidence["given"], first.evidence["proposed"]) == ("0", "7")
    with open(FOLDER / "findings.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "label-issue"]
    assert (rows[0]["image"], rows[0]["suggestion"], rows[0]["basis"]) == (name, "relabel", "model")
    assert (rows[0]["label"], rows[0]["proposed"]) == ("0", "7")
    page = (FOLDER / "audit.html").read_text("utf-8")
    assert 'id="label-issues"' in page
    assert "; 0 were decoded now" in eyeshot("audit", train, "--test", digits.test, *model).out


def test_own_probabilities_need_no_model(eyeshot: Eyeshot, planted: tuple[Path, str], tmp_path: Path) -> None:
    train, name = planted
    lines = ["path,0,1,7"]
    for path in sorted(train.rglob("*.png")):
        own = path.relative_to(train).as_posix()
        truth = "7" if own == name else path.parent.name
        lines.append(f"{own},{','.join('0.9' if truth == one else '0.05' for one in '017')}")
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = eyeshot("audit", train, "--probabilities", tmp_path / "p.csv", "--json")
    assert done.code == 0, done.err
    found = [one for one in json.loads(done.out)["findings"] if one["kind"] == "label-issue"]
    assert [one["images"][0]["id"] for one in found] == [name]


def test_without_either_it_is_said_what_they_need(eyeshot: Eyeshot, digits: Digits) -> None:
    done = eyeshot("audit", digits.train)
    assert "were not looked for: add --model TAG or --probabilities FILE" in done.out
    assert read().label_issues is None


def test_probabilities_that_cannot_be_used_are_refused(eyeshot: Eyeshot, digits: Digits, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("path,0,1,7\n0/a.png,0.2,0.3,0.5\n", encoding="utf-8")
    done = eyeshot("audit", digits.train, "--probabilities", tmp_path / "p.csv")
    assert done.code == 2
    assert "without 130 of 130" in done.err
    assert eyeshot("audit", digits.train, "--probabilities", tmp_path / "none.csv").code == 2


@pytest.mark.parametrize(
    "option", [("--size", "32"), ("--weights", "w.pt"), ("--mean", "0.5,0.5,0.5"), ("--interpolation", "bilinear")]
)
def test_options_of_a_model_need_one(eyeshot: Eyeshot, digits: Digits, option: tuple[str, str]) -> None:
    Path("w.pt").touch()  # a file that is not there is refused before this
    done = eyeshot("audit", digits.train, *option)
    assert done.code == 2
    assert f"{option[0]} belongs to a model" in done.err
    assert "--model" in done.err


def test_a_model_that_is_not_there_is_named_before_images_are_read(eyeshot: Eyeshot, digits: Digits) -> None:
    done = eyeshot("audit", digits.train, "--model", "no_such_model")
    assert done.code == 3
    assert not (FOLDER / "audit.json").exists()
