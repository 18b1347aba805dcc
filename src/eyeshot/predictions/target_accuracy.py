"""How right predictions are on images without labels: an estimate by confidence optimal transport.

Lu et al., "Characterizing out-of-distribution error via optimal transport" (NeurIPS 2023, arXiv 2302.05018), section
3: each image is assigned to a class at the cost 1 - p of that class, and each class takes as many images as is assumed.
The mean cost of the cheapest assignment estimates the error. To look good, a run must be sure of its answers and spread
them over the classes as assumed, both at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import optimize

from eyeshot.core import NORMAL_95, InputError, percent, points, wilson
from eyeshot.predictions.alignment import check_probabilities, with_columns_of
from eyeshot.predictions.calibration import (
    HIGHEST_TEMPERATURE,
    SMALLEST,
    fit_temperature,
    labelled_part,
    with_temperature,
)
from eyeshot.predictions.class_shares import ClassShares, checked_shares, fewer_than_classes
from eyeshot.predictions.table import Predictions

SMOOTHINGS = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
"""Entropic regularisation, in units of a probability; each is started from the prices of the one before."""
NEAR_ENOUGH = 5e-4
"""The regularisation goes on until the assignment is known to be within this of the cheapest."""
MOST_STEPS = 30
HESSIAN_IMAGES = 10_000
NO_IMAGE = -2.0
"""Price of a class of share 0: no probability makes up for it."""
FEW_CLASSES, MOST_ASSIGNED = 200, 1000
LARGE_MISMATCH = 0.02
RESAMPLES = 1000
TRACK_RECORD = (
    "Measured on 20 targets (docs/evidence.md), such estimates were off by 2.5 points on average without a shift, and "
    "by 12 points with one, mostly too high; there they ordered networks with a Spearman correlation of 0.58."
)


class TargetEstimate(BaseModel):
    """Estimated accuracy on images without labels; it is never a measurement.

    Attributes:
        n: images.
        value: estimated share of right answers.
        low, high: 95 % interval over the images: other images of the same kind, and for `high` also other class shares
            that a sample of n images can have by chance. How far the method itself is off is not in it.
        temperature: what the logarithms of the probabilities were divided by; 1 without validation images.
        confidence: mean probability of the predicted class, at that temperature.
        mismatch: share of the images that must have another class than the predicted if the assumed shares hold.
        gap: by how much `value` may be above the optimum of the assignment.
        assumptions: what the estimate rests on, in sentences.
        warnings: why it may be wrong here, in sentences.
    """

    model_config = ConfigDict(frozen=True)

    n: int
    value: float
    low: float
    high: float
    temperature: float
    confidence: float
    mismatch: float
    gap: float
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The estimate with its interval in a few words."""
        return f"estimate {percent(self.value, 1)} ({percent(self.low, 1)} to {percent(self.high, 1)})"


