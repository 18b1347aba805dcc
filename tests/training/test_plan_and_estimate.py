import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from eyeshot.augment import augmentation
from eyeshot.core import CallbackProgress, Workspace
from eyeshot.core.errors import InputError, ModelError
from eyeshot.data import DataConfig
from eyeshot.training import batches, estimate_training, plan_training, train_folder

from .helpers import tiny_backbone

TAG = "test_resnet.r160_in1k"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """40 images of two classes."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 190)):
        (folder / name).mkdir()
        for number in range(20):
            image = (level + random.normal(0, 25, (40, 40, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(image).save(folder / name / f"{number}.png")
    return folder


def make_plan(photos, tmp_path, **options):
    arguments = {"model": TAG, "from_scratch": True, "size": 32, "device": "cpu", "epochs": 3, "batch_size": 8}
    data = DataConfig(train=photos, seed=4)
    return plan_training(data, workspace=Workspace(tmp_path, tmp_path / "cache"), **(arguments | options))


def test_the_settings_that_are_used_are_said_and_which_of_them_were_given(photos, tmp_path):
    notes = make_plan(photos, tmp_path, epochs=6, learning_rate=0.002).notes
    (said,) = [note for note in notes if note.startswith("settings: ")]
    assert said == (
        "settings: 6 epochs, batches of 8, learning rate up to 0.002, weight decay 0.05, adamw, seed 0 "
        "(as given: epochs, batch size, learning rate)"
    )


def test_settings_that_were_chosen_are_said_with_the_reason(photos, tmp_path):
    plan = make_plan(photos, tmp_path, epochs=None, batch_size=None)
    (said,) = [note for note in plan.notes if note.startswith("settings: ")]
    assert said.startswith(f"settings: {plan.settings.epochs} epochs, batches of 64, ")
    assert said.endswith("since the weights start untrained)")


def test_a_plan_and_its_result_say_which_images_were_used(photos, tmp_path):
    plan = make_plan(photos, tmp_path, epochs=1)
    result, _ = train_folder(plan, command="eyeshot train photos")
    used = dict(result.data)
    assert used.pop("notes") == list(plan.dataset.notes)
    assert DataConfig.model_validate(used) == plan.dataset.config
    assert (result.size, result.interpolation, result.fit) == (32, plan.backbone.geometry.interpolation, "crop")


def test_an_estimate_counts_the_steps_that_the_training_then_takes(photos, tmp_path):
    plan = make_plan(photos, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    cost = estimate_training(plan)
    assert sorted(tmp_path.rglob("*")) == before  # nothing is written
    result, _ = train_folder(plan)
    assert cost.steps == result.steps == 12
    assert cost.seconds > cost.steps * cost.step_s > 0
    written = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert 40 * 32 * 32 * 3 <= written <= cost.disk_bytes + 2**20
    assert cost.memory_bytes > 50 * 2**20


def test_an_estimate_grows_with_the_epochs_and_stays_within_the_time_cap(photos, tmp_path):
    plan = make_plan(photos, tmp_path, epochs=1000)
    long = estimate_training(plan)
    assert long.steps == 4000
    capped = dataclasses.replace(plan, settings=plan.settings.model_copy(update={"time_cap_s": 0.5}))
    assert estimate_training(capped).seconds < long.seconds
    assert estimate_training(capped).seconds < 0.5 + 5


def test_augmentations_are_timed_with_the_steps(photos, tmp_path, monkeypatch):
    applied, usual = [], batches.make_samples

    def counted(augmentations, *arguments, **options):
        applied.append([step.name for step in augmentations])
        return usual(augmentations, *arguments, **options)

    monkeypatch.setattr(batches, "make_samples", counted)
    plan = dataclasses.replace(make_plan(photos, tmp_path), augmentations=(augmentation("mixup"),))
    estimate_training(plan)
    assert applied == [["mixup"]] * 4


def test_an_estimate_says_time_memory_and_disk_in_one_sentence_and_shows_progress(photos, tmp_path):
    said = []
    cost = estimate_training(make_plan(photos, tmp_path), progress=CallbackProgress(lambda *news: said.append(news)))
    assert cost.words.startswith("About ")
    assert "(12 steps of " in cost.words
    assert cost.words.endswith(" of disk.")
    assert "of memory and" in cost.words
    assert said[-1][2].startswith("timing a few steps: ")


def test_what_would_fail_is_found_by_the_estimate(photos, tmp_path):
    class Broken(torch.nn.Module):
        def forward(self, images):
            return images.mean((2, 3)) * float("nan")

    plan = dataclasses.replace(make_plan(photos, tmp_path), backbone=tiny_backbone(Broken(), features=3))
    with pytest.raises(ModelError, match="diverged"):
        estimate_training(plan)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 2}, "epochs"),
        ({"augment": ["mirror"]}, "augmentations"),
        ({"model": "test_vit.r160_in1k", "batch_size": 4}, "batch size and model"),
        ({"seed": 3}, "seed"),
    ],
)
def test_a_folder_that_holds_another_run_is_said_before_any_image_is_read(photos, tmp_path, monkeypatch, change, words):
    train_folder(make_plan(photos, tmp_path, epochs=1, out=tmp_path / "run"))
    monkeypatch.setattr("eyeshot.training.folders.load_dataset", lambda *_, **__: pytest.fail("read the images"))
    with pytest.raises(InputError, match=rf"holds another run, which differs in {words}\. Choose another"):
        make_plan(photos, tmp_path, **({"epochs": 1, "out": tmp_path / "run"} | change))


def test_a_folder_that_holds_the_same_run_is_planned_again(photos, tmp_path):
    first, _ = train_folder(make_plan(photos, tmp_path, epochs=1, out=tmp_path / "run"))
    again, _ = train_folder(make_plan(photos, tmp_path, epochs=1, out=tmp_path / "run"))
    assert again == first
