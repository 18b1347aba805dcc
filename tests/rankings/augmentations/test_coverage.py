from __future__ import annotations

import math

import numpy as np
import pytest
from brute_force import slow_coverage, slow_radii
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf_shrinkage

from eyeshot.core import HalfSamples, ModelError, draw_half_samples, half_sample_error
from eyeshot.rankings.augmentations.coverage import DIMENSIONS, fit_reference_space, make_target, measure_coverage

TIE = 1e-4


@st.composite
def small_clouds(draw):
    """A target, a cloud with absent samples and copies of points, labels, k."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    neighbours = draw(st.integers(1, 6))
    target_count = draw(st.integers(neighbours + 1, 30))
    count, layers = draw(st.integers(1, 30)), draw(st.integers(1, 4))
    width = draw(st.sampled_from([2, 5, 64]))
    target = random.normal(size=(target_count, width))
    clouds = random.normal(draw(st.floats(0, 2)), draw(st.floats(0.3, 1.5)), size=(count, layers, width))
    if draw(st.booleans()) and count > 1:  # the same image twice, under one label
        clouds[-1] = clouds[0]
    if draw(st.booleans()):  # a view that shows nothing new
        clouds[:, -1] = clouds[:, 0]
    labels = random.integers(0, draw(st.integers(1, 3)), count)
    labels[-1] = labels[0]
    present = random.random((count, layers)) < draw(st.sampled_from([0.3, 0.8, 1.0]))
    present[:, 0] = True
    return target.astype(np.float32), clouds.astype(np.float32), labels.astype(np.int64), present, neighbours


@settings(max_examples=120, deadline=None, derandomize=True)
@given(small_clouds())
def test_all_scores_equal_those_of_loops_in_float64(case):
    target, clouds, labels, present, neighbours = case
    slow = slow_coverage(target, clouds, labels, present=present, neighbours=neighbours)
    assume(slow.margin > TIE)
    fast = measure_coverage(
        make_target(target, neighbours=neighbours), clouds, labels, present=present, neighbours=neighbours
    )
    assert fast.covered.tolist() == slow.covered.tolist()
    assert fast.agreed_class.tolist() == slow.agreed
    assert fast.consistent.tolist() == slow.consistent.tolist()
    assert fast.coverage == pytest.approx(slow.covered.mean())
    assert fast.consistent_coverage == pytest.approx(slow.consistent.mean())
    assert fast.density == pytest.approx(slow.density)
    sure = slow_radii(target, neighbours) > 0.05
    np.testing.assert_allclose(fast.distance[sure], np.array(slow.distance)[sure], rtol=2e-3, atol=2e-3)
    if sure.all():
        assert fast.nearest_distance == pytest.approx(np.median(slow.distance), rel=2e-3, abs=2e-3)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(12, 30), st.integers(10, 30), st.integers(1, 3), st.integers(1, 5))
def test_scores_on_halves_equal_each_half_measured_from_scratch(seed, target_count, count, layers, neighbours):
    random = np.random.default_rng(seed)
    target = random.normal(size=(target_count, 3)).astype(np.float32)
    clouds = random.normal(0.3, 1, size=(count, layers, 3)).astype(np.float32)
    labels = random.integers(0, 2, count)
    present = random.random((count, layers)) < 0.7
    present[:, 0] = True
    halves = draw_half_samples(target_count, count, seed=seed % 1000, count=4)
    slow = [
        slow_coverage(target[points], clouds[some], labels[some], present=present[some], neighbours=neighbours)
        for points, some in zip(halves.target, halves.sources, strict=True)
    ]
    assume(min(one.margin for one in slow) > TIE)
    measured = make_target(target, halves=halves, neighbours=neighbours)
    fast = measure_coverage(measured, clouds, labels, present=present, neighbours=neighbours)
    np.testing.assert_allclose(fast.half_coverage, [one.covered.mean() for one in slow], atol=1e-6)
    np.testing.assert_allclose(fast.half_consistent, [half.consistent.mean() for half in slow], atol=1e-6)
    lower_median = [sorted(one.distance)[(len(one.distance) - 1) // 2] for one in slow]
    np.testing.assert_allclose(fast.half_distance, lower_median, rtol=2e-3, atol=2e-3)


def test_without_halves_the_scores_on_halves_are_empty():
    points = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    found = measure_coverage(make_target(points), points[:, None], np.zeros(20, np.int64))
    assert [len(found.half_coverage), len(found.half_consistent), len(found.half_distance)] == [0, 0, 0]


def test_halves_given_for_more_sources_take_the_place_of_the_targets_own():
    random = np.random.default_rng(1)
    target, clouds = random.normal(size=(30, 3)), random.normal(size=(40, 1, 3))
    target, clouds = target.astype(np.float32), clouds.astype(np.float32)
    halves = draw_half_samples(30, 20, seed=0, count=6)
    more = halves.with_more_sources(20, seed=0)
    found = measure_coverage(make_target(target, halves=halves), clouds, np.arange(40) % 2, halves=more)
    slow = [
        slow_coverage(target[points], clouds[some], (np.arange(40) % 2)[some])
        for points, some in zip(more.target, more.sources, strict=True)
    ]
    np.testing.assert_allclose(found.half_coverage, [one.covered.mean() for one in slow], atol=1e-6)
    np.testing.assert_allclose(found.half_consistent, [half.consistent.mean() for half in slow], atol=1e-6)


@pytest.mark.parametrize(("sources", "target_count", "neighbours"), [(40, 50, 5), (15, 40, 3), (80, 30, 5)])
def test_of_one_distribution_the_expected_coverage_is_the_closed_form(sources, target_count, neighbours):
    """1 - product of (M - 1 - i) / (N + M - 1 - i); the mean over 300 seeds within four standard errors."""
    random = np.random.default_rng([sources, target_count])
    expected = 1 - math.prod((target_count - 1 - i) / (sources + target_count - 1 - i) for i in range(neighbours))
    found = []
    for _ in range(300):
        target = random.normal(size=(target_count, 4)).astype(np.float32)
        cloud = random.normal(size=(sources, 1, 4)).astype(np.float32)
        labels = np.zeros(sources, np.int64)
        found.append(measure_coverage(make_target(target, neighbours=neighbours), cloud, labels).coverage)
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert error < 0.01
    assert abs(np.mean(found) - expected) < 4 * error


def test_labels_that_tell_nothing_agree_as_often_as_dice_would():
    """With C classes at random, 4 of 5 agree with probability C (5 (1/C)^4 (1 - 1/C) + (1/C)^5)."""
    random = np.random.default_rng(3)
    chance = 3 * (5 / 3**4 * 2 / 3 + 1 / 3**5)
    found = []
    for _ in range(150):
        target = random.normal(size=(60, 8)).astype(np.float32)
        cloud = random.normal(size=(200, 1, 8)).astype(np.float32)
        measured = measure_coverage(make_target(target), cloud, random.integers(0, 3, 200))
        found.append((measured.agreed_class >= 0).mean())
    assert abs(np.mean(found) - chance) < 4 * np.std(found, ddof=1) / np.sqrt(len(found))


def test_disjoint_clouds_cover_nothing():
    random = np.random.default_rng(4)
    target = random.normal(size=(50, 8)).astype(np.float32)
    found = measure_coverage(make_target(target), target[:, None] + 100, np.zeros(50, np.int64))
    assert found.coverage == 0
    assert found.consistent_coverage == 0
    assert found.density == 0
    assert found.nearest_distance > 10


def test_a_cloud_that_holds_the_target_itself_covers_all_of_it():
    random = np.random.default_rng(5)
    target = random.normal(size=(50, 8)).astype(np.float32)
    clouds = np.stack([target + 100, target], axis=1)
    found = measure_coverage(make_target(target), clouds, np.zeros(50, np.int64))
    assert found.coverage == 1
    assert found.consistent_coverage == 1
    assert found.nearest_distance < 1e-2


def test_a_view_that_was_left_out_covers_nothing():
    random = np.random.default_rng(6)
    target = random.normal(size=(50, 8)).astype(np.float32)
    clouds = np.stack([target + 100, target], axis=1)
    present = np.ones((50, 2), bool)
    present[:, 1] = False
    assert measure_coverage(make_target(target), clouds, np.zeros(50, np.int64), present=present).coverage == 0


def test_many_samples_of_one_source_count_as_one_neighbour():
    """Five samples of one image nearest to a target point are no five images that agree."""
    random = np.random.default_rng(7)
    target = random.normal(size=(12, 2)).astype(np.float32)
    clouds = np.repeat(random.normal(0, 3, size=(5, 1, 2)), 6, axis=1).astype(np.float32)
    clouds[0] = target[0] + random.normal(0, 1e-3, size=(6, 2))
    found = measure_coverage(make_target(target), clouds, np.array([0, 1, 1, 2, 2]))
    assert found.covered[0]
    assert found.agreed_class[0] == -1


def test_four_of_five_agree_and_three_do_not():
    target = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], np.float32)
    cloud = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 90, 91, 92], np.float32)[:, None, None]
    four = measure_coverage(make_target(target), cloud, np.array([7, 7, 2, 7, 7, 0, 0, 0]))
    three = measure_coverage(make_target(target), cloud, np.array([7, 7, 2, 7, 2, 0, 0, 0]))
    assert four.agreed_class[0] == 7
    assert three.agreed_class[0] == -1


def test_coverage_does_not_depend_on_the_size_of_the_blocks(monkeypatch):
    from eyeshot.models import neighbours

    random = np.random.default_rng(8)
    target = random.normal(size=(100, 6)).astype(np.float32)
    clouds, labels = random.normal(size=(70, 2, 6)).astype(np.float32), random.integers(0, 3, 70)
    halves = draw_half_samples(100, 70, seed=0, count=10)
    whole = measure_coverage(make_target(target, halves=halves), clouds, labels)
    monkeypatch.setattr(neighbours, "BLOCK_BYTES", 4 * 140 * 17)
    parts = measure_coverage(make_target(target, halves=halves), clouds, labels)
    assert whole.agreed_class.tolist() == parts.agreed_class.tolist()
    np.testing.assert_array_equal(whole.half_consistent, parts.half_consistent)
    np.testing.assert_allclose(whole.distance, parts.distance, rtol=1e-3, atol=1e-3)


def test_more_copies_of_a_target_image_than_neighbours_are_covered_by_that_image():
    """Balls of radius 0: rounding must not decide whether a point at distance 0 lies inside."""
    random = np.random.default_rng(9)
    target = random.normal(0, 3, size=(40, 64)).astype(np.float32)
    target[:10] = target[0]
    cloud = np.concatenate([target[:1], random.normal(0, 3, size=(30, 64)).astype(np.float32)])
    slow = slow_coverage(target, cloud[:, None], np.zeros(31, np.int64))
    fast = measure_coverage(make_target(target), cloud[:, None], np.zeros(31, np.int64))
    assert slow.covered[:10].all()
    assert fast.covered[:10].all()


def test_a_point_far_from_zero_is_measured_as_well_as_one_near_it():
    random = np.random.default_rng(10)
    target = random.normal(size=(40, 4))
    cloud = random.normal(size=(40, 1, 4))
    moved = measure_coverage(
        make_target((target + 30).astype(np.float32)), (cloud + 30).astype(np.float32), np.zeros(40, np.int64)
    )
    slow = slow_coverage((target + 30).astype(np.float32), (cloud + 30).astype(np.float32), np.zeros(40, np.int64))
    assert slow.margin > 1e-6
    assert moved.covered.tolist() == slow.covered.tolist()


def test_radii_in_a_half_are_those_of_the_half_alone():
    random = np.random.default_rng(11)
    target = random.normal(size=(26, 3)).astype(np.float32)
    halves = draw_half_samples(26, 26, seed=0, count=8)
    measured = make_target(target, halves=halves, neighbours=4)
    np.testing.assert_allclose(measured.radii, slow_radii(target, 4), rtol=1e-4)
    for number, half in enumerate(halves.target):
        np.testing.assert_allclose(measured.half_radii[number, half], slow_radii(target[half], 4), rtol=1e-4)


def test_lopsided_halves_look_further_until_each_holds_enough():
    """Few members in one region and the others far away: the first columns looked at hold one or two of them."""
    random = np.random.default_rng(12)
    target, cloud = (
        (np.linspace(-2, 2, 200)[:, None] + random.normal(0, 0.1, (200, 2))).astype(np.float32) for _ in range(2)
    )
    half = np.zeros((1, 200), bool)
    half[0, [3, 28, 53, 78]] = half[0, 104:] = True
    labels = random.integers(0, 2, 200)
    measured = make_target(target, halves=HalfSamples(half, half))
    fast = measure_coverage(measured, cloud[:, None], labels)
    slow = slow_coverage(target[half[0]], cloud[half[0], None], labels[half[0]])
    assert slow.margin > 1e-7
    np.testing.assert_allclose(measured.half_radii[0, half[0]], slow_radii(target[half[0]], 5), rtol=1e-2)
    assert fast.half_coverage[0] == pytest.approx(slow.covered.mean())
    assert fast.half_consistent[0] == pytest.approx(slow.consistent.mean())


def test_the_standard_error_of_coverage_is_not_too_small():
    """Against the spread over 60 independent repetitions, whose own error is 9 %."""
    random = np.random.default_rng(0)
    values, errors = [], []
    for seed in range(60):
        target = random.normal(size=(80, 6)).astype(np.float32)
        cloud = random.normal(0.2, 1, size=(80, 1, 6)).astype(np.float32)
        halves = draw_half_samples(80, 80, seed=seed, count=50)
        found = measure_coverage(make_target(target, halves=halves), cloud, random.integers(0, 2, 80))
        values.append(found.consistent_coverage)
        errors.append(half_sample_error(found.half_consistent))
    assert 0.9 < np.mean(errors) / np.std(values, ddof=1) < 1.7


def spread_out(count: int, width: int, *, seed: int = 0) -> np.ndarray:
    """Correlated features with a few strong directions."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(width, width)) * np.geomspace(5, 0.5, width)[:, None]
    return random.normal(size=(count, width)) @ mixing + 3


