from __future__ import annotations

import numpy as np
import pytest
from decisions_made import table_of
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score

from eyeshot.auditing.label_issues import directions, find_suspects, margin, neighbours_vote
from eyeshot.images import ImageTable, make_folds
from eyeshot.models import fit_head
from eyeshot.models.linear_probe import PENALTIES, out_of_fold


def table(labels: np.ndarray) -> ImageTable:
    return table_of([(f"c{label}", number) for number, label in enumerate(labels.tolist())])


def clouds(seed: int = 0, count: int = 200, apart: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    return random.normal(size=(count, 30)) + apart * np.eye(30)[labels], labels


def test_every_image_is_judged_once_and_rows_sum_to_one() -> None:
    features, labels = clouds(apart=5.0)
    found = out_of_fold(table(labels), features, np.arange(200))
    assert found.judged.all()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert (found.probabilities.argmax(axis=1) == labels).mean() > 0.95
    assert found.penalty in PENALTIES


def test_an_image_says_nothing_about_itself_or_its_copies() -> None:
    """Labels by chance: with a copy in training they would be known."""
    random = np.random.default_rng(0)
    pictures, labels = random.normal(size=(120, 200)), random.integers(0, 2, 120)
    found = out_of_fold(table(np.tile(labels, 3)), np.tile(pictures, (3, 1)), np.tile(np.arange(120), 3))
    assert (found.probabilities.argmax(axis=1) == np.tile(labels, 3)).mean() < 0.65


def test_wrong_labels_call_for_a_stronger_penalty_than_the_usual_one() -> None:
    features, labels = clouds(1, 400, 2.5)
    given = labels.copy()
    given[::5] = (labels[::5] + 1) % 4
    assert out_of_fold(table(given), features, np.arange(400)).penalty >= 30


def test_the_strongest_penalty_within_one_standard_error_is_taken() -> None:
    features, labels = clouds(8, 200, 4.0)
    given = labels.copy()
    given[::5] = (labels[::5] + 1) % 4
    fold = make_folds(table(given), np.arange(200), folds=5, seed=0, small=True)
    losses = {}
    for penalty in PENALTIES:
        each = np.empty(200)
        for number in range(5):
            held = fold == number
            head = fit_head(features[~held], given[~held], class_count=4, penalty=penalty)
            each[held] = -np.log(head.predict_proba(features[held])[np.arange(held.sum()), given[held]])
        losses[penalty] = each
    least = min(losses.values(), key=np.mean)
    expected = max(one for one in PENALTIES if losses[one].mean() <= least.mean() + least.std() / np.sqrt(200))
    found = out_of_fold(table(given), features, np.arange(200)).penalty
    assert found == expected
    assert losses[found].mean() > least.mean()


def test_the_penalty_is_not_so_strong_that_nothing_is_learnt() -> None:
    features, labels = clouds(2, 200, 8.0)
    found = out_of_fold(table(labels), features, np.arange(200))
    assert found.probabilities[np.arange(200), labels].min() > 0.5
    assert found.penalty < max(PENALTIES)


def test_the_same_images_in_another_order_get_the_same_probabilities() -> None:
    features, labels = clouds(3)
    order = np.random.default_rng(1).permutation(200)
    images = [(f"c{label}", number) for number, label in enumerate(labels.tolist())]
    first = out_of_fold(table_of(images), features, np.arange(200))
    other = out_of_fold(table_of([images[row] for row in order]), features[order], np.arange(200))
    np.testing.assert_allclose(other.probabilities, first.probabilities[order], atol=0.01)


def test_classes_of_a_few_images_are_not_judged_but_train() -> None:
    features, labels = clouds(4, 203)
    labels[200:] = 9
    features[200:] += 20.0
    found = out_of_fold(table(labels), features, np.arange(203))
    assert found.judged.tolist() == [True] * 200 + [False] * 3
    assert found.probabilities.shape == (203, 5)


def test_many_images_are_sampled_to_choose_the_penalty_and_all_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    from eyeshot.models import linear_probe as module

    features, labels = clouds(6, 400)
    monkeypatch.setattr(module, "MOST_CHOOSING", 100)
    found = out_of_fold(table(labels), features, np.arange(400))
    assert found.judged.all()
    assert (found.probabilities.argmax(axis=1) == labels).mean() > 0.9


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
    head = out_of_fold(table(given), images, groups).probabilities
    mixed = (head + neighbours_vote(directions(images), given, groups, 10)) / 2
    assert average_precision_score(wrong, margin(mixed, given)) > 0.97
    suspects = find_suspects(mixed, given)
    assert wrong[suspects.rows].mean() > 0.85
    assert wrong[suspects.rows].sum() > 0.75 * wrong.sum()
    assert (suspects.proposed == truth[suspects.rows])[wrong[suspects.rows]].mean() > 0.95
