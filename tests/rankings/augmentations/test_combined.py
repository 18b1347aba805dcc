from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyeshot.rankings.augmentations.combined import (
    Gains,
    agreement,
    combine,
    mad_units,
    order_by,
    ranks,
    robust_spread,
    shift_weight,
    weights_of_runs,
    without_single_images,
)
from eyeshot.rankings.augmentations.report import Shift

HALVES = 50


def gains(values, *, error: float = 0.01, resolution: float = 1e-6, is_share: bool = True) -> Gains:
    values = np.asarray(values, float)
    noise = np.random.default_rng(len(values)).standard_normal((HALVES, len(values))) * error
    return Gains(values, values + noise, resolution, is_share)


def shift(weight: float | None, *, consistent: float = 0.4) -> Shift:
    return Shift(
        target_coverage=0.2, held_out_coverage=0.8, ratio=None if weight is None else 1 - weight, target_consistent=0.1,
        held_out_consistent=consistent, weight=weight,
        domain_auc=None, count=100, words="",
    )  # fmt: skip


def test_the_spread_is_that_of_the_crowd_whatever_the_clear_gain():
    crowd = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])
    errors = np.zeros(5)
    narrow = robust_spread(crowd, errors, 1e-6)
    assert narrow == pytest.approx(1.4826 * 0.01)
    assert robust_spread(np.append(crowd, 0.5), np.zeros(6), 1e-6) == robust_spread(
        np.append(crowd, 50.0), np.zeros(6), 1e-6
    )


def test_where_most_gain_nothing_the_noise_is_the_unit_and_at_least_one_image():
    values = np.array([0.0, 0.0, 0.0, 0.3])
    assert robust_spread(values, np.full(4, 0.02), 0.001) == pytest.approx(0.02)
    assert robust_spread(values, np.zeros(4), 0.005) == 0.005


def test_a_clear_gain_in_one_part_is_not_outvoted_by_a_crowd_of_small_ones_in_the_other():
    """As measured: by standard deviations or ranks, ten small differences outvote the one cure."""
    random = np.random.default_rng(0)
    coverage = np.append(random.normal(0, 0.01, 20), 0.25)
    after = np.append(np.linspace(0.01, 0.1, 20), 0.0)
    combined, _, _ = combine(
        {"coverage_gain": gains(coverage), "after": gains(after)}, [(0.5, ["coverage_gain"]), (0.5, ["after"])]
    )
    assert combined.argmax() == 20
    by_deviation = coverage / coverage.std() + after / after.std()
    by_rank = coverage.argsort().argsort() + after.argsort().argsort()
    assert by_rank.argmax() != 20
    assert combined[20] / combined[19] > by_deviation[20] / by_deviation[19]


@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=12),
    st.floats(0.1, 10),
    st.floats(0, 1),
)
def test_the_unit_of_a_distance_does_not_matter_nor_that_of_all_shares_and_clean_is_zero(values, factor, weight):
    def scaled(part: Gains) -> Gains:
        return Gains(part.values * factor, part.over_halves * factor, part.resolution * factor, part.is_share)

    distance, share = gains(values, is_share=False), gains(np.arange(len(values)) / 10)
    terms = [(weight, ["a"]), (1 - weight, ["b"])]
    first, first_halves, _ = combine({"a": distance, "b": share}, terms)
    for parts in ({"a": scaled(distance), "b": share}, {"a": distance, "b": scaled(share)}):
        second, second_halves, _ = combine(parts, terms)
        np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(first_halves, second_halves, rtol=1e-6, atol=1e-6)
    nothing = Gains(np.zeros(3), np.zeros((HALVES, 3)), 0.01)
    assert (combine({"a": nothing, "b": nothing}, terms)[0] == 0).all()


