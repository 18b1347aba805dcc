from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyeshot.coverage.one_ranking import (
    Gains,
    agreement,
    mix,
    order_by,
    ranks,
    robust_spread,
    shift_weight,
)
from eyeshot.coverage.report import Shift

HALVES = 50


def gains(values, *, error: float = 0.01, resolution: float = 1e-6, group=None) -> Gains:
    values = np.asarray(values, float)
    noise = np.random.default_rng(len(values)).standard_normal((HALVES, len(values))) * error
    return Gains(values, values + noise, resolution, None if group is None else np.asarray(group))


def shift(weight: float | None) -> Shift:
    return Shift(
        target_coverage=0.2, held_out_coverage=0.8, ratio=None if weight is None else 1 - weight, weight=weight,
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
    reach = np.append(random.normal(0, 0.01, 20), 0.25)
    after = np.append(np.linspace(0.01, 0.1, 20), 0.0)
    mixed = mix({"reach": gains(reach), "after": gains(after)}, {"reach": 0.5, "after": 0.5})
    assert mixed.combined.argmax() == 20
    by_deviation = reach / reach.std() + after / after.std()
    by_rank = reach.argsort().argsort() + after.argsort().argsort()
    assert by_rank.argmax() != 20
    assert mixed.standardised["reach"][20] > 2 * by_deviation[20]


@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=12),
    st.floats(0.1, 10),
    st.floats(0, 1),
)
def test_the_unit_of_a_part_does_not_matter_and_clean_is_zero(values, factor, weight):
    one = gains(values)
    other = Gains(one.values * factor, one.over_halves * factor, one.resolution * factor)
    rest = gains(np.arange(len(values)) / 10)
    weights = {"a": weight, "b": 1 - weight}
    first = mix({"a": one, "b": rest}, weights)
    second = mix({"a": other, "b": rest}, weights)
    np.testing.assert_allclose(first.combined, second.combined, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(first.over_halves, second.over_halves, rtol=1e-6, atol=1e-6)
    nothing = Gains(np.zeros(3), np.zeros((HALVES, 3)), 0.01)
    assert (mix({"a": nothing, "b": nothing}, weights).combined == 0).all()


def test_what_was_not_measured_counts_as_clean_and_groups_have_spreads_of_their_own():
    values = [np.nan, 0.1, 0.2, 1.0, 2.0, 3.0]
    mixed = mix({"a": gains(values, error=1e-9, group=[0, 0, 0, 1, 1, 1])}, {"a": 1.0})
    assert mixed.combined[0] == 0
    # Median deviation 0.05 among the first, 1 among the others.
    np.testing.assert_allclose(mixed.combined[1:3], np.array([0.1, 0.2]) / (1.4826 * 0.05), rtol=1e-6)
    np.testing.assert_allclose(mixed.combined[3:], np.array([1, 2, 3]) / 1.4826, rtol=1e-6)


def test_the_weight_follows_from_the_measured_shift_and_says_so():
    weight, why = shift_weight(shift(0.75), target_is_validation=False)
    assert weight == 0.75
    assert "cover counts 75 %, validation 25 %" in why
    assert shift_weight(shift(0.0), target_is_validation=True)[0] == 0
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
