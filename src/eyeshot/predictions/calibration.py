"""Whether a run is right as often as it is sure: calibration error, reliability, temperature."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import optimize, special

from eyeshot.core import InputError
from eyeshot.predictions.table import Accuracy, Predictions

Binning = Literal["equal-width", "equal-mass"]
BINS = 15
SMALLEST = 2.0**-25
"""Probabilities below half the smallest float16 are stored as 0, whose logarithm is infinite."""
HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE = 1000.0, 0.02
RESAMPLES = 1000


class ReliabilityBin(BaseModel):
    """Images of similar confidence.

    Attributes:
        confidence: their mean probability of the predicted class.
        accuracy: share of them that is right, with the interval of Wilson.
    """

    model_config = ConfigDict(frozen=True)

    confidence: float
    accuracy: Accuracy


class Calibration(BaseModel):
    """How well confidence tells accuracy, on n labelled images.

    Attributes:
        error: expected calibration error; a share.
        low, high: its 95 % interval over images.
        error_by_chance: what a perfectly calibrated run with the same confidences would show on as many images, on
            average: the binned error is never below 0.
        confidence: mean probability of the predicted class.
        accuracy: share of right answers.
        temperature: what the logarithms of the probabilities are divided by for the lowest log loss on these images;
            above 1 where the run is too sure.
        error_scaled: the error after division by a temperature, which was fitted on the other half of the images.
        bins: of equal width; bins without an image are left out.
    """

    model_config = ConfigDict(frozen=True)

    n: int
    error: float
    low: float
    high: float
    error_by_chance: float
    confidence: float
    accuracy: Accuracy
    temperature: float
    error_scaled: float
    bins: tuple[ReliabilityBin, ...]


def measure_calibration(predictions: Predictions, *, seed: int = 0) -> Calibration:
    """Calibration error, reliability and temperature of predictions with labels; images without a label are left out.

    Raises:
        InputError: fewer than two images have labels.
    """
    probabilities, labels = labelled_part(predictions)
    if len(labels) < 2:
        raise InputError(
            f"Calibration needs at least two images with labels, got {len(labels)} of {predictions.run or 'a run'}."
        )
    confidence, right = _confidence(probabilities, labels)
    low, high = calibration_error_interval(confidence, right, seed=seed)
    random = np.random.default_rng([seed, 1])
    calibrated = [
        calibration_error(confidence, random.random(len(confidence)) < confidence) for _ in range(RESAMPLES // 10)
    ]
    half = random.permutation(len(labels)) % 2 == 0
    scaled = np.empty_like(probabilities)
    for part in (half, ~half):
        scaled[part] = with_temperature(probabilities[part], fit_temperature(probabilities[~part], labels[~part]))
    return Calibration(
        n=len(labels),
        error=calibration_error(confidence, right),
        low=low,
        high=high,
        error_by_chance=float(np.mean(calibrated)),
        confidence=float(confidence.mean()),
        accuracy=Accuracy.of_counts(int(right.sum()), len(right)),
        temperature=fit_temperature(probabilities, labels),
        error_scaled=calibration_error(*_confidence(scaled, labels)),
        bins=tuple(reliability(confidence, right)),
    )


def calibration_error(
    confidence: NDArray[np.floating[Any]],
    right: NDArray[np.bool_],
    *,
    bins: int = BINS,
    binning: Binning = "equal-width",
) -> float:
    """Expected calibration error: mean over images of |accuracy - confidence| of their bin.

    Guo et al., "On calibration of modern neural networks" (ICML 2017), equation 3, with 15 bins of equal width as
    there; `equal-mass` puts as many images into each bin (Nixon et al., "Measuring calibration in deep learning", CVPR
    workshops 2019).

    Args:
        confidence: float (n,), probability of the predicted class.
        right: bool (n,), whether it is the label.
        bins: how many.
        binning: how they are cut.
    """
    number = _bin_numbers(confidence, bins, binning)
    return _error_of_bins(number, _gap(confidence, right), bins)


def calibration_error_interval(
    confidence: NDArray[np.floating[Any]],
    right: NDArray[np.bool_],
    *,
    bins: int = BINS,
    binning: Binning = "equal-width",
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of `calibration_error`, by the basic bootstrap over images.

    Each resample adds noise to each bin, which raises the error; the basic interval mirrors the resamples at the
    measured error and so takes this rise off again (Davison and Hinkley, "Bootstrap methods" (1997), section 5.2.1).
    """
    number = _bin_numbers(confidence, bins, binning)
    gap = _gap(confidence, right)
    random = np.random.default_rng([seed, 0])
    count = len(gap)
    errors = [_error_of_bins(number[rows], gap[rows], bins) for rows in random.integers(0, count, (RESAMPLES, count))]
    low, high = 2 * _error_of_bins(number, gap, bins) - np.quantile(errors, (0.975, 0.025))
    return float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))


