"""Ensembles against scikit-learn and brute force; gains that are claimed only where there are some."""

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import StackingClassifier, VotingClassifier

from eyeshot.core.errors import InputError
from eyeshot.predictions import METHODS, Combination, EnsembleJudge, can_stack, combine, error_correlation, gain
from eyeshot.predictions.ensemble_judging import stratified_folds
from eyeshot.predictions.ensembles import fit_per_class, fit_stacking
from eyeshot.predictions.greedy_selection import GreedySelection


class Stored(ClassifierMixin, BaseEstimator):
    """An estimator whose input is the number of an image, and whose probabilities are given."""

    def __init__(self, table=None):
        self.table = table

    def fit(self, numbers, labels):
        self.classes_ = np.arange(self.table.shape[1])
        return self

    def predict_proba(self, numbers):
        return self.table[np.asarray(numbers)[:, 0]].astype(np.float64)

    def predict(self, numbers):
        return self.predict_proba(numbers).argmax(1)


def made(member_count=3, image_count=120, class_count=4, *, skill=1.5, seed=0):
    """Members whose errors are independent: float16 tables and labels."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, class_count, image_count)
    members = []
    for _ in range(member_count):
        scores = random.normal(size=(image_count, class_count))
        scores[np.arange(image_count), labels] += skill
        values = np.exp(scores)
        members.append((values / values.sum(1, keepdims=True)).astype(np.float16))
    return members, labels


def even(method, members):
    return combine(Combination(method=method, weights=(1 / len(members),) * len(members)), members)


def fitted(estimator, members, labels, **options):
    numbers = np.arange(len(labels))[:, None]
    named = [(f"member{number}", Stored(table).fit(numbers, labels)) for number, table in enumerate(members)]
    return estimator(named, **options).fit(numbers, labels), numbers


def test_soft_voting_is_that_of_scikit_learn():
    members, labels = made()
    voting, numbers = fitted(VotingClassifier, members, labels, voting="soft")
    assert np.allclose(even("soft", members), voting.predict_proba(numbers), atol=1e-3)  # float16 rows sum to nearly 1
    assert (even("soft", members).argmax(1) == voting.predict(numbers)).all()


def test_hard_voting_is_that_of_scikit_learn_where_votes_are_not_equal_and_soft_where_they_are():
    members, labels = made(5, 400)
    voting, numbers = fitted(VotingClassifier, members, labels, voting="hard")
    votes = np.stack([np.bincount(column, minlength=4) for column in np.stack([t.argmax(1) for t in members]).T])
    clear = np.sort(votes, axis=1)[:, -1] > np.sort(votes, axis=1)[:, -2]
    answers = even("hard", members).argmax(1)
    assert 0.5 < clear.mean() < 1
    assert (answers == voting.predict(numbers))[clear].all()
    first = np.where(votes == votes.max(1, keepdims=True), even("soft", members), -1).argmax(1)
    assert (answers == first).all()


def test_the_geometric_mean_is_that_of_the_logarithms():
    members, _ = made()
    expected = np.exp(np.mean([np.log(table.astype(np.float64)) for table in members], axis=0))
    assert np.allclose(even("geometric", members), expected / expected.sum(1, keepdims=True), atol=1e-6)


def test_one_member_cannot_forbid_a_class_in_the_geometric_mean():
    sure, unsure = np.array([[1.0, 0.0]], np.float16), np.array([[0.0, 1.0]], np.float16)
    assert np.allclose(even("geometric", [sure, unsure]), 0.5)


@pytest.mark.parametrize("class_count", [4, 30])
def test_ranks_are_summed_over_members(class_count):
    members, _ = made(3, 50, class_count)
    ranks = sum(np.maximum(10 - class_count + rankdata(table, axis=1, method="max"), 0) for table in members)
    ranks = ranks if class_count >= 10 else ranks - len(members) * (10 - class_count)
    assert np.allclose(even("rank", members), ranks / ranks.sum(1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("class_count", [2, 4])
def test_stacking_is_that_of_scikit_learn(class_count):
    members, labels = made(3, 200, class_count, skill=0.7)
    stack, numbers = fitted(StackingClassifier, members, labels, cv="prefit")
    combination = fit_stacking(members, labels, np.arange(200))
    assert np.allclose(combine(combination, members), stack.predict_proba(numbers), atol=2e-3)
    assert (combine(combination, members).argmax(1) == stack.predict(numbers)).mean() > 0.99


def test_stacking_survives_a_class_that_it_was_not_fitted_on():
    members, labels = made(2, 90, 3)
    for missing, rows in ((2, labels < 2), (0, labels > 0)):
        answers = combine(fit_stacking(members, labels, np.flatnonzero(rows)), members)
        assert np.isfinite(answers).all()
        assert answers[:, missing].max() < 1e-6
        assert (answers.argmax(1) == labels)[rows].mean() > 0.7


def test_weights_per_class_are_f1_drawn_towards_the_accuracy():
    members, labels = made(2, 300, 3)
    predicted = np.stack([table.argmax(1) for table in members])
    weights = np.array(fit_per_class(members, labels, predicted).class_weights)
    own = predicted[0] == labels
    hits, guesses, images = (own & (labels == 1)).sum(), (predicted[0] == 1).sum(), (labels == 1).sum()
    assert weights[0, 1] == pytest.approx((2 * hits + 10 * own.mean()) / (guesses + images + 10), abs=1e-6)
    combined = combine(fit_per_class(members, labels, predicted), members)
    by_hand = sum(table.astype(float) * row for table, row in zip(members, weights, strict=True))
    assert np.allclose(combined, by_hand / by_hand.sum(1, keepdims=True), atol=1e-6)


def brute_force(members, labels, rows, order, rounds):
    """Every candidate in every round, on all probabilities."""
    total, taken, accuracies = np.zeros(members[0].shape), [], []
    for _ in range(rounds):
        scores = [((total + members[j]).argmax(1) == labels)[rows].mean() for j in order]
        best = order[int(np.argmax(scores))]
        taken.append(best)
        accuracies.append(max(scores))
        total += members[best]
    kept = int(np.argmax(accuracies)) + 1
    return np.bincount(taken[:kept], minlength=len(members)), accuracies


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    member_count=st.integers(1, 6),
    class_count=st.integers(2, 6),
    steps=st.sampled_from([4, 8, 2048]),
)
def test_greedy_selection_is_that_of_brute_force_with_ties_too(seed, member_count, class_count, steps):
    random = np.random.default_rng(seed)
    members = [(random.integers(0, steps, (30, class_count)) / steps).astype(np.float16) for _ in range(member_count)]
    labels, rows = random.integers(0, class_count, 30), random.random(30) < 0.8
    order = random.permutation(member_count)
    counts, accuracies = GreedySelection(members, labels).select(rows, order, rounds=8)
    expected_counts, expected = brute_force(members, labels, rows, order, 8)
    assert counts.tolist() == expected_counts.tolist()
    assert np.allclose(accuracies, expected)


def test_greedy_selection_in_blocks_of_images_is_the_same(monkeypatch):
    members, labels = made(8, 200, 10, skill=0.8)
    rows, order = np.ones(200, bool), np.arange(8)
    whole = GreedySelection(members, labels).select(rows, order)
    monkeypatch.setattr("eyeshot.predictions.greedy_selection.BLOCK_BYTES", 1)
    parts = GreedySelection(members, labels).select(rows, order)
    assert whole[0].tolist() == parts[0].tolist()
    assert whole[1] == parts[1]


def test_folds_spread_every_class_evenly_and_follow_the_seed():
    labels = np.repeat([0, 1, 2], [50, 25, 10])
    folds = stratified_folds(labels, 5, seed=3)
    for number, each in ((0, 10), (1, 5), (2, 2)):
        assert np.bincount(folds[labels == number]).tolist() == [each] * 5
    assert (folds == stratified_folds(labels, 5, seed=3)).all()
    assert (folds != stratified_folds(labels, 5, seed=4)).any()


def test_independent_errors_give_a_gain_that_is_claimed():
    members, labels = made(6, 500, 4, skill=1.0)
    judge = EnsembleJudge(members, labels, list(METHODS))
    claimed = gain(judge.best_method(), judge.best_run())
    assert claimed.real
    assert claimed.difference > 0.05
    truth = made(6, 20_000, 4, skill=1.0, seed=9)
    single = np.mean([(table.argmax(1) == truth[1]).mean() for table in truth[0]])
    ensemble = (even("soft", truth[0]).argmax(1) == truth[1]).mean()
    assert claimed.low - 0.02 < ensemble - single < claimed.high + 0.02


def noise(random, member_count=12, image_count=100, class_count=3):
    """Members that are all right on the same 60 % of the images and guess on the rest: no ensemble can be better."""
    labels = random.integers(0, class_count, image_count)
    easy = random.random(image_count) < 0.6
    members = []
    for _ in range(member_count):
        scores = random.normal(size=(image_count, class_count))
        scores[easy, labels[easy]] += 20
        values = np.exp(scores)
        members.append((values / values.sum(1, keepdims=True)).astype(np.float16))
    return members, labels


def test_members_that_are_noise_show_no_gain_at_more_than_the_nominal_rate():
    random = np.random.default_rng(0)
    claimed, fooled, differences, repeats = 0, 0, [], 60
    methods = ["soft", "hard", "geometric", "rank", "per-class", "greedy"]
    for _ in range(repeats):
        members, labels = noise(random)
        judge = EnsembleJudge(members, labels, methods, seed=int(random.integers(1_000_000)))
        found = gain(judge.best_method(), judge.best_run())
        differences.append(found.difference)
        claimed += found.real
        inside = combine(judge.fit("greedy"), members).argmax(1) == labels
        fooled += gain(inside, judge.best_run()).real
    # The test has a level of 5 %, which benchmarks/ensembles_noise.py finds too: 3 of 60.
    assert claimed < 6
    assert abs(np.mean(differences)) < 3 * np.std(differences) / np.sqrt(repeats)
    # On the images that greedy selection saw, most gains are claimed, so the test can fail.
    assert fooled > 30


def test_choosing_the_best_run_is_judged_on_other_images_too():
    random = np.random.default_rng(1)
    members, labels = noise(random, 40, 200)
    judge = EnsembleJudge(members, labels, ["soft"])
    assert judge.right.mean(1).max() > judge.best_run().mean()


def test_what_is_stored_out_of_fold_is_what_was_judged():
    members, labels = made(4, 100, 3, skill=0.5)
    judge = EnsembleJudge(members, labels, list(METHODS))
    for method in METHODS:
        right = judge.out_of_fold_probabilities(method).argmax(1) == labels
        assert (right == judge.out_of_fold(method)).all(), method


def test_a_soup_is_fitted_on_the_images_of_the_other_folds_only():
    members, labels = made(3, 100, 3)
    seen = []

    def soup(rows):
        seen.append(rows)
        return (1.0, 0.0, 0.0), members[0]

    judge = EnsembleJudge(members, labels, ["soft", "uniform-soup"], soups={"uniform-soup": soup})
    assert all(0.55 < rows.mean() < 0.85 for rows in seen)
    assert len(seen) == 15
    assert (judge.out_of_fold("uniform-soup") == judge.right[0]).all()


def test_the_correlation_of_errors_is_that_of_numpy():
    right = np.random.default_rng(0).random((4, 300)) < 0.7
    right[3] = True
    found = error_correlation(right)
    assert np.allclose(found[:3, :3], np.corrcoef(~right[:3]), atol=1e-6)
    assert found[3].tolist() == [0, 0, 0, 1]


def test_gains_are_those_of_exact_mcnemar():
    random = np.random.default_rng(2)
    first, second = random.random(200) < 0.8, random.random(200) < 0.7
    won, lost = int((first & ~second).sum()), int((second & ~first).sum())
    tail = sum(comb(won + lost, count) for count in range(min(won, lost) + 1)) / 2 ** (won + lost)
    assert gain(first, second).p == pytest.approx(min(1, 2 * tail))
    assert gain(first, first).p == 1


def test_few_images_are_refused():
    members, labels = made(2, 19)
    with pytest.raises(InputError, match="at least 20 labelled validation images, got 19"):
        EnsembleJudge(members, labels, ["soft"])


def test_stacking_is_left_to_few_members_and_classes():
    assert [can_stack(*sizes) for sizes in product((5, 200), (7, 500))] == [True, False, True, False]