def test_clean_images_have_a_covariance_near_identity_and_their_mean_at_zero():
    train, target = spread_out(6000, 20), spread_out(6000, 20, seed=1)
    space = fit_reference_space(train, target, seed=0)
    assert space.shrinkage < 0.02
    points = space.transform(np.concatenate([train, target]))
    covariance = np.cov(points, rowvar=False)
    shrunk = np.diag(covariance)
    assert np.abs(covariance - np.diag(shrunk)).max() < 1e-4
    assert shrunk.max() == pytest.approx(1, abs=0.05)
    assert np.abs(points.mean(axis=0)).max() < 1e-4


def test_the_shrinkage_is_that_of_ledoit_and_wolf_and_pulls_all_variances_to_their_mean():
    train, target = spread_out(40, 30), spread_out(40, 30, seed=1)
    space = fit_reference_space(train, target, seed=0)
    rows = np.concatenate([train, target])
    rows = rows - rows.mean(axis=0)
    shrinkage = ledoit_wolf_shrinkage(rows, assume_centered=True)
    assert 0.01 < shrinkage < 1
    assert space.shrinkage == pytest.approx(shrinkage)
    values = np.linalg.eigvalsh(rows.T @ rows / len(rows))[::-1]
    expected = values / ((1 - shrinkage) * values + shrinkage * values.mean())
    np.testing.assert_allclose(space.transform(rows + space.centre).var(axis=0), expected, rtol=1e-3)


