"""Rung 2: a short training with the model's own recipe, on the images of its probe, that goes on after a kill."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from eyeshot.core import SILENT, CallbackProgress, wilson
from eyeshot.data import read_images
from eyeshot.models import load_backbone, model_recipe
from eyeshot.predictions import Accuracy
from eyeshot.rankings.models import fine_tuning
from eyeshot.rankings.models.fine_tuning import (
    fell_to_chance,
    fine_tune,
    measure_pace,
    recipe_settings,
    recipe_to_keep,
    trusted_rate,
)
from eyeshot.rankings.models.lengths import EPOCHS, Length
from eyeshot.training import TrainConfig

CLASSES = 3
LENGTH = Length(epochs=20, rows=90, test_steps=16, seconds=0.0, judging_s=0.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """120 noisy pictures of three greys, the folds, and a small network."""
    folder = tmp_path_factory.mktemp("greys")
    random = np.random.default_rng(0)
    for number in range(120):
        label = number % CLASSES
        pixels = (70 + 50 * label + random.normal(0, 40, (32, 32, 3))).clip(0, 255).astype(np.uint8)
        place = folder / f"class{label}"
        place.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number:03d}.png")
    table = read_images(folder)
    judged = np.arange(0, 120, 4)
    fold = np.setdiff1d(np.arange(120), judged), judged
    fresh = load_backbone("test_resnet", from_scratch=True, size=32)
    backbone = fresh.with_module(fresh.module, pretrained=True, reason="")  # so that a head is fitted first
    return table, fold, backbone


def tune(world, folder, **options):
    table, fold, backbone = world
    arguments = {
        "length": LENGTH,
        "deadline": math.inf,
        "seed": 0,
        "progress": SILENT,
        "classes": table.classes,
        "device": "cpu",
        "cache": folder / "cache",
    }
    probe = np.arange(len(fold[1])) % 2 == 0
    return fine_tune(
        backbone, table, fold, probe, np.arange(len(table)), folder=folder / "run",
        **(arguments | options),
    )  # fmt: skip


@pytest.fixture(scope="module")
def tuned(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    return tune(world, folder), folder


def test_a_short_training_learns_and_is_compared_with_its_probe_image_by_image(tuned, world):
    record, _ = tuned
    result, judged = record.fine_tuning, world[1][1]
    assert len(record.right) == len(judged)
    assert result.accuracy.value == pytest.approx(np.mean(record.right))
    assert result.accuracy.value > 0.5  # guessing gives a third
    expected = np.mean(np.asarray(record.right) - (np.arange(len(judged)) % 2 == 0).astype(float))
    assert result.difference == pytest.approx(expected)
    low, high = result.difference_interval
    assert low < result.difference < high
    assert result.settings.epochs == LENGTH.epochs
    assert result.steps == 40  # 20 times 90 images in batches of 32
    assert result.n_train == 90
    assert 0 < len(result.tested_rates) == len(result.tested_losses) <= LENGTH.test_steps
    assert "recipe of" in result.recipe


def test_the_same_call_reads_the_finished_training(tuned, world, monkeypatch):
    record, folder = tuned
    monkeypatch.setattr(fine_tuning, "range_test", None)  # nothing is planned again
    assert tune(world, folder, deadline=0.0) == record


def test_a_killed_training_goes_on_with_its_plan_to_the_same_answers(tuned, world, tmp_path, monkeypatch):
    record, folder = tuned
    (tmp_path / "run").mkdir()
    plan = (folder / "run" / fine_tuning.PLAN_FILE).read_bytes()
    (tmp_path / "run" / fine_tuning.PLAN_FILE).write_bytes(plan)

    class Killed(BaseException):
        pass

    def stop(done, total, text):
        if "epoch" in text and done > 20:
            raise Killed

    monkeypatch.setattr("eyeshot.training.sitting.CHECKPOINT_EVERY_S", 0.0)
    with pytest.raises(Killed):
        tune(world, tmp_path, progress=CallbackProgress(stop))
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    again = tune(world, tmp_path)
    assert again.right == record.right
    assert again.fine_tuning.settings == record.fine_tuning.settings


def test_the_pace_of_a_model_is_measured_before_it_is_trained(world, tmp_path):
    table, fold, backbone = world
    pace = measure_pace(
        backbone, table, fold, classes=table.classes, cache=tmp_path, device="cpu", seed=0, progress=SILENT
    )
    assert (pace.images, pace.judged, pace.batch_size) == (90, 30, 32)
    assert pace.step_s > 0
    assert pace.setup_s > 0


def test_a_damaged_plan_is_made_again(world, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / fine_tuning.PLAN_FILE).write_text("{")
    assert fine_tuning._read_plan(tmp_path / "run") is None
    (tmp_path / "run" / fine_tuning.PLAN_FILE).write_text(json.dumps({"versions": {}, "plan": {}}))
    assert fine_tuning._read_plan(tmp_path / "run") is None


@pytest.mark.parametrize(
    ("tag", "rate", "rule"),
    [
        ("resnet50.a1_in1k", 0.01 * 32 / 256, "in proportion"),
        ("convnext_tiny.in12k_ft_in1k", 5e-5 * (32 / 512) ** 0.5, "square root"),
    ],
)
def test_the_learning_rate_of_a_recipe_follows_the_batch(tag, rate, rule):
    settings, said = recipe_settings(model_recipe(tag)[0], image_count=1000, epochs=3, seed=0)
    assert settings.learning_rate == pytest.approx(rate, rel=0.01)
    assert rule in said
    assert settings.epochs == 3


def test_an_optimizer_that_the_catalogue_lacks_is_replaced_and_named():
    recipe, _ = model_recipe("tf_efficientnetv2_s.in21k_ft_in1k")
    settings, said = recipe_settings(recipe, image_count=1000, seed=0)
    assert recipe.optimizer == "rmsproptf"
    assert settings.optimizer == "adamw"
    assert "in place of rmsproptf" in said


def test_few_images_get_small_batches():
    settings, _ = recipe_settings(model_recipe("resnet50")[0], image_count=10, epochs=EPOCHS[0], seed=0)
    assert (settings.batch_size, settings.epochs) == (5, 20)


@pytest.mark.parametrize(
    ("rate", "divergence", "tested", "expected"),
    [
        (1e-4, 1e-3, 1e-4, 1e-4), (3e-4, 1e-3, 1e-4, 3e-4), (5e-4, 1e-3, 1e-4, 1e-4), (1e-6, 1e-3, 1e-4, 1e-6),
        (1e-3, None, None, 1e-3), (1e-3, None, 5e-3, 1e-3), (1e-5, None, 5e-3, 1e-5),
        (1.3e-3, 1.0, 0.1, 1.3e-3),
    ],
)  # fmt: skip
def test_a_recipes_rate_is_kept_unless_the_range_test_diverges_near_it_and_never_raised(
    rate, divergence, tested, expected
):
    chosen, reason = trusted_rate(rate, divergence, tested, "Why.")
    assert chosen == pytest.approx(expected)
    assert ("in place of" in reason) == (chosen != rate)


def test_the_recipe_to_keep_holds_what_differs_and_not_the_length_of_the_run(tuned):
    result = tuned[0].fine_tuning
    settings, why = recipe_to_keep("test_resnet", result)
    assert not {"epochs", "seed", "time_cap_s"} & settings.keys()
    assert settings["learning_rate"] == result.settings.learning_rate
    assert TrainConfig(**settings).optimizer == result.settings.optimizer
    assert "test_resnet" in why


@pytest.mark.parametrize(
    ("right", "of_probe", "fell"),
    [(4, 19, True), (9, 19, False), (4, 5, False), (19, 19, False)],  # of 28 images in 7 classes
)
def test_a_training_that_ends_at_chance_from_a_better_probe_is_known(tuned, right, of_probe, fell):
    change = {"accuracy": wilson(right, 28), "probe": wilson(of_probe, 28)}
    changed = tuned[0].fine_tuning.model_copy(
        update={name: Accuracy(n=28, value=low, low=low, high=high) for name, (low, high) in change.items()}
    )
    assert fell_to_chance(changed, classes=7) is fell
