"""Slices: the tests equal scipy's and brute force, and noise is not found at more than the nominal rate."""

import itertools

import numpy as np
import pytest
from scipy import stats

from eyeshot.predictions import (
    errors_of_parts,
    fisher_greater,
    overlap_chance,
    parts_of_numbers,
    parts_of_values,
)
from eyeshot.predictions.slices import stratified_greater


@pytest.mark.parametrize("table", [(3, 7, 2, 18), (0, 5, 4, 9), (6, 0, 1, 30)])
def test_the_test_is_that_of_fisher(table):
    hits, misses, other_hits, other_misses = table
    expected = stats.fisher_exact([[hits, misses], [other_hits, other_misses]], alternative="greater").pvalue
    n = sum(table)
    assert fisher_greater(hits, hits + misses, hits + other_hits, n) == pytest.approx(expected, rel=1e-9)


def test_the_test_within_one_class_is_that_of_fisher():
    assert stratified_greater(3, np.array([10]), np.array([5]), np.array([30])) == pytest.approx(
        fisher_greater(3, 10, 5, 30)
    )


def test_the_test_within_classes_equals_all_orders_tried():
    """Two classes of 4 and 5 images, errors moved to every place within their class."""
    classes = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
    inside = np.array([1, 1, 0, 0, 1, 1, 1, 0, 0], bool)
    wrong = np.array([1, 1, 0, 0, 1, 0, 0, 0, 0], bool)
    hits = int((inside & wrong).sum())
    more = total = 0
    for first in itertools.combinations(range(4), 2):
        for second in itertools.combinations(range(4, 9), 1):
            total += 1
            more += inside[[*first, *second]].sum() >= hits
    sizes, errors, of_part = (np.bincount(classes[mask], minlength=2) for mask in (classes >= 0, wrong, inside))
    assert stratified_greater(hits, of_part, errors, sizes) == pytest.approx(more / total)


def test_quarters_keep_equal_numbers_together_and_a_constant_has_no_part():
    numbers = np.array([1.0] * 30 + [2.0] * 40 + [3.0] * 30)
    low, high = parts_of_numbers("x", numbers)
    assert (low.limit, int(low.inside.sum()), high.limit, int(high.inside.sum())) == (1.0, 30, 3.0, 30)
    assert parts_of_numbers("x", np.ones(100)) == []
    assert parts_of_numbers("x", np.array([1.0] * 60 + [2.0] * 40))[-1].side == "high"  # 60 of 100 are no part


def test_numbers_that_are_missing_are_in_no_part():
    numbers = np.concatenate([np.full(20, np.nan), np.arange(80.0)])
    for part in parts_of_numbers("x", numbers):
        assert not part.inside[:20].any()


def test_small_values_are_no_part():
    parts = parts_of_values("x", ["a"] * 50 + ["b"] * 45 + ["c"] * 5)
    assert [part.side for part in parts] == ["a", "b"]


def test_a_planted_slice_is_found_and_its_class_explains_it_where_it_does():
    random = np.random.default_rng(0)
    classes = np.repeat([0, 1], 200)
    dark = random.random(400) < 0.25
    by_property = random.random(400) < np.where(dark, 0.5, 0.1)
    (tested,) = errors_of_parts(parts_of_values("dark", np.where(dark, "yes", "no"))[1:], by_property, classes)
    assert tested.adjusted < 0.001
    assert tested.adjusted_within < 0.001
    # Errors depend on the class alone, and most images of the hard class are dark.
    of_class = np.where(classes == 1, random.random(400) < 0.8, random.random(400) < 0.05)
    by_class = random.random(400) < np.where(classes == 1, 0.5, 0.1)
    part = next(part for part in parts_of_values("dark", np.where(of_class, "yes", "no")) if part.side == "yes")
    (tested,) = errors_of_parts([part], by_class, classes)
    assert tested.adjusted < 0.001
    assert tested.adjusted_within > 0.05
    assert tested.expected == pytest.approx(tested.errors, rel=0.15)


def test_noise_is_found_at_no_more_than_the_nominal_rate():
    """60 data sets of errors by chance with 12 properties each: a slice is found in at most 5 % and some of them."""
    random = np.random.default_rng(1)
    found = 0
    for _ in range(60):
        classes = random.integers(0, 5, 200)
        wrong = random.random(200) < 0.2
        parts = [part for each in range(12) for part in parts_of_numbers(str(each), random.random(200))]
        found += errors_of_parts(parts, wrong, classes)[0].adjusted < 0.05
    assert found <= stats.binom.ppf(0.999, 60, 0.05)


def test_the_overlap_of_two_lists_has_the_chance_of_the_reference_competition():
    """12 of 18 worst classes among the 73 of 500 that share pictures: 2.6 expected, p = 4e-7."""
    names = [str(number) for number in range(500)]
    shared, expected, chance = overlap_chance(set(names[:18]), set(names[6:79]), 500)
    assert (shared, round(expected, 1)) == (12, 2.6)
    assert chance == pytest.approx(4e-7, rel=0.3)
