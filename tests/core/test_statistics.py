from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eyeshot.core import (
    NORMAL_95,
    auc_half_width,
    cluster_mean,
    draw_half_samples,
    fisher_interval,
    group_of_the_best,
    half_sample_error,
    half_sample_interval,
    paired_difference,
    spearman,
    spearman_interval,
    student_mean,
    wilson,
)


def test_the_normal_point_is_that_of_the_tables():
    assert pytest.approx(stats.norm.ppf(0.975), abs=5e-7) == NORMAL_95


@given(st.integers(1, 5000), st.floats(0, 1))
def test_the_interval_of_a_share_is_that_of_scipy(count, share):
    hits = round(share * count)
    low, high = wilson(hits, count)
    wanted = binomial_interval(hits, count)
    assert (low, high) == pytest.approx(wanted, abs=1e-6)
    assert 0 <= low <= hits / count <= high <= 1


def binomial_interval(hits: int, count: int) -> tuple[float, float]:
    ends = stats.binomtest(hits, count).proportion_ci(confidence_level=0.95, method="wilson")
    return float(ends.low), float(ends.high)


def test_the_interval_of_half_of_ten_is_the_one_worked_out_by_hand():
    """(0.5 + z²/20 ± z sqrt(0.25/10 + z²/400)) / (1 + z²/10) with z = 1.959964: 0.2366 and 0.7634."""
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=5e-5)


def test_a_share_of_none_and_of_all_ends_where_shares_end():
    assert wilson(0, 7)[0] == 0
    assert wilson(7, 7)[1] == 1
    assert wilson(0, 0) == (0, 1)


counts = st.integers(0, 60)


