from __future__ import annotations

import numpy as np
import pytest

from eyeshot.auditing.label_issues import directions
from eyeshot.auditing.model_checks import FAR, distances_within_classes


def clouds(seed: int, count: int = 120, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    return np.abs(random.normal(size=(count, 12))) + 4.0 * np.eye(12)[labels], labels


def test_an_image_of_another_kind_is_far_from_its_class_and_comes_first() -> None:
    features, labels = clouds(1, 150)
    features[30] = np.r_[np.zeros(11), 9.0]
    rows, _, _, scores = distances_within_classes(directions(features), labels, np.arange(150))
    assert rows[scores.argmax()] == 30
    assert scores.max() > 2 * FAR
    assert (scores >= FAR).sum() <= 5


def test_distances_are_those_of_a_search_by_hand() -> None:
    features, labels = clouds(2, 75)
    vectors = directions(features)
    rows, distances, _, _ = distances_within_classes(vectors, labels, np.arange(75))
    for row, distance in zip(rows[:20].tolist(), distances[:20].tolist(), strict=True):
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
    rows, _, _, scores = distances_within_classes(directions(features), labels, groups)
    assert rows[scores.argmax()] == 0
    assert not set(rows.tolist()) & set(range(3, 30, 3))


def test_small_classes_and_images_without_label_are_passed_over() -> None:
    features, labels = clouds(4, 60)
    labels = np.where(labels == 2, -1, labels)
    labels[labels == 1] = np.where(np.arange(20) < 19, 1, 0)
    rows, _, _, _ = distances_within_classes(directions(features), labels, np.arange(60))
    assert set(labels[rows].tolist()) == {0}


def test_a_class_of_equal_pictures_has_no_outliers() -> None:
    _, _, _, scores = distances_within_classes(directions(np.ones((30, 4))), np.zeros(30, np.int64), np.arange(30))
    assert (scores < FAR).all()
