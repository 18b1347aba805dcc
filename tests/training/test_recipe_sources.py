"""Where a recipe comes from: the command line, eyeshot.toml, recipes.json, the defaults."""

import json
import subprocess
import sys

import pytest

from eyeshot.core import InputError, StorageError, find_project
from eyeshot.rankings.optimizers.options import check_options
from eyeshot.training import TrainConfig, keep_recipe, kept_recipe, project_settings, read_settings
from eyeshot.training.recipe.optimizer_catalogue import OPTIMIZERS, list_optimizers
from eyeshot.training.recipe.schedule_catalogue import list_schedules
from eyeshot.training.recipe.sources import merge_settings


def test_set_reads_any_setting_with_its_type():
    texts = ["layer_decay=0.75", "class_weights=true", "freeze=none", "accumulate=2", "ema_decay=none", "optimizer=sgd"]
    assert read_settings([f"training.{text}" for text in texts]) == {
        "layer_decay": 0.75, "class_weights": True, "freeze": "none", "accumulate": 2, "ema_decay": None,
        "optimizer": "sgd",
    }  # fmt: skip


def test_radam_is_taken_by_its_usual_name():
    assert read_settings(["training.optimizer=radam"]) == {"optimizer": "radamw"}
    assert TrainConfig(optimizer="radam") == TrainConfig(optimizer="radamw")
    recipe, why = merge_settings(TrainConfig(optimizer="sgd"), "", [("as given", {"optimizer": "radam"})])
    assert (recipe.optimizer, recipe.learning_rate) == ("radamw", 1e-5)
    assert "learning rate 1e-05 as usual for radamw" in why
    assert [record.name for record in list_optimizers("radam")] == ["radamw"]
    assert check_options("radam") == ("radamw",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer_decay=0.5", "--set takes training.NAME=VALUE, got 'layer_decay=0.5'"),
        ("training.layer_decay", "--set takes training.NAME=VALUE"),
        ("model.size=3", "--set takes training.NAME=VALUE"),
        ("training.layer-decay=1", "there is no setting 'layer-decay'. Nearest: layer_decay"),
        ("training.freeze=all", "training.freeze: input should be 'none', 'head', 'last-stage' or 'head-first'"),
        ("training.drop_path=lots", "training.drop_path: input should be a valid number"),
        ("training.optimizer=adamv", "got 'adamv'. Nearest: adamw"),
        ("training.schedule=cosines", "Nearest: cosine"),
    ],
)
def test_set_refuses_what_it_does_not_know_and_names_the_nearest(text, message):
    with pytest.raises(InputError, match=message):
        read_settings([text])


def project(folder, text):
    (folder / "eyeshot.toml").write_text(text, encoding="utf-8")
    return find_project(folder)


def test_the_project_holds_settings_for_all_its_trainings(tmp_path):
    assert project_settings(project(tmp_path, '[training]\nlayer_decay = 0.8\noptimizer = "lamb"\n')) == {
        "layer_decay": 0.8, "optimizer": "lamb",
    }  # fmt: skip
    whole = project_settings(project(tmp_path, "[training]\nclip_norm = 1\nfreeze = 'head'\n"))
    assert whole == {"clip_norm": 1.0, "freeze": "head"}
    project(tmp_path, '[training]\nlayer_decay = 0.8\noptimizer = "lamb"\n')
    assert project_settings(find_project(tmp_path / "elsewhere")) == {"layer_decay": 0.8, "optimizer": "lamb"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nlayer_decai = 0.8", r"\[training\] there is no setting 'layer_decai'. Nearest: layer_decay"),
        ("[training]\ndropout = 2", r"toml', \[training\]: training.dropout: input should be less than 1, got 2"),
        ('[training]\nepochs = "3"', r"training.epochs: input should be a valid integer, got '3'"),
        ("[training]\nepochs = true", "training.epochs: input should be a valid integer, got True"),
        ("[training]\nclass_weights = 1", "training.class_weights: input should be a valid boolean, got 1"),
        ("[training]\nseed = 3", "no part of a recipe. Give --seed"),
        ("training = 3", r"\[training\] must be a section"),
    ],
)  # fmt: skip
def test_a_typo_in_the_project_file_is_told_with_its_place(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        project_settings(project(tmp_path, text))


def test_a_recipe_is_kept_for_each_model(tmp_path):
    keep_recipe(tmp_path, "a.x", {"optimizer": "sgd", "learning_rate": 0.1}, "best of 3 rates")
    keep_recipe(tmp_path, "b.y", {"layer_decay": 0.7}, "its paper")
    file = keep_recipe(tmp_path, "a.x", {"learning_rate": 0.2}, "best of 5 rates")
    assert kept_recipe(tmp_path, "a.x") == ({"learning_rate": 0.2}, "best of 5 rates")
    assert kept_recipe(tmp_path, "b.y") == ({"layer_decay": 0.7}, "its paper")
    assert kept_recipe(tmp_path, "c.z") == ({}, "")
    assert json.loads(file.read_text("utf-8"))["version"] == 1


@pytest.mark.parametrize("wrong", [{"optimizer": "sgdd"}, {"drop_path": 3}, {"seed": 1}, {"nothing": 1}])
def test_a_recipe_that_could_not_be_used_is_not_kept(tmp_path, wrong):
    with pytest.raises(InputError):
        keep_recipe(tmp_path, "a.x", wrong, "because")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    ["[]", "{", '{"version": 9, "recipes": {}}', '{"version": 1, "recipes": {"a.x": {"settings": {"drop": 1}}}}'],
)
def test_a_broken_file_of_recipes_is_named(tmp_path, content):
    (tmp_path / "recipes.json").write_text(content)
    with pytest.raises(StorageError, match=r"recipes.json' holds no recipe"):
        kept_recipe(tmp_path, "a.x")


