"""From constructed situations to three optimizers."""

from __future__ import annotations

from typing import Any

import pytest

from eyeshot.rankings import Situation, advise_optimizers, advise_schedule
from eyeshot.rankings.optimizers.advice import RULES
from eyeshot.rankings.optimizers.report import Spread
from eyeshot.training import OPTIMIZERS

SPREAD = Spread(n=48, median=1.0, spread=0.1, tail=1.2, kurtosis=0.1)


def situation(**changes: Any) -> Situation:
    """A pretrained transformer of ordinary size, whose batches are alike."""
    usual: dict[str, Any] = {
        "model": "vit", "kind": "transformer", "kind_reason": "it has attention", "pretrained": True,
        "parameters": 86_000_000, "batch_size": 64, "epochs": 20, "steps": 1000, "warm_up_steps": 100,
        "schedule": "cosine", "augmentations": [], "n_train": 3000, "classes": 10, "smallest_class": 30,
        "losses": SPREAD, "norms": SPREAD, "batches": 24, "loss_ratios": [1.0] * 48, "norm_ratios": [1.0] * 48,
        "noise_scale": None, "odd_batches": [], "heavy_tailed": False, "spread_words": "Batches are alike.",
    }  # fmt: skip
    return Situation(**(usual | changes))


def names(installed: bool = True, **changes: Any) -> list[str]:
    return [each.optimizer for each in advise_optimizers(situation(**changes), installed=lambda _: installed)[0]]


CNN = {"kind": "convolutional with BatchNorm", "parameters": 25_000_000}


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"heavy_tailed": True}, "radamw"),
        ({**CNN, "pretrained": False}, "sgd"),
        ({**CNN, "pretrained": False, "heavy_tailed": True}, "radamw"),
        ({"pretrained": False}, "sam-adamw"),
        ({"pretrained": False, "augmentations": ["trivial-augment"]}, "muon"),
        ({"batch_size": 4096}, "lamb"),
        ({"batch_size": 256}, "lion"),
        ({"schedule": "constant"}, "schedulefree-adamw"),
        ({"parameters": 600_000_000}, "adafactorbv"),
        ({"epochs": 300}, "adanw"),
        ({}, "nadamw"),
    ],
)
def test_the_situation_decides_what_is_advised_first(changes: dict[str, Any], first: str) -> None:
    assert names(**changes)[0] == first


def test_odd_batches_after_a_long_warm_up_speak_for_nothing() -> None:
    assert names(heavy_tailed=True, warm_up_steps=2000)[0] != "radamw"
    assert names(heavy_tailed=True, warm_up_steps=1999)[0] == "radamw"


def test_a_pretrained_convolutional_network_may_be_tuned_by_sgd_and_a_transformer_not() -> None:
    assert "sgd" in names(**CNN)
    assert "sgd" not in names()


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize(
    "kind", ["convolutional with BatchNorm", "convolutional without BatchNorm", "transformer", "other"]
)
@pytest.mark.parametrize("heavy", [True, False])
def test_three_different_optimizers_beside_adamw_come_with_reason_and_evidence(
    kind: str, pretrained: bool, heavy: bool
) -> None:
    here = situation(kind=kind, pretrained=pretrained, heavy_tailed=heavy)
    found, left_out = advise_optimizers(here, installed=lambda _: False)
    chosen = [each.optimizer for each in found]
    assert len(set(chosen)) == 3
    assert "adamw" not in chosen
    for each in found:
        assert each.reason[0].isupper()
        assert each.reason.endswith(".")
        assert each.evidence == OPTIMIZERS[each.optimizer].evidence
        assert "arxiv" in each.evidence.lower() or "github" in each.evidence.lower()
    assert not left_out or all("pip install" in words for words in left_out)


def test_what_is_not_installed_is_named_with_the_way_to_get_it() -> None:
    found, left_out = advise_optimizers(situation(schedule="constant"), installed=lambda _: False)
    assert "schedulefree-adamw" not in [each.optimizer for each in found]
    assert left_out[0].startswith("schedulefree-adamw (the constant schedule")
    assert left_out[0].endswith('pip install "eyeshot[schedulefree]"')


def test_every_rule_names_an_optimizer_of_the_catalogue() -> None:
    assert {rule.optimizer for rule in RULES} <= OPTIMIZERS.keys()


def test_the_schedule_follows_the_optimizer_and_the_length() -> None:
    short = situation(**CNN, pretrained=False)
    assert advise_schedule(short, ["sgd"])[0] == "one-cycle"
    assert advise_schedule(situation(**CNN, pretrained=False, epochs=200), ["sgd"])[0] == "cosine"
    assert advise_schedule(situation(), ["schedulefree-adamw"])[0] == "constant"
    name, reason = advise_schedule(situation(), ["nadamw"])
    assert (name, "arXiv" in reason) == ("cosine", True)
