"""A linear classifier on cached features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from eyeshot.errors import ModelError


@dataclass(frozen=True, eq=False)
class Head:
    """Multinomial logistic regression: softmax(features @ weight.T + bias).

    Attributes:
        weight: float32 (C, D), for raw features; the standardisation is folded in.
        bias: float32 (C,).
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def predict_proba(self, features: NDArray[np.generic]) -> NDArray[np.float32]:
        """Class probabilities of features (n, D): float32 (n, C), rows sum to 1."""
        scores = np.asarray(features, np.float32) @ self.weight.T + self.bias
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        return scores / scores.sum(axis=1, keepdims=True)


def fit_head(
    features: NDArray[np.generic],
    labels: NDArray[np.generic],
    *,
    class_count: int | None = None,
    sample_weights: NDArray[np.floating] | None = None,
    penalty: float = 1.0,
    seed: int = 0,
) -> Head:
    """Fit a head; minimal version, see the next commit."""
    values = torch.from_numpy(np.asarray(features, np.float32))
    mean, scale = values.mean(0), values.std(0, correction=0).clamp_min(1e-6)
    values = (values - mean) / scale
    if labels.ndim == 1:
        classes = class_count or int(labels.max()) + 1
        targets = torch.nn.functional.one_hot(torch.from_numpy(labels.astype(np.int64)), classes).float()
    else:
        targets = torch.from_numpy(labels.astype(np.float32))
    share = torch.ones(len(values)) if sample_weights is None else torch.from_numpy(sample_weights).float()
    share = share / share.sum()
    weight = torch.zeros(targets.shape[1], values.shape[1], requires_grad=True)
    bias = torch.zeros(targets.shape[1], requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=100, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        logits = values @ weight.T + bias
        fitted = -(share[:, None] * targets * logits.log_softmax(1)).sum()
        total = fitted + 0.5 * penalty / len(values) * weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    solver.step(loss)
    if not torch.isfinite(weight).all():
        raise ModelError("The linear head did not fit: its features are not finite.")
    with torch.no_grad():
        raw = weight / scale
        return Head(raw.numpy(), (bias - raw @ mean).numpy())
