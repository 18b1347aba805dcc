import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from eyeshot.core import ModelError
from eyeshot.models import cross_fit, fit_head, fit_many_classes
from eyeshot.models.softmax_regression import Curvature, _zero_gradient, minimise


def made(classes, images, width, *, apart=0.6, seed=0):
    """Correlated features float32 of classes that overlap, and labels."""
    random = np.random.default_rng(seed)
    spectrum = np.arange(1, width + 1) ** -0.5
    labels = np.repeat(np.arange(classes), images)
    values = (random.normal(size=(classes, width)) * apart)[labels] + random.normal(size=(len(labels), width))
    basis = np.linalg.qr(random.normal(size=(width, width)))[0]
    return ((values * spectrum) @ basis).astype(np.float32), labels


def loss_of(features, labels, weight, bias, penalty):
    scores = features.astype(np.float64) @ weight.T + bias
    top = scores.max(1)
    logs = top + np.log(np.exp(scores - top[:, None]).sum(1)) - scores[np.arange(len(labels)), labels]
    return logs.mean() + 0.5 * penalty / len(labels) * np.square(weight).sum()


@pytest.mark.parametrize(
    ("classes", "images", "width", "penalty"),
    [(40, 12, 48, 1.0), (40, 12, 48, 100.0), (3, 60, 200, 10.0), (5, 25, 300, 0.3), (30, 5, 160, 3.0)],
)
def test_the_loss_is_that_of_scikit_learn_within_three_thousandths(classes, images, width, penalty):
    features, labels = made(classes, images, width)
    standard = ((features - features.mean(0)) / features.std(0)).astype(np.float32)
    reference = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5000).fit(standard.astype(float), labels)
    least = loss_of(standard, labels, reference.coef_, reference.intercept_, penalty)
    weights, loss = minimise(
        standard, labels, classes, ridge=penalty / len(labels), curvature=Curvature(standard, classes)
    )
    ours = loss_of(standard, labels, weights[:, :-1].astype(float), weights[:, -1].astype(float), penalty)
    assert loss == pytest.approx(ours, rel=1e-4)
    assert least <= ours * (1 + 1e-6)
    assert ours <= least * 1.003


def test_to_a_small_decrement_the_probabilities_are_those_of_scikit_learn():
    features, labels = made(20, 15, 40)
    standard = ((features - features.mean(0)) / features.std(0)).astype(np.float32)
    reference = LogisticRegression(C=0.1, tol=1e-8, max_iter=5000).fit(standard.astype(float), labels)
    weights, _ = minimise(
        standard, labels, 20, ridge=10 / len(labels), curvature=Curvature(standard, 20), decrement=1e-7
    )
    scores = standard @ weights[:, :-1].T + weights[:, -1]
    ours = np.exp(scores - scores.max(1, keepdims=True))
    ours /= ours.sum(1, keepdims=True)
    assert np.abs(ours - reference.predict_proba(standard)).max() < 2e-3


@pytest.mark.parametrize(("penalty", "share"), [(1.0, 1.4), (30.0, 1.06), (300.0, 1.01)])
def test_the_first_step_alone_ends_near_the_minimum(penalty, share):
    """With the kappa of the start in the place of its end, the losses are 2.0 and 1.07 times the least at 1 and 30."""
    features, labels = made(50, 20, 100)
    standard = ((features - features.mean(0)) / features.std(0)).astype(np.float32)
    reference = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5000).fit(standard.astype(float), labels)
    least = loss_of(standard, labels, reference.coef_, reference.intercept_, penalty)
    _, loss = minimise(
        standard, labels, 50, ridge=penalty / len(labels), curvature=Curvature(standard, 50), decrement=0.0, steps=1
    )
    assert loss < share * least


def test_the_gradient_at_zero_is_that_of_the_formula_in_float64():
    features, labels = made(6, 30, 20)
    labels[labels == 4] = 1  # a class without images, and one with twice as many
    gradient, centres = _zero_gradient(features, labels, 6)
    residuals = np.full((len(labels), 6), 1 / 6) - np.eye(6)[labels]
    with_bias = np.hstack([features.astype(float), np.ones((len(labels), 1))])
    assert np.allclose(gradient, residuals.T @ with_bias / len(labels), atol=1e-6)
    assert np.allclose(centres[1], features[labels == 1].mean(0), atol=1e-5)
    assert not centres[4].any()