def reliability(
    confidence: NDArray[np.floating[Any]],
    right: NDArray[np.bool_],
    *,
    bins: int = BINS,
    binning: Binning = "equal-width",
) -> list[ReliabilityBin]:
    """The bins of a reliability diagram that hold an image, from low confidence to high."""
    number = _bin_numbers(confidence, bins, binning)
    return [
        ReliabilityBin(
            confidence=float(confidence[number == each].mean(dtype=np.float64)),
            accuracy=Accuracy.of_counts(int(right[number == each].sum()), int((number == each).sum())),
        )
        for each in np.unique(number)
    ]


def log_loss(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """Mean of -log p of the label; a probability of 0 counts as 2^-25.

    Args:
        probabilities: float (n, C).
        labels: int64 (n,), class numbers.
    """
    values = np.asarray(probabilities, np.float64)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(values, SMALLEST)).mean())


def fit_temperature(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """The temperature with the lowest log loss (Guo et al. 2017, section 4.2), between 0.02 and 1,000.

    Where every answer is right, each lower temperature has a lower log loss. It is then fitted as if one image more had
    been answered wrong, as in Laplace's rule of succession: that image has the mean loss of all wrong classes.

    Args:
        probabilities: float (n, C).
        labels: int64 (n,), class numbers.

    Returns:
        the temperature; 1 where there is no image.
    """
    if not len(labels):
        return 1.0
    logarithms = np.log(np.maximum(np.asarray(probabilities, np.float64), SMALLEST))
    of_label = logarithms[np.arange(len(labels)), labels]
    wanted = float(of_label.mean())
    if (probabilities.argmax(1) == labels).all() and probabilities.shape[1] > 1:
        of_wrong = (logarithms.sum(1) - of_label) / (probabilities.shape[1] - 1)
        wanted = float((len(labels) * wanted + of_wrong.mean()) / (len(labels) + 1))

    def loss(log_inverse: float) -> float:
        inverse = np.exp(log_inverse)  # the loss is convex in it
        return float(special.logsumexp(inverse * logarithms, axis=1).mean() - inverse * wanted)

    found = optimize.minimize_scalar(
        loss,
        bounds=(-np.log(HIGHEST_TEMPERATURE), -np.log(LOWEST_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return float(np.exp(-found.x))


def temperature_by_image(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far each image moves the logarithm of the fitted temperature; the mean over some images is their effect.

    The influence function of an M-estimate, -(slope of the image's loss) / (mean curvature): Hampel et al., "Robust
    Statistics" (1986), section 4.2b. Over half-samples of the images its means spread as refitted temperatures would.

    Args:
        probabilities: float (n, C), after division by the temperature that was fitted to these images.
        labels: int64 (n,), class numbers.

    Returns:
        float64 (n,), with the mean 0.
    """
    values = np.asarray(probabilities, np.float64)
    logarithms = np.log(np.maximum(values, SMALLEST))
    expected = (values * logarithms).sum(1)
    slopes = logarithms[np.arange(len(labels)), labels] - expected
    curvature = float(((values * logarithms**2).sum(1) - expected**2).mean())
    moved: NDArray[np.float64] = (slopes.mean() - slopes) / max(curvature, SMALLEST)
    return moved


def with_temperature(probabilities: NDArray[np.floating[Any]], temperature: float) -> NDArray[np.float64]:
    """Probabilities (n, C) after their logarithms are divided by a temperature."""
    logarithms = np.log(np.maximum(np.asarray(probabilities, np.float64), SMALLEST))
    return np.asarray(special.softmax(logarithms / temperature, axis=1))


def labelled_part(predictions: Predictions) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities (m, C) and labels (m,) of the images that have a label."""
    labels = np.full(len(predictions), -1, np.int64) if predictions.labels is None else predictions.labels
    rows = np.flatnonzero(labels >= 0)
    return np.asarray(predictions.probabilities[rows], np.float64), labels[rows]


def _confidence(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return probabilities.max(1), probabilities.argmax(1) == labels


def _bin_numbers(confidence: NDArray[np.floating[Any]], bins: int, binning: Binning) -> NDArray[np.int64]:
    """int64 (n,): the bin of each image; bins of equal width are open below and closed above, as in the paper."""
    if binning == "equal-mass":
        order = np.argsort(confidence, kind="stable")
        number = np.empty(len(order), np.int64)
        number[order] = np.arange(len(order)) * bins // max(1, len(order))
        return number
    above = np.ceil(np.asarray(confidence, np.float64) * bins) - 1
    return np.asarray(np.clip(above, 0, bins - 1), np.int64)


def _gap(confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray(confidence, np.float64) - right


def _error_of_bins(number: NDArray[np.int64], gap: NDArray[np.float64], bins: int) -> float:
    """Sum over bins of |sum of confidence less right answers|, as a share of the images."""
    return float(np.abs(np.bincount(number, weights=gap, minlength=bins)).sum() / len(gap))
