from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from scipy.stats import norm

from eyeshot.core import critical_value, draw_half_samples, tied_with_best
from eyeshot.rankings.augmentations.coverage import make_target, measure_coverage
from eyeshot.rankings.augmentations.ranking import (
    better_than_zero,
    place_in_report,
    rank_gains,
)
from eyeshot.rankings.augmentations.report import Candidate


def ranking_of(gains: np.ndarray, halves: np.ndarray) -> SimpleNamespace:
    order, groups, beats, clean_group = rank_gains(gains, halves)
    return SimpleNamespace(order=order, groups=groups, beats=beats, clean_group=clean_group)


def gains_of(values: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mean gains of K candidates over n points, and on half-samples, from the gain at each point (n, K)."""
    halves = draw_half_samples(len(values), 2, seed=seed).target
    return values.mean(axis=0), halves @ values / (len(values) // 2)


def noise(random: np.random.Generator, count: int, width: int) -> np.ndarray:
    """What coverage is like: at most points candidates are alike and like the identity control."""
    common = random.choice([-1, 0, 1], p=[0.05, 0.9, 0.05], size=(count, 1))
    own = random.choice([-1, 0, 1], p=[0.05, 0.9, 0.05], size=(count, width))
    return np.clip(common + own, -1, 1).astype(float)


def no_more_often(share: float, chance: float, runs: int) -> bool:
    return share <= chance + 3 * math.sqrt(chance * (1 - chance) / runs)


def test_under_the_null_something_is_said_to_beat_the_identity_control_in_about_one_run_of_twenty():
    random = np.random.default_rng(0)
    runs = 300
    false = sum(better_than_zero(*gains_of(noise(random, 400, 12), seed=run)).any() for run in range(runs))
    assert no_more_often(false / runs, 0.05, runs)
    assert false > 0  # a test that never rejects would pass too


def test_the_true_best_is_left_out_of_its_group_in_about_one_run_of_twenty():
    random = np.random.default_rng(1)
    runs = 120
    wrong = sum(not tied_with_best(*gains_of(noise(random, 400, 4), seed=run))[0] for run in range(runs))
    assert no_more_often(wrong / runs, 0.05, runs)
    assert wrong > 0


@pytest.mark.slow
def test_clouds_that_differ_by_chance_alone_beat_the_identity_control_in_at_most_one_run_of_twenty():
    """The whole way from points to claims, where neighbours and draws are shared."""
    runs, false = 40, 0
    for run in range(runs):
        random = np.random.default_rng(run)
        labels, centres = random.integers(0, 3, 50), random.normal(0, 1.5, (3, 6))
        target = (centres[random.integers(0, 3, 60)] + random.normal(size=(60, 6))).astype(np.float32)
        sources = centres[labels] + random.normal(size=(50, 6))
        measured = make_target(target, halves=draw_half_samples(60, 50, seed=run, count=50))

        def cloud(sources=sources, labels=labels, measured=measured, random=random):
            samples = sources[:, None] + random.normal(0, 0.5, (50, 2, 6))
            points = np.concatenate([sources[:, None], samples], axis=1).astype(np.float32)
            return measure_coverage(measured, points, labels)

        identity, others = cloud(), [cloud() for _ in range(6)]
        gains = np.array([other.consistent_coverage - identity.consistent_coverage for other in others])
        halves = np.column_stack([other.half_consistent - identity.half_consistent for other in others])
        false += ranking_of(gains, halves).beats.any()
    assert no_more_often(false / runs, 0.05, runs)


def test_a_clear_winner_stands_alone_and_clean_behind_it():
    values = noise(np.random.default_rng(2), 500, 6)
    values[:, 4] += 0.4
    ranking = ranking_of(*gains_of(values))
    assert ranking.order[0] == 4
    assert ranking.beats.tolist() == [False, False, False, False, True, False]
    assert np.flatnonzero(ranking.groups == 1).tolist() == [4]
    assert ranking.clean_group == 2


def test_identical_candidates_share_a_group_and_tie_at_the_top():
    values = noise(np.random.default_rng(3), 500, 3)
    values[:, 0] += 0.4
    values = np.column_stack([values, values[:, 0]])
    ranking = ranking_of(*gains_of(values))
    assert ranking.groups[0] == ranking.groups[3] == 1
    assert ranking.groups[1] > 1
    assert ranking.order[:2].tolist() == [0, 3]


def test_what_differs_from_the_identity_control_in_nothing_ties_with_clean():
    values = noise(np.random.default_rng(4), 500, 3)
    values[:, 1] = 0
    values[:, 2] += 0.4
    ranking = ranking_of(*gains_of(values))
    assert not ranking.beats[1]
    assert ranking.groups[1] == ranking.clean_group > 1


def test_where_nothing_beats_the_identity_control_clean_is_among_the_best():
    ranking = ranking_of(*gains_of(noise(np.random.default_rng(5), 500, 8)))
    assert not ranking.beats.any()
    assert ranking.clean_group == 1


def test_what_loses_stands_in_a_group_behind_clean():
    values = noise(np.random.default_rng(6), 500, 3)
    values[:, 0] -= 0.4
    ranking = ranking_of(*gains_of(values))
    assert ranking.order[-1] == 0
    assert ranking.groups[0] > ranking.clean_group


def test_the_first_group_never_holds_clean_when_something_beats_it():
    """A second candidate with a wide interval ties with the best, and clean with that one, but not with the best."""
    for seed in range(20):
        random = np.random.default_rng(seed)
        values = np.column_stack([random.normal(0.2, 1, 500), random.normal(0.1, 4, 500), random.normal(0.1, 2, 500)])
        ranking = ranking_of(*gains_of(values, seed=seed))
        if ranking.beats.any():
            assert ranking.clean_group > 1
            assert ranking.groups[ranking.order[0]] == 1


def test_candidates_that_win_single_images_do_not_hide_a_clear_gain():
    """Their standardised values are rare and huge; six planted shifts showed a gain of 10 points tied with clean."""
    random = np.random.default_rng(3)
    values = np.zeros((500, 30))
    values[random.choice(500, 50, replace=False), 0] = 1
    for column in range(1, 30):
        values[random.integers(500), column] = random.choice([-1, 1])
    ranking = ranking_of(*gains_of(values))
    assert ranking.beats.tolist() == [True] + [False] * 29
    assert ranking.groups[0] == 1
    assert (ranking.groups[1:] > 1).all()


def test_clean_is_not_among_the_best_even_where_its_own_comparison_would_leave_it_there():
    """A gain between the two critical values, which the drawing of random numbers sets a little apart."""
    halves = np.random.default_rng(0).normal(size=(100, 1))
    for seed in range(50):
        halves = np.random.default_rng(seed).normal(size=(100, 1))
        scaled = (halves - halves.mean()) / halves.std(ddof=1)
        won, lost = critical_value(scaled), critical_value(-scaled)
        if won < lost:
            break
    ranking = ranking_of(np.array([(won + lost) / 2 * halves.std(ddof=1)]), halves)
    assert ranking.beats.tolist() == [True]
    assert ranking.clean_group == 2


def test_the_critical_value_is_that_of_normal_variables():
    """1.645 for one, the quantile 0.95^(1/m) for m independent ones; no larger where they are the same."""
    random = np.random.default_rng(0)
    columns = np.linalg.qr(random.normal(size=(100, 12)))[0]
    columns -= columns.mean(axis=0)
    columns /= columns.std(axis=0, ddof=1)
    assert critical_value(columns[:, :1]) == pytest.approx(norm.ppf(0.95), abs=0.06)
    assert critical_value(columns) == pytest.approx(norm.ppf(0.95 ** (1 / 12)), abs=0.08)
    assert critical_value(columns[:, [0] * 12]) == pytest.approx(critical_value(columns[:, :1]))


def test_a_candidate_of_rare_gains_does_not_hide_the_others():
    """One that wins a single image has halves with a huge standardised gain; the others must be judged by theirs."""
    values = noise(np.random.default_rng(11), 300, 6)
    values[:, 5] = np.arange(300) == 7
    values[:, 2] += 0.12
    ranking = ranking_of(*gains_of(values))
    assert ranking.beats.tolist() == [False, False, True, False, False, False]


def test_candidates_are_ordered_by_group_and_within_a_group_by_their_gain():
    """One with a wide interval may be the best with a smaller gain than one that cannot be."""
    random = np.random.default_rng(7)
    spreads = random.choice([0.01, 0.1, 1.0], size=20)
    gains, halves = random.normal(size=20), random.normal(size=(100, 20)) * spreads
    ranking = ranking_of(gains, halves)
    assert sorted(ranking.order.tolist()) == list(range(20))
    groups, ordered = ranking.groups[ranking.order], gains[ranking.order]
    assert groups.tolist() == sorted(groups)
    for group in np.unique(groups):
        assert ordered[groups == group].tolist() == sorted(ordered[groups == group], reverse=True)
    assert ordered[0] == gains.max()
    assert ordered.tolist() != sorted(gains, reverse=True)


def test_what_had_no_short_run_comes_after_what_was_ranked():
    roles = [("regulariser", None), ("regulariser", 2), ("ranked", None), ("regulariser", 1), ("ranked", 1)]
    candidates = [cast("Candidate", SimpleNamespace(role=role, rank=rank)) for role, rank in roles]
    ordered = sorted(candidates, key=place_in_report)
    assert [(candidate.role, candidate.rank) for candidate in ordered] == [
        ("ranked", 1), ("ranked", None), ("regulariser", 1), ("regulariser", 2), ("regulariser", None)
    ]  # fmt: skip


def test_the_largest_value_is_always_tied_with_the_best():
    random = np.random.default_rng(8)
    for _ in range(20):
        values = random.normal(size=5)
        assert tied_with_best(values, random.normal(0, 1e-6, size=(100, 5)))[values.argmax()]


def test_groups_count_up_without_a_gap():
    values = noise(np.random.default_rng(9), 500, 6) + np.array([0, 0.3, 0.6, 0.9, -0.3, 0])
    ranking = ranking_of(*gains_of(values))
    groups = {*ranking.groups.tolist(), ranking.clean_group}
    assert groups == set(range(1, len(groups) + 1))
    assert len(groups) == 5


def test_no_candidates_and_one_candidate_can_be_ranked():
    nothing = ranking_of(np.empty(0), np.empty((100, 0)))
    assert (len(nothing.order), nothing.clean_group) == (0, 1)
    one = ranking_of(*gains_of(noise(np.random.default_rng(10), 100, 1) + 0.5))
    assert one.order.tolist() == [0]
    assert one.beats.tolist() == [True]
    assert one.clean_group == 2


@pytest.mark.parametrize("won", [1, 2])
def test_one_or_two_images_won_and_none_lost_are_no_clear_gain(won):
    """Of halves without them the gain is 0 and of halves with them twice what it is: their quantile is no guard."""
    values = np.zeros((200, 1))
    values[:won] = 1
    for seed in range(20):
        ranking = ranking_of(*gains_of(values, seed=seed))
        assert not ranking.beats[0]
        assert ranking.clean_group == 1
