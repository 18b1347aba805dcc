"""Trials whose answers are known, and a report made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeshot.predictions import Accuracy, Predictions
from eyeshot.rankings.optimizers.report import RateTrial
from eyeshot.rankings.optimizers.trials import Trained, Trial

COUNT = 200
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def predictions(right: NDArray[np.bool_]) -> Predictions:
    labels = np.zeros(len(right), np.int64)
    probabilities = np.where(right[:, None], [[0.9, 0.1]], [[0.2, 0.8]])
    return Predictions(tuple(f"{row}.png" for row in range(len(right))), probabilities, ("a", "b"), labels)


def rate(learning_rate: float, right: int | None, of: int = 40, log_loss: float = 0.5) -> RateTrial:
    if right is None:
        return RateTrial(learning_rate=learning_rate, accuracy=None, log_loss=None)
    return RateTrial(learning_rate=learning_rate, accuracy=Accuracy.of_counts(right, of), log_loss=log_loss)


def trained(optimizer: str, accuracies: list[float | None], *, base: float = 1e-3, seed: int = 0) -> Trained:
    """An optimizer whose seeds are right on so many images; which ones follows from the seed and mostly from the image.

    None: a seed that diverged.
    """
    hard = np.random.default_rng(0).random(COUNT)
    trials = []
    for number, accuracy in enumerate(accuracies):
        if accuracy is None:
            trials.append(Trial(None, 2.0))
            continue
        noise = np.random.default_rng([seed, number, 7]).normal(0, 0.05, COUNT)
        right = np.zeros(COUNT, np.bool_)
        right[np.argsort(hard + noise)[: round(accuracy * COUNT)]] = True
        trials.append(Trial(predictions(right), 2.0))
    rates = [rate(base / 3, 30), rate(base, 36), rate(base * 3, 33)]
    return Trained(optimizer, rates, base, trials)


def of_report(**changes: Any) -> dict[str, Any]:
    """Fields of a report that the trials do not decide."""
    usual: dict[str, Any] = {
        "next_step": "eyeshot train --optimizer sgd", "left_out": [], "schedule": "cosine",
        "schedule_reason": "The number of epochs is known.", "epochs": 4, "seeds": 3, "seeds_planned": 3,
        "n_train": 800, "n_val": COUNT, "n_inner_train": 640, "n_inner_val": 160,
        "plan_words": "4 optimizers, all epochs", "notes": [], "created": WHEN, "seconds": 100.0, "budget_s": 200.0,
        "hardware": "a CPU", "command": "eyeshot rank optimizers",
    }  # fmt: skip
    return usual | changes
