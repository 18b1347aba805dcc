from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import MODEL, Digits, Eyeshot, tree
from PIL import Image, ImageChops

from eyeshot.training import TrainResult

SHORT = ("--epochs", "2", "--batch-size", "32")


def train(eyeshot: Eyeshot, digits: Digits, *more: object):
    return eyeshot("train", digits.train, *MODEL, *SHORT, *more)


def test_a_training_writes_its_result_with_probabilities_and_says_where(eyeshot: Eyeshot, digits: Digits):
    done = train(eyeshot, digits, "--augment", "invert", "--augment", "mixup")
    assert done.code == 0
    (folder,) = Path("eyeshot-out/runs").resolve().iterdir()
    assert re.fullmatch(r"\d{8}-\d{4}-test_resnet-invert\+mixup-s0", folder.name)
    assert str(folder) in done.out
    result = TrainResult.model_validate_json((folder / "result.json").read_text("utf-8"))
    assert result.augmentations == ("invert", "mixup")
    assert (result.epochs, result.n_train, result.n_val) == (2, 103, 27)
    assert result.hardware
    assert result.versions
    kept = np.load(folder / "validation.npz")
    assert kept["probabilities"].shape == (27, 3)
    assert (kept["probabilities"].argmax(axis=1) == kept["labels"]).mean() == pytest.approx(result.accuracy.value)
    assert f"Validation accuracy {result.accuracy.value:.3f}" in done.out
    assert "n = 27" in done.out


def test_after_a_second_training_the_comparison_that_is_named_runs(eyeshot: Eyeshot, digits: Digits):
    words = ("train", digits.train, *MODEL, "--epochs", "1", "--batch-size", "32")
    first = eyeshot(*words, "--augment", "invert")
    assert "Compare: the same command without --augment" in first.out
    second = eyeshot(*words)
    (line,) = [line for line in second.out.splitlines() if line.startswith("Compare: ")]
    done = eyeshot(*line.removeprefix("Compare: eyeshot ").split())
    assert (done.code, "invert" in line) == (0, True), done.err


def test_the_order_of_augmentations_is_kept(eyeshot: Eyeshot, digits: Digits):
    done = train(eyeshot, digits, "--augment", "mirror", "--augment", "invert", "--dry-run")
    assert "mirror, invert" in done.out
    assert "-mirror+invert-s0" in done.out


def test_the_same_command_takes_the_finished_run_and_leaves_it(eyeshot: Eyeshot, digits: Digits, tmp_path: Path):
    first = train(eyeshot, digits, "--out", tmp_path / "run", "--json")
    before = (tmp_path / "run" / "result.json").read_bytes()
    again = train(eyeshot, digits, "--out", tmp_path / "run", "--json")
    assert json.loads(first.out) == json.loads(again.out)
    assert (tmp_path / "run" / "result.json").read_bytes() == before
    assert (
        "Already trained; nothing done.\nValidation accuracy " in train(eyeshot, digits, "--out", tmp_path / "run").out
    )


def test_the_next_step_names_the_test_folder_of_the_project(eyeshot: Eyeshot, digits: Digits, tmp_path: Path):
    run = ("--epochs", "1", "--batch-size", "32", "--out", tmp_path / "run")
    without = eyeshot("train", digits.train, *MODEL, *run)
    assert "Already trained" not in without.out
    assert without.out.rstrip().endswith("--test TEST")
    eyeshot("init", digits.train, "--test", digits.test)
    for typed in ((digits.train,), ()):
        out = eyeshot("train", *typed, *MODEL, *run).out
        (line,) = [line for line in out.splitlines() if line.startswith("Next: ")]
        assert ("--test TEST" in line, f"--test {digits.test}" in line) == (False, bool(typed))


def test_after_a_training_with_an_augmentation_the_next_step_is_to_predict(eyeshot: Eyeshot, digits: Digits):
    run = ("train", digits.train, *MODEL, "--epochs", "1", "--batch-size", "32", "--augment", "invert")
    without = eyeshot(*run)
    (folder,) = Path("eyeshot-out/runs").iterdir()
    assert without.out.endswith(f"Next: eyeshot predict {folder.name} --data TEST\n")
    eyeshot("init", digits.train, "--test", digits.test)
    (line,) = [line for line in eyeshot(*run).out.splitlines() if line.startswith("Next: ")]
    done = eyeshot(*line.removeprefix("Next: eyeshot ").split())
    assert (done.code, f"Predicted {len(list(digits.test.iterdir()))} test images" in done.out) == (0, True), done.err


