"""From images in their roles to a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from eyeshot.core.errors import EyeshotError
from eyeshot.data import DataConfig, load_dataset
from eyeshot.training import plan_training

MODEL = {"model": "test_resnet", "from_scratch": True, "size": 32}


@pytest.fixture
def train(tmp_path: Path) -> Path:
    for number in range(12):
        blobs = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        place = tmp_path / "train" / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(blobs).resize((32, 32)).save(place)
    return tmp_path / "train"


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ({"train": Path("nowhere")}, MODEL, "TRAIN must be a folder"),
        ({"fold": 0}, MODEL, "--fold 0 needs a split"),
        ({}, MODEL | {"augment": ("no-such",)}, "no-such"),
        ({}, {"model": "test_resnet", "weights": Path("nowhere.safetensors")}, "nowhere.safetensors"),
        ({}, MODEL | {"epochs": 0}, "epochs"),
        ({}, MODEL | {"batch_size": -1}, "batch.size"),
    ],
)
def test_wrong_options_are_refused_before_any_image_is_read(train: Path, monkeypatch, data, options, words) -> None:
    def unread(*arguments: object, **more: object) -> None:
        raise AssertionError("an image was read")

    monkeypatch.setattr("eyeshot.training.folders.load_dataset", unread)
    with pytest.raises((EyeshotError, ValidationError), match=words):
        plan_training(DataConfig(**({"train": train} | data)), **options)


def test_images_without_any_that_validate_are_refused(train: Path, tmp_path: Path) -> None:
    dataset = load_dataset(DataConfig(train=train, val_share=None), cache=tmp_path / "cache")
    with pytest.raises(EyeshotError, match="at least one validation image, got none"):
        plan_training(dataset, **MODEL)


def test_the_defaults_follow_from_the_images_that_train_alone(train: Path, tmp_path: Path) -> None:
    dataset = load_dataset(DataConfig(train=train, val_share=0.5), cache=tmp_path / "cache")
    plan = plan_training(dataset, **MODEL)
    assert len(plan.dataset.train_rows) == 6
    assert any("of 1 steps" in note for note in plan.notes)
