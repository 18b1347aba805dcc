import dataclasses

import pydantic
import pytest

from eyeshot.training import TrainConfig, default_settings

from .helpers import tiny_backbone


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"learning_rate": 0}, {"batch_size": 1}, {"momentums": 0.9}])
def test_settings_out_of_range_or_unknown_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError):
        TrainConfig(**wrong)


def test_settings_cannot_be_changed():
    with pytest.raises(pydantic.ValidationError):
        TrainConfig().epochs = 3


def test_few_images_from_scratch_get_more_epochs_and_the_reason_counts_them():
    few, reason = default_settings(tiny_backbone(), 300)
    many, _ = default_settings(tiny_backbone(), 100_000)
    assert few.epochs > many.epochs
    assert f"{few.epochs} epochs of 4 steps" in reason


def test_trained_weights_get_smaller_steps_than_untrained_ones():
    scratch, _ = default_settings(tiny_backbone(), 600, seed=3)
    tuned, _ = default_settings(dataclasses.replace(tiny_backbone(), pretrained=True), 600, seed=3)
    assert tuned.learning_rate < scratch.learning_rate
    assert tuned.seed == scratch.seed == 3
