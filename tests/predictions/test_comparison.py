"""Comparison of members on the same images: exact where there is a closed form, and honest at the nominal rate."""

import numpy as np
import pytest
from scipy import stats

from eyeshot.core import InputError, paired_difference
from eyeshot.predictions import compare_members, holm, mcnemar_p, mean_accuracy, paired_gain, seed_variance


def right(*counts, images=100):
    """One seed a count: the first images are right."""
    return np.stack([np.arange(images) < count for count in counts])


def discordant(only_first, only_second, both=50, none=10):
    """Answers of two runs (1, n) with so many images that one of them alone gets right."""
    first = np.repeat([True, False, True, False], [only_first, only_second, both, none])
    second = np.repeat([False, True, True, False], [only_first, only_second, both, none])
    return first[None], second[None]


@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (5, 0), (9, 3), (30, 12), (40, 41)])
def test_mcnemar_is_the_two_sided_binomial_test(counts):
    (first,), (second,) = discordant(*counts)
    total = sum(counts)
    # Twice the smaller tail: what statsmodels' mcnemar(exact=True) computes.
    expected = min(1.0, 2 * stats.binom.cdf(min(counts), total, 0.5)) if total else 1.0
    assert mcnemar_p(first, second) == pytest.approx(expected)
    assert mcnemar_p(second, first) == pytest.approx(expected)


def test_holm_is_the_step_down_of_the_paper():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_two_single_runs_are_judged_over_images_and_the_seeds_that_nobody_trained():
    first, second = discordant(30, 12)
    reference, (none, difference) = compare_members([first, second])
    value, (low, high) = paired_difference(second[0], first[0])
    assert (reference, none) == (0, None)
    assert difference.value == pytest.approx(value)
    assert difference.low < low < high < difference.high
    assert difference.p == difference.p_adjusted > mcnemar_p(first[0], second[0])
    assert (difference.only_here, difference.only_reference) == (12, 30)


def test_equal_runs_are_not_distinguishable_and_no_number_of_images_would_change_that():
    _, (_, difference) = compare_members([right(70), right(70)])
    assert (difference.value, difference.p, difference.verdict) == (0, 1, "not distinguishable")
    assert (difference.images_needed, difference.seeds_needed) == (None, None)


def test_the_best_is_the_reference_unless_one_is_named():
    members = [right(60), right(95), right(80)]

    def known(first, second):
        return 0.0005, 20

    assert compare_members(members)[0] == 1
    reference, differences = compare_members(members, reference=0, noise=known)
    assert reference == 0
    assert differences[0] is None
    assert [difference.verdict for difference in differences[1:]] == ["better", "better"]
    against_best = compare_members(members, noise=known)[1]
    assert [difference.verdict for difference in against_best if difference] == ["worse", "worse"]


def test_the_allowance_is_for_all_pairs_where_the_reference_is_chosen_by_the_images():
    first, second = discordant(10, 2)
    third = second.copy()
    _, named = compare_members([first, second, third], reference=0)
    _, chosen = compare_members([first, second, third])
    p = paired_gain(second, first).p
    assert named[1].p_adjusted == pytest.approx(min(1, 2 * p))
    assert chosen[1].p_adjusted == pytest.approx(min(1, 3 * p))


def test_so_many_images_as_it_says_would_tell_them_apart():
    """Runs of the measured difference on as many images are told apart in about 4 of 5 cases."""
    first, second = discordant(14, 8, both=60, none=18)
    noise = (0.0, 1000)  # nothing but luck
    _, (_, difference) = compare_members([first, second], noise=lambda *_: noise)
    assert difference.verdict == "not distinguishable"
    needed, random, told = difference.images_needed, np.random.default_rng(0), 0
    assert needed > 100
    for _ in range(200):
        drawn = discordant(*random.multinomial(needed, [0.14, 0.08, 0.6, 0.18]))
        told += paired_gain(*drawn, noise=noise).verdict == "better"
    assert 0.68 <= told / 200 <= 0.9


