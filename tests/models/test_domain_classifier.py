import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from eyeshot.models import domain_classifier, domain_folds


def two_sets(shift, *, counts=(240, 160), width=6, seed=0):
    random = np.random.default_rng(seed)
    in_target = np.arange(sum(counts)) >= counts[0]
    features = random.normal(size=(len(in_target), width))
    features[in_target, 0] += shift
    return features.astype(np.float32), in_target


@pytest.mark.parametrize("balanced", [False, True])
def test_logits_are_those_of_scikit_learn_fitted_on_the_other_folds(balanced):
    features, in_target = two_sets(1.0)
    fold = domain_folds(in_target, np.arange(400))
    ours = domain_classifier(features, in_target, fold, balanced=balanced, penalty=3.0, tolerance=1e-7)
    for number in range(5):
        fitted, held = features[fold != number].astype(float), features[fold == number]
        mask = in_target[fold != number]
        weights = np.where(mask, 1 / mask.sum(), 1 / (~mask).sum()) if balanced else np.ones(len(mask))
        weights = weights / weights.sum()
        mean = weights @ fitted
        spread = np.sqrt(weights @ (fitted - mean) ** 2)
        # Two classes with a weight each: the penalty on their difference is half of that on a single weight.
        model = LogisticRegression(C=2 / 3.0, tol=1e-10, max_iter=5000)
        model.fit((fitted - mean) / spread, mask, sample_weight=weights * len(mask))
        theirs = model.decision_function((held - mean) / spread)
        np.testing.assert_allclose(ours[fold == number], theirs, atol=0.01)


def test_two_samples_of_one_distribution_cannot_be_told_apart():
    features, in_target = two_sets(0.0, counts=(1000, 1000))
    logits = domain_classifier(features, in_target, domain_folds(in_target, np.arange(2000)), tolerance=1e-4)
    assert roc_auc_score(in_target, logits) == pytest.approx(0.5, abs=0.04)


def test_copies_share_a_fold_so_that_nothing_is_learnt_by_heart():
    """Each picture of one set eight times, in many dimensions: with a copy in training it would be known."""
    random = np.random.default_rng(1)
    features = np.repeat(random.normal(size=(40, 300)), 8, axis=0)
    in_target = np.repeat(random.random(40) < 0.5, 8)
    groups = np.repeat(np.arange(40), 8)
    fold = domain_folds(in_target, groups)
    assert all(len(set(fold[groups == group])) == 1 for group in range(40))
    assert sorted(set(fold.tolist())) == [0, 1, 2, 3, 4]
    apart = roc_auc_score(in_target, domain_classifier(features, in_target, fold, tolerance=1e-3))
    by_heart = roc_auc_score(in_target, domain_classifier(features, in_target, np.arange(320) % 5, tolerance=1e-3))
    assert apart < 0.75
    assert by_heart > 0.95


def test_with_balanced_sets_the_larger_one_does_not_draw_all_logits_to_its_side():
    features, in_target = two_sets(0.5, counts=(900, 90))
    fold = domain_folds(in_target, np.arange(990))
    plain = domain_classifier(features, in_target, fold, tolerance=1e-4)
    balanced = domain_classifier(features, in_target, fold, balanced=True, penalty=10.0, tolerance=1e-4)
    assert plain.mean() < -1.5
    assert abs(balanced[in_target].mean() + balanced[~in_target].mean()) < 0.5