def estimate_target_accuracy(
    probabilities: Predictions | NDArray[np.floating[Any]],
    *,
    class_shares: ClassShares | None = None,
    validation: Predictions | tuple[NDArray[np.floating[Any]], NDArray[np.int64]] | None = None,
    seed: int = 0,
) -> TargetEstimate:
    """Estimate the accuracy of predictions on images without labels. Labels that they have are not looked at.

    Args:
        probabilities: predictions of n target images, or float (n, C).
        class_shares: how often each class is assumed to occur among the target images: "even", a share by class name,
            or C shares in the order of the columns. None: as among the validation images, or even without them.
        validation: predictions of the same run on labelled images that it was not trained on, or their probabilities
            (m, C) and labels (m,): the temperature is fitted to them. Without them confidence is taken as it is.
        seed: of the resamples.

    Returns:
        the estimate with its interval, what it assumes, and warnings.

    Raises:
        InputError: the probabilities are none, or shares or validation do not fit them.
    """
    values, classes = _checked(probabilities, "the target images")
    warnings: list[str] = []
    assumptions: list[str] = []
    temperature, validation_shares = 1.0, None
    if validation is None:
        assumptions.append("Confidence is taken as it is, since no validation predictions were given.")
        warnings.append(
            "Without validation predictions a run that is sure and wrong looks right. Give them as `validation`."
        )
    else:
        known, labels = _validation(probabilities, validation, values.shape[1])
        temperature = fit_temperature(known, labels)
        validation_shares = np.bincount(labels, minlength=values.shape[1]) / len(labels)
        warnings += skill_warnings(known.argmax(1) == labels, labels, temperature)
        assumptions.append(
            f"Confidence on the target images means what it means on {len(labels)} validation images "
            f"(temperature {temperature:.2f})."
        )
    assumptions.append(TRACK_RECORD)
    shares, shares_words = _shares(class_shares, validation_shares, classes, values.shape[1])
    assumptions.insert(0, f"Classes occur among the target images {shares_words}.")
    scaled = values if temperature == 1 else with_temperature(values, temperature).astype(np.float32)
    del values
    count = len(scaled)
    prices, gap = class_prices(scaled, shares)
    gains = _parts_of_images(scaled, prices, shares)
    random = np.random.default_rng(seed)
    means = [gains[random.integers(0, count, count)].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, (0.025, 0.975))
    mismatch = _mismatch(scaled, shares)
    room = _room_for_other_shares(prices, shares, count)
    warnings += _count_warnings(shares, count, room) + share_warnings(scaled, shares)
    return TargetEstimate(
        n=count,
        value=float(np.clip(gains.mean(), 0, 1)),
        low=float(np.clip(low, 0, 1)),
        high=float(np.clip(high + room, 0, 1)),
        temperature=temperature,
        confidence=float(scaled.max(1).mean(dtype=np.float64)),
        mismatch=mismatch,
        gap=gap,
        assumptions=tuple(assumptions),
        warnings=tuple(warnings),
    )


