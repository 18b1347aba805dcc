from __future__ import annotations

import numpy as np
import pytest

from eyeshot.auditing.copies.threshold import BASE, choose_cut_off


def made(copies: int, look_alikes: int, *, high: float, rate: float = 0.5, noise: float = 0.0, seed: int = 0):
    """Scores of copies near 1, of look-alikes up to `high`; `rate` of the look-alikes cross classes."""
    random = np.random.default_rng(seed)
    scores = np.concatenate([random.uniform(0.8, 1.0, copies), random.uniform(0.05, high, look_alikes)])
    crosses = np.concatenate([random.random(copies) < noise, random.random(look_alikes) < rate])
    return scores.astype(np.float32), crosses


def test_without_look_alikes_above_it_the_base_stays_and_precision_is_one() -> None:
    cut = choose_cut_off(*made(100, 2000, high=0.34), thorough=False, exact=True)
    assert cut.score == BASE
    assert cut.precision == 1.0
    assert cut.pairs == 100


def test_where_look_alikes_score_high_the_cut_off_is_raised_above_them() -> None:
    scores, crosses = made(200, 4000, high=0.6)
    cut = choose_cut_off(scores, crosses, thorough=False, exact=True)
    assert 0.55 <= cut.score <= 0.8
    assert cut.precision is not None
    assert cut.precision >= 0.99


@pytest.mark.parametrize("seed", range(5))
def test_copies_under_two_labels_are_no_sign_of_look_alikes(seed: int) -> None:
    scores, crosses = made(400, 2000, high=0.34, noise=0.3, seed=seed)
    assert choose_cut_off(scores, crosses, identical=(300, 90), thorough=False, exact=True).score == BASE
    cut = choose_cut_off(scores, crosses, thorough=False, exact=True)
    assert cut.score == BASE
    assert cut.precision > 0.85


def test_the_estimate_is_near_the_truth_where_the_truth_is_planted() -> None:
    """250 copies and 60 look-alikes above the base, too few and too low to be seen at a higher cut-off."""
    random = np.random.default_rng(3)
    parts = (random.uniform(0.95, 1, 250), random.uniform(0.36, 0.5, 60), random.uniform(0.1, 0.34, 4000))
    scores = np.concatenate(parts).astype(np.float32)
    crosses = (np.arange(len(scores)) >= 250) & (random.random(len(scores)) < 0.6)
    cut = choose_cut_off(scores, crosses, thorough=False, exact=True)
    above = scores >= cut.score
    truth = float((np.arange(len(scores)) < 250)[above].mean())
    assert cut.precision == pytest.approx(truth, abs=0.05)
    low, high = cut.precision_interval
    assert low <= truth <= high
    assert truth > 0.95


def test_without_labels_nothing_is_claimed() -> None:
    scores, _ = made(100, 2000, high=0.34)
    cut = choose_cut_off(scores, None, thorough=False, exact=True)
    assert cut.precision is None
    assert "no labels" in cut.basis
