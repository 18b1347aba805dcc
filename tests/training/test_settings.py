import dataclasses

import pydantic
import pytest

from eyeshot.training import TrainSettings, default_settings

from .helpers import tiny_backbone


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nearly_zero():
    settings = TrainSettings(learning_rate=1.0, warm_up_share=0.1)
    rates = [settings.learning_rate_at(step, 100) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[0] > 0
    assert rates[10] == max(rates) == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001


@pytest.mark.parametrize("total", [1, 2, 3, 7])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_the_learning_rate_stays_within_its_peak_for_very_short_runs(total, share):
    settings = TrainSettings(learning_rate=1.0, warm_up_share=share)
    assert all(0 < settings.learning_rate_at(step, total) <= 1 for step in range(total))


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"learning_rate": 0}, {"batch_size": 1}, {"momentum": 0.9}])
def test_settings_out_of_range_or_unknown_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError):
        TrainSettings(**wrong)


def test_settings_cannot_be_changed():
    with pytest.raises(pydantic.ValidationError):
        TrainSettings().epochs = 3


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
