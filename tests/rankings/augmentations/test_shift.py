from __future__ import annotations

import numpy as np
import pytest

from eyeshot.rankings.augmentations.shift import domain_auc, measure_shift


def cloud(count: int, seed: int, *, centre: float = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(centre, 1, size=(count, 8)).astype(np.float32)


def shift_of(target: np.ndarray, *, held_out: int = 200, **options):
    settings = {"target_is_validation": False, "seed": 0} | options
    return measure_shift(cloud(200, 0), np.zeros(200, np.int64), cloud(held_out, 1), target, **settings)


def test_a_target_of_the_same_distribution_is_covered_as_well_as_held_out_images():
    found = shift_of(cloud(200, 2))
    assert found.ratio > 0.93
    assert found.weight == pytest.approx(1 - found.ratio)
    assert 0.35 < found.domain_auc < 0.65
    assert "hardly any shift" in found.words


def test_a_target_far_away_is_not_covered():
    found = shift_of(cloud(200, 2, centre=10))
    assert found.target_coverage == 0
    assert found.ratio == 0
    assert found.weight == 1
    assert found.domain_auc > 0.99
    assert "an extreme shift" in found.words


def test_a_shift_halfway_lies_between():
    near, middle, far = (shift_of(cloud(300, 2, centre=centre)).ratio for centre in (0, 0.8, 1.6))
    assert near > middle > far


def test_both_coverages_are_taken_at_equal_counts():
    """With more points the balls shrink: 60 and 600 of one distribution must not look like a shift."""
    few = shift_of(cloud(60, 2))
    many = shift_of(cloud(600, 2), held_out=60)
    assert few.count == many.count == 60
    assert few.ratio > 0.9
    assert many.ratio > 0.9


def test_the_ratio_never_says_that_the_target_is_closer_than_training():
    inside = np.repeat(cloud(200, 0)[:40], 5, axis=0) + cloud(200, 4) * 0.01
    assert shift_of(inside.astype(np.float32)).ratio <= 1


def test_the_weight_goes_by_cover_whose_neighbours_agree():
    """Turned pictures lie among training images still, but among those of several classes."""
    random = np.random.default_rng(0)
    sides = {"left": -3.0, "right": 3.0}
    left, right = (random.normal([side, 0], 0.5, (200, 2)).astype(np.float32) for side in sides.values())
    mixed = random.normal(0, 0.5, (200, 2)).astype(np.float32)
    sources = np.concatenate([left[:100], right[:100], mixed])
    labels = np.concatenate([np.zeros(100), np.ones(100), random.integers(0, 2, 200)]).astype(np.int64)
    held_out = np.concatenate([left[100:], right[100:]])
    target = random.normal(0, 0.5, (200, 2)).astype(np.float32)
    found = measure_shift(sources, labels, held_out, target, target_is_validation=False, seed=0)
    assert found.ratio > 0.9
    assert found.target_consistent < 0.6
    assert found.held_out_consistent > 0.9
    assert found.weight == pytest.approx(1 - found.target_consistent / found.held_out_consistent)
    # One class alone agrees always; where hardly any neighbours agree, plain coverage is the ratio.
    rare = measure_shift(sources, np.arange(400), held_out, target, target_is_validation=False, seed=0)
    assert (rare.held_out_consistent, rare.weight) == (0, pytest.approx(1 - rare.ratio))


def test_where_held_out_images_are_not_covered_there_is_no_ratio():
    found = measure_shift(
        cloud(50, 0), np.zeros(50, np.int64), cloud(50, 1, centre=30), cloud(50, 2), target_is_validation=False, seed=0
    )
    assert found.ratio is None
    assert found.weight is None
    assert "not informative" in found.words


def test_validation_images_as_target_are_no_shift_by_construction():
    found = shift_of(cloud(200, 1), target_is_validation=True)
    assert (found.ratio, found.weight, found.domain_auc) == (1, 0, None)
    assert found.target_coverage == found.held_out_coverage


def test_the_same_seed_chooses_the_same_images():
    target = cloud(300, 2, centre=1)
    assert shift_of(target) == shift_of(target)


def test_too_few_points_for_a_ball_are_refused():
    with pytest.raises(ValueError, match="over 5"):
        shift_of(cloud(5, 2))


def test_the_classifier_of_domains_is_judged_on_images_that_it_did_not_see():
    """With more features than images a fit is perfect; cross-fitted it stays at chance."""
    random = np.random.default_rng(0)
    train, target = random.normal(size=(2, 60, 300))
    assert 0.3 < domain_auc(train, target, random) < 0.7
