"""Adversarial validation on a model's features: what the properties do not measure, the model may still see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.adversarial import FEWEST, FOLDS, MOST, in_words, interval_of
from eyeshot.auditing.leakage import TOLERANCE
from eyeshot.auditing.report import AdversarialFeatures
from eyeshot.auditing.sources import Sources
from eyeshot.auditing.two_sets import cross_fitted

ENDS = 8  # images of each end
PENALTY = 100.0  # hundreds of features and a few hundred images: with 1 it only learns these by heart


def tell_apart_by_features(
    sources: Sources,
    rows: NDArray[np.int64],
    features: NDArray[np.generic],
    groups: NDArray[np.int64],
    *,
    model: str,
    seed: int = 0,
) -> AdversarialFeatures | None:
    """Cross-fitted area under the curve of a linear head, copy groups whole; None with under 20 images on a side.

    Args:
        sources: where the images come from.
        rows: int64 (n,), positions in `sources`, of training and test images.
        features: (n, D).
        groups: int64 (n,), equal for copies, also of a training and a test image.
        model: whose features these are.
        seed: of the choice of images and of the folds.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold

    in_test = sources.in_test[rows]
    random = np.random.default_rng([seed, 15])
    chosen = [random.permutation(np.flatnonzero(side))[:MOST] for side in (~in_test, in_test)]
    if min(map(len, chosen)) < FEWEST:
        return None
    some = np.sort(np.concatenate(chosen))
    truth = in_test[some]
    fold = np.empty(len(some), np.int64)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(folds.split(truth, truth, groups[some])):
        fold[held] = number
    scores = cross_fitted(features[some], truth, fold, balanced=True, penalty=PENALTY, tolerance=TOLERANCE)
    auc = float(roc_auc_score(truth, scores))
    interval = interval_of(truth, scores, groups[some], random)
    order = np.argsort(scores, kind="stable")
    words = in_words(
        auc, interval, by=f"By features of {model} a linear classifier", why=": look at the images that it is surest of"
    )
    low, high = order[~truth[order]][:ENDS], order[::-1][truth[order[::-1]]][:ENDS]
    return AdversarialFeatures(
        model=model, auc=auc, interval=interval, n_train=int((~truth).sum()), n_test=int(truth.sum()),
        low=sources.refs(rows[some[low]]), high=sources.refs(rows[some[high]]), words=words,
    )  # fmt: skip
