"""Input that no answer can come of: what is said, with what exit code, and that nothing half-written stays."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import MODEL, Digits, Done, Eyeshot
from PIL import Image

from eyeshot.predictions import Predictions, load_predictions
from stored_runs import CLASSES, probabilities_of, store_run

RANK = (*MODEL, "--candidates", "invert", "--max-images", "40", "--samples-per-image", "1", "--no-images")
PLAN = (*RANK, "--budget", "0", "--dry-run")
COUNT = 60


def refused(done: Done, *words: str) -> None:
    """The command ended with one error line that holds these words, and printed nothing else than progress."""
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert (done.code, done.out) == (2, "")
    for word in words:
        assert word in line


def rank(eyeshot: Eyeshot, train: Path, test: Path, *more: object) -> Done:
    return eyeshot("rank", "augmentations", train, "--test", test, *more)


@pytest.mark.parametrize(
    ("rows", "words", "early"),
    [
        ("0,0.3\n1,0.3\n7,0.3\n", ("must sum to 1, got 0.9", "Divide each by the sum"), True),
        ("0,0.3\n1,0.3\n8,0.4\n", ("must name each class once, 0, 1 and 7", "'8' is unknown"), True),
        ("0,1\n1,0\n7,0\n", ("above 0 for at least two classes", "all on '0'"), True),
        ("0,nan\n1,0.5\n7,0.5\n", ("must be 0 or more, got nan",), True),
        ("0,1.5\n1,-0.5\n7,0\n", ("must be 0 or more, got -0.5 to 1.5",), True),
        ("0,half\n1,0.5\n7,0\n", ("a number for each class", "'half' in line 2"), True),
        ("", ("a row for each class, got none",), True),
        ("0,0.5\n1,0.5\n", ("7 is missing", "A class that does not occur has the share 0"), False),
    ],
)
def test_target_shares_that_cannot_be_are_refused_if_possible_before_any_image_is_read(
    eyeshot: Eyeshot, digits: Digits, monkeypatch: pytest.MonkeyPatch, rows: str, words: tuple[str, ...], early: bool
) -> None:
    Path("shares.csv").write_text(f"class,share\n{rows}", encoding="utf-8")
    if early:
        monkeypatch.setattr("eyeshot.data.table.list_images", lambda *_: pytest.fail("images were listed"))
    refused(rank(eyeshot, digits.train, digits.test, *RANK, "--target-shares", "shares.csv"), "--target-shares", *words)
    assert not Path("eyeshot-out/augmentations").exists()


def test_names_of_shares_are_composed_like_those_of_folders(eyeshot: Eyeshot, digits: Digits) -> None:
    for folder, name in (("0", "é"), ("1", "e")):
        shutil.copytree(digits.train / folder, Path("train") / name)
    Path("shares.csv").write_text("class,share\ne\u0301,0.5\ne,0.5\n", encoding="utf-8")
    done = rank(eyeshot, Path("train"), digits.test, *PLAN, "--target-shares", "shares.csv")
    assert done.code == 0, done.err


@pytest.mark.parametrize("count", [5, 20])
def test_too_few_target_images_are_told_before_the_work(eyeshot: Eyeshot, digits: Digits, count: int) -> None:
    Path("few").mkdir()
    for path in sorted(digits.test.iterdir())[:count]:
        shutil.copy(path, "few")
    done = rank(eyeshot, digits.train, Path("few"), *PLAN)
    if count == 5:
        refused(done, "at least 12 different target images", "got 5 among 5 files", "Add images")
        return
    said = (
        "Too few images to say: 20 test images are used, and a winner needs at least 40. Add images until at least 40"
    )
    assert done.code == 0
    assert f"- {said}" in done.out
    planned = json.loads(rank(eyeshot, digits.train, Path("few"), *PLAN, "--json").out)
    assert sum(note.startswith(said) for note in planned["notes"]) == 1


@pytest.mark.usefixtures("quick")
def test_what_was_told_before_the_work_is_the_headline_after_it(eyeshot: Eyeshot, digits: Digits) -> None:
    Path("few").mkdir()
    for path in sorted(digits.test.iterdir())[:20]:
        shutil.copy(path, "few")
    done = rank(eyeshot, digits.train, Path("few"), *RANK, "--budget", "0")
    headline = "Too few images to say: 20 test images are used, and a winner needs at least 40."
    assert [done.out.count(headline), done.out.count(f"- {headline}")] == [2, 1]
    assert done.out.index(f"- {headline}") < done.out.index("candidate")
    report = json.loads(Path("eyeshot-out/augmentations/augmentations.json").read_text("utf-8"))
    assert (report["headline"], report["advice"]) == (headline, "clean")


@pytest.mark.parametrize(("budget", "told"), [("10m", True), ("0", False)])
def test_fewer_target_images_than_500_classes_are_told_before_estimates_are_made(
    eyeshot: Eyeshot, digits: Digits, budget: str, told: bool
) -> None:
    random = np.random.default_rng(0)
    for number in range(1500):
        path = Path(f"train/{number % 500:03}/{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        cells = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(cells.repeat(4, 0).repeat(4, 1)).save(path)
    done = rank(eyeshot, Path("train"), digits.test, *RANK, "--budget", budget, "--dry-run")
    assert done.code == 0, done.err
    assert ("There are fewer target images (40) than classes (500), so" in done.out) == told


@pytest.mark.usefixtures("quick")
def test_a_model_at_chance_is_said_to_mean_nothing(eyeshot: Eyeshot) -> None:
    """Noise under labels that mean nothing, and a budget that is not spent on it."""
    random = np.random.default_rng(1)
    for number in range(150):
        path = Path("test" if number >= 100 else f"train/{'ab'[number % 2]}") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    done = rank(eyeshot, Path("train"), Path("test"), *RANK, "--budget", "1m")
    assert done.code == 0, done.err
    assert "\nThis model's features cannot tell the classes apart here, so nothing is ranked.\n" in done.out
    assert "label-consistent coverage and label preservation mean nothing" in done.out
    assert "No short runs: they would start from a linear probe that is no better than chance." in done.out
    report = json.loads(Path("eyeshot-out/augmentations/augmentations.json").read_text("utf-8"))
    assert report["advice"] == "clean"
    assert all(each["rank"] is None and each["run"] is None for each in report["candidates"])


def sure(answers: np.ndarray) -> np.ndarray:
    return np.asarray(np.eye(3)[answers] * 0.94 + 0.02)


@pytest.fixture
def good() -> str:
    labels, right = np.arange(COUNT) % 3, np.arange(COUNT) % 5 > 0
    return store_run(Path(), right, test=probabilities_of(labels, right))


def with_validation(run: str, probabilities: np.ndarray) -> None:
    file = Path("eyeshot-out/runs") / run / "validation.npz"
    replace(load_predictions(file), probabilities=probabilities).save(file)


def test_random_answers_are_even_but_the_estimate_of_their_run_is_said_to_mean_nothing(
    eyeshot: Eyeshot, good: str
) -> None:
    random = np.random.default_rng(2)
    labels, answers = np.arange(COUNT) % 3, random.permutation(COUNT) % 3
    guessing = store_run(Path(), answers == labels, model="guess.x", test=sure(random.permutation(COUNT) % 3))
    with_validation(guessing, sure(answers))
    done = eyeshot("compare", good, guessing)
    assert done.code == 0, done.err
    (said,) = [line for line in done.out.splitlines() if "so the estimate means nothing." in line]
    assert said.startswith(f"- Estimate on the test images of {guessing}: On the validation images the run (")
    estimates = [
        member["estimate"] for member in json.loads(eyeshot("compare", good, guessing, "--json").out)["members"]
    ]
    assert estimates[1]["value"] < 0.5 < estimates[0]["value"]


@pytest.mark.parametrize("command", ["compare", "ensemble", "errors"])
def test_validation_probabilities_with_nan_are_refused(eyeshot: Eyeshot, good: str, command: str) -> None:
    broken = store_run(Path(), np.arange(COUNT) % 4 > 0, model="broken.x")
    probabilities = sure(np.arange(COUNT) % 3)
    probabilities[:2, 1] = np.nan
    with_validation(broken, probabilities)
    before = sorted(Path().rglob("*"))
    done = eyeshot(command, good, broken) if command != "errors" else eyeshot(command, broken)
    refused(done, "must be finite", f"2 rows of '{broken}' hold NaN", "Leave it out, or make it again")
    assert sorted(Path().rglob("*")) == before


def test_test_probabilities_with_nan_give_no_estimate_and_no_choice(eyeshot: Eyeshot, good: str) -> None:
    probabilities = sure(np.arange(COUNT) % 3)
    probabilities[0] = np.nan
    broken = store_run(Path(), np.arange(COUNT) % 4 > 0, model="broken.x", test=probabilities)
    refused(eyeshot("compare", good, broken, "--split", "test"), "must be finite", f"1 rows of '{broken}' hold NaN")
    Path("test").mkdir()
    Path("eyeshot.toml").write_text('[data]\ntrain = "train"\ntest = "test"\n', encoding="utf-8")
    done = eyeshot("compare", good, broken)
    assert done.code == 0, done.err
    assert f"1 run has no usable test predictions and so no estimate: eyeshot predict {broken}" in done.out
    assert "nan" not in done.out.lower()
    facts = json.loads(eyeshot("compare", good, broken, "--json").out)
    assert [member["estimate"] is None for member in facts["members"]] == [False, True]


@pytest.mark.parametrize("form", [".csv", ".npz"])
@pytest.mark.parametrize("command", ["predict", "compare", "ensemble", "log"])
def test_files_of_predictions_with_nan_are_refused(eyeshot: Eyeshot, command: str, form: str) -> None:
    ids = tuple(f"{number}.jpg" for number in range(COUNT))
    labels = np.arange(COUNT) % 3
    for name in ("good", "bad"):
        probabilities = probabilities_of(labels, labels < 2)
        if name == "bad":
            probabilities[:4, 0] = np.nan
        if form == ".npz":
            Predictions(ids, probabilities, CLASSES, labels).save(Path(name + form))
            continue
        rows = [
            ",".join([image, *map(str, row), CLASSES[label]])
            for image, row, label in zip(ids, probabilities, labels, strict=True)
        ]
        Path(name + form).write_text("\n".join(["id,cat,dog,owl,label", *rows]) + "\n", encoding="utf-8")
    Path("sample.csv").write_text("id,label\n" + "".join(f"{image},cat\n" for image in ids), encoding="utf-8")
    before = sorted(Path().rglob("*"))
    words = {
        "predict": (f"bad{form}", "--submission", "sample.csv", "--out", "sent.csv"),
        "compare": (f"good{form}", f"bad{form}"),
        "ensemble": (f"good{form}", f"bad{form}"),
        "log": ("--predictions", f"bad{form}", "--why", "Because."),
    }
    refused(eyeshot(command, *words[command]), "must be finite", f"4 rows of 'bad{form}' hold NaN", "Leave it out")
    assert sorted(Path().rglob("*")) == before