def test_after_a_ranking_the_next_step_of_a_training_on_clean_images_is_to_predict_too(
    eyeshot: Eyeshot, digits: Digits
):
    run = ("train", digits.train, *MODEL, "--epochs", "1", "--batch-size", "32")
    assert "Next: eyeshot rank augmentations" in eyeshot(*run).out
    report = Path("eyeshot-out/augmentations/augmentations.json")
    report.parent.mkdir()
    report.write_text("{}", encoding="utf-8")
    assert "Next: eyeshot predict" in eyeshot(*run).out


def test_a_training_that_was_interrupted_is_continued_by_the_same_command(
    eyeshot: Eyeshot, digits: Digits, tmp_path: Path, monkeypatch
):
    from eyeshot.training.sitting import Sitting

    whole = json.loads(train(eyeshot, digits, "--out", tmp_path / "whole", "--json").out)
    usual = Sitting._save
    saved: list[int] = []

    def interrupted(*arguments):
        usual(*arguments)
        saved.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(Sitting, "_save", interrupted)
    assert train(eyeshot, digits, "--out", tmp_path / "cut").code == 130
    assert saved == [1]
    assert not (tmp_path / "cut" / "result.json").exists()
    monkeypatch.setattr(Sitting, "_save", usual)
    continued = json.loads(train(eyeshot, digits, "--out", tmp_path / "cut", "--json").out)
    for same in (whole, continued):
        for key in ("seconds", "wait_s", "command"):
            del same[key]
    assert continued == whole


def test_another_run_in_the_same_folder_is_refused(eyeshot: Eyeshot, digits: Digits, tmp_path: Path):
    assert train(eyeshot, digits, "--out", tmp_path / "run").code == 0
    done = train(eyeshot, digits, "--out", tmp_path / "run", "--augment", "invert")
    assert done.code == 2
    assert "another run" in done.err
    assert "--out" in done.err


def test_json_is_all_that_stands_on_standard_output(eyeshot: Eyeshot, digits: Digits):
    done = train(eyeshot, digits, "--json")
    result = TrainResult.model_validate_json(done.out)
    assert result.command.startswith("eyeshot train ")
    assert result.command.endswith("--json")


def test_one_batch_is_overfitted_without_a_run(eyeshot: Eyeshot, digits: Digits, tmp_path: Path):
    before = tree(tmp_path)
    done = train(eyeshot, digits, "--overfit-one-batch", "--learning-rate", "0.004")
    assert (done.code, tree(tmp_path)) == (0, before)
    assert re.search(r"One batch of 32 clean images of 3 classes was fitted in \d+ steps: network, labels", done.out)
    assert done.out.rstrip().endswith("Next: the same command without --overfit-one-batch.")


def test_an_alarm_is_said_once_while_it_trains_and_stands_in_the_result(
    eyeshot: Eyeshot, digits: Digits, tmp_path: Path
):
    done = train(eyeshot, digits, "--batch-size", "4", "--out", tmp_path / "run")
    assert done.err.count("alarm: The network normalises over batches (BatchNorm) of only 4 images.") == 1
    assert done.out.count("alarm: The network normalises over batches (BatchNorm) of only 4 images.") == 1
    result = TrainResult.model_validate_json((tmp_path / "run" / "result.json").read_text("utf-8"))
    assert result.alarms[0].kind == "small-batches"


def test_a_dry_run_writes_nothing(eyeshot: Eyeshot, digits: Digits, tmp_path: Path):
    before = tree(tmp_path)
    done = train(eyeshot, digits, "--dry-run")
    assert done.code == 0
    assert tree(tmp_path) == before
    assert "Would train test_resnet.r160_in1k on 103 images, 27 validate, with clean images." in done.out
    assert done.out.count("2 epochs, batches of 32") == 1
    assert re.search(r"About .* \(6 steps of .* s\), .* of memory and .* of disk\.", done.out)


def test_a_dry_run_that_finds_what_would_fail_says_so_and_answers(
    eyeshot: Eyeshot, digits: Digits, monkeypatch: pytest.MonkeyPatch
):
    from eyeshot.core import ModelError
    from eyeshot.training import TrainingRun

    def full(*_: object, **__: object) -> None:
        raise ModelError("The device is out of memory. Give a smaller --batch-size.")

    monkeypatch.setattr(TrainingRun, "advance", full)
    done = train(eyeshot, digits, "--dry-run")
    assert done.code == 0
    assert "It would fail: The device is out of memory. Give a smaller --batch-size." in done.out


def test_the_settings_that_were_given_are_the_ones_that_are_said(eyeshot: Eyeshot, digits: Digits):
    done = train(eyeshot, digits)
    assert "- settings: 2 epochs, batches of 32, learning rate up to " in done.out
    assert "(as given: epochs, batch size)" in done.out


