"""A training goes into a run folder of its own, and the same training again into the one that it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eyeshot.core import ModelError, Workspace
from eyeshot.data import DataConfig
from eyeshot.ledger import create_training_run, list_runs, place_training
from eyeshot.training import TrainPlan, plan_training, train_folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for label, grey in (("dark", 40), ("light", 200)):
        (folder / label).mkdir()
        for number in range(12):
            pixels = np.clip(random.normal(grey, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


def plan_for(images: Path, root: Path, **changes: Any) -> TrainPlan:
    options: dict[str, Any] = {
        "model": "test_resnet.r160_in1k", "from_scratch": True, "size": 32, "epochs": 2, "batch_size": 8,
        "augment": ("mirror",),
    }  # fmt: skip
    workspace = Workspace(root=root, cache=root / "cache")
    return plan_training(DataConfig(train=images), workspace=workspace, **(options | changes))


def begun(plan: TrainPlan, runs: Path, command: str = "") -> TrainPlan:
    """The plan with its folder, made."""
    placed, key = place_training(plan, runs)
    return create_training_run(placed, key=key, command=command)


def test_the_same_training_gets_the_same_folder_and_another_one_its_own(images: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    first = begun(plan_for(images, tmp_path), runs, "eyeshot train images")
    assert first.folder.parent == runs
    assert first.folder.name.endswith("-test_resnet-mirror-s0")
    assert begun(plan_for(images, tmp_path), runs).folder == first.folder
    others = [begun(plan_for(images, tmp_path, **change), runs).folder for change in (
        {"seed": 1}, {"augment": ()}, {"epochs": 3}, {"size": 40},
    )]  # fmt: skip
    assert len({first.folder, *others}) == 5
    (record,) = [record for record in list_runs(runs) if record.id == first.folder.name]
    assert (record.kind, record.augmentations, record.command) == ("train", ("mirror",), "eyeshot train images")
    assert record.config["epochs"] == 2


def test_the_folder_that_was_named_is_made_later_without_reading_the_images_again(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    plan, key = place_training(plan_for(images, tmp_path), runs)
    assert plan.folder.parent == runs
    assert not runs.exists(), "naming writes nothing"
    with monkeypatch.context() as patch:
        patch.setattr("eyeshot.ledger.training_runs.training_key", lambda _: pytest.fail("contents were hashed again"))
        assert create_training_run(plan, key=key).folder == plan.folder
    assert [record.id for record in list_runs(runs)] == [plan.folder.name]


def test_a_name_that_another_training_took_in_the_meantime_is_not_shared(images: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    plan, key = place_training(plan_for(images, tmp_path), runs)
    plan.folder.mkdir(parents=True)
    made = create_training_run(plan, key=key)
    assert made.folder != plan.folder
    assert (made.folder / "run.json").is_file()
    assert not any(plan.folder.iterdir())


def test_a_training_that_was_cut_off_goes_on_in_its_folder(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    first = begun(plan_for(images, tmp_path), runs)

    def fail(*_: Any, **__: Any) -> None:
        raise ModelError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr("eyeshot.training.run.save_weights", fail)
        with pytest.raises(ModelError, match="cut off"):
            train_folder(first)
    again = begun(plan_for(images, tmp_path), runs)
    assert again.folder == first.folder
    result, _ = train_folder(again)
    assert result.epochs == 2
    assert (again.folder / "result.json").is_file()
    # Finished, it is found too, and not trained again.
    finished = begun(plan_for(images, tmp_path), runs)
    assert train_folder(finished)[0] == result
    assert len(list_runs(runs)) == 1