def test_directions_of_almost_no_variance_are_not_blown_up():
    train, target = spread_out(200, 20), spread_out(200, 20, seed=1)
    train[:, -1], target[:, -1] = 1e-6 * np.arange(200), 1e-6 * np.arange(200)
    points = fit_reference_space(train, target, seed=0).transform(np.concatenate([train, target]))
    assert points.var(axis=0)[-1] < 0.1


def test_a_feature_that_is_constant_is_no_direction():
    train, target = spread_out(100, 6), spread_out(100, 6, seed=1)
    train[:, 2] = target[:, 2] = 7
    assert fit_reference_space(train, target, seed=0).directions.shape == (6, 5)


@pytest.mark.parametrize(("count", "width", "kept"), [(300, 200, DIMENSIONS), (300, 10, 10), (15, 200, 29), (3, 50, 5)])
def test_there_are_64_dimensions_or_as_many_as_images_and_features_allow(count, width, kept):
    space = fit_reference_space(spread_out(count, width), spread_out(count, width, seed=1), seed=0)
    points = space.transform(spread_out(40, width, seed=2))
    assert points.shape == (40, kept)
    assert points.dtype == np.float32
    assert np.isfinite(points).all()


def test_training_and_target_count_the_same_whatever_their_numbers():
    """The centre lies halfway, not where most images are."""
    train, target = spread_out(2000, 5), spread_out(100, 5, seed=1) + 50
    space = fit_reference_space(train, target, seed=0)
    halfway = (train.mean(axis=0) + target.mean(axis=0)) / 2
    np.testing.assert_allclose(space.centre, halfway, atol=2)
    swapped = fit_reference_space(target, train, seed=0)
    np.testing.assert_allclose(swapped.centre, halfway, atol=2)


