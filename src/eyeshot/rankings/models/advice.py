"""From the results of all models to the order, the group of the best, and the two models to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import cluster_mean, group_of_the_best, listing, percent, plural, points
from eyeshot.rankings.models.report import Advice, RankedModel

CHEAPER = 2.0
"""A model is cheap if its forward pass takes at most the advised one's time divided by this."""


def compare_probes(
    models: Sequence[RankedModel], right: Mapping[str, NDArray[np.bool_]], groups: NDArray[np.int64], *, seed: int
) -> list[RankedModel]:
    """The models in the order of their probes, with the paired difference to the best and the group of the best.

    Args:
        models: models with rung 1 done.
        right: by name, bool (n,), which judged images the probe answers right.
        groups: int64 (n,), equal for duplicates.
        seed: of the intervals of the group.
    """
    # Equal accuracy: the faster model first.
    order = sorted(models, key=lambda model: (-(model.probe.accuracy.value or 0), model.cost.seconds_per_1000))
    answers = np.stack([right[model.name] for model in order])
    together = group_of_the_best(answers, groups, seed=seed)
    ranked = []
    for number, model in enumerate(order):
        change: dict[str, object] = {"with_best": bool(together[number])}
        if number:
            mean, half = cluster_mean(answers[number].astype(np.float64) - answers[0], groups)
            change |= {"difference": mean, "difference_interval": (mean - half, mean + half)}
        probe = model.probe.model_copy(update=change)
        ranked.append(model.model_copy(update={"rank": number + 1, "probe": probe}))
    return ranked


def advise(ranked: Sequence[RankedModel]) -> tuple[Advice, Advice]:
    """The model to take and the cheap one, from the order of `compare_probes`."""
    best = ranked[0]
    rivals = [model for model in ranked[1:] if model.probe.with_best]
    reason = f"the most accurate probe of {len(ranked)} {plural(len(ranked), 'model')}, {_accuracy(best)}"
    if len(ranked) == 1:
        reason = f"the only model that was ranked: {_accuracy(best)}"
    elif rivals:
        reason += f"; {listing([model.name for model in rivals], most=3)} cannot be told apart from it"
    else:
        reason += f", and better than every other ({ranked[1].name}: {_difference(ranked[1])})"
    advised = Advice(name=best.name, reason=f"{reason}.")
    fast = [model for model in ranked if _speed_up(best, model) >= CHEAPER]
    if not fast:
        return advised, Advice(
            name=best.name, reason=f"no ranked model is {CHEAPER:g} times as fast as the advised one."
        )
    # The most accurate of the fast ones: those that nothing tells apart from it, only faster, are no better advice
    # before they were trained.
    cheap = fast[0]
    return advised, Advice(
        name=cheap.name,
        reason=(
            f"{_speed_up(best, cheap):.1f} times as fast as {best.name}, and its probe "
            f"{'cannot be told apart from the best' if cheap.probe.with_best else 'is behind'}: {_difference(cheap)}."
        ),
    )


def headline(ranked: Sequence[RankedModel], advised: Advice) -> str:
    """The answer in one sentence."""
    best = ranked[0]
    near = sum(model.probe.with_best for model in ranked) - 1
    if near:
        words = f"{near} other {plural(near, 'model')} cannot be told apart from it"
        return f"Take {advised.name}: {_accuracy(best)} with a linear probe; {words}."
    return f"Take {advised.name}: {_accuracy(best)} with a linear probe."


def trust(ranked: Sequence[RankedModel]) -> str:
    """How far to trust the answer, in one sentence."""
    if any(model.state == "recipe untested" for model in ranked):
        return (
            "A probe judges frozen features: fine-tuning can change the order, above all for masked pretraining (MAE, "
            "ViT-B: 68.0 % by probe, 83.6 % fine-tuned; He et al., 2022)."
        )
    return "Short trainings with each line's own recipe agree with what is said here as far as their intervals go."


def _accuracy(model: RankedModel) -> str:
    accuracy = model.probe.accuracy
    return f"{percent(accuracy.value, 1)} ({percent(accuracy.low, 1)} to {percent(accuracy.high, 1)})"


def _difference(model: RankedModel) -> str:
    low, high = model.probe.difference_interval or (0.0, 0.0)
    return f"{points(model.probe.difference)} ({100 * low:+.1f} to {100 * high:+.1f})"


def _speed_up(best: RankedModel, other: RankedModel) -> float:
    return best.cost.seconds_per_1000 / max(other.cost.seconds_per_1000, 1e-9)
