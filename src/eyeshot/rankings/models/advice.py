"""From the results of all models to the order, the group of the best, and the two models to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import cluster_mean, group_of_the_best, listing, percent, plural, wilson
from eyeshot.rankings.models.report import Advice, RankedModel

Right = NDArray[np.bool_]
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


def final_answers(
    ranked: Sequence[RankedModel],
    probe_right: Mapping[str, Right],
    tuned_right: Mapping[str, Right],
    on_fold: NDArray[np.int64],
) -> dict[str, Right]:
    """What each model answers right at its best: by its network or by its probe, on the same images.

    Args:
        ranked: the models.
        probe_right: by name, bool (n,), on all judged images.
        tuned_right: by name, bool (m,), of the fine-tuned networks, on the images of one fold.
        on_fold: int64 (m,), the positions of these among the judged images.

    Returns:
        by name, bool (m,); bool (n,) where no network was fine-tuned.
    """
    if not tuned_right:
        return {model.name: probe_right[model.name] for model in ranked}
    answers = {}
    for model in ranked:
        probe = probe_right[model.name][on_fold]
        tuned = tuned_right.get(model.name, probe)
        answers[model.name] = tuned if tuned.mean() >= probe.mean() else probe
    return answers


def advise(
    ranked: Sequence[RankedModel], answers: Mapping[str, Right], clusters: NDArray[np.int64], *, seed: int
) -> tuple[str, Advice, Advice]:
    """The answer in a sentence, the model to take, and the cheap one.

    Networks that were fine-tuned are compared with each other where there are any: a model that only has a probe is not
    advised over them.

    Args:
        ranked: models in the order of their probes.
        answers: of `final_answers`.
        clusters: int64 (n,), of these images, equal for duplicates.
        seed: of the group of the best.
    """
    tuned = [model for model in ranked if model.fine_tuning is not None]
    rivals = sorted(tuned or ranked, key=lambda model: (-answers[model.name].mean(), model.cost.seconds_per_1000))
    best = rivals[0]
    together = group_of_the_best(np.stack([answers[model.name] for model in rivals]), clusters, seed=seed)
    near = [model.name for model, is_near in zip(rivals[1:], together[1:], strict=True) if is_near]
    how = "fine-tuned for a short time" if tuned else "with a linear probe"
    figure = _share(answers[best.name])
    if len(rivals) == 1:
        reason = f"the only model that was {'fine-tuned' if tuned else 'ranked'}, {figure}."
        told = ""
    elif near:
        reason = f"the most accurate of {len(rivals)} {how}, {figure}; {listing(near, most=3)} cannot be told apart."
        told = f"; {len(near)} other {plural(len(near), 'model')} cannot be told apart from it"
    else:
        second = rivals[1].name
        reason = (
            f"better than every other of {len(rivals)} {how}, {figure}; next is {second}, "
            f"{_difference(answers[second], answers[best.name], clusters)}."
        )
        told = ""
    advised = Advice(name=best.name, reason=reason)
    sentence = f"Take {best.name}: {figure} {how}{told}."
    fast = [model for model in ranked if _speed_up(best, model) >= CHEAPER]
    if not fast:
        none = f"no ranked model is {CHEAPER:g} times as fast as the advised one."
        return sentence, advised, Advice(name=best.name, reason=none)
    cheap = max(fast, key=lambda model: (answers[model.name].mean(), -model.cost.seconds_per_1000))
    words = (
        f"{_speed_up(best, cheap):.1f} times as fast as the advised one, "
        f"{_difference(answers[cheap.name], answers[best.name], clusters)}."
    )
    return sentence, advised, Advice(name=cheap.name, reason=words)


def trust(ranked: Sequence[RankedModel]) -> str:
    """How far to trust the answer, in one sentence."""
    tuned = [model for model in ranked if model.fine_tuning is not None]
    untested = list(dict.fromkeys(model.line for model in ranked if model.state == "recipe untested"))
    if not tuned:
        return (
            "A probe judges frozen features: fine-tuning can change the order, above all for masked pretraining (MAE, "
            "ViT-B: 68.0 % by probe, 83.6 % fine-tuned; He et al., 2022)."
        )
    also = f"; the recipe of {listing(untested)} is untested, which is no verdict" if untested else ""
    return (
        f"{len(tuned)} of {len(ranked)} models were trained for a short time and judged on one fold: what is close may "
        f"change with longer training{also}."
    )


def _share(right: Right) -> str:
    low, high = wilson(int(right.sum()), len(right))
    return f"{percent(float(right.mean()), 1)} ({100 * low:.1f} to {100 * high:.1f}) on {len(right)} images"


def _difference(right: Right, best: Right, clusters: NDArray[np.int64]) -> str:
    mean, half = cluster_mean(right.astype(np.float64) - best, clusters)
    interval = f"{100 * mean:+.1f} points ({100 * (mean - half):+.1f} to {100 * (mean + half):+.1f})"
    return f"{interval}, which cannot be told from none" if abs(mean) <= half else interval


def _speed_up(best: RankedModel, other: RankedModel) -> float:
    return best.cost.seconds_per_1000 / max(other.cost.seconds_per_1000, 1e-9)
