import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from eyeshot.core.errors import InputError, ModelError
from eyeshot.data import ImageTable, make_folds
from eyeshot.data.table import COLUMNS
from eyeshot.models import Head, fit_head, out_of_fold
from eyeshot.models.linear_probe import PENALTIES


def make_clouds(count=300, width=8, classes=4, apart=1.0, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    centres = random.normal(size=(classes, width)) * apart
    return (centres[labels] + random.normal(size=(count, width))).astype(np.float32), labels


@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0])
def test_probabilities_are_those_of_scikit_learn_on_standardised_features(penalty):
    features, labels = make_clouds()
    standard = (features - features.mean(0)) / features.std(0)
    reference = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=2000).fit(standard.astype(float), labels)
    ours = fit_head(features, labels, penalty=penalty, tolerance=1e-7).predict_proba(features)
    assert np.abs(ours - reference.predict_proba(standard)).max() < 1e-3


def test_sample_weights_are_those_of_scikit_learn():
    features, labels = make_clouds()
    weights = np.random.default_rng(1).uniform(0.1, 3, len(labels))
    weights *= len(labels) / weights.sum()
    share = weights / weights.sum()
    mean = share @ features
    standard = (features - mean) / np.sqrt(share @ (features - mean) ** 2)
    reference = LogisticRegression(C=1.0, tol=1e-8, max_iter=2000).fit(standard, labels, sample_weight=weights)
    ours = fit_head(features, labels, sample_weights=weights, tolerance=1e-7).predict_proba(features)
    assert np.abs(ours - reference.predict_proba(standard)).max() < 1e-3


def test_a_soft_label_is_the_same_as_rows_of_each_class_with_its_weight():
    features, labels = make_clouds()
    soft = np.full((len(labels), 4), 0.1)
    soft[np.arange(len(labels)), labels] = 0.7
    from_soft = fit_head(features, soft, tolerance=1e-8)
    rows, classes = np.repeat(features, 4, axis=0), np.tile(np.arange(4), len(labels))
    # Four rows for one: the penalty of a row is a quarter then.
    from_rows = fit_head(rows, classes, sample_weights=soft.ravel(), penalty=4.0, tolerance=1e-8)
    assert np.allclose(from_soft.predict_proba(features), from_rows.predict_proba(features), atol=1e-4)


def test_two_fits_are_the_same_bit_for_bit():
    features, labels = make_clouds()
    assert np.array_equal(fit_head(features, labels).weight, fit_head(features, labels).weight)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-50, 50))
def test_scale_and_shift_of_the_features_do_not_matter(scale, shift):
    features, labels = make_clouds(count=120)
    before = fit_head(features, labels, tolerance=1e-7).predict_proba(features)
    moved = (features.astype(np.float64) * scale + shift * scale).astype(np.float32)
    after = fit_head(moved, labels, tolerance=1e-7).predict_proba(moved)
    assert np.abs(before - after).max() < 5e-3


def test_probabilities_sum_to_one_and_the_most_probable_class_is_predicted():
    features, labels = make_clouds()
    head = fit_head(features, labels)
    probabilities = head.predict_proba(features.astype(np.float16))
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)
    assert np.array_equal(probabilities.argmax(1), head.predict(features.astype(np.float16)))


def test_constant_features_are_left_out():
    features, labels = make_clouds()
    features[:, 2] = 7.0
    assert np.all(fit_head(features, labels).weight[:, 2] == 0)


def test_a_class_without_images_gets_a_small_probability():
    features, labels = make_clouds(classes=3)
    probabilities = fit_head(features, labels, class_count=5).predict_proba(features)
    assert probabilities.shape == (300, 5)
    assert probabilities[:, 3:].max() < 0.05


def test_one_class_only_is_certain():
    features, _ = make_clouds()
    assert np.allclose(fit_head(features, np.zeros(300, int)).predict_proba(features), 1)


def test_a_start_near_the_end_changes_nothing_but_the_steps():
    features, labels = make_clouds()
    cold = fit_head(features, labels, tolerance=1e-7)
    warm = fit_head(features, labels, tolerance=1e-7, start=fit_head(features[::2], labels[::2]))
    assert np.abs(cold.predict_proba(features) - warm.predict_proba(features)).max() < 1e-4


def test_a_head_of_2400_images_and_10_classes_takes_less_than_150_ms():
    features, labels = make_clouds(2400, 64, 10, apart=0.3)
    fit_head(features, labels)
    times = []
    for _ in range(3):
        begin = time.thread_time()  # of this thread, on however busy a machine
        fit_head(features, labels)
        times.append(time.thread_time() - begin)
    assert min(times) < 0.15


@pytest.mark.parametrize(
    ("features", "labels", "weights", "match"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), None, "as many labels"),
        (np.zeros((3, 2)), np.zeros(2, int), None, "got 2 and 3"),
        (np.zeros((2, 2)), np.array([0, -1]), None, "must lie in 0"),
        (np.zeros((2, 2)), np.array([0, 1]), np.array([-1.0, 2.0]), "none negative"),
    ],
)
def test_labels_that_do_not_fit_are_an_input_error(features, labels, weights, match):
    with pytest.raises(InputError, match=match):
        fit_head(features, labels, sample_weights=weights)


