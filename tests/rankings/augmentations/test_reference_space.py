from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf_shrinkage

from eyeshot.rankings.augmentations.reference_space import DIMENSIONS, fit_reference_space


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