def test_so_many_seeds_as_it_says_would_tell_them_apart():
    """Of two recipes 3 points apart, on images that are the same for all runs."""
    told, needed, chances = [], [], np.random.default_rng(0).beta(2.4, 0.6, 2000)

    def trained(gain, seeds, random):
        return random.random((seeds, 2000)) < np.clip(chances + gain + random.normal(0, 0.015, (seeds, 1)), 0, 1)

    for number in range(200):
        random = np.random.default_rng([number, 1])
        _, (_, difference) = compare_members(
            [trained(0, 3, random), trained(0.025, 3, random)], reference=0, noise=lambda *_: (0.0003, 100)
        )
        if difference.seeds_needed is not None and 0.022 < difference.value < 0.028:
            needed.append(difference.seeds_needed)
    assert len(needed) > 10
    seeds = int(np.median(needed))
    for number in range(200):
        random = np.random.default_rng([number, 2])
        members = [trained(0, seeds, random), trained(0.025, seeds, random)]
        told.append(compare_members(members, reference=0)[1][1].verdict == "better")
    assert 0.65 <= np.mean(told) <= 0.95


def seeds_of(accuracy, count, images, random, spread=0.02):
    """Seeds (count, images) whose accuracies differ by a spread; the same images are hard for all."""
    hard = np.random.default_rng(1).random(images)
    levels = accuracy + random.normal(0, spread, count)
    return np.stack([hard + random.normal(0, 0.1, images) < level for level in levels])


def test_the_spread_of_seeds_is_pooled_over_members_that_have_several():
    members = [right(70, 80, 90), right(50), right(60, 64)]
    assert seed_variance(members) == pytest.approx(((0.02 + 0.0008) / 3, 3))
    assert seed_variance([right(70), right(80)]) == (0, 0)


def test_seeds_widen_the_interval():
    alone = mean_accuracy(right(70), 0.0, 0)
    assert (alone.value, alone.low, alone.high) == pytest.approx(
        (0.7, *stats.binomtest(70, 100).proportion_ci(method="wilson"))
    )
    members = [right(60, 80, images=1000), right(700, images=1000)]
    variance, freedom = seed_variance(members)
    several = mean_accuracy(members[0], variance, freedom)
    assert several.value == pytest.approx(0.07)
    assert several.high - several.low > 2 * stats.t.ppf(0.975, 200) * np.sqrt(0.07 * 0.93 / 1000)
    _, differences = compare_members(members)
    assert differences[0].only_here is None


def test_more_seeds_are_named_where_seeds_are_what_is_missing():
    random = np.random.default_rng(3)
    members = [seeds_of(0.80, 2, 4000, random, 0.01), seeds_of(0.775, 2, 4000, random, 0.01)]
    _, differences = compare_members(members)
    (difference,) = [each for each in differences if each]
    assert difference.verdict == "not distinguishable"
    assert difference.seeds_needed is not None
    assert 2 < difference.seeds_needed < 40


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("reference", [None, 0])
def test_equally_good_members_are_called_better_or_worse_at_most_at_the_nominal_rate(seeds, reference):
    told = 0
    for number in range(200):
        random = np.random.default_rng([number, seeds])
        images = 300
        hard = random.random(images)  # drawn anew: the interval covers other images
        members = []
        for _ in range(4):
            # A single run is compared as it is: its level is that of all. Seeds have levels of their own.
            levels = 0.8 + random.normal(0, 0.02 if seeds > 1 else 0, seeds)
            members.append(np.stack([hard + random.normal(0, 0.2, images) < level for level in levels]))
        _, differences = compare_members(members, reference=reference)
        told += any(each is not None and each.verdict != "not distinguishable" for each in differences)
    assert told / 200 <= 0.08  # three standard errors above 0.05 would be 0.096


def test_a_real_difference_is_found():
    found = 0
    for number in range(50):
        random = np.random.default_rng(number)
        members = [seeds_of(level, 3, 1000, random, 0.005) for level in (0.70, 0.80)]
        _, differences = compare_members(members, reference=0)
        found += differences[1].verdict == "better"
    assert found >= 45


def test_one_image_is_too_few():
    with pytest.raises(InputError, match="at least two images with labels, got 1"):
        compare_members([right(1, images=1), right(0, images=1)])
