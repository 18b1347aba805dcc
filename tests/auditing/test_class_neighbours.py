from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from eyeshot.auditing.label_issues import directions, nearest_in, neighbours_vote
from eyeshot.auditing.model_checks import FAR, far_from_own


def clouds(seed: int, count: int = 120, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    return np.abs(random.normal(size=(count, 12))) + 4.0 * np.eye(12)[labels], labels


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


def test_an_image_of_another_kind_is_far_from_its_class_and_comes_first() -> None:
    features, labels = clouds(1, 150)
    features[30] = np.r_[np.zeros(11), 9.0]
    far = far_from_own(directions(features), labels, np.arange(150))
    assert far.rows[far.scores.argmax()] == 30
    assert far.scores.max() > 2 * FAR
    assert (far.scores >= FAR).sum() <= 5


def test_distances_are_those_of_a_search_by_hand() -> None:
    features, labels = clouds(2, 75)
    vectors = directions(features)
    far = far_from_own(vectors, labels, np.arange(75))
    for row, distance in zip(far.rows[:20].tolist(), far.distances[:20].tolist(), strict=True):
        own = sorted(
            1 - float(vectors[other] @ vectors[row])
            for other in np.flatnonzero(labels == labels[row]).tolist()
            if other != row
        )
        assert distance == pytest.approx(np.mean(own[:10]), abs=1e-5)


def test_copies_count_once_so_that_ten_copies_are_no_crowd() -> None:
    features, labels = clouds(3, 150)
    odd = np.r_[np.zeros(11), 9.0]
    features[:30:3] = odd  # ten copies of one strange picture in class 0
    groups = np.arange(150)
    groups[:30:3] = 0
    far = far_from_own(directions(features), labels, groups)
    assert far.rows[far.scores.argmax()] == 0
    assert not set(far.rows.tolist()) & set(range(3, 30, 3))


def test_small_classes_and_images_without_label_are_passed_over() -> None:
    features, labels = clouds(4, 60)
    labels = np.where(labels == 2, -1, labels)
    labels[labels == 1] = np.where(np.arange(20) < 19, 1, 0)
    far = far_from_own(directions(features), labels, np.arange(60))
    assert set(labels[far.rows].tolist()) == {0}


def test_a_class_of_equal_pictures_has_no_outliers() -> None:
    far = far_from_own(directions(np.ones((30, 4))), np.zeros(30, np.int64), np.arange(30))
    assert (far.scores < FAR).all()
