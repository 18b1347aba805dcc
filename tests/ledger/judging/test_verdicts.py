"""The rule that judges experiments: equal to scipy or closed forms, at most the nominal rate on identical pairs."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from eyeshot.ledger.judging.expectations import parse_expectation
from eyeshot.ledger.judging.verdicts import (
    allowed_p,
    chance_words,
    estimate_disagrees,
    planned_looks,
    planned_rounds,
    verdict_of,
)
from eyeshot.ledger.store.records import Got
from eyeshot.predictions import compare_members, gain_of, mcnemar_p, paired_gain
from eyeshot.predictions.comparison import luck_variance

NOW = datetime(2026, 11, 30, tzinfo=UTC)
SIMULATIONS = 1000
IMAGES = 300


def answers(random: np.random.Generator, seeds: int, *, shift: float = 0.0, chances: Any = None) -> Any:
    """bool (seeds, n): each seed has its own luck on each image, and a shift that all of its images share."""
    chances = random.beta(2.4, 0.6, IMAGES) if chances is None else chances
    levels = chances + random.normal(0, shift, (seeds, 1))
    return random.random((seeds, len(chances))) < levels


def discordant(only_child: int, only_parent: int, *, both: int = 200, none: int = 50) -> tuple[Any, Any]:
    counts = [only_child, only_parent, both, none]
    return np.repeat([True, False, True, False], counts)[None], np.repeat([False, True, True, False], counts)[None]


KNOWN = (0.0, 1e12)
"""As if so many seeds had been trained that none differs from the others: only images are left."""


@pytest.mark.parametrize("counts", [(5, 0), (9, 1), (30, 12), (3, 3)])
def test_for_one_seed_of_each_p_is_at_least_that_of_mcnemars_exact_test(counts):
    child, parent = discordant(*counts)
    exact = stats.binomtest(counts[0], sum(counts)).pvalue
    over_images = stats.ttest_rel(child[0].astype(float), parent[0].astype(float)).pvalue
    assert paired_gain(child, parent, noise=KNOWN).p == pytest.approx(max(exact, over_images))
    assert paired_gain(child, parent).p >= exact
    assert paired_gain(child, parent).only_here == counts[0]


def test_without_spread_between_seeds_it_is_the_paired_t_test_over_images():
    random = np.random.default_rng(1)
    chances = random.beta(2.4, 0.6, IMAGES)
    child, parent = answers(random, 3, chances=np.minimum(1, chances + 0.05)), answers(random, 3, chances=chances)
    difference = paired_gain(child, parent, noise=KNOWN)
    test = stats.ttest_rel(child.mean(0), parent.mean(0))
    assert difference.p == pytest.approx(test.pvalue)
    assert (difference.low, difference.high) == pytest.approx(tuple(test.confidence_interval(0.95)))


def test_luck_is_half_of_the_share_of_images_on_which_runs_disagree():
    child, parent = discordant(30, 12)
    count = child.shape[1]
    assert luck_variance(child, parent) == pytest.approx(42 / 2 / count**2)
    chances = np.random.default_rng(4).random(2000)
    runs = answers(np.random.default_rng(5), 400, chances=chances)
    assert luck_variance(runs[:200], runs[200:]) == pytest.approx(runs.mean(1).var(ddof=1), rel=0.2)


@pytest.mark.parametrize(
    ("variance", "freedom"), [(0.0, 0), (0.0002, 1), (0.002, 2), (0.0002, 6), (0.01, 8), (0.0, 20)]
)
def test_the_guess_adds_to_the_measured_noise_and_never_takes_from_it(variance, freedom):
    random = np.random.default_rng(6)
    chances = random.beta(2.4, 0.6, IMAGES)
    child, parent = answers(random, 2, chances=np.minimum(1, chances + 0.1)), answers(random, 3, chances=chances)
    each = child.mean(0) - parent.mean(0)
    images = stats.sem(each) ** 2
    luck = np.mean([(one != other).mean() for one in child for other in parent]) / 2 / IMAGES
    guessed, told = 8 * 2.5 * luck / (8 + freedom), freedom * variance / (8 + freedom)
    between = max(guessed + told, variance)
    of_between = (guessed + told) ** 2 / (guessed**2 / 8 + told**2 / max(1, freedom))
    total = images + 5 / 6 * max(0, between - luck)
    of_sum = total**2 / (images**2 / (IMAGES - 1) + (5 / 6 * between) ** 2 / of_between)
    difference = paired_gain(child, parent, noise=(variance, freedom))
    assert difference.p == pytest.approx(2 * stats.t(of_sum).sf(each.mean() / np.sqrt(total)))
    assert (difference.low, difference.high) == pytest.approx(
        stats.t.interval(0.95, of_sum, each.mean(), np.sqrt(total))
    )
    if not freedom:
        assert paired_gain(child, parent) == difference


def test_noise_far_above_the_guess_gives_the_t_test_of_its_own_degrees_of_freedom():
    child, parent = discordant(90, 10)
    variance = 0.05
    expected = 2 * stats.t(4).sf((80 / 350) / np.sqrt(2 * variance))
    assert paired_gain(child, parent, noise=(variance, 4)).p == pytest.approx(expected, rel=0.02)


def test_the_same_answers_are_no_gain():
    child, _ = discordant(30, 12)
    difference = paired_gain(child, child)
    assert (difference.value, difference.p, gain_of(difference.value, difference.p, 0.05)) == (
        0, 1, "not distinguishable",
    )  # fmt: skip


def test_it_is_the_difference_that_compare_shows():
    random = np.random.default_rng(2)
    child, parent = answers(random, 3), answers(random, 2)
    _, (_, expected) = compare_members([parent, child], reference=0, noise=lambda *_: (0.0003, 3))
    shown = expected.model_copy(update={"images_needed": None, "seeds_needed": None})
    assert paired_gain(child, parent, noise=(0.0003, 3)) == shown


def test_the_level_is_divided_among_comparisons_and_looks():
    assert [allowed_p(k) for k in (1, 2, 5)] == pytest.approx([0.05, 0.025, 0.01])
    assert allowed_p(2, 5) == pytest.approx(0.005)
    assert "at most 0.005, since of 10 comparisons" in chance_words(10)
    assert "chance alone would make 0.5 look different" in chance_words(10)
    assert chance_words(1, allowed_p(1, 5)) == "It must be at most 0.01."


@pytest.mark.parametrize(
    ("most", "looks"),
    [(1, (1,)), (2, (1, 2)), (4, (1, 2, 3, 4)), (8, (1, 2, 3, 5, 8)), (10, (1, 2, 3, 5, 8, 10))],
)
def test_looks_are_few_and_the_last_is_at_all_seeds(most, looks):
    rounds = planned_rounds(1, most, freedom=0)
    assert rounds == [(1, seeds) for seeds in range(1, most + 1)]
    assert planned_looks(rounds) == looks


@pytest.mark.parametrize("freedom", [0, 2, 20])
@pytest.mark.parametrize("folds", [2, 5])
def test_each_step_adds_a_fold_or_a_seed_and_only_complete_rounds_are_looked_at(folds, freedom):
    rounds = planned_rounds(folds, 21 * folds, freedom=freedom)
    assert rounds[0] == (1, 1)
    for (before, seeds), (after, more) in pairwise(rounds):
        assert (after - before, more - seeds) in ((0, 1), (1, 0))
    assert rounds[-1][0] == folds
    looks = planned_looks(rounds)
    assert set(looks) <= {reached * seeds for reached, seeds in rounds}
    assert looks == tuple(sorted(set(looks)))
    assert looks[-1] == rounds[-1][0] * rounds[-1][1]
    assert len(looks) <= 11


def test_folds_come_first_where_the_noise_between_seeds_is_known():
    """A fold brings new images at the price of a seed; only the noise between seeds needs seeds."""
    assert planned_rounds(5, 5, freedom=100) == [(folds, 1) for folds in range(1, 6)]
    assert planned_rounds(5, 105, freedom=100)[5] == (5, 2)


def naive(child: Any, parent: Any) -> bool:
    return bool(child[0].mean() > parent[0].mean())


def nominal(rate: float, count: int = SIMULATIONS) -> int:
    """So many hits or fewer in 99.9 % of such simulations if the rate is the nominal one."""
    return int(stats.binom.ppf(0.999, count, rate))


def measured(child: Any, parent: Any) -> tuple[float, int] | None:
    """The noise that several seeds of both tell."""
    freedom = 2 * (len(child) - 1)
    return (float((child.mean(1).var(ddof=1) + parent.mean(1).var(ddof=1)) / 2), freedom) if freedom else None


EASY, HARD = (2.4, 0.6), (0.24, 0.06)
"""Chances of images: of beta distributions. Where most images are right, or wrong, in all runs, luck is small."""


@pytest.mark.parametrize(
    ("seeds", "freedom", "shift", "images", "chances"),
    [
        (1, 0, 0.0, 300, EASY), (1, 0, 0.02, 300, EASY), (1, 2, 0.02, 300, EASY), (3, 0, 0.02, 300, EASY),
        # A shift of 4 points has 5 times the variance of luck that a single run has on 300 images, ...
        (1, 1, 0.04, 300, EASY), (1, 2, 0.04, 300, HARD), (1, 8, 0.04, 300, EASY), (2, 0, 0.04, 300, EASY),
        (3, 0, 0.04, 300, HARD), (5, 0, 0.04, 100, EASY),
        # ... and 40 times that on 3,000: a few seeds of each must suffice to see it.
        (1, 8, 0.04, 3000, EASY), (5, 0, 0.04, 3000, EASY), (2, 0, 0.01, 3000, HARD),
    ],
)  # fmt: skip
def test_identical_recipes_are_called_better_at_most_at_the_nominal_rate(seeds, freedom, shift, images, chances):
    better = different = kept = 0
    for number in range(SIMULATIONS):
        random = np.random.default_rng([number, seeds, freedom, int(100 * shift)])
        drawn = random.beta(*chances, images)
        child, parent = (answers(random, seeds, shift=shift, chances=drawn) for _ in range(2))
        noise = measured(child, parent)
        if freedom:  # measured on other seeds of the same images, as the project does
            others = answers(random, freedom + 1, shift=shift, chances=drawn).mean(1)
            noise = (float(others.var(ddof=1)), freedom)
        difference = paired_gain(child, parent, noise=noise)
        gain = gain_of(difference.value, difference.p, allowed_p(1))
        better, different = better + (gain == "better"), different + (gain != "not distinguishable")
        kept += naive(child, parent)
    assert better <= nominal(0.025)
    assert different <= nominal(0.05)
    assert 0.4 * SIMULATIONS < kept < 0.55 * SIMULATIONS  # "keep if better" keeps about half; ties are not better


def test_the_exact_test_alone_would_let_more_through_where_seeds_shift_all_images():
    """The simulation can fail: without the noise between seeds the rate is far above the nominal one."""
    told = 0
    for number in range(SIMULATIONS):
        random = np.random.default_rng([number, 77])
        chances = random.beta(2.4, 0.6, IMAGES)
        child, parent = (answers(random, 1, shift=0.04, chances=chances) for _ in range(2))
        told += mcnemar_p(child[0], parent[0]) < 0.05
    assert told > nominal(0.05)


@pytest.mark.parametrize(("shift", "images", "most"), [(0.02, 300, 5), (0.04, 300, 8), (0.01, 3000, 5)])
def test_adding_seeds_until_it_is_clear_keeps_the_nominal_rate(shift, images, most):
    looks = planned_looks(planned_rounds(1, most, freedom=0))
    better = different = 0
    for number in range(SIMULATIONS):
        random = np.random.default_rng([number, 5])
        chances = random.beta(2.4, 0.6, images)
        child, parent = (answers(random, looks[-1], shift=shift, chances=chances) for _ in range(2))
        for seeds in looks:
            noise = measured(child[:seeds], parent[:seeds])
            difference = paired_gain(child[:seeds], parent[:seeds], noise=noise)
            gain = gain_of(difference.value, difference.p, allowed_p(1, len(looks)))
            if gain != "not distinguishable":
                break
        better, different = better + (gain == "better"), different + (gain != "not distinguishable")
    assert better <= nominal(0.025)
    assert different <= nominal(0.05)


def in_folds(random: Any, chances: Any, folds: int, seeds: int, shift: float) -> Any:
    """bool (folds, seeds, n): each fold of each seed is a training of its own, on images of its own."""
    return np.stack([answers(random, seeds, shift=shift, chances=part) for part in np.split(chances, folds)])


@pytest.mark.parametrize(("shift", "images", "most"), [(0.02, 300, 9), (0.04, 300, 9), (0.01, 3000, 6)])
def test_adding_seeds_and_folds_until_it_is_clear_keeps_the_nominal_rate(shift, images, most):
    folds = 3
    rounds = planned_rounds(folds, most, freedom=0)
    looks = planned_looks(rounds)
    assert rounds[-1][0] == folds
    better = different = 0
    for number in range(SIMULATIONS):
        random = np.random.default_rng([number, 6])
        chances = random.beta(2.4, 0.6, folds * images)
        child, parent = (in_folds(random, chances, folds, rounds[-1][1], shift) for _ in range(2))
        for reached, seeds in rounds:
            if reached * seeds not in looks:
                continue
            own, theirs = child[:reached, :seeds], parent[:reached, :seeds]
            # As in `project_noise`: of each fold, pooled; joined folds average it.
            told = [measured(one, other) for one, other in zip(own, theirs, strict=True)] if seeds > 1 else []
            noise = (np.mean([each[0] for each in told]) / reached, sum(each[1] for each in told)) if told else None
            joined = (np.concatenate(list(side), axis=1) for side in (own, theirs))
            difference = paired_gain(*joined, noise=noise)
            gain = gain_of(difference.value, difference.p, allowed_p(1, len(looks)))
            if gain != "not distinguishable":
                break
        better, different = better + (gain == "better"), different + (gain != "not distinguishable")
    assert better <= nominal(0.025)
    assert different <= nominal(0.05)


def test_a_real_gain_is_told_and_more_seeds_tell_a_smaller_one():
    told = {}
    for seeds, gain in ((1, 0.10), (1, 0.03), (3, 0.10), (8, 0.03)):
        told[seeds, gain] = 0
        for number in range(60):
            random = np.random.default_rng([number, seeds])
            chances = random.beta(2.4, 0.6, 1000)
            child = answers(random, seeds, chances=np.minimum(1, chances + gain))  # 7 and 2.6 points: none is above 1
            parent = answers(random, seeds, chances=chances)
            difference = paired_gain(child, parent, noise=measured(child, parent))
            told[seeds, gain] += gain_of(difference.value, difference.p, 0.05) == "better"
    assert told[1, 0.10] > 45
    assert told[3, 0.10] > 55
    assert told[1, 0.03] < 30 < told[8, 0.03]


def got(difference: float, half: float) -> Got:
    return Got(
        value=0.8 + difference, n=1000, difference=difference, difference_low=difference - half,
        difference_high=difference + half,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "difference", "half", "gain", "verdict"),
    [
        ("up", 0.02, 0.01, "better", "as expected"),
        ("up", -0.02, 0.01, "worse", "worse"),
        ("up", 0.005, 0.01, "not distinguishable", "not distinguishable"),
        ("+1.0 accuracy", 0.015, 0.01, "better", "as expected"),
        ("+1.0 accuracy", 0.03, 0.01, "better", "better"),
        ("+9.0 accuracy", 0.03, 0.01, "better", "worse"),
        ("-1.0 accuracy", -0.015, 0.01, "worse", "as expected"),
        ("-1.0 accuracy", -0.04, 0.01, "worse", "worse"),
        ("-9.0 accuracy", -0.04, 0.01, "worse", "better"),
        ("down", 0.02, 0.01, "better", "better"),
        ("same", 0.001, 0.005, "not distinguishable", "as expected"),
        ("same", 0.001, 0.02, "not distinguishable", "not distinguishable"),
        ("same within 3 points", 0.001, 0.02, "not distinguishable", "as expected"),
        ("same", 0.03, 0.01, "better", "better"),
        (None, 0.03, 0.01, "better", "better"),
        (None, 0.0, 0.01, "not distinguishable", "not distinguishable"),
    ],
)
def test_the_verdict_sets_what_came_against_what_was_expected(expected, difference, half, gain, verdict):
    stated = None if expected is None else parse_expectation(expected, now=NOW)
    told, words = verdict_of(stated, got(difference, half), gain)
    assert told == verdict
    assert words.endswith(".")


@given(
    some.sampled_from(["+1.0", "-2.0", "up", "down", "same", None]), some.floats(-0.2, 0.2), some.floats(0, 0.1),
    some.sampled_from([0.05, 0.01]), some.floats(0, 1),
)  # fmt: skip
def test_as_expected_never_contradicts_the_direction(expected, difference, half, allowed, p):
    stated = None if expected is None else parse_expectation(expected, now=NOW)
    gain = gain_of(difference, p, allowed)
    verdict, _ = verdict_of(stated, got(difference, half), gain)
    if p > allowed:
        assert gain == "not distinguishable"
        assert verdict in ("not distinguishable", "as expected")
        assert verdict != "as expected" or expected == "same"
    if verdict == "as expected" and expected != "same":
        assert gain == ("better" if stated.direction == "up" else "worse")
        assert (difference > 0) == (stated.direction == "up")


def test_a_late_expectation_counts_for_nothing():
    late = parse_expectation("up", now=NOW).model_copy(update={"late": True})
    verdict, words = verdict_of(late, got(0.02, 0.01), "better")
    assert verdict == "better"
    assert "before the first run" in words


def test_the_estimate_disagrees_only_beyond_its_own_uncertainty():
    assert estimate_disagrees(0.02, -0.03, 0.01)
    assert not estimate_disagrees(0.02, -0.03, 0.04)
    assert not estimate_disagrees(0.02, 0.03, 0.01)