def test_validation_images_of_ones_own_are_used_but_for_those_that_train(
    eyeshot: Eyeshot, digits: Digits, tmp_path: Path
):
    chosen = sorted(digits.train.glob("*/*.png"))[::10]
    for number, path in enumerate(chosen):
        (tmp_path / "val" / path.parent.name).mkdir(parents=True, exist_ok=True)
        picture = Image.open(path)
        # The first three are the same pictures, turned; the others differ from all that train.
        picture = picture.transpose(Image.Transpose.ROTATE_90) if number < 3 else ImageChops.offset(picture, 9, 5)
        picture.save(tmp_path / "val" / path.parent.name / path.name)
    result = TrainResult.model_validate_json(train(eyeshot, digits, "--val", tmp_path / "val", "--json").out)
    assert (result.n_train, result.n_val) == (130, 10)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--augment", "inverted"), ("inverted", "invert")),
        (("--epochs", "0"), ("--epochs", "got 0")),
        (("--learning-rate", "-1"), ("--learning-rate", "greater than 0", "got -1.0")),
        (("--batch-size", "1"), ("--batch-size", "got 1", "eyeshot train --help")),
        (("--seed", "-1"), ("--seed", "got -1")),
        (("--val-share", "0"), ("--val-share 0.2",)),
        (("--mean", "1"), ("--mean", "'1'")),
        (("--val", "nowhere"), ("nowhere",)),
    ],
)
def test_an_option_that_cannot_be_used_is_told(
    eyeshot: Eyeshot, digits: Digits, more: tuple[str, ...], words: tuple[str, ...]
):
    done = train(eyeshot, digits, *more)
    assert done.code == 2
    assert done.err.startswith("error: ") or "\nerror: " in done.err
    for word in words:
        assert word in done.err


def test_a_folder_that_cannot_be_written_is_told(eyeshot: Eyeshot, digits: Digits, tmp_path: Path):
    (tmp_path / "file").touch()
    done = train(eyeshot, digits, "--out", tmp_path / "file" / "run")
    assert done.code == 4
    assert str(tmp_path / "file") in done.err


POLICY = 'version = 1\n[[operation]]\nname = "invert"\nprobability = 0.5\n'
STAGED = POLICY + '[[stage]]\nlevel = "full"\nfrom = 0.5\nto = 1\n'


def test_a_policy_belongs_to_the_run_whatever_becomes_of_its_file(eyeshot: Eyeshot, digits: Digits, tmp_path: Path):
    file = tmp_path / "policy.toml"
    file.write_text(STAGED, encoding="utf-8")
    first = train(eyeshot, digits, "--augment", file)
    assert first.code == 0, first.err
    (folder,) = Path("eyeshot-out/runs").resolve().iterdir()
    assert folder.name.endswith("-test_resnet-invert-s0")
    result = TrainResult.model_validate_json((folder / "result.json").read_text("utf-8"))
    assert result.augmentations == ("invert@0.5~full0.5-1",)
    file.write_text(POLICY, encoding="utf-8")  # an edited file is another training
    assert "Already trained" not in train(eyeshot, digits, "--augment", file).out
    assert len(list(Path("eyeshot-out/runs").iterdir())) == 2
    file.unlink()
    again = train(eyeshot, digits, "--augment", file)
    assert "Already trained" in again.out
    assert "is gone; the run" in again.out
    other = train(eyeshot, digits, "--augment", file, "--augment", "mirror")
    assert (other.code, "does not exist" in other.err) == (2, True)


def test_a_policy_may_stand_in_the_project_s_settings(eyeshot: Eyeshot, digits: Digits):
    Path("eyeshot.toml").write_text('[training]\naugment = "policy.toml"\n', encoding="utf-8")
    Path("policy.toml").write_text(POLICY, encoding="utf-8")
    assert "invert@0.5" in train(eyeshot, digits, "--dry-run").out
    assert "mirror" in train(eyeshot, digits, "--augment", "mirror", "--dry-run").out
    Path("policy.toml").write_text(POLICY.replace("0.5", "5"), encoding="utf-8")
    wrong = train(eyeshot, digits, "--dry-run")
    assert (wrong.code, "must lie between 0 and 1, got 5" in wrong.err) == (2, True)
    Path("eyeshot.toml").write_text("[training]\naugment = 3\n", encoding="utf-8")
    wrong = train(eyeshot, digits, "--dry-run")
    assert (wrong.code, "must be a name or a list of names, got 3" in wrong.err) == (2, True)