def test_features_that_are_all_constant_end_at_the_shares_of_the_classes():
    labels = np.repeat([0, 1, 2], [40, 10, 10])
    answers = fit_many_classes(np.ones((60, 8)), labels, class_count=3, penalty=1.0).predict_proba(np.ones((1, 8)))
    assert np.allclose(answers, [4 / 6, 1 / 6, 1 / 6], atol=0.02)


@pytest.mark.parametrize("penalty", [1.0, 100.0])
def test_uneven_classes_have_the_minimum_of_scikit_learn(penalty):
    features, labels = made(20, 40, 60)
    rows = np.flatnonzero(np.arange(len(labels)) % 40 < 2 + 2 * labels)  # from 2 to 40 images a class
    features, labels = features[rows], labels[rows]
    standard = ((features - features.mean(0)) / features.std(0)).astype(np.float32)
    reference = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5000).fit(standard.astype(float), labels)
    least = loss_of(standard, labels, reference.coef_, reference.intercept_, penalty)
    _, loss = minimise(standard, labels, 20, ridge=penalty / len(labels), curvature=Curvature(standard, 20))
    assert least * (1 - 1e-5) <= loss <= least * 1.003


def test_it_is_the_probe_of_fit_head_on_raw_features():
    features, labels = made(20, 15, 40)
    features = features * 7 + 3
    ours = fit_many_classes(features, labels, class_count=20, penalty=30.0).predict_proba(features)
    exact = fit_head(features, labels, class_count=20, penalty=30.0, tolerance=1e-8).predict_proba(features)
    assert np.abs(ours - exact).mean() < 2e-3
    assert (ours.argmax(1) == exact.argmax(1)).mean() > 0.98


def folds_of(count, number=5, seed=0):
    fold = np.random.default_rng(seed).permutation(count) % number
    return [(np.flatnonzero(fold != part), np.flatnonzero(fold == part)) for part in range(number)]


def test_labels_that_features_know_nothing_of_are_answered_by_chance():
    """Weights of another fold as a start would know the judged images."""
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(600, 300)).astype(np.float32), random.integers(0, 4, 600)
    probabilities, _ = cross_fit(features, labels, folds_of(600), class_count=4)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-4)
    assert abs((probabilities.argmax(1) == labels).mean() - 0.25) < 0.07


def test_rows_that_no_fold_judges_have_no_probabilities():
    features, labels = made(4, 20, 16)
    folds = [(train, judged[judged > 9]) for train, judged in folds_of(80)]
    probabilities, penalty = cross_fit(features, labels, folds, class_count=4)
    assert not probabilities[:10].any()
    assert probabilities[10:].sum() == pytest.approx(70, abs=1e-3)
    assert penalty > 0


def test_a_class_that_does_not_train_in_a_fold_gets_little():
    features, labels = made(4, 20, 16)
    train = np.flatnonzero(labels != 3)
    probabilities, _ = cross_fit(features, labels, [(train[::2], train[1::2])], class_count=4)
    assert probabilities[train[1::2], 3].max() < 0.1


def test_constant_and_huge_features_are_no_harm():
    features, labels = made(4, 20, 16)
    features[:, 3] = 9.0
    features[:, 4] *= 1e6
    head = fit_many_classes(features, labels, class_count=4, penalty=1.0)
    assert np.all(head.weight[:, 3] == 0)
    assert np.isfinite(head.predict_proba(features)).all()


def test_features_that_are_not_finite_are_a_model_error():
    features, labels = made(4, 20, 16)
    features[0, 0] = np.nan
    with pytest.raises(ModelError, match="finite"):
        cross_fit(features, labels, folds_of(80), class_count=4)


def test_two_fits_are_the_same_bit_for_bit():
    features, labels = made(10, 20, 30)
    first, second = (fit_many_classes(features, labels, class_count=10, penalty=3.0) for _ in range(2))
    assert np.array_equal(first.weight, second.weight)
