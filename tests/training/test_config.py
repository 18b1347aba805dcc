import dataclasses

import pydantic
import pytest

from eyeshot.core import InputError
from eyeshot.training import TrainConfig, check_config, default_settings

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


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"optimizer": "adanw2"}, "Nearest: adanw"),
        ({"schedule": "cosin"}, "Nearest: cosine"),
        ({"layer_decy": 0.5}, "has no setting 'layer_decy'. Nearest: layer_decay"),
        ({"drop_path": 1.0}, "training.drop_path: input should be less than 1, got 1.0"),
        (
            {"freeze": "tail"},
            "training.freeze: input should be 'none', 'head', .* or 'head-first', got 'tail'",
        ),
        ({"accumulate": 40}, "Accumulate at most 32 parts"),
        ({"freeze": "head-first"}, "takes head_epochs of at least 1"),
        ({"head_epochs": 3}, "no other freeze takes any"),
        ({"freeze": "head-first", "head_epochs": 30}, "fewer than all epochs"),
        ({"small_size": 64}, "small_size and small_share go together"),
        ({"momentum": 0.8}, "momentum is a setting of sgd, .*; got 0.8 for adamw"),
        ({"time_cap_s": float("inf")}, "training.time_cap_s: input should be a finite number, got inf"),
        ({"seed": 2**63}, "--seed: input should be less than 9223372036854775808"),
        ({"epochs": 10**20}, "--epochs: input should be less than or equal to 100000, got 1000"),
        ({"batch_size": 10**20}, "--batch-size: input should be less than or equal to 1000000, got 1000"),
        ({"epochs": 0}, "--epochs: input should be greater than or equal to 1, got 0. See `eyeshot train --help`"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_rule_and_the_next_step(wrong, message):
    with pytest.raises(InputError, match=message):
        check_config(**wrong)


def test_words_name_what_differs_from_the_defaults():
    plain = TrainConfig().words
    assert plain == "30 epochs, batches of 64, learning rate up to 0.001, weight decay 0.05, adamw, seed 0"
    values = {
        "momentum": 0.8, "schedule": "wsd", "warm_up_share": 0.05, "layer_decay": 0.7, "drop_path": 0.1,
        "dropout": 0.2, "clip_norm": 1.0, "accumulate": 2, "ema_decay": 0.99, "freeze": "head", "class_weights": True,
        "sampling": "balanced", "precision": "fp32",
    }  # fmt: skip
    words = TrainConfig(optimizer="sgd", **values).words
    assert words.startswith(plain.removesuffix("adamw, seed 0") + "sgd, ")
    for part in ("momentum 0.8", "wsd schedule", "warm-up over 5 %", "layer decay 0.7", "drop path 0.1", "dropout 0.2",
                 "clipped at 1.0", "each batch in 2 parts", "averaged weights (decay 0.99)", "the head alone",
                 "loss weighted by class", "balanced sampling", "fp32"):  # fmt: skip
        assert f", {part}" in words or part in words
    for name, value in values.items():
        alone = TrainConfig(**({"optimizer": "sgd"} if name == "momentum" else {}) | {name: value})
        assert alone.words != TrainConfig(optimizer=alone.optimizer).words


def test_the_identity_of_a_recipe_does_not_change_when_settings_are_added():
    first = {"epochs", "batch_size", "learning_rate", "weight_decay", "warm_up_share", "label_smoothing", "seed"}
    assert set(TrainConfig(time_cap_s=3).identity()) == first | {"optimizer"}
    assert TrainConfig(dropout=0.1).identity() == TrainConfig().identity() | {"dropout": 0.1}
