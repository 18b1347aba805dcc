from __future__ import annotations

import numpy as np
import pytest

from eyeshot.coverage.clouds import cover_by_cloud, make_target
from eyeshot.coverage.half_samples import draw_half_samples, interval, standard_error


@pytest.mark.parametrize(("targets", "sources"), [(20, 12), (31, 600), (600, 31)])
def test_every_half_holds_half_of_the_points_each_once(targets, sources):
    halves = draw_half_samples(targets, sources, seed=0)
    assert len(halves) == 100
    assert halves.target.shape == (100, targets)
    assert halves.sources.shape == (100, sources)
    assert set(halves.target.sum(axis=1)) == {targets // 2}
    assert set(halves.sources.sum(axis=1)) == {sources // 2}


def test_the_same_seed_gives_the_same_halves_and_another_seed_others():
    first, again, other = (draw_half_samples(40, 30, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.target, again.target)
    np.testing.assert_array_equal(first.sources, again.sources)
    assert (first.target != other.target).any()
    assert (first.sources != other.sources).any()


def test_every_point_and_every_pair_is_as_likely_as_any_other():
    chosen = draw_half_samples(20, 2, seed=0, count=4000).target.astype(float)
    together = chosen.T @ chosen / len(chosen)
    np.testing.assert_allclose(np.diag(together), 0.5, atol=4 * 0.5 / np.sqrt(4000))
    pairs = together[~np.eye(20, dtype=bool)]
    np.testing.assert_allclose(pairs, 0.5 * 9 / 19, atol=4.5 * 0.5 / np.sqrt(4000))


def test_halves_of_different_sets_are_drawn_apart():
    halves = draw_half_samples(40, 40, seed=0)
    assert abs(np.corrcoef(halves.target.ravel(), halves.sources.ravel())[0, 1]) < 0.1


def test_more_sources_leave_the_old_ones_and_are_halved_themselves():
    halves = draw_half_samples(20, 30, seed=0)
    more = halves.with_more_sources(11, seed=0)
    np.testing.assert_array_equal(more.sources[:, :30], halves.sources)
    np.testing.assert_array_equal(more.target, halves.target)
    assert set(more.sources[:, 30:].sum(axis=1)) == {5}


@pytest.mark.parametrize("size", [50, 51, 400])
def test_the_standard_error_of_a_mean_is_the_textbooks(size):
    """s / sqrt(n), whatever the distribution: the delete-half jackknife is exact for a mean."""
    random = np.random.default_rng(size)
    values = random.exponential(size=size)
    halves = draw_half_samples(size, 2, seed=1, count=4000)
    means = halves.target @ values / (size // 2)
    textbook = values.std(ddof=1) / np.sqrt(size)
    assert standard_error(means) == pytest.approx(textbook, rel=0.06)


def test_the_standard_error_of_coverage_is_not_too_small():
    """Against the spread over 60 independent repetitions, whose own error is 9 %."""
    random = np.random.default_rng(0)
    values, errors = [], []
    for seed in range(60):
        target = random.normal(size=(80, 6)).astype(np.float32)
        cloud = random.normal(0.2, 1, size=(80, 1, 6)).astype(np.float32)
        halves = draw_half_samples(80, 80, seed=seed, count=50)
        found = cover_by_cloud(make_target(target, halves=halves), cloud, random.integers(0, 2, 80))
        values.append(found.label_consistent_coverage)
        errors.append(standard_error(found.half_consistent))
    assert 0.9 < np.mean(errors) / np.std(values, ddof=1) < 1.7


def test_an_interval_is_the_estimate_plus_and_minus_1_96_standard_errors():
    low, high = interval(0.3, np.array([0.2, 0.4, 0.2, 0.4]))
    error = np.std([0.2, 0.4, 0.2, 0.4], ddof=1)
    assert (low, high) == pytest.approx((0.3 - 1.96 * error, 0.3 + 1.96 * error), abs=1e-5)
