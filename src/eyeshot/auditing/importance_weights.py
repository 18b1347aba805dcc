"""Importance weights: which training images resemble the test images, and how many images the weights are worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from eyeshot.core import InputError, auc_half_width
from eyeshot.data import ImageTable, LikeTest, content_hashes, hold_out
from eyeshot.models import domain_classifier, fit_head

FOLDS = 5
FEWEST = 50  # below it the accuracy of a validation set has a standard error of up to 7 points
Values = NDArray[np.floating]


def density_ratio(train: Values, test: Values, groups: NDArray[np.int64], *, seed: int) -> tuple[Values, float]:
    """Weights of training images from a classifier that separates them from test images, cross-fitted.

    The odds of "test" divided by the prior odds estimate the ratio of densities (Bickel, Brückner and Scheffer 2009).
    Their effective number is Kish's, (sum w)^2 / sum w^2 (1965), times the mean of the weights if that is below 1: the
    ratio has mean 1 over training images if they cover all that test images are, and a smaller mean if they do not.
    The odds are calibrated first (Platt 1999): a classifier of a few hundred images in hundreds of dimensions is far
    too confident, and would make only a tenth of two equal sets effective.

    Args:
        train: features (N, D).
        test: features (M, D).
        groups: int64 (N,), equal for duplicates, which are never fitted and judged at the same time.
        seed: seed of the folds.

    Returns:
        float64 (N,), the density of test images divided by that of training images at each image; and the effective
        number of images.
    """
    logits = _calibrated(_cross_fitted(train, test, groups, seed), len(train))[: len(train)]
    logs = logits - np.log(len(test) / len(train))
    top = float(logs.max())
    scaled = np.exp(logs - top)
    reach = min(1.0, float(np.exp(top) * scaled.mean()))
    effective = reach * float(scaled.sum() ** 2 / np.square(scaled).sum())
    return np.exp(np.clip(logs, -700, 700)), effective


def order_by_weight(table: ImageTable, groups: NDArray[np.int64], weights: Values, *, seed: int) -> Values:
    """An order for `hold_out` in which a group comes first in proportion to its weight.

    Weighted sampling without replacement by exponential times (Efraimidis and Spirakis 2006); the times depend on seed
    and content.
    """
    group_index = np.unique(groups, return_inverse=True)[1]
    of_group = np.bincount(group_index, weights=weights) / np.bincount(group_index)
    hashes = np.array(content_hashes(table.contents, seed), dtype=np.float64)
    least = np.full(len(of_group), np.inf)
    np.minimum.at(least, group_index, hashes)
    uniform = (least + 1.0) / 2.0**64
    # As logarithms, because weights of images that resemble no test image are as small as a float can be.
    race = np.log(-np.log(np.minimum(uniform, 1 - 1e-16))) - np.log(np.maximum(of_group, 1e-300))
    return np.asarray(race[group_index], np.float64)


def check_effective(effective_number: float, images: int, val_count: int, share: float) -> None:
    """Refuse a validation set larger than the training images that look like test images.

    Raises:
        InputError: the message has the effective number.
    """
    effective = int(effective_number)
    if effective >= max(val_count, FEWEST):
        return
    way = "Use the split without --match-test; its validation accuracy may then not hold on the test set."
    if effective >= FEWEST:
        smaller = np.floor(100 * share * effective / val_count) / 100
        way = f"Use --val-share {smaller:g}, or the split without --match-test."
    raise InputError(
        f"--match-test needs training images that resemble the test images: at least {max(val_count, FEWEST)} "
        f"for --val-share {share:g}, got an effective number of {effective} among {images}. {way}"
    )


def judge_likeness(
    table: ImageTable,
    groups: NDArray[np.int64],
    train: Values,
    test: Values,
    held: NDArray[np.int64],
    effective: float,
    *,
    share: float,
    seed: int,
) -> LikeTest:
    """How well a classifier separates the chosen validation images from test images, against images chosen by chance.

    New classifiers are fitted for this, because the weights are biased for the images that they chose.
    """
    _, chance = hold_out(table, groups, share=share, seed=seed)
    before, after = (auc_between(train[rows], test, groups[rows], seed=seed) for rows in (chance, held))
    halves = [auc_half_width(area, len(rows), len(test)) for area, rows in ((before, chance), (after, held))]
    return LikeTest(
        effective=effective, auc_before=before, before_half=halves[0], auc_after=after, after_half=halves[1]
    )


def auc_between(first: Values, second: Values, groups: NDArray[np.int64], *, seed: int) -> float:
    """Area under the ROC curve of a cross-fitted classifier between two sets; 0.5: it cannot separate them."""
    logits = _cross_fitted(first, second, groups, seed)
    return float(roc_auc_score(np.repeat([0, 1], [len(first), len(second)]), logits))


def _calibrated(logits: Values, count: int) -> Values:
    """Logits whose odds are right on unseen images; the first `count` are training images, the rest test images."""
    labels = (np.arange(len(logits)) >= count).astype(np.int64)
    head = fit_head(logits[:, None], labels, class_count=2, tolerance=1e-6)
    slope = float(head.weight[1, 0] - head.weight[0, 0])
    if slope <= 0:  # the classifier separates nothing: all images are alike
        return np.full(len(logits), np.log((len(logits) - count) / count))
    return np.asarray(slope * logits + float(head.bias[1] - head.bias[0]), np.float64)


def _cross_fitted(first: Values, second: Values, groups: NDArray[np.int64], seed: int) -> Values:
    """Logits of "from the second set" for both sets, each from a classifier that has not seen the image's group."""
    random = np.random.default_rng(seed)
    group_index = np.unique(groups, return_inverse=True)[1]
    fold_of_group = random.permutation(int(group_index.max()) + 1) % FOLDS
    fold = np.concatenate([fold_of_group[group_index], random.permutation(len(second)) % FOLDS])
    features = np.concatenate([first, second]).astype(np.float32)
    return domain_classifier(features, np.arange(len(features)) >= len(first), fold, tolerance=1e-4)