DEFAULT = TrainConfig(epochs=20, learning_rate=5e-5)


def test_later_layers_go_first_and_each_is_named():
    layers = [
        ("kept", {"layer_decay": 0.7, "epochs": 5, "learning_rate": 1e-4}),
        ("from eyeshot.toml", {"epochs": 6, "dropout": 0.1}),
        ("as given", {"epochs": 7}),
    ]
    config, why = merge_settings(DEFAULT, "by default", layers)
    assert (config.epochs, config.layer_decay, config.dropout, config.learning_rate) == (7, 0.7, 0.1, 1e-4)
    assert why == "kept: layer decay, epochs, learning rate; from eyeshot.toml: epochs, dropout; as given: epochs"
    assert merge_settings(DEFAULT, "by default", [("as given", {})]) == (DEFAULT, "by default")


def test_another_optimizer_brings_its_usual_rate_with_the_reason():
    config, why = merge_settings(DEFAULT, "", [("as given", {"optimizer": "sgd"})])
    assert config.learning_rate == pytest.approx(5e-3)
    assert "learning rate 0.005 as usual for sgd (0.1 at batch 256 for ResNets" in why
    lion, why = merge_settings(DEFAULT, "", [("as given", {"optimizer": "lion"})])
    assert (lion.learning_rate, lion.weight_decay) == (pytest.approx(1e-5), pytest.approx(0.25))
    free, why = merge_settings(DEFAULT, "", [("as given", {"optimizer": "schedulefree-adamw"})])
    assert free.schedule == "constant"
    assert "constant schedule" in why
    own, _ = merge_settings(DEFAULT, "", [("as given", {"optimizer": "sgd", "learning_rate": 0.3})])
    assert own.learning_rate == 0.3
    cycle, _ = merge_settings(DEFAULT, "", [("as given", {"schedule": "one-cycle"})])
    assert cycle.warm_up_share == 0.3


def test_a_kept_rate_is_carried_over_to_another_optimizer():
    layers = [
        ("kept", {"optimizer": "sgd", "learning_rate": 0.02, "momentum": 0.8}),
        ("as given", {"optimizer": "lion"}),
    ]
    config, _ = merge_settings(DEFAULT, "", layers)
    assert config.learning_rate == pytest.approx(0.02 / 100 * 0.2)
    assert config.momentum is None


def test_every_record_says_all_that_it_should():
    for record in [*list_optimizers(), *list_schedules()]:
        for field in ("fixes", "situation", "cost", "evidence", "against"):
            text = getattr(record, field)
            assert text.endswith("."), (record.name, field)
        assert any(mark in record.evidence for mark in ("arXiv", ".com", "The evidence of")), record.name
    for record in list_optimizers():
        assert (record.rate_factor is None) != (record.learning_rate is None)
        assert record.base in {"", *OPTIMIZERS}


def test_an_optimizer_that_is_not_installed_says_how_to_install_it(monkeypatch):
    from eyeshot.core import MissingExtraError
    from eyeshot.training.classifier import Classifier
    from eyeshot.training.recipe.optimizers import make_optimizer

    from .helpers import tiny_backbone

    monkeypatch.setitem(sys.modules, "schedulefree", None)
    with pytest.raises(MissingExtraError, match=r'pip install "eyeshot\[schedulefree\]"'):
        make_optimizer(Classifier(tiny_backbone(), 3), TrainConfig(optimizer="schedulefree-adamw"))


def test_the_catalogues_and_the_settings_load_nothing_heavy():
    code = (
        "import sys; from eyeshot.training import read_settings, check_config, check_optimizer; import eyeshot; "
        "read_settings(['training.dropout=0.1']); eyeshot.optimizers(); eyeshot.schedules(); "
        "print(sorted({'torch', 'timm', 'numpy', 'polars'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