def test_a_part_where_all_are_alike_is_not_blown_up_against_another_share():
    """As measured: validation of 0.99 for everyone, its spread mere noise, outvoted 20 points of the target."""
    cover = np.array([0.2, 0.1, 0.04, 0.0, -0.03, 0.03])
    validation = np.array([-0.02, 0.0, 0.001, -0.001, 0.002, -0.001])
    parts = {"cover": gains(cover), "val": gains(validation, error=1e-4)}
    combined, _, _ = combine(parts, [(0.5, ["cover"]), (0.5, ["val"])])
    assert combined.argmax() == 0
    units = mad_units(parts)
    assert units["cover"] == units["val"]
    apart, _, _ = combine(
        {"cover": gains(cover), "val": gains(validation, error=1e-4, is_share=False)},
        [(0.5, ["cover"]), (0.5, ["val"])],
    )
    assert apart.argmax() != 0


def test_of_two_parts_the_larger_counts_with_its_own_halves():
    one, other = gains([0.3, 0.0, np.nan, np.nan]), gains([0.1, 0.2, 0.1, np.nan], error=0.02)
    combined, over_halves, _ = combine({"one": one, "other": other}, [(1.0, ["one", "other"])])
    unit = mad_units({"one": one, "other": other})["one"]
    np.testing.assert_allclose(combined, np.array([0.3, 0.2, 0.1, 0.0]) / unit)
    np.testing.assert_allclose(over_halves[:, 0], one.over_halves[:, 0] / unit)
    np.testing.assert_allclose(over_halves[:, 1:3], other.over_halves[:, 1:3] / unit)
    assert (over_halves[:, 3] == 0).all()


def test_the_weight_follows_from_the_measured_shift_and_says_so():
    weight, why = shift_weight(shift(0.75), target_is_validation=False)
    assert weight == 0.75
    assert "coverage gain counts 38 %, accuracy estimated on the target the rest" in why
    assert shift_weight(shift(0.0), target_is_validation=True)[0] == 0
    assert "covers 10 % of the target with consistent labels" in why
    rare = shift_weight(shift(0.75, consistent=0.02), target_is_validation=False)[1]
    assert "covers, ignoring labels, 20 % of the target" in rare
    assert "hardly ever agree" in rare
    weight, why = shift_weight(shift(None), target_is_validation=False)
    assert weight == 0.5
    assert "unknown" in why


def test_places_start_at_one_equal_values_share_and_unknown_ones_have_none():
    assert ranks(np.array([0.3, np.nan, 0.5, 0.3])) == [2, None, 1, 2]
    assert order_by(["a", "b", "c", "d"], np.array([0.3, np.nan, 0.5, 0.3])) == ["c", "a", "d", "b"]


def test_agreement_is_spearman_and_none_where_nothing_varies():
    assert agreement(np.array([1.0, 2, 3, 4]), np.array([10.0, 20, 30, 400])) == pytest.approx(1)
    assert agreement(np.array([1.0, 2, 3, 4]), np.array([4.0, 3, 2, 1])) == pytest.approx(-1)
    assert agreement(np.zeros(4), np.arange(4.0)) is None
    assert agreement(np.array([1.0, 2]), np.array([1.0, 2])) is None


def test_a_gain_of_one_target_image_does_not_count_and_a_loss_does():
    values = np.array([1 / 60, 2 / 60, -1 / 60, np.nan])
    parts = {
        name: Gains(values, np.tile(values, (6, 1)), 1 / 60)
        for name in ("coverage_gain", "target_accuracy", "validation")
    }
    counted = without_single_images(parts)
    for name in ("coverage_gain", "target_accuracy"):
        np.testing.assert_array_equal(counted[name].values, [0, 2 / 60, -1 / 60, np.nan])
        np.testing.assert_array_equal(counted[name].over_halves, np.tile([0, 2 / 60, -1 / 60, np.nan], (6, 1)))
    assert counted["validation"] is parts["validation"]
    distance = replace(parts["coverage_gain"], is_share=False)
    assert without_single_images({"coverage_gain": distance})["coverage_gain"] is distance


def test_the_larger_the_shift_the_more_coverage_gain_counts() -> None:
    assert weights_of_runs(0) == {"target_accuracy": 1, "coverage_gain": 0}
    assert weights_of_runs(0.8) == pytest.approx({"target_accuracy": 0.6, "coverage_gain": 0.4})
    assert weights_of_runs(1) == {"target_accuracy": 0.5, "coverage_gain": 0.5}
