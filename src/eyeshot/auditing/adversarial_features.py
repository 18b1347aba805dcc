"""Adversarial validation on a model's features: what the properties do not measure, the model may still see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.adversarial import FEWEST, FOLDS, MOST, interval_of
from eyeshot.auditing.leakage import TOLERANCE
from eyeshot.auditing.report import AdversarialFeatures
from eyeshot.auditing.sources import Sources
from eyeshot.models import fit_head

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
    scores = np.zeros(len(some))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for fitted, held in folds.split(truth, truth, groups[some]):
        weights = np.where(truth[fitted], 1 / truth[fitted].sum(), 1 / (~truth[fitted]).sum())
        head = fit_head(
            features[some[fitted]], truth[fitted].astype(np.int64), class_count=2, sample_weights=weights,
            penalty=PENALTY, tolerance=TOLERANCE,
        )  # fmt: skip
        held_features = np.asarray(features[some[held]], np.float32)
        scores[held] = held_features @ (head.weight[1] - head.weight[0]) + (head.bias[1] - head.bias[0])
    auc = float(roc_auc_score(truth, scores))
    interval = interval_of(truth, scores, groups[some], random)
    order = np.argsort(scores, kind="stable")
    low, high = order[~truth[order]][:ENDS], order[::-1][truth[order[::-1]]][:ENDS]
    return AdversarialFeatures(
        model=model, auc=auc, interval=interval, n_train=int((~truth).sum()), n_test=int(truth.sum()),
        low=sources.refs(rows[some[low]]), high=sources.refs(rows[some[high]]), words=_words(auc, interval, model),
    )  # fmt: skip


def _words(auc: float, interval: tuple[float, float], model: str) -> str:
    numbers = f"area under the curve {auc:.2f}, 95 % interval {interval[0]:.2f} to {interval[1]:.2f}, cross-fitted"
    if interval[0] <= 0.5:
        return f"By features of {model} a linear classifier cannot tell test from training ({numbers})."
    how = "easily" if auc > 0.9 else "often" if auc > 0.7 else "a little better than by chance"
    return (
        f"By features of {model} a linear classifier tells test from training {how} ({numbers}): look at the images "
        "that it is surest of."
    )
