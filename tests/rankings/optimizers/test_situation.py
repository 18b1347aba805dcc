"""What random batches of the first steps say, and what kind of network it is."""

from __future__ import annotations

import numpy as np
import pytest
import timm
from torch import nn

from eyeshot.rankings.optimizers.situation import (
    HEAVY_TAIL,
    heavy_tailed,
    model_kind,
    odd_batches,
    relative,
    spread_of,
)


def draws(seed: int = 0, shape: tuple[int, int] = (2, 24), sigma: float = 0.1) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, sigma, shape))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("test_resnet", "convolutional with BatchNorm"),
        ("test_efficientnet", "convolutional with BatchNorm"),
        ("test_convnext", "convolutional without BatchNorm"),
        ("test_vit", "transformer"),
        ("test_mambaout", "convolutional without BatchNorm"),
    ],
)
def test_a_network_is_named_by_what_optimizers_care_about(name: str, kind: str) -> None:
    found, reason = model_kind(timm.create_model(name, pretrained=False, num_classes=0))
    assert found == kind
    assert reason.startswith("it has ")


def test_a_network_of_linear_layers_is_none_of_these() -> None:
    assert model_kind(nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Flatten(), nn.Linear(8, 8)))[0] == "other"


def test_like_batches_have_no_tail_and_none_stands_out() -> None:
    losses, norms = draws(0), draws(1)
    assert odd_batches(losses, norms) == []
    heavy, words = heavy_tailed(spread_of(losses), spread_of(norms), odd=0)
    assert not heavy
    assert "no heavy tail; no single batch stands out" in words


def test_normal_batches_seldom_stand_out() -> None:
    found = sum(bool(odd_batches(draws(seed, sigma=0.3), draws(seed + 1000, sigma=0.3))) for seed in range(300))
    assert found <= 12


def test_a_planted_batch_stands_out_at_the_state_where_it_does_most() -> None:
    losses, norms = draws(0), draws(1)
    norms[0, 5] *= 2
    norms[1, 5] *= 4
    losses[0, 9] *= 3
    assert {(batch, state) for state, batch in odd_batches(losses, norms)} == {(5, 1), (9, 0)}


def test_a_batch_that_is_hardly_larger_does_not_stand_out_where_the_others_are_alike() -> None:
    losses, norms = draws(0, sigma=0.001), draws(1, sigma=0.001)
    norms[1, 5] *= 1.3
    assert odd_batches(losses, norms) == []


def test_the_tail_of_heavy_batches_is_called_heavy() -> None:
    norms = np.exp(np.random.default_rng(0).normal(0, 1.0, (2, 24)))
    spread = spread_of(norms)
    assert spread.tail >= HEAVY_TAIL
    heavy, words = heavy_tailed(spread_of(draws(0)), spread, odd=2)
    assert heavy
    assert "a heavy tail, from 2 on; 2 batches stand out" in words


def test_the_robust_spread_of_normal_values_is_their_standard_deviation() -> None:
    values = np.random.default_rng(0).normal(1.0, 0.1, (2, 5000))
    spread = spread_of(values)
    assert spread.spread == pytest.approx(0.1, rel=0.05)
    assert spread.kurtosis == pytest.approx(0, abs=0.2)
    assert spread.tail == pytest.approx(1 + 1.645 * 0.1, rel=0.02)


def test_states_are_compared_each_with_its_own_median() -> None:
    values = np.stack([draws(0)[0], 100 * draws(0)[0]])
    assert np.allclose(relative(values)[0], relative(values)[1])
    assert spread_of(np.zeros((2, 4))).kurtosis is None
