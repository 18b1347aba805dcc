"""What cannot be is told before any image is read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import MODEL, Digits, Eyeshot

TRAIN = ("train", "TRAIN", *MODEL)
RANK = ("rank", "augmentations", "TRAIN", *MODEL)
FACTORY = ("--model", "nowhere:factory")
CASES = [
    ((*TRAIN, "--augment", "inverted"), "invert"),
    (("train", "TRAIN", "--model", "test_resnet.r160_in1k", "--weights", "none.pt"), "none.pt"),
    ((*TRAIN, "--epochs", "0"), "--epochs"),
    ((*TRAIN, "--optimizer", "adamv"), "Nearest: adamw"),
    ((*TRAIN, "--schedule", "cosin"), "Nearest: cosine"),
    ((*TRAIN, "--set", "training.layer_decai=0.7"), "Nearest: layer_decay"),
    ((*TRAIN, "--set", "training.freeze=head-first"), "takes head_epochs of at least 1"),
    ((*TRAIN, "--val", "nowhere"), "nowhere"),
    ((*TRAIN, "--val-share", "1.5"), "--val-share"),
    ((*TRAIN, "--fold", "1"), "--fold 1 needs a split"),
    ((*TRAIN, "--labels", "none.csv"), "none.csv"),
    ((*RANK, "--candidates", "inverted"), "invert"),
    ((*RANK, "--plot", "inverted"), "invert"),
    ((*RANK, "--baseline-aug", "mixup"), "--baseline-aug"),
    ((*RANK, "--target-shares", "none.csv"), "--target-shares must be even or a CSV file"),
    ((*RANK, "--test", "nowhere"), "nowhere"),
    ((*RANK, "--val-share", "1.5"), "--val-share"),
    ((*RANK, "--fit", "stretch"), "--fit"),
    ((*RANK, "--fold", "1"), "--fold 1 needs a split"),
    ((*RANK, "--labels", "none.csv"), "none.csv"),
    (("rank", "augmentations", "TRAIN", "--model", "test_resnet.r160_in1k", "--weights", "none.pt"), "none.pt"),
    (("audit", "TRAIN", "--test", "nowhere"), "nowhere"),
    (("audit", "TRAIN", "--labels", "none.csv"), "none.csv"),
    (("audit", "TRAIN", "--probabilities", "none.csv"), "none.csv"),
    (("audit", "TRAIN", "--model", "test_resnet.r160_in1k", "--weights", "none.pt"), "none.pt"),
    (("audit", "TRAIN", "--size", "32"), "--size belongs to a model"),
    (("split", "TRAIN", "--folds", "1"), "--folds"),
    (("split", "TRAIN", "--val-share", "2"), "--val-share"),
    (("split", "TRAIN", "--small-classes", "maybe"), "--small-classes"),
    (("split", "TRAIN", "--match-test", "TRAIN"), "--val-share"),
    (("split", "TRAIN", "--val-share", "0.2", "--match-test", "nowhere"), "nowhere"),
    (("split", "TRAIN", "--audit", "nowhere"), "--audit"),
    (("split", "TRAIN", "--decisions-file", "none.jsonl"), "none.jsonl"),
    (("split", "TRAIN", "--model", "test_resnet.r160_in1k", "--weights", "none.pt"), "none.pt"),
    (("decisions", "apply", "TRAIN", "--policy", "keep"), "keep-one"),
    (("decisions", "apply", "TRAIN", "--policy", "group", "--audit", "nowhere"), "--audit"),
    (("decisions", "compare", "TRAIN", "--id", "beef"), "exactly one decision"),
    (("manifest", "export", "TRAIN"), "--csv"),
    (("review", "TRAIN", "--audit", "nowhere"), "--audit"),
]


@pytest.fixture
def no_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a header or decoding an image fails the test."""

    def refuse(*arguments: Any, **options: Any) -> Any:
        pytest.fail("an image was read")

    monkeypatch.setattr("eyeshot.data.headers.read_header", refuse)
    monkeypatch.setattr("eyeshot.data.pixel_store._decode_one", refuse)


@pytest.mark.usefixtures("no_reads")
@pytest.mark.parametrize(("words", "named"), CASES, ids=[" ".join(words) for words, _ in CASES])
def test_it_is_told_before_any_image_is_read(
    eyeshot: Eyeshot, digits: Digits, words: tuple[str, ...], named: str
) -> None:
    done = eyeshot(*(digits.train if word == "TRAIN" else word for word in words))
    assert done.code in (2, 3), done.err
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert named in line
    assert done.err.splitlines()[0] == line, "progress was shown before the error"
    assert done.out == ""


