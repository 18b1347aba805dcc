"""The judge's figures against closed forms and simulations with a known answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from benchmarks.augmentation_truth.statistics import (
    chance_of_hit,
    corrected,
    kendall,
    pooled,
    regret,
    reliability,
    signs,
    spearman,
    top_three_hit,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats


def simulated(random: np.random.Generator, *, spread: float, noise: float, count: int = 32, seeds: int = 3):
    """True values (K,), and accuracies (K, S) with a common shift of each seed, which is no error of a ranking."""
    true = random.normal(0, spread, count)
    return true, true[:, None] + random.normal(0, noise, (count, seeds)) + random.normal(0, 1, seeds)


@pytest.mark.parametrize(("spread", "noise", "seeds"), [(1.0, 1.0, 3), (1.0, 0.5, 5), (0.5, 1.0, 8), (3.0, 1.0, 2)])
def test_reliability_is_the_share_of_variance_that_is_true(spread: float, noise: float, seeds: int) -> None:
    known = spread**2 / (spread**2 + noise**2 / seeds)
    random = np.random.default_rng(1)
    found = [
        reliability(simulated(random, spread=spread, noise=noise, count=200, seeds=seeds)[1]) or 0.0 for _ in range(60)
    ]
    assert np.mean(found) == pytest.approx(known, abs=3 * np.std(found) / math.sqrt(60) + 0.01)


def test_reliability_is_the_squared_correlation_with_the_truth() -> None:
    random = np.random.default_rng(2)
    alike, found = [], []
    for _ in range(60):
        true, accuracy = simulated(random, spread=1.0, noise=1.5, count=200)
        alike.append(np.corrcoef(true, accuracy.mean(1))[0, 1])
        found.append(reliability(accuracy) or 0.0)
    assert np.mean(alike) ** 2 == pytest.approx(np.mean(found), abs=0.02)


def test_reliability_by_the_table_of_shrout_and_fleiss() -> None:
    """Shrout and Fleiss (1979), table 4: ICC(3,k) of four judges on six targets is 0.91."""
    ratings = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
    assert reliability(ratings) == pytest.approx(0.91, abs=0.005)


def test_pure_noise_is_unreliable_and_one_seed_tells_nothing() -> None:
    random = np.random.default_rng(3)
    found = [reliability(random.normal(size=(32, 3))) or 0.0 for _ in range(200)]
    assert abs(np.mean(found)) < 0.1
    assert reliability(random.normal(size=(32, 1))) is None
    assert reliability(np.ones((5, 3))) is None


def test_a_known_correlation_lies_within_its_interval_95_times_of_100() -> None:
    random = np.random.default_rng(4)
    pearson = 0.6
    known = 6 / math.pi * math.asin(pearson / 2)  # of a bivariate normal (Pearson 1907)
    inside = 0
    for _ in range(600):
        score, truth = random.multivariate_normal([0, 0], [[1, pearson], [pearson, 1]], 32).T
        found = spearman(score, truth)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= known <= found.high
    assert 0.92 < inside / 600 < 0.98


def test_correcting_for_noise_gives_the_correlation_with_the_noiseless_truth_back() -> None:
    random = np.random.default_rng(5)
    known, found = [], []
    for _ in range(150):
        true, accuracy = simulated(random, spread=1.0, noise=1.0, count=100)
        score = true + random.normal(0, 1.0, len(true))
        known.append(stats.spearmanr(score, true).statistic)
        found.append(corrected(spearman(score, accuracy.mean(1)).value, reliability(accuracy)))
    assert np.mean(found) == pytest.approx(np.mean(known), abs=0.02)


def test_nothing_is_corrected_below_half_reliability() -> None:
    assert corrected(0.3, 0.49) is None
    assert corrected(0.3, None) is None
    assert corrected(0.3, 0.81) == pytest.approx(0.3 / 0.9)


def test_kendall_agrees_with_counting_pairs() -> None:
    random = np.random.default_rng(6)
    score, truth = random.normal(size=(2, 15))
    pairs = [np.sign((score[a] - score[b]) * (truth[a] - truth[b])) for a in range(15) for b in range(a)]
    assert kendall(score, truth) == pytest.approx(np.mean(pairs))


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 8), st.integers(1, 5), st.integers(0, 10_000))
def test_regret_of_a_table_without_noise_is_the_distance_to_the_best(count: int, seeds: int, seed: int) -> None:
    true = np.random.default_rng(seed).random(count)
    accuracy = np.repeat(true[:, None], seeds, 1)
    for first in range(count):
        assert regret(first, accuracy) == pytest.approx(100 * (true.max() - true[first]))


def test_regret_of_pure_noise_is_nothing_on_average_since_other_seeds_read_it() -> None:
    random = np.random.default_rng(7)
    found = [regret(0, 0.01 * random.normal(size=(32, 3))) for _ in range(800)]
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(800)
    # Chosen and read on the same seeds, the best of 32 would seem to be 1.2 points better.
    seeming = [100 * 0.01 * random.normal(size=(32, 3)).mean(1).max() for _ in range(100)]
    assert np.mean(seeming) > 1


def test_a_hit_needs_one_of_the_three_best_among_the_first_three() -> None:
    truth = np.arange(10.0)
    assert top_three_hit(truth, truth)
    assert top_three_hit(np.array([9, 8, 0, 0, 0, 0, 0, 7, 0, 0.0]), truth)
    assert not top_three_hit(-truth, truth)


@pytest.mark.parametrize("count", [6, 12, 32])
def test_the_chance_of_a_hit_is_that_of_shuffling(count: int) -> None:
    random = np.random.default_rng(8)
    hits = [top_three_hit(random.permutation(count).astype(float), np.arange(float(count))) for _ in range(4000)]
    assert np.mean(hits) == pytest.approx(chance_of_hit(count), abs=0.03)


def test_signs_count_only_where_there_is_a_sign_to_know() -> None:
    accuracy = np.array([[0.5, 0.5, 0.5], [0.6, 0.61, 0.59], [0.4, 0.41, 0.39], [0.45, 0.55, 0.5], [0.5, 0.5, 0.5]])
    found = signs(np.array([0.0, 1.0, 1.0, 5.0, 5.0]), accuracy, clean=0)
    assert found == (0.5, 2)
    assert signs(np.zeros(5), accuracy, clean=0) == (0.0, 2)
    assert signs(np.zeros(2), accuracy[[0, 4]], clean=0) == (None, 0)


def test_pooling_counts_sources_alike_and_takes_its_interval_over_them() -> None:
    found = pooled([0.0, 0.2, 0.4, 0.8, None], ["a", "a", "b", "c", "c"])
    means = np.array([0.1, 0.4, 0.8])
    assert found.value == pytest.approx(means.mean())
    interval = stats.t.interval(0.95, 2, means.mean(), means.std(ddof=1) / math.sqrt(3))
    assert (found.low, found.high) == pytest.approx(interval)
    assert pooled([0.5, 0.7], ["a", "a"]) == (pytest.approx(0.6), None, None)
    assert pooled([None], ["a"]).value is None


def test_shuffled_accuracies_show_no_skill() -> None:
    random = np.random.default_rng(9)
    score = random.normal(size=32)
    accuracy = simulated(random, spread=1.0, noise=0.2)[1]
    found = [spearman(score, random.permutation(accuracy).mean(1)).value or 0.0 for _ in range(400)]
    assert abs(np.mean(found)) < 3 * np.std(found) / 20
