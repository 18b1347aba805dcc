from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score

from decisions_made import table_of
from eyeshot.auditing.label_issues import (
    CLEAR,
    confident_class,
    contradicted,
    directions,
    issue_score,
    margin,
    nearest_in,
    neighbours_vote,
    rank_label_issues,
    thresholds,
    unevenness,
)
from eyeshot.models import out_of_fold


def clouds(seed: int, count: int = 120, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    return np.abs(random.normal(size=(count, 12))) + 4.0 * np.eye(12)[labels], labels


def random_case(seed: int, *, count: int = 60, classes: int = 4, sharp: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a fairly good model, and labels of which some are wrong."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, count)
    logits = random.normal(size=(count, classes)) + sharp * random.random() * np.eye(classes)[truth]
    values = np.exp(logits)
    labels = np.where(random.random(count) < 0.2, random.integers(0, classes, count), truth)
    return values / values.sum(axis=1, keepdims=True), labels


def straight_from_the_paper(probabilities: np.ndarray, labels: np.ndarray) -> dict[int, int]:
    """Equations 1 and 2, image by image: the class that each one is counted for off the diagonal."""
    count = probabilities.shape[1]
    means = {}
    for j in range(count):
        own = [row[j] for row, label in zip(probabilities, labels, strict=True) if label == j]
        if own:
            means[j] = sum(own) / len(own)
    found = {}
    for number, (row, label) in enumerate(zip(probabilities, labels, strict=True)):
        reached = [j for j in means if row[j] >= means[j] - 1e-6]
        if reached:
            best = max(reached, key=lambda j: row[j])
            if best != label and max(range(count), key=lambda j: row[j]) != label:
                found[number] = best
    return found


@settings(max_examples=60, deadline=None)
@drawn(st.integers(0, 10**6), st.integers(2, 7), st.integers(1, 120))
def test_what_is_contradicted_is_what_the_equations_say(seed: int, classes: int, count: int) -> None:
    probabilities, labels = random_case(seed, count=count, classes=classes)
    expected = straight_from_the_paper(probabilities, labels)
    rows = np.flatnonzero(contradicted(probabilities, labels))
    assert dict(zip(rows.tolist(), confident_class(probabilities, labels)[rows].tolist(), strict=True)) == expected
    suspects = rank_label_issues(probabilities, labels)
    clear = {
        row
        for row in range(count)
        if np.delete(probabilities[row], labels[row]).max() >= CLEAR + probabilities[row, labels[row]]
    }
    assert set(suspects.rows.tolist()) == clear | expected.keys()
    assert all(suspects.proposed != labels[suspects.rows])
    assert (np.diff(issue_score(probabilities, labels)[0][suspects.rows]) <= 0).all()
    assert (suspects.margins > 0).all()


@settings(max_examples=30, deadline=None)
@drawn(st.integers(0, 10**6), st.integers(2, 6))
def test_names_of_classes_and_order_of_images_do_not_matter(seed: int, classes: int) -> None:
    probabilities, labels = random_case(seed, classes=classes)
    random = np.random.default_rng(seed + 1)
    named, order = random.permutation(classes), random.permutation(len(labels))
    other = rank_label_issues(probabilities[order][:, np.argsort(named)], named[labels[order]])
    first = rank_label_issues(probabilities, labels)
    assert set(zip(order[other.rows].tolist(), other.proposed.tolist(), strict=True)) == set(
        zip(first.rows.tolist(), named[first.proposed].tolist(), strict=True)
    )


@pytest.mark.parametrize("seed", range(20))
def test_cleanlab_finds_the_same_and_ranks_the_same(seed: int) -> None:
    """cleanlab, an independent implementation by the authors of the paper (Apache-2.0 since 2.9)."""
    cleanlab = pytest.importorskip("cleanlab", minversion="2.9")
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    assert cleanlab.__version__
    probabilities, labels = random_case(seed, count=200, classes=3 + seed % 4, sharp=4.0)
    theirs = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    assert theirs.tolist() == contradicted(probabilities, labels).tolist()
    quality = get_label_quality_scores(labels, probabilities, method="normalized_margin")
    np.testing.assert_allclose((1 - margin(probabilities, labels)) / 2, quality, atol=1e-12)


def labels_for(truth: np.ndarray, wrong: np.ndarray, to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sure probabilities of the truth, and labels of which some were replaced."""
    labels = truth.copy()
    labels[wrong] = to
    return 0.9 * np.eye(6)[truth] + 0.1 / 6, labels


def test_labels_replaced_evenly_are_ranked_by_odds_and_those_of_similar_classes_by_the_margin() -> None:
    random = np.random.default_rng(0)
    truth = np.arange(1200) % 6
    wrong = random.choice(1200, 240, replace=False)
    even = labels_for(truth, wrong, (truth[wrong] + random.integers(1, 6, 240)) % 6)
    similar = labels_for(truth, wrong, (truth[wrong] + 1) % 6)
    assert unevenness(*even) == pytest.approx(1, abs=0.15)
    assert unevenness(*similar) == pytest.approx(5)
    assert "by the odds" in issue_score(*even)[1]
    np.testing.assert_array_equal(issue_score(*similar)[0], margin(*similar))
    own, other = even[0][wrong, even[1][wrong]], even[0][wrong].max(axis=1)
    assert issue_score(*even)[0][wrong] == pytest.approx(np.log(other / own))


def test_without_wrong_labels_nothing_is_known_of_their_spread() -> None:
    truth = np.arange(60) % 6
    assert unevenness(*labels_for(truth, np.array([0]), np.array([3]))) == np.inf


def test_a_model_that_agrees_with_every_label_has_no_suspects() -> None:
    labels = np.arange(30) % 3
    assert len(rank_label_issues(0.9 * np.eye(3)[labels] + 0.1 / 3, labels)) == 0


def test_the_clearest_of_two_wrong_labels_comes_first_with_its_class() -> None:
    labels = np.arange(30) % 3
    probabilities = 0.9 * np.eye(3)[labels] + 0.1 / 3
    probabilities[4] = [0.01, 0.01, 0.98]
    probabilities[7] = [0.94, 0.05, 0.01]
    suspects = rank_label_issues(probabilities, labels)
    assert suspects.rows.tolist() == [4, 7]
    assert suspects.proposed.tolist() == [2, 0]
    assert suspects.margins == pytest.approx([0.97, 0.89])


def test_a_class_that_no_image_has_is_never_proposed() -> None:
    labels = np.array([0, 1] * 10)
    probabilities = np.tile([0.2, 0.2, 0.6], (20, 1))
    assert np.isinf(thresholds(probabilities, labels)[2])
    assert 2 not in confident_class(probabilities, labels)


def test_an_unsure_class_needs_less_to_be_proposed_than_a_sure_one() -> None:
    """The threshold is each class's own: 0.55 is confident for a class that never gets more, not for the other."""
    labels = np.array([0] * 10 + [1] * 10)
    probabilities = np.array([[0.95, 0.05]] * 10 + [[0.45, 0.55]] * 10)
    probabilities[0] = [0.45, 0.55]
    probabilities[19] = [0.55, 0.45]
    assert rank_label_issues(probabilities, labels).rows.tolist() == [0]


def test_a_clear_contradiction_counts_though_its_class_is_usually_surer() -> None:
    labels = np.arange(40) % 2
    probabilities = 0.98 * np.eye(2)[labels] + 0.01
    probabilities[3] = [0.8, 0.2]
    probabilities[5] = [0.6, 0.4]
    assert not contradicted(probabilities, labels).any()
    assert rank_label_issues(probabilities, labels).rows.tolist() == [3]


def test_no_images_and_one_class_are_no_trouble() -> None:
    assert len(rank_label_issues(np.empty((0, 3)), np.empty(0, np.int64))) == 0
    assert len(rank_label_issues(np.ones((4, 1)), np.zeros(4, np.int64))) == 0


def test_directions_have_length_one_and_keep_the_sign() -> None:
    found = directions(np.array([[4.0, 9.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(found[0], np.array([2.0, 3.0, 0.0]) / np.sqrt(13), rtol=1e-6)
    np.testing.assert_allclose(found[1:], [[-1, 0, 0], [0, 0, 0]])


@settings(max_examples=40, deadline=None)
@drawn(st.integers(0, 10**6), st.integers(1, 5))
def test_nearest_images_are_those_of_a_search_by_hand_and_no_copies(seed: int, count: int) -> None:
    features, labels = clouds(seed, 40)
    groups = np.random.default_rng(seed).integers(0, 20, 40)
    vectors = directions(features)
    among = np.flatnonzero(labels == 1)
    found = nearest_in(vectors, np.arange(40), among, groups, count)
    firsts = [row for row in among.tolist() if row == next(one for one in among.tolist() if groups[one] == groups[row])]
    for row in range(40):
        others = [other for other in firsts if groups[other] != groups[row]]
        expected = sorted(others, key=lambda other: -float(vectors[other] @ vectors[row]))[:count]
        assert found[row].tolist() == expected


def test_a_class_without_other_images_has_no_nearest() -> None:
    vectors = directions(np.eye(3))
    assert [one.tolist() for one in nearest_in(vectors, np.array([0]), np.array([0]), np.arange(3), 3)] == [[]]
    assert [one.tolist() for one in nearest_in(vectors, np.array([0, 1]), np.array([], int), np.arange(3), 3)] == [
        [],
        [],
    ]


@settings(max_examples=30, deadline=None)
@drawn(st.integers(0, 10**6), st.integers(2, 60))
def test_votes_are_those_of_a_search_by_hand(seed: int, count: int) -> None:
    features, labels = clouds(seed, count, 2)
    groups = np.random.default_rng(seed).integers(0, max(1, count // 2), count)
    vectors = directions(features)
    found = neighbours_vote(vectors, labels, groups, 2)
    voters = int(np.clip(np.median(np.bincount(labels)) // 2, 3, 20))
    for row in range(count):
        others = [other for other in range(count) if groups[other] != groups[row]]
        nearest = sorted(others, key=lambda other: -float(vectors[other] @ vectors[row]))[:voters]
        expected = np.bincount(labels[nearest], minlength=2) / len(nearest) if nearest else np.full(2, 0.5)
        np.testing.assert_allclose(found[row], expected, atol=1e-6)


def test_an_image_has_no_vote_about_its_copies() -> None:
    features, labels = clouds(0)
    labels = labels.copy()
    features[1] = features[0]
    labels[:2] = 2  # two copies under one wrong label
    groups = np.arange(len(labels))
    groups[1] = 0
    assert neighbours_vote(directions(features), labels, groups, 3)[0, 2] == 0


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_wrong_labels_planted_among_real_digits_come_first(share: float) -> None:
    images, truth = load_digits(return_X_y=True)
    rows = np.random.default_rng(0).choice(len(truth), 700, replace=False)
    images, truth = images[rows], truth[rows]
    random = np.random.default_rng(1)
    wrong = np.zeros(700, bool)
    wrong[random.choice(700, round(700 * share), replace=False)] = True
    given = np.where(wrong, (truth + random.integers(1, 10, 700)) % 10, truth)
    groups = np.arange(700)
    table = table_of([(f"c{label}", number) for number, label in enumerate(given.tolist())])
    head, _, _ = out_of_fold(table, images, groups)
    mixed = (head + neighbours_vote(directions(images), given, groups, 10)) / 2
    assert average_precision_score(wrong, margin(mixed, given)) > 0.97
    suspects = rank_label_issues(mixed, given)
    assert wrong[suspects.rows].mean() > 0.85
    assert wrong[suspects.rows].sum() > 0.75 * wrong.sum()
    assert (suspects.proposed == truth[suspects.rows])[wrong[suspects.rows]].mean() > 0.95