def test_a_folder_with_another_run_is_told_before_any_image_is_read(
    eyeshot: Eyeshot, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ("train", digits.train, *MODEL, "--epochs", "1", "--out", tmp_path / "run")
    assert eyeshot(*run).code == 0
    monkeypatch.setattr("eyeshot.data.table.read_headers", lambda *_, **__: pytest.fail("an image was read"))
    for other in (("--augment", "invert"), ("--seed", "1"), ("--learning-rate", "0.1")):
        done = eyeshot(*run, *other)
        assert done.code == 2
        assert "holds another run" in done.err
        assert "--out" in done.err


MISSING_WEIGHTS = [
    ([*command, "FOLDER", "--model", "test_resnet.r160_in1k", "--weights", "none.pt"], "none.pt")
    for command in (("train",), ("rank", "augmentations"), ("audit",), ("split",))
]
TYPING_ERRORS = [
    (("audit", "nowhere"), "TRAIN must be a folder of images, got 'nowhere', which does not exist"),
    (("init", "nowhere"), "ROOT must be a folder"),
    (("split", "nowhere"), "TRAIN must be a folder"),
    (("train", "nowhere"), "TRAIN must be a folder"),
    (("decisions", "apply", "nowhere", "--policy", "group"), "TRAIN must be a folder"),
    (("audit", "FOLDER", "--test", "nowhere"), "--test must be a folder"),
    (("rank", "augmentations", "FOLDER", "--test", "nowhere"), "--test must be a folder"),
    (("train", "FOLDER", "--val", "nowhere"), "--val must be a folder"),
    (("split", "FOLDER", "--val-share", "2"), "at most 0.9, got 2.0"),
    (("split", "FOLDER", "--folds", "1"), "--folds must be 0 or at least 2, got 1"),
    (("split", "FOLDER", "--folds", "-3"), "--folds must be 0 or at least 2, got -3"),
    (("split", "FOLDER", "--folds", "0"), "got 0 for both"),
    (("split", "FOLDER", "--val-share", "0.2", "--match-test", "nowhere"), "--match-test must be a folder"),
    (("rank", "augmentations", "FOLDER", "--max-images", "0"), "--max-images: "),
    (("rank", "augmentations", "FOLDER", "--samples-per-image", "0"), "--samples-per-image: "),
    (("rank", "augmentations", "FOLDER", "--scratch-time", "0"), "--scratch-time: "),
    (("train", "FOLDER", "--epochs", "0"), "--epochs: "),
    (("train", "FOLDER", "--learning-rate", "-1"), "--learning-rate: "),
    (("train", "FOLDER", "--val-share", "-1"), "at most 0.9, got -1.0"),
    (("decisions", "apply", "FOLDER", "--policy", "keepone"), "drop-leaks, drop-both, group, got 'keepone'"),
]
IN_A_FRESH_PROCESS = """
import contextlib, io, json, sys
from eyeshot.cli import main
for words, heavy in json.load(sys.stdin):
    sys.argv = ["eyeshot", *words]
    code, told = 0, io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            main()
    except SystemExit as end:
        code = end.code
    print(json.dumps([code, sorted(set(heavy) & set(sys.modules)), told.getvalue()]))
"""


def test_errors_are_told_before_heavy_libraries_are_loaded(tmp_path: Path) -> None:
    """Loading torch alone takes more than a second. One process tells all: what is loaded stays loaded in it.

    Typing errors come first, since they may load less than missing weights may.
    """
    cases = [(words, named, ("torch", "polars", "scipy")) for words, named in TYPING_ERRORS]
    cases += [(words, named, ("torch",)) for words, named in MISSING_WEIGHTS]
    typed = [([str(tmp_path) if word == "FOLDER" else word for word in words], heavy) for words, _, heavy in cases]
    command = [sys.executable, "-c", IN_A_FRESH_PROCESS]
    done = subprocess.run(
        command, input=json.dumps(typed), capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120
    )
    lines = done.stdout.splitlines()
    for (words, named, _), line in zip(cases, lines, strict=True):
        code, loaded, told = json.loads(line)
        assert (code, loaded) == (2, []), (words, told)
        assert named in told, words