def accuracy_by_image(
    probabilities: NDArray[np.floating[Any]], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """What each image adds to the estimate, and by how much the estimate rises with the logarithm of the temperature.

    The mean over all images is the estimated accuracy. The prices of the classes are those of all images, so means over
    resamples of images give the estimate's interval, and two runs can be compared image by image. The temperature has
    noise of its own, from the validation images (`temperature_by_image`), which moves all images at once.

    Up to 200 classes this takes about 0.1 s for 600 images. Newton's method takes up to 15 s for 500 classes, so with
    more than 200 the prices are those of an assignment of single images (0.05 s for 600 images, growing with images³ up
    to 1,000 images, a seeded sample of more).

    Args:
        probabilities: float (n, C), after division by the temperature.
        shares: float64 (C,), how often each class is assumed to occur; sum 1.

    Returns:
        float64 (n,); the slope, at fixed prices (the estimate is a minimum over prices).
    """
    values = np.asarray(probabilities, np.float32)
    if (shares > 0).sum() <= FEW_CLASSES:
        prices = class_prices(values, shares)[0]
    else:
        sample = values
        if len(values) > MOST_ASSIGNED:
            sample = values[np.random.default_rng(0).choice(len(values), MOST_ASSIGNED, replace=False)]
        prices = prices_by_assignment(sample, shares)
    assigned = (values + prices.astype(np.float32)).argmax(1)
    logarithms = np.log(np.maximum(values, SMALLEST))
    rows = np.arange(len(values))
    slopes = values[rows, assigned] * ((values * logarithms).sum(1) - logarithms[rows, assigned])
    return _parts_of_images(values, prices, shares), float(slopes.mean(dtype=np.float64))


def prices_by_assignment(probabilities: NDArray[np.floating[Any]], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Prices of the classes (C,) in the best assignment where each class takes a whole number of images.

    No image gains by another class: p_ic + v_c <= p_ik + v_k where image i is assigned to k. The largest such prices up
    to 0 are the shortest paths in the graph of classes (Bellman-Ford), which has no negative cycle if the assignment
    is optimal (Ahuja, Magnanti and Orlin, "Network Flows" (1993), theorem 9.3). Where shares do not give whole numbers,
    the estimate at these prices is above that of `class_prices`: by 0.2 points for 600 images and 500 classes.

    Args:
        probabilities: float (n, C).
        shares: float64 (C,), not negative, with the sum 1.
    """
    values = np.asarray(probabilities, np.float64)
    count, class_count = values.shape
    exact = count * shares
    images_of = np.floor(exact).astype(np.int64)
    images_of[np.argsort(images_of - exact, kind="stable")[: count - images_of.sum()]] += 1
    owner = np.repeat(np.arange(class_count), images_of)
    assigned = owner[optimize.linear_sum_assignment(values[:, owner], maximize=True)[1]]
    lead = values[np.arange(count), assigned][:, None] - values
    most = np.full((class_count, class_count), np.inf)
    for number in np.unique(assigned):
        most[number] = lead[assigned == number].min(0)
    prices = np.zeros(class_count)
    for _ in range(class_count):
        lower = np.minimum(prices, (prices[:, None] + most).min(0))
        done = bool((prices - lower).max() < 1e-9)
        prices = lower
        if done:
            break
    prices[shares == 0] = NO_IMAGE
    return prices


def _parts_of_images(
    values: NDArray[np.floating[Any]], prices: NDArray[np.float64], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    highest: NDArray[np.float64] = (values + prices.astype(np.float32)).max(1).astype(np.float64)
    return highest - float(shares @ prices)


def class_prices(
    probabilities: NDArray[np.floating[Any]], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Prices v of the classes in the cheapest assignment of images to classes: its dual.

    The assignment's mean probability is the minimum over v of mean_i max_c (p_ic + v_c) - sum_c share_c v_c. The
    maximum is smoothed (entropic regularisation: Cuturi, NIPS 2013) and minimised by Newton's method, for ever less
    smoothing, until a plan that keeps the shares is within `NEAR_ENOUGH` of the dual, which bounds it from above.

    Args:
        probabilities: float (n, C).
        shares: float (C,), not negative, with the sum 1.

    Returns:
        float (C,), the prices; by how much the mean of p + v at these prices may be above the optimum.
    """
    used = shares > 0
    prices = np.full(len(shares), NO_IMAGE)
    values = np.ascontiguousarray(probabilities[:, used])
    part = shares[used] / shares[used].sum()
    found = np.zeros(len(part))
    gap = math.inf
    for smoothing in SMOOTHINGS:
        found, plan = _minimised(values, part, found, smoothing)
        dual = float((values + found.astype(values.dtype)).max(1).mean(dtype=np.float64) - part @ found)
        gap = min(gap, max(0.0, dual - _kept_shares(plan, values, part)))
        if gap <= NEAR_ENOUGH:
            break
    prices[used] = found
    return prices, gap


def _minimised(
    values: NDArray[np.floating[Any]], shares: NDArray[np.float64], start: NDArray[np.float64], smoothing: float
) -> tuple[NDArray[np.float64], NDArray[np.floating[Any]]]:
    """Prices at the minimum of the smoothed dual, and the plan (n, C) there, whose rows sum to 1."""
    prices = start
    value, plan = _smoothed(values, shares, prices, smoothing)
    every = max(1, math.ceil(len(values) / HESSIAN_IMAGES))
    for _ in range(MOST_STEPS):
        taken = plan.mean(0, dtype=np.float64)
        slope = taken - shares
        if np.abs(slope).sum() < NEAR_ENOUGH:
            break
        some = plan[::every]
        curvature = np.diag(some.mean(0, dtype=np.float64)) - (some.T @ some).astype(np.float64) / len(some)
        # All prices may rise together, and classes without doubtful images have no curvature: both get a little.
        least = max(float(curvature.diagonal().mean()), 1e-9)
        curvature += least * (1e-4 * np.eye(len(shares)) + 1 / len(shares))
        step = -smoothing * np.linalg.solve(curvature, slope)
        step *= min(1.0, 0.25 / np.abs(step).max())
        moved = False
        for _ in range(7):
            new_value, new_plan = _smoothed(values, shares, prices + step, smoothing)
            if new_value < value:
                prices, value, plan, moved = prices + step - shares @ (prices + step), new_value, new_plan, True
                break
            step /= 2
        if not moved:  # as low as the rounding of the probabilities lets it go
            break
    return prices, plan


def _smoothed(
    values: NDArray[np.floating[Any]], shares: NDArray[np.float64], prices: NDArray[np.float64], smoothing: float
) -> tuple[float, NDArray[np.floating[Any]]]:
    scores = values + prices.astype(values.dtype)
    scores *= values.dtype.type(1 / smoothing)
    highest = scores.max(1, keepdims=True)
    scores -= highest
    np.exp(scores, out=scores)
    sums = scores.sum(1, keepdims=True)
    scores /= sums
    return smoothing * float((np.log(sums) + highest).mean(dtype=np.float64)) - float(shares @ prices), scores


def _kept_shares(
    plan: NDArray[np.floating[Any]], values: NDArray[np.floating[Any]], shares: NDArray[np.float64]
) -> float:
    """Mean probability under a plan that is changed to keep the shares exactly.

    Altschuler et al., "Near-linear time approximation algorithms for optimal transport" (NIPS 2017), algorithm 2: what
    is above a class's share is taken away, and what is left over is spread in proportion.
    """
    count = len(values)
    taken = plan.mean(0, dtype=np.float64)
    kept = np.minimum(1, shares / np.maximum(taken, 1e-300))
    value = float((np.einsum("ij,ij->j", plan, values, dtype=np.float64) / count) @ kept)
    rows_left = np.maximum(0, 1 - plan @ kept.astype(plan.dtype)) / count
    shares_left = np.maximum(0, shares - taken * kept)
    left = float(shares_left.sum())
    return value + (float((rows_left @ values) @ shares_left) / left if left > 1e-9 else 0.0)


def _room_for_other_shares(prices: NDArray[np.float64], shares: NDArray[np.float64], count: int) -> float:
    """By how much the estimate can rise if the target images have other shares than assumed, as a sample has by chance.

    The shares k of n random images differ from those assumed by sum (k - share)² / share = (C - 1) / n on average
    (Pearson's chi-square). Over all k so near, -(k - share) · v is at most this root times the standard deviation of v.
    """
    used = shares > 0
    spread = float(np.sqrt(shares[used] @ np.square(prices[used] - shares[used] @ prices[used])))
    return math.sqrt((used.sum() - 1) / count) * spread


def _mismatch(probabilities: NDArray[np.floating[Any]], shares: NDArray[np.float64]) -> float:
    predicted = np.bincount(probabilities.argmax(1), minlength=len(shares)) / len(probabilities)
    return float(np.abs(predicted - shares).sum() / 2)


def _mismatch_by_chance(shares: NDArray[np.float64], count: int) -> float:
    """Mean of half the sum of |share in a random sample of n images - share|, each approximately normal."""
    return float(np.sqrt(2 * shares * (1 - shares) / (math.pi * count)).sum() / 2)


def _count_warnings(shares: NDArray[np.float64], count: int, room: float) -> list[str]:
    if fewer := fewer_than_classes(count, shares):
        return [fewer]
    if room > LARGE_MISMATCH:
        by_chance = min(1.0, _mismatch_by_chance(shares, count))
        return [
            f"The class shares of {count} images differ from those assumed by about {percent(by_chance, 1)} "
            f"by chance, so the estimate may be too low by up to {points(room)}."
        ]
    return []


def share_warnings(probabilities: NDArray[np.floating[Any]], shares: NDArray[np.float64]) -> list[str]:
    """Whether predictions contradict the assumed class shares beyond what their own error rate can explain.

    Args:
        probabilities: float (n, C), after division by the temperature.
        shares: float64 (C,), how often each class is assumed to occur.
    """
    confidence = probabilities.max(1).astype(np.float64)
    mismatch, own_error = _mismatch(probabilities, shares), 1 - float(confidence.mean())
    count = len(confidence)
    noise = _mismatch_by_chance(shares, count) + NORMAL_95 * float(confidence.std()) / math.sqrt(count)
    if mismatch <= own_error + 2 * noise:
        return []
    return [
        f"If the assumed class shares hold, at least {percent(mismatch, 1)} of the answers are wrong, but the run "
        f"itself expects {percent(own_error, 1)}: either the shares are others, or the run is much worse here than "
        "on the validation images. Give the shares if they are known."
    ]


def skill_warnings(right: NDArray[np.bool_], labels: NDArray[np.int64], temperature: float) -> list[str]:
    """Whether a run knows nothing: random answers agree with even class shares as well as right ones do.

    Args:
        right: bool (m,), whether the answers on the validation images are right.
        labels: int64 (m,), their classes.
        temperature: what fits them.
    """
    most = float(np.bincount(labels).max() / len(labels))
    if wilson(int(right.sum()), len(labels))[0] > most and temperature <= 0.9 * HIGHEST_TEMPERATURE:
        return []
    return [
        f"On the validation images the run ({percent(float(right.mean()), 1)}) is not clearly better than always "
        f"answering the most frequent class ({percent(most, 1)}), so the estimate means nothing."
    ]


def _checked(
    probabilities: Predictions | NDArray[np.floating[Any]], name: str
) -> tuple[NDArray[np.floating[Any]], tuple[str, ...] | None]:
    given = probabilities.probabilities if isinstance(probabilities, Predictions) else np.asarray(probabilities)
    if given.ndim != 2 or not len(given) or given.shape[1] < 2:
        raise InputError(
            f"Probabilities must have at least one image and two classes, (n, C), got {given.shape} of {name}."
        )
    run = probabilities.run if isinstance(probabilities, Predictions) else ""
    check_probabilities(given, name=run or name)
    values: NDArray[np.floating[Any]] = np.asarray(given, np.float64 if given.dtype == np.float64 else np.float32)
    return values, probabilities.classes if isinstance(probabilities, Predictions) else None


def _validation(
    target: Predictions | NDArray[np.floating[Any]],
    validation: Predictions | tuple[NDArray[np.floating[Any]], NDArray[np.int64]],
    class_count: int,
) -> tuple[NDArray[np.floating[Any]], NDArray[np.int64]]:
    """Probabilities (m, C) and labels (m,) of the validation images that have a label."""
    if isinstance(validation, Predictions):
        ordered = with_columns_of(target, validation) if isinstance(target, Predictions) else validation
        probabilities, labels = labelled_part(ordered)
    else:
        probabilities, labels = np.asarray(validation[0]), np.asarray(validation[1], np.int64)
    if probabilities.ndim != 2 or probabilities.shape[1] != class_count or labels.shape != probabilities.shape[:1]:
        raise InputError(
            f"Validation must be probabilities (m, {class_count}) and labels (m,), got {probabilities.shape} and "
            f"{labels.shape}."
        )
    if not len(labels) or labels.min() < 0 or labels.max() >= class_count:
        raise InputError(
            f"Validation must have images with labels from 0 to {class_count - 1}, got {len(labels)} images"
            + (f" with labels {labels.min()} to {labels.max()}." if len(labels) else ".")
        )
    check_probabilities(probabilities, name="the validation images")
    return probabilities, labels


def _shares(
    given: ClassShares | None,
    of_validation: NDArray[np.float64] | None,
    classes: tuple[str, ...] | None,
    class_count: int,
) -> tuple[NDArray[np.float64], str]:
    """Shares (C,) with the sum 1, and where they come from."""
    if given is None and of_validation is not None:
        return of_validation, "as often as among the validation images"
    shares = checked_shares("even" if given is None else given, classes, class_count)
    return shares, "evenly" if given is None or isinstance(given, str) else "as often as given"
