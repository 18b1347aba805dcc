"""The recipe of a training on the command line, in eyeshot.toml and in recipes.json; the catalogues."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import MODEL, Digits, Eyeshot

import eyeshot as package
from eyeshot.training import TrainResult, keep_recipe

SHORT = ("--epochs", "2", "--batch-size", "32", "--json")


def trained(eyeshot: Eyeshot, digits: Digits, *more: object) -> tuple[TrainResult, str]:
    done = eyeshot("train", digits.train, *MODEL, *SHORT, *more)
    assert done.code == 0, done.err
    return TrainResult.model_validate_json(done.out), done.err


def test_any_setting_can_be_given_and_the_run_says_what_it_was_trained_with(eyeshot: Eyeshot, digits: Digits):
    result, said = trained(
        eyeshot, digits, "--optimizer", "sgd", "--schedule", "one-cycle",
        "--set", "training.drop_path=0.2", "--set", "training.ema_decay=0.9", "--set", "training.sampling=balanced",
    )  # fmt: skip
    used = result.settings
    assert (used.optimizer, used.schedule, used.drop_path, used.ema_decay) == ("sgd", "one-cycle", 0.2, 0.9)
    assert used.learning_rate == 0.1
    assert used.warm_up_share == 0.3
    assert "as usual for sgd" in said
    assert result.steps == 6


def test_what_is_typed_goes_before_the_project_and_that_before_the_kept_recipe(eyeshot: Eyeshot, digits: Digits):
    keep_recipe(Path(), "test_resnet.r160_in1k", {"dropout": 0.3, "clip_norm": 2.0, "weight_decay": 0.4}, "best of 3")
    Path("eyeshot.toml").write_text("[training]\ndropout = 0.2\nclip_norm = 1.5\n", encoding="utf-8")
    result, said = trained(eyeshot, digits, "--set", "training.dropout=0.1")
    used = result.settings
    assert (used.dropout, used.clip_norm, used.weight_decay) == (0.1, 1.5, 0.4)
    assert (
        "kept for test_resnet.r160_in1k in recipes.json (best of 3): dropout, clip norm, weight decay; "
        "from eyeshot.toml: dropout, clip norm; as given: epochs, batch size, dropout"
    ) in " ".join(said.split())


def test_the_seed_can_be_set_like_any_other(eyeshot: Eyeshot, digits: Digits):
    assert trained(eyeshot, digits, "--set", "training.seed=5")[0].settings.seed == 5


def test_a_setting_that_is_given_twice_differently_is_refused(eyeshot: Eyeshot, digits: Digits):
    done = eyeshot("train", digits.train, *MODEL, "--epochs", "2", "--set", "training.epochs=1")
    assert (done.code, "got --epochs 2 and --set training.epochs=1" in done.err) == (2, True)


def test_the_catalogues_are_listed(eyeshot: Eyeshot):
    for name, records in (("optimizers", package.optimizers()), ("schedules", package.schedules())):
        shown = eyeshot("list", name)
        assert shown.code == 0
        listed = json.loads(eyeshot("list", name, "--json").out)
        assert [record["name"] for record in listed] == [record.name for record in records]
        flat = " ".join(shown.out.split())
        for record in listed:
            assert record["name"] in shown.out
            for field in ("fixes", "situation", "evidence", "against"):
                assert record[field] in flat
    assert 'pip install "eyeshot[schedulefree]"' in eyeshot("list", "optimizers").out


def test_a_recipe_kept_for_one_optimizer_says_nothing_about_another(eyeshot: Eyeshot, digits: Digits):
    keep_recipe(Path(), "test_resnet.r160_in1k", {"optimizer": "sgd", "learning_rate": 0.01, "dropout": 0.3}, "found")
    words = ["train", digits.train, "--model", "test_resnet.r160_in1k", "--from-scratch", "--size", "32", "--dry-run"]
    assert "kept for" in eyeshot(*words).out
    assert "kept for" not in eyeshot(*words, "--optimizer", "adamw").out
