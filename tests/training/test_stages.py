"""A training in stages keeps everything: interrupted or not, it ends in the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eyeshot.augment import Pool
from eyeshot.models import Backbone, load_backbone
from eyeshot.training import Stage, TrainConfig, read_result, read_validation, train_stages

STAGES = [Stage(1, "last-stage"), Stage(2, "last-stage"), Stage(2)]


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("test_resnet.r160_in1k", from_scratch=True, size=32)


@pytest.fixture(scope="module")
def images() -> dict[str, Any]:
    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    pixels = (
        random.integers(0, 120, (40, 32, 32, 3), dtype=np.uint8) + (labels * 100).astype(np.uint8)[:, None, None, None]
    )
    return {
        "pool": Pool(pixels, [f"image {number}" for number in range(40)]),
        "labels": labels,
        "train_rows": np.arange(24),
        "val_rows": np.arange(24, 40),
        "classes": ("dark", "light"),
    }


def config(**more: Any) -> TrainConfig:
    return TrainConfig(**({"batch_size": 8, "learning_rate": 1e-2, "optimizer": "adamw"} | more))


class StopAfter:
    """Says stop once, after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("optimizer", ["adamw", "lamb"])
def test_a_training_that_is_interrupted_anywhere_ends_in_the_same_numbers(
    tmp_path: Path, backbone: Backbone, images: dict[str, Any], optimizer: str
) -> None:
    settings = config(optimizer=optimizer)
    train_stages(backbone, **images, settings=settings, stages=STAGES, folder=tmp_path / "whole")
    whole = read_validation(tmp_path / "whole").probabilities
    sittings = 0
    for count in range(1, 4):
        end = None
        while end is None:
            end = train_stages(
                backbone, **images, settings=settings, stages=STAGES[:count], folder=tmp_path / "cut", stop=StopAfter(2)
            )
            sittings += 1
    assert sittings > 5
    assert np.array_equal(read_validation(tmp_path / "cut").probabilities, whole)
    states = [torch.load(tmp_path / name / "stage-3.pt", weights_only=True)["run"] for name in ("whole", "cut")]
    assert all(torch.equal(states[0]["model"][name], states[1]["model"][name]) for name in states[0]["model"])


def test_where_more_is_thawed_the_optimizer_keeps_what_it_knows_of_the_rest(
    tmp_path: Path, backbone: Backbone, images: dict[str, Any]
) -> None:
    first = train_stages(backbone, **images, settings=config(), stages=STAGES[:1], folder=tmp_path)
    assert first is not None
    state = torch.load(tmp_path / "stage-1.pt", weights_only=True)
    end = train_stages(backbone, **images, settings=config(), stages=[STAGES[0], Stage(1)], folder=tmp_path)
    assert end is not None
    assert "kept its state of" in end.notes[0]
    after = torch.load(tmp_path / "stage-2.pt", weights_only=True)
    averages = after["run"]["optimizer"]["state"]
    steps = {name: averages[place]["step"] for place, name in enumerate(after["names"])}
    # Three steps an epoch: those of the last stage have had two epochs, the others one.
    assert {name for name, step in steps.items() if int(step) == 6} == set(state["names"])
    assert {int(step) for step in steps.values()} == {3, 6}
    assert after["run"]["step"] == 6


def test_an_optimizer_that_counts_for_all_weights_together_starts_anew_and_says_so(
    tmp_path: Path, backbone: Backbone, images: dict[str, Any]
) -> None:
    end = train_stages(
        backbone, **images, settings=config(optimizer="lamb"), stages=[STAGES[0], Stage(1)], folder=tmp_path
    )
    assert end is not None
    assert end.notes == ("lamb counts its steps for all weights together: it started anew.",)


def test_a_damaged_state_is_passed_over_for_the_one_before_and_said_so(
    tmp_path: Path, backbone: Backbone, images: dict[str, Any]
) -> None:
    train_stages(backbone, **images, settings=config(), stages=STAGES, folder=tmp_path)
    expected = np.array(read_validation(tmp_path).probabilities)
    (tmp_path / "stage-3.pt").write_bytes(b"no state")
    end = train_stages(backbone, **images, settings=config(), stages=STAGES, folder=tmp_path, complete=True)
    assert end is not None
    assert "stage-3.pt is damaged; the newest good state before it is used." in end.notes
    assert np.array_equal(read_validation(tmp_path).probabilities, expected)
    result = read_result(tmp_path)
    assert result is not None
    assert (result.epochs, result.steps) == (5, 15)
    assert result.accuracy.n == 16


def test_where_no_state_can_be_read_the_stages_start_anew_and_say_so(
    tmp_path: Path, backbone: Backbone, images: dict[str, Any]
) -> None:
    train_stages(backbone, **images, settings=config(), stages=STAGES[:1], folder=tmp_path)
    expected = np.array(read_validation(tmp_path).probabilities)
    (tmp_path / "stage-1.pt").write_bytes(b"no state")
    end = train_stages(backbone, **images, settings=config(), stages=STAGES[:1], folder=tmp_path)
    assert end is not None
    assert any("stage-1.pt' cannot be read" in note and note.endswith("It starts anew.") for note in end.notes)
    assert np.array_equal(read_validation(tmp_path).probabilities, expected)


def test_other_settings_do_not_go_on_from_its_state(tmp_path: Path, backbone: Backbone, images: dict[str, Any]) -> None:
    train_stages(backbone, **images, settings=config(), stages=STAGES[:1], folder=tmp_path)
    train_stages(backbone, **images, settings=config(learning_rate=1e-4), stages=STAGES[:1], folder=tmp_path)
    cut = read_validation(tmp_path).probabilities
    train_stages(backbone, **images, settings=config(learning_rate=1e-4), stages=STAGES[:1], folder=tmp_path / "alone")
    assert np.array_equal(cut, read_validation(tmp_path / "alone").probabilities)


def test_out_of_memory_halves_the_batch_and_goes_on(
    tmp_path: Path, backbone: Backbone, images: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from eyeshot.training import loop

    whole = loop.TrainingRun._gradients

    def tight(self: Any, batch: torch.Tensor, targets: torch.Tensor) -> Any:
        if len(batch) // self.config.accumulate > 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate 3 GiB")
        return whole(self, batch, targets)

    monkeypatch.setattr(loop.TrainingRun, "_gradients", tight)
    end = train_stages(backbone, **images, settings=config(), stages=STAGES[:1], folder=tmp_path)
    assert end is not None
    assert end.notes == ("Out of memory at step 1: a step now takes its 8 images in 2 parts.",)
