"""`eyeshot rank optimizers` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import MODEL, Digits, Eyeshot, tree

from eyeshot.rankings import OptimizersReport

NETWORK = """
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        )

    def forward(self, images):
        return self.layers(images).mean((2, 3))

def make():
    return Network()
"""
SHORT = (
    "--model", "tiny_network:make", "--from-scratch", "--size", "16", "--epochs", "2", "--batch-size", "32",
    "--optimizer", "sgd", "--rates", "2", "--seeds", "2", "--budget", "30m",
)  # fmt: skip


@pytest.fixture
def network(eyeshot: Eyeshot) -> None:
    Path("tiny_network.py").write_text(NETWORK, encoding="utf-8")


@pytest.mark.usefixtures("network")
def test_the_answer_comes_first_then_a_narrow_table_and_the_next_command(
    eyeshot: Eyeshot, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = eyeshot("rank", "optimizers", digits.train, *SHORT)
    assert done.code == 0, done.err
    report = OptimizersReport.model_validate_json(Path("eyeshot-out/optimizers/optimizers.json").read_text("utf-8"))
    lines = done.out.splitlines()
    answer = lines.index(report.answer)
    before = [line for line in lines[:answer] if line]
    assert all(line.startswith("- ") for line in before)  # what will be done is said before the long work
    table = lines[answer + 2 : answer + 5]
    assert table[0].split()[:3] == ["optimizer", "rate", "accuracy"]
    assert [line.split()[0] for line in table[1:]] == ["adamw", "sgd"]
    assert max(map(len, table)) <= 80
    assert lines[-1] == f"Next: {report.next_step}"
    assert f"eyeshot train {digits.train} --model tiny_network:make" in report.next_step
    assert "--optimizer" in report.next_step
    assert Path("eyeshot-out/optimizers/optimizers.html").is_file()


@pytest.mark.usefixtures("network")
def test_a_dry_run_says_the_time_and_writes_nothing(eyeshot: Eyeshot, digits: Digits) -> None:
    before = tree(Path())
    done = eyeshot("rank", "optimizers", digits.train, *SHORT, "--dry-run")
    assert done.code == 0, done.err
    assert "Would try sgd against adamw" in done.out
    assert "Estimate: 2 optimizers, each with 2 learning rates and 2 seeds, all epochs a training" in done.out
    facts = json.loads(eyeshot("rank", "optimizers", digits.train, *SHORT, "--dry-run", "--json").out)
    assert facts["optimizers"] == ["sgd"]
    assert (facts["epochs"], facts["seeds"]) == (2, 2)
    assert facts["estimated_seconds"] >= 0
    assert facts["n_inner_train"] + facts["n_inner_val"] == facts["n_train"]
    left = {name: when for name, when in tree(Path()).items() if "__pycache__" not in name}
    assert left == before


@pytest.mark.usefixtures("network")
def test_json_is_the_report_alone(eyeshot: Eyeshot, digits: Digits) -> None:
    words = ("rank", "optimizers", digits.train, *SHORT[:9], "--budget", "0", "--json")
    done = eyeshot(*words)
    assert done.code == 0, done.err
    report = OptimizersReport.model_validate_json(done.out)
    assert [each.optimizer for each in report.advised] == ["sgd", "muon", "sam-sgd"]
    assert report.tried == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--optimizer", "adamm"), "Nearest: adamw"),
        (("--schedule", "cosinus"), "Nearest: cosine"),
        (("--budget", "soon"), "--budget takes a time such as"),
        (("--seeds", "0"), "--seeds must be 1 to 20, got 0"),
        (("--epochs", "0"), "or equal to 1, got 0. See `eyeshot rank optimizers --help`"),
    ],
)
def test_wrong_options_end_before_any_image_is_read(
    eyeshot: Eyeshot, digits: Digits, words: tuple[str, str], message: str
) -> None:
    done = eyeshot("rank", "optimizers", digits.train, *words)
    assert done.code == 2
    assert message in done.err
    assert not Path("eyeshot-out").exists()


def test_a_wrong_recipe_in_the_project_file_is_refused_as_train_refuses_it(eyeshot: Eyeshot, digits: Digits) -> None:
    Path("eyeshot.toml").write_text("[training]\nlayer_decy = 0.7\n", encoding="utf-8")
    done, of_train = (eyeshot(*words, digits.train) for words in (("rank", "optimizers"), ("train",)))
    assert (done.code, of_train.code) == (2, 2)
    assert "Nearest: layer_decay" in done.err
    assert done.err == of_train.err
    assert not Path("eyeshot-out").exists()


@pytest.mark.usefixtures("network")
def test_a_small_budget_ends_before_any_training(eyeshot: Eyeshot, digits: Digits) -> None:
    done = eyeshot("rank", "optimizers", digits.train, *SHORT[:-1], "0.001")
    assert done.code == 2
    assert "--budget must hold 2 optimizers" in done.err
    assert not list(Path().rglob("done.json"))


def test_a_folder_that_cannot_be_written_is_told_before_the_situation_is_measured(
    eyeshot: Eyeshot, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eyeshot.rankings.optimizers import job

    def unreached(*_: Any, **__: Any) -> None:
        raise AssertionError("the long work began")

    monkeypatch.setattr(job, "measure_situation", unreached)
    Path("file").write_text("of the user", encoding="utf-8")
    done = eyeshot("rank", "optimizers", digits.train, *MODEL, "--budget", 0, "--out", "file")
    assert (done.code, "need a folder that can be written" in done.err) == (4, True)
