"""A policy's file in experiments and sweeps: what it holds is kept as names."""

from __future__ import annotations

from pathlib import Path

import pytest

from eyeshot.augment import PolicyStep, policy_text
from eyeshot.core import InputError
from eyeshot.ledger.runs import new_run_id
from eyeshot.ledger.trials.training_settings import read_changes, train_command
from eyeshot.sweep.search.space import _value, augmentations_of
from eyeshot.training import TrainConfig

STAGES = (("light", 0.1, 0.3), ("full", 0.3, 1.0))
STEPS = (PolicyStep("jitter", 0.5, 0.4, STAGES), PolicyStep("edges", 1.0, 0.5, STAGES))
NAMES = [step.name for step in STEPS]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    place = tmp_path / "a+b" / "policy.toml"
    place.parent.mkdir()
    place.write_text(policy_text(STEPS), encoding="utf-8")
    return place


def test_an_experiment_holds_the_operations_and_not_the_file(file: Path) -> None:
    changes = read_changes([f"augmentation={file}"])
    assert changes == {"augmentation": NAMES}
    file.unlink()
    assert read_changes({"augmentation": "+".join(NAMES)}) == changes
    assert read_changes({"augmentation": NAMES}) == changes
    with pytest.raises(InputError, match="does not exist"):
        read_changes(["augmentation=gone.toml"])


def test_a_wrong_policy_is_refused_before_anything_is_trained(file: Path) -> None:
    file.write_text("version = 7\n", encoding="utf-8")
    with pytest.raises(InputError, match="must have version = 1, got 7"):
        read_changes([f"augmentation={file}"])


def test_a_sweep_s_choice_is_the_operations(file: Path) -> None:
    plain = file.with_name("policy.toml").rename(file.parents[1] / "policy.toml")
    value = _value("augmentation", str(plain))
    assert augmentations_of({"augmentation": value}) == NAMES


def test_the_command_that_trains_it_again_names_the_operations(tmp_path: Path) -> None:
    settings = {
        "data.train": "images", "model": "m", "weights": None, "size": None, "interpolation": None, "fit": None,
        "mean": None, "std": None, "from_scratch": False, "augmentation": NAMES,
        **{f"training.{name}": field.default for name, field in TrainConfig.model_fields.items()},
    }  # fmt: skip
    assert f"--augment '{NAMES[0]}' --augment '{NAMES[1]}'" in train_command(settings, 3)
    assert new_run_id("m.tag", NAMES, 3, runs=tmp_path).endswith("-m-jitter+edges-s3")