def outcomes(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Right and wrong on the same images: by both, by the first alone, by the second alone, by none."""
    one = np.repeat([True, True, False, False], (both, first, second, neither))
    other = np.repeat([True, False, True, False], (both, first, second, neither))
    return one, other


@given(counts, counts, counts, counts)
def test_the_gain_and_its_interval_follow_from_the_images_that_differ(both, first, second, neither):
    """McNemar: of n images b are right by one alone and c by the other alone."""
    n = both + first + second + neither
    if n < 2:
        return
    gain, (low, high) = paired_difference(*outcomes(both, first, second, neither))
    assert gain == pytest.approx((first - second) / n)
    variance = (first + second - (first - second) ** 2 / n) / (n * (n - 1))
    assert high - gain == pytest.approx(1.959964 * math.sqrt(max(0.0, variance)), abs=1e-9)
    assert gain - low == pytest.approx(high - gain)


def test_pairing_matters_and_the_order_of_images_does_not():
    one, other = outcomes(80, 6, 2, 12)
    shuffled = np.random.default_rng(0).permutation(len(one))
    paired, again = paired_difference(one, other), paired_difference(one[shuffled], other[shuffled])
    assert paired[0] == pytest.approx(again[0])
    assert paired[1] == pytest.approx(again[1])
    apart = paired_difference(one, other[shuffled])
    assert apart[0] == pytest.approx(paired[0])
    assert apart[1][1] - apart[1][0] > 1.5 * (paired[1][1] - paired[1][0])


def test_the_paired_interval_holds_the_truth_nineteen_times_of_twenty():
    random = np.random.default_rng(0)
    shares = np.array([0.7, 0.12, 0.06, 0.12])
    held = 0
    for _ in range(2000):
        low, high = paired_difference(*outcomes(*random.multinomial(300, shares)))[1]
        held += low <= shares[1] - shares[2] <= high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


def test_a_mean_over_clusters_of_one_is_the_textbooks():
    values = np.random.default_rng(0).normal(size=50)
    mean, half = cluster_mean(values, np.arange(50))
    assert mean == pytest.approx(values.mean())
    assert half == pytest.approx(1.959964 * values.std(ddof=1) / math.sqrt(50))


def test_values_that_are_all_twice_there_say_no_more_than_once():
    values, clusters = np.random.default_rng(0).normal(size=50), np.arange(50)
    alone, twice = cluster_mean(values, clusters), cluster_mean(np.tile(values, 2), np.tile(clusters, 2))
    assert twice == pytest.approx(alone)
    assert cluster_mean(values, np.zeros(50, np.int64))[1] == math.inf


def test_the_interval_of_a_few_means_is_students():
    values = np.array([1.0, 2.0, 4.0])
    mean, half = student_mean(values)
    ends = stats.t.interval(0.95, 2, loc=values.mean(), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx(ends)
    assert student_mean(np.array([3.0])) == (3.0, math.inf)


def test_the_interval_of_an_area_holds_what_many_draws_say() -> None:
    random = np.random.default_rng(0)
    areas = [float(np.mean(random.normal(1, 1, 40)[:, None] > random.normal(0, 1, 60)[None])) for _ in range(2000)]
    assert auc_half_width(float(np.mean(areas)), 60, 40) == pytest.approx(1.96 * np.std(areas), rel=0.1)


def test_a_correlation_is_that_of_the_ranks_and_none_where_nothing_varies():
    random = np.random.default_rng(1)
    first, second = random.normal(size=(2, 30))
    ranks = [values.argsort().argsort() for values in (first, second)]
    assert spearman(first, second) == pytest.approx(np.corrcoef(ranks)[0, 1])
    assert spearman(first, np.exp(first)) == pytest.approx(1)
    assert spearman(first, np.ones(30)) is None
    assert spearman(first[:1], second[:1]) is None


def test_away_from_the_ends_both_intervals_of_a_correlation_are_one():
    assert spearman_interval(0.7, 25) == fisher_interval(0.7, 25)


def test_the_interval_of_a_correlation_is_that_of_bonett_and_wright():
    # By hand: z = atanh 0.5 = 0.549306, error sqrt(1.125 / 27) = 0.204124, so z from 0.149230 to 0.949382.
    low, high = spearman_interval(0.5, 30)
    assert low == pytest.approx(math.tanh(0.149230), abs=1e-5)
    assert high == pytest.approx(math.tanh(0.949382), abs=1e-5)


@given(st.floats(-1, 1), st.integers(4, 200))
def test_the_interval_of_a_correlation_holds_it_and_narrows(correlation, count):
    low, high = spearman_interval(correlation, count)
    assert -1 <= low <= correlation <= high <= 1
    wider = spearman_interval(correlation, count)
    narrower = spearman_interval(correlation, 4 * count)
    assert narrower[1] - narrower[0] < wider[1] - wider[0]
    mirrored = spearman_interval(-correlation, count)
    assert mirrored == pytest.approx((-high, -low))


def test_four_candidates_in_one_order_prove_nothing_and_forty_do():
    # One in 24 orders of four is that order.
    assert spearman_interval(1.0, 4)[0] < 0
    assert spearman_interval(1.0, 40)[0] > 0.95
    assert spearman_interval(0.9, 3) == (-1, 1)


@pytest.mark.parametrize(("correlation", "count"), [(0.0, 12), (0.5, 20), (0.8, 40)])
def test_the_interval_of_a_correlation_holds_the_truth_about_nineteen_times_of_twenty(correlation, count):
    random = np.random.default_rng(0)
    truth = 6 / math.pi * math.asin(correlation / 2)  # of normal pairs: Pearson 1907
    both = random.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], (1500, count))
    ranks = both.argsort(axis=1).argsort(axis=1)
    centred = ranks - (count - 1) / 2
    found = (centred[..., 0] * centred[..., 1]).sum(1) / (centred[..., 0] ** 2).sum(1)
    held = [low <= truth <= high for low, high in (spearman_interval(one, count) for one in found)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)


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
    assert half_sample_error(means) == pytest.approx(textbook, rel=0.06)


def test_an_interval_is_the_estimate_plus_and_minus_1_96_standard_errors():
    low, high = half_sample_interval(0.3, np.array([0.2, 0.4, 0.2, 0.4]))
    error = np.std([0.2, 0.4, 0.2, 0.4], ddof=1)
    assert (low, high) == pytest.approx((0.3 - 1.96 * error, 0.3 + 1.96 * error), abs=1e-5)


def test_the_truly_best_of_many_stays_in_the_group_of_the_best():
    """Of twenty classifiers that are equally good one is the most accurate by chance; each must stay in with 95 %."""
    random = np.random.default_rng(0)
    stays = []
    for trial in range(150):
        easy = random.normal(size=300)  # answers of classifiers go together
        right = easy + random.normal(size=(20, 300)) > -0.5
        stays.append(group_of_the_best(right, np.arange(300), seed=trial, draws=400)[0])
    assert np.mean(stays) > 0.92


def test_a_much_worse_classifier_is_not_in_the_group_and_an_identical_one_is():
    random = np.random.default_rng(0)
    best = random.random(400) < 0.9
    worse = best & (random.random(400) < 0.8)
    assert group_of_the_best(np.stack([best, worse, best]), np.arange(400)).tolist() == [True, False, True]


def test_three_images_do_not_tell_classifiers_apart():
    best, other = np.ones(100, bool), np.ones(100, bool)
    other[:3] = False
    assert group_of_the_best(np.stack([best, other]), np.arange(100)).all()


def test_differences_within_one_duplicate_group_count_as_one():
    best, other = np.ones(100, bool), np.ones(100, bool)
    other[:20] = False
    clusters = np.arange(100)
    assert not group_of_the_best(np.stack([best, other]), clusters)[1]
    clusters[:20] = 0
    assert group_of_the_best(np.stack([best, other]), clusters)[1]


def test_a_single_classifier_is_the_best():
    assert group_of_the_best(np.ones((1, 10), bool), np.arange(10)).tolist() == [True]
