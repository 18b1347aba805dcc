"""Which of several finished models to take: by the estimate on the target images under a shift, else by validation.

Under a shift validation accuracy orders models hardly better than chance does, and the estimate without labels orders
them far better (docs/evidence.md). Without one, both say the same and validation is a measurement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eyeshot.core import (
    InputError,
    draw_half_samples,
    half_means,
    half_sample_error,
    listing,
    percent,
    plural,
    tied_with_best,
)
from eyeshot.predictions.alignment import with_columns_of
from eyeshot.predictions.calibration import fit_temperature, labelled_part, temperature_by_image, with_temperature
from eyeshot.predictions.class_shares import ClassShares, checked_shares
from eyeshot.predictions.table import Predictions
from eyeshot.predictions.target_accuracy import accuracy_by_image

LEAST_DROP = 0.025
"""What estimates are off by on images like those of training (docs/evidence.md): a smaller drop is no shift."""
SEED = 0
"""Of the half-samples: they must be the same for all models, so that these are compared image by image."""


OverHalves = tuple[float, NDArray[np.float64]]
"""A share of images, and float64 (B,) the same on B half-samples of them."""
Judged = tuple[OverHalves, OverHalves | None]
"""Validation accuracy of a model, and its estimated accuracy on the target images, None where it has none."""


class ModelChoice(BaseModel):
    """The model to take. Shares, not points.

    Attributes:
        by: "estimate" of the accuracy on the target images, or "validation".
        chosen: name of the model.
        tied: names of the models that cannot be told apart by the estimate, the chosen one among them; all names where
            validation decides.
        drop: validation accuracy less the estimate, mean over the models; null unless all have an estimate.
        drop_error: its standard error.
        shift: what the estimates say about a shift, in a sentence.
        reason: which model, what decided and why, in sentences.
    """

    model_config = ConfigDict(frozen=True)

    by: Literal["estimate", "validation"]
    chosen: str
    tied: tuple[str, ...]
    drop: float | None = None
    drop_error: float | None = None
    shift: str
    reason: str


def choose_model(models: Mapping[str, Judged]) -> ModelChoice:
    """Choose between finished models.

    There is a shift where the estimates are below validation accuracy by more than 2.5 points and more than a standard
    error, on average over the models. Then the estimate chooses, and models that may be the best by it too are named
    (Hsu's multiple comparisons with the best, paired over half-samples). Elsewhere validation accuracy chooses. Of
    equal models the first is taken. Rule and measurements: docs/ranking-log.md.

    Args:
        models: what `judge_model` measured of each, by name; all on the same target images.

    Raises:
        InputError: there is none.
    """
    if not models:
        raise InputError("At least one finished model is needed to choose from, got none.")
    names = list(models)
    accuracies = np.array([accuracy for (accuracy, _), _ in models.values()])
    estimates = [estimate for _, estimate in models.values() if estimate is not None]
    missing = [name for name, (_, estimate) in models.items() if estimate is None]
    drop = error = None
    by: Literal["estimate", "validation"] = "validation"
    tied, decisive = np.ones(len(names), bool), accuracies
    if missing:
        shift = "No model has an estimate on the test images."
        if estimates:
            shift = f"{listing(missing, most=3)} {plural(len(missing), 'has', 'have')} no estimate on the test images."
    else:
        values, halves = np.array([value for value, _ in estimates]), np.stack([over for _, over in estimates], 1)
        drop = float((accuracies - values).mean())
        error = half_sample_error(np.mean([over for (_, over), _ in models.values()], 0) - halves.mean(1))
        shift = (
            f"The estimates on the test images are {100 * abs(drop):.1f} points {'below' if drop > 0 else 'above'} "
            f"validation accuracy on average (standard error {100 * error:.1f}), which shows "
        )
        if drop > max(LEAST_DROP, error):
            by, tied, decisive = "estimate", tied_with_best(values, halves), values
            shift += "a shift."
        else:
            shift += "no shift."
    place = int(decisive.argmax())
    chosen, together = names[place], tuple(name for name, belongs in zip(names, tied, strict=True) if belongs)
    if by == "validation":
        reason = f"{chosen} is chosen by validation accuracy ({percent(float(accuracies[place]), 1)}). {shift}"
    else:
        reason = f"{chosen} is chosen by the estimate on the test images ({percent(estimates[place][0], 1)}). {shift}"
        others = listing([name for name in together if name != chosen], most=3)
        if others:
            reason += f" {others} cannot be told apart from it by the estimate."
    return ModelChoice(by=by, chosen=chosen, tied=together, drop=drop, drop_error=error, shift=shift, reason=reason)


def judge_model(
    runs: Sequence[tuple[Predictions, Predictions | None]], *, class_shares: ClassShares | None = None
) -> Judged:
    """Validation accuracy and estimate of a model, mean over its runs (seeds or folds).

    Args:
        runs: predictions of each run on labelled validation images that it was not trained on, and on the target
            images; None where it has not predicted those. Labels of target images are not looked at.
        class_shares: how often classes occur among the target images, see `estimate_target_accuracy`; None: as among
            the validation images.

    Raises:
        InputError: a run has no labelled validation image, or shares or classes do not fit.
    """
    accuracies, estimates = [], []
    for validation, target in runs:
        known, labels = labelled_part(validation if target is None else with_columns_of(target, validation))
        if not len(labels):
            raise InputError(f"Models are judged on validation images with labels, but {validation.run!r} has none.")
        halves = draw_half_samples(0 if target is None else len(target), len(labels), seed=SEED)
        right = (known.argmax(1) == labels).astype(np.float64)
        accuracies.append((float(right.mean()), half_means(right, halves.sources)))
        if target is None:
            continue
        shares = np.bincount(labels, minlength=known.shape[1]) / len(labels)
        if class_shares is not None:
            shares = checked_shares(class_shares, target.classes, known.shape[1])
        temperature = fit_temperature(known, labels)
        estimates.append(
            accuracy_over_halves(
                with_temperature(target.probabilities, temperature), shares,
                temperature_by_image(with_temperature(known, temperature), labels),
                target_halves=halves.target, validation_halves=halves.sources,
            )
        )  # fmt: skip
    return _mean_of_runs(accuracies), _mean_of_runs(estimates) if len(estimates) == len(runs) else None


def accuracy_over_halves(
    probabilities: NDArray[np.floating[Any]],
    shares: NDArray[np.float64],
    temperature_parts: NDArray[np.float64],
    *,
    target_halves: NDArray[np.bool_],
    validation_halves: NDArray[np.bool_],
) -> OverHalves:
    """Estimated accuracy on the target images, and (B,) the estimates on half-samples of target and validation images.

    The latter move the temperature. Without its noise, equal candidates were told apart in 12 of 16 simulations.

    Args:
        probabilities: float (M, C) on the target images, after division by the temperature.
        shares: float64 (C,), how often each class is assumed to occur.
        temperature_parts: float64 (n,), how far each validation image moves the logarithm of the temperature.
        target_halves: bool (B, M).
        validation_halves: bool (B, n).
    """
    by_image, slope = accuracy_by_image(probabilities, shares)
    over_halves = half_means(by_image, target_halves) + slope * half_means(temperature_parts, validation_halves)
    return float(by_image.mean()), over_halves


def _mean_of_runs(runs: Sequence[OverHalves]) -> OverHalves:
    return float(np.mean([value for value, _ in runs])), np.mean([halves for _, halves in runs], axis=0)