def test_features_that_are_not_finite_are_a_model_error():
    with pytest.raises(ModelError, match="finite"):
        fit_head(np.array([[1.0], [np.nan]]), np.array([0, 1]))


def test_huge_scores_give_no_nan():
    head = Head(np.array([[1e4], [-1e4]], np.float32), np.zeros(2, np.float32))
    assert np.array_equal(head.predict_proba(np.array([[100.0]])), [[1.0, 0.0]])


def table_of(images):
    """A table of (label, number of the picture)."""
    rows = [
        (f"{label}/{row:04}.png", f"/{row}", label, 1, 8, 8, "RGB", f"{number:032x}")
        for row, (label, number) in enumerate(images)
    ]
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    return ImageTable(frame, tuple(sorted({label for label, _ in images})))


def table(labels):
    return table_of([(f"c{label}", number) for number, label in enumerate(labels.tolist())])


def labelled_clouds(seed=0, count=200, apart=3.0):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    return random.normal(size=(count, 30)) + apart * np.eye(30)[labels], labels


def test_every_image_is_judged_once_and_rows_sum_to_one():
    features, labels = labelled_clouds(apart=5.0)
    probabilities, judged, penalty = out_of_fold(table(labels), features, np.arange(200))
    assert judged.all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.95
    assert penalty in PENALTIES


def test_an_image_says_nothing_about_itself_or_its_duplicates():
    """Labels by chance: with a duplicate in training they would be known."""
    random = np.random.default_rng(0)
    pictures, labels = random.normal(size=(120, 200)), random.integers(0, 2, 120)
    probabilities, _judged, _penalty = out_of_fold(
        table(np.tile(labels, 3)), np.tile(pictures, (3, 1)), np.tile(np.arange(120), 3)
    )
    assert (probabilities.argmax(axis=1) == np.tile(labels, 3)).mean() < 0.65


def test_wrong_labels_call_for_a_stronger_penalty_than_the_usual_one():
    features, labels = labelled_clouds(1, 400, 2.5)
    given = labels.copy()
    given[::5] = (labels[::5] + 1) % 4
    _, _, penalty = out_of_fold(table(given), features, np.arange(400))
    assert penalty >= 30


def test_the_strongest_penalty_within_one_standard_error_is_taken():
    features, labels = labelled_clouds(8, 200, 4.0)
    given = labels.copy()
    given[::5] = (labels[::5] + 1) % 4
    fold = make_folds(table(given), np.arange(200), folds=5, seed=0, small=True)
    losses = {}
    for penalty in PENALTIES:
        image_losses = np.empty(200)
        for number in range(5):
            held = fold == number
            head = fit_head(features[~held], given[~held], class_count=4, penalty=penalty)
            image_losses[held] = -np.log(head.predict_proba(features[held])[np.arange(held.sum()), given[held]])
        losses[penalty] = image_losses
    least = min(losses.values(), key=np.mean)
    expected = max(
        penalty for penalty in PENALTIES if losses[penalty].mean() <= least.mean() + least.std() / np.sqrt(200)
    )
    _, _, penalty = out_of_fold(table(given), features, np.arange(200))
    assert penalty == expected
    assert losses[penalty].mean() > least.mean()


def test_the_penalty_is_not_so_strong_that_nothing_is_learnt():
    features, labels = labelled_clouds(2, 200, 8.0)
    probabilities, _judged, penalty = out_of_fold(table(labels), features, np.arange(200))
    assert probabilities[np.arange(200), labels].min() > 0.5
    assert penalty < max(PENALTIES)


def test_the_same_images_in_another_order_get_the_same_probabilities():
    features, labels = labelled_clouds(3)
    order = np.random.default_rng(1).permutation(200)
    images = [(f"c{label}", number) for number, label in enumerate(labels.tolist())]
    first, _, _ = out_of_fold(table_of(images), features, np.arange(200))
    reordered, _, _ = out_of_fold(table_of([images[row] for row in order]), features[order], np.arange(200))
    np.testing.assert_allclose(reordered, first[order], atol=0.01)


def test_classes_of_a_few_images_are_not_judged_but_train():
    features, labels = labelled_clouds(4, 203)
    labels[200:] = 9
    features[200:] += 20.0
    probabilities, judged, _penalty = out_of_fold(table(labels), features, np.arange(203))
    assert judged.tolist() == [True] * 200 + [False] * 3
    assert probabilities.shape == (203, 5)


def test_many_images_are_sampled_to_choose_the_penalty_and_all_are_judged(monkeypatch):
    from eyeshot.models import linear_probe

    features, labels = labelled_clouds(6, 400)
    monkeypatch.setattr(linear_probe, "MOST_CHOOSING", 100)
    probabilities, judged, _penalty = out_of_fold(table(labels), features, np.arange(400))
    assert judged.all()
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.9