def test_the_same_seed_gives_the_same_space_bit_for_bit():
    train, target = spread_out(300, 40), spread_out(120, 40, seed=1)
    first, again = (fit_reference_space(train, target, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.directions, again.directions)
    other = fit_reference_space(train, target, seed=6)
    assert (first.directions != other.directions).any()


def test_the_sign_of_each_direction_follows_from_its_largest_entry():
    train, target = spread_out(100, 12), spread_out(100, 12, seed=1)
    directions = fit_reference_space(train, target, seed=0).directions
    largest = directions[np.abs(directions).argmax(axis=0), np.arange(12)]
    assert (largest > 0).all()
    mirrored = fit_reference_space(-train, -target, seed=0).directions
    np.testing.assert_allclose(mirrored, directions, rtol=1e-6, atol=1e-9)


def test_features_in_half_precision_are_measured_in_double():
    train, target = spread_out(200, 8), spread_out(200, 8, seed=1)
    fine = fit_reference_space(train, target, seed=0)
    coarse = fit_reference_space(train.astype(np.float16), target.astype(np.float16), seed=0)
    np.testing.assert_allclose(fine.transform(train), coarse.transform(train.astype(np.float16)), atol=0.05)


def test_features_that_are_the_same_for_all_images_span_no_space():
    """A network that collapsed in a short run."""
    with pytest.raises(ModelError, match="the same features for all 40 images"):
        fit_reference_space(np.full((30, 8), 0.7, np.float32), np.full((20, 8), 0.7, np.float32), seed=0)
