from __future__ import annotations

import numpy as np
import pytest

from decisions_made import table_of
from eyeshot.auditing.importance_weights import (
    auc_between,
    check_effective,
    density_ratio,
    judge_likeness,
    order_by_weight,
)
from eyeshot.core import auc_half_width
from eyeshot.core.errors import InputError
from eyeshot.data import hold_out


def clouds(shift: float, *, count: int = 600, seed: int = 0):
    """Training images from N(0, 1) and test images from N(shift, 1) along the first of three axes."""
    random = np.random.default_rng(seed)
    train = random.normal(size=(count, 3))
    test = random.normal(size=(count, 3)) + np.array([shift, 0, 0])
    return table_of([("ab"[n % 2], n) for n in range(count)]), train, test, np.arange(count)


def test_weights_are_the_ratio_of_densities() -> None:
    """Of two Gaussians it is exp(shift x - shift^2 / 2), and n times exp(-shift^2) are effective."""
    _, train, test, groups = clouds(0.8, count=4000)
    weights, effective = density_ratio(train, test, groups, seed=0)
    wanted = 0.8 * train[:, 0] - 0.32
    assert np.corrcoef(np.log(weights), wanted)[0, 1] > 0.99
    assert effective == pytest.approx(4000 * np.exp(-0.64), rel=0.15)


def test_weights_have_mean_one_whatever_the_sizes_of_the_sets() -> None:
    _, train, test, groups = clouds(0.5, count=3000)
    for count in (600, 3000):
        assert density_ratio(train, test[:count], groups, seed=0)[0].mean() == pytest.approx(1.0, abs=0.1)


def test_of_two_equal_sets_in_many_dimensions_nearly_all_images_are_effective() -> None:
    """A classifier that learns its 300 images by heart is sure of everything, and wrong half the time."""
    random = np.random.default_rng(0)
    train, test = random.normal(size=(2, 300, 200))
    assert density_ratio(train, test, np.arange(300), seed=0)[1] > 200


def test_test_images_far_away_leave_no_effective_sample() -> None:
    """All training images are about as unlike: Kish's number alone would call them all effective."""
    random = np.random.default_rng(0)
    train = np.column_stack([random.normal(scale=0.01, size=400), random.normal(size=400)])
    test = np.column_stack([20 + random.normal(scale=0.01, size=400), random.normal(size=400)])
    assert density_ratio(train, test, np.arange(400), seed=0)[1] < 10


def test_a_validation_set_like_the_test_set_is_nearer_to_it_than_one_by_chance() -> None:
    table, train, test, groups = clouds(1.0, count=2000)
    weights, effective = density_ratio(train, test, groups, seed=0)
    check_effective(effective, len(train), 200, 0.1)
    order = order_by_weight(table, groups, weights, seed=0)
    _, held = hold_out(table, groups, share=0.1, seed=0, order=order.tolist())
    assert len(held) == 200
    assert train[held, 0].mean() > 0.6  # of 1.0; by chance 0
    likeness = judge_likeness(table, groups, train, test, held, effective, share=0.1, seed=0)
    assert likeness.auc_before > 0.7
    assert likeness.auc_after < likeness.auc_before - 0.1


def test_the_order_like_test_follows_from_seed_and_content_and_goes_by_groups() -> None:
    table, train, test, _ = clouds(0.5)
    groups = np.arange(600) // 2
    weights, _ = density_ratio(train, test, groups, seed=0)
    order = order_by_weight(table, groups, weights, seed=3)
    assert (order[0::2] == order[1::2]).all()
    assert (order == order_by_weight(table, groups, weights, seed=3)).all()
    assert (order != order_by_weight(table, groups, weights, seed=4)).any()


def test_too_small_an_effective_sample_is_refused_with_the_number() -> None:
    _, train, test, groups = clouds(3.0)
    _, effective = density_ratio(train, test, groups, seed=0)
    with pytest.raises(
        InputError, match=rf"at least 120 for --val-share 0.2, got an effective number of {int(effective)} am"
    ):
        check_effective(effective, len(train), 120, 0.2)
    _, train, test, groups = clouds(1.0)
    _, effective = density_ratio(train, test, groups, seed=0)
    with pytest.raises(InputError, match=r"Use --val-share 0\.\d+, or"):
        check_effective(effective, len(train), 360, 0.6)


def test_the_area_between_two_equal_clouds_is_a_half() -> None:
    _, train, test, groups = clouds(0.0, count=1500)
    assert auc_between(train, test, groups, seed=0) == pytest.approx(0.5, abs=0.04)


def test_the_interval_of_an_area_holds_what_many_draws_say() -> None:
    random = np.random.default_rng(0)
    areas = [float(np.mean(random.normal(1, 1, 40)[:, None] > random.normal(0, 1, 60)[None])) for _ in range(2000)]
    assert auc_half_width(float(np.mean(areas)), 60, 40) == pytest.approx(1.96 * np.std(areas), rel=0.1)
