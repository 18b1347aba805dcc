"""From the results of all models to the order, the group of the best, and the two models to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import NORMAL_95, cluster_mean, group_of_the_best, listing, percent, plural, points, wilson
from eyeshot.predictions import Judged, ModelChoice, choose_model
from eyeshot.rankings.models.report import Advice, RankedModel
from eyeshot.rankings.models.tuning_order import probe_order

CHEAPER = 2.0
"""A model is cheap if its forward pass takes at most the advised one's time divided by this."""
FASTER = 1.25
"""A model that is as accurate is preferred for its speed from this ratio on; less may be the noise of the timing."""
SMALL_LOSS = 0.025
"""2.5 points: what augmentation, optimizer and ensembles brought together in the competition that the defaults are made
for. A cheap model that loses less can be brought up to the advised one by that work."""


class Answers(NamedTuple):
    """Which judged images each model answers right.

    Attributes:
        probe: by name, bool (n,), of the probe on all judged images.
        groups: int64 (n,), equal for duplicates.
        tuned: by name, bool (m,), of the fine-tuned models on the judged images of one fold.
        in_fold: int64 (m,), positions of these images among the n.
    """

    probe: Mapping[str, NDArray[np.bool_]]
    groups: NDArray[np.int64]
    tuned: Mapping[str, NDArray[np.bool_]] = {}
    in_fold: NDArray[np.int64] = np.empty(0, np.int64)


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
    order = sorted(models, key=probe_order)
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


def counted_answers(
    ranked: Sequence[RankedModel], answers: Answers
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, bool], NDArray[np.int64]]:
    """The answers that each model is judged by, on images that all models have answers for.

    Without fine-tuning: those of the probes on all judged images. With it: on the judged images of its fold, those of
    the fine-tuned network; where its own probe is better beyond doubt, the short training failed and the probe counts;
    where it was not trained, the probe too. As long as some models were not trained and no training was better than its
    probe beyond doubt, the probes on all judged images count: one fold is few images to throw the others away for.

    Returns:
        by name, bool (m,); by name, whether the fine-tuned network counts; and the images' groups, int64 (m,).
    """
    if not answers.tuned:
        return dict(answers.probe), dict.fromkeys(answers.probe, False), answers.groups
    groups = answers.groups[answers.in_fold]
    right, tuned = {}, {}
    gained = False
    for model in ranked:
        own = answers.probe[model.name][answers.in_fold]
        trained = answers.tuned.get(model.name)
        if trained is not None:
            mean, half = cluster_mean(trained.astype(np.float64) - own, groups)
            trained = None if mean + half < 0 else trained
            gained = gained or mean - half > 0
        right[model.name] = own if trained is None else trained
        tuned[model.name] = trained is not None
    if not gained and len(answers.tuned) < len(ranked):
        return dict(answers.probe), dict.fromkeys(answers.probe, False), answers.groups
    return right, tuned, groups


def advise(
    ranked: Sequence[RankedModel], answers: Answers, *, seed: int, only: str = "the only model that was ranked"
) -> tuple[str, Advice, Advice]:
    """The answer in a sentence, the model to take and the cheap one, each with its reason.

    The model to take: of those that cannot be told apart from the most accurate one and whose measured loss to it is at
    most one standard error of that difference, the fastest, where it is a quarter faster at least (the
    one-standard-error rule of Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984, section
    3.4.3). The group alone would be too wide: with few images nearly everything belongs to it.

    The cheap one: of those at least twice as fast as that, the fastest that loses at most 2.5 points; if all lose more,
    the most accurate of them.

    Args:
        ranked: as of `compare_probes`.
        answers: of all these models.
        seed: of the group.
        only: what a model is called that has no other beside it.
    """
    right, tuned, groups = counted_answers(ranked, answers)
    models = {model.name: model for model in ranked}
    order = sorted(models, key=lambda name: (-float(right[name].mean()), probe_order(models[name])))
    together = group_of_the_best(np.stack([right[name] for name in order]), groups, seed=seed)
    best = order[0]
    near = []
    for name, belongs in zip(order, together, strict=True):
        loss, half = cluster_mean(right[best].astype(np.float64) - right[name], groups)
        faster = _speed_up(models[best], models[name]) >= FASTER
        if name == best or (belongs and faster and loss <= half / NORMAL_95):
            near.append(name)
    taken = _fastest(near, models)
    rivals = [name for name, belongs in zip(order, together, strict=True) if belongs and name != taken]
    reason = f"{_share(right[taken])} {_how(tuned[taken])}"
    if len(ranked) == 1:
        reason = f"{only}: {reason}"
    elif taken != best:
        reason = (
            f"within one standard error of the most accurate ({best}, {_share(right[best])} {_how(tuned[best])}) and "
            f"{_speed_up(models[best], models[taken]):.1f} times as fast: {reason}"
        )
    elif rivals:
        reason = f"the most accurate, {reason}; {listing(rivals, most=3)} cannot be told apart from it"
    else:
        second = order[1]
        reason = (
            f"the most accurate, {reason}, and better than every other ({second}: "
            f"{_loss(right[taken], right[second], groups)})"
        )
    sentence = f"Take {taken}: {_share(right[taken])} {_how(tuned[taken])}"
    if rivals:
        sentence += f"; {len(rivals)} other {plural(len(rivals), 'model')} cannot be told apart from the best"
    sentence += "."
    advised = Advice(name=taken, reason=f"{reason}.{_untested(ranked, taken, answers, tuned)}")
    fast = [name for name in order if _speed_up(models[taken], models[name]) >= CHEAPER]
    if not fast:
        words = f"the same, since no ranked model is {CHEAPER:g} times as fast."
        return sentence, advised, Advice(name=taken, reason=words)
    close = [name for name in fast if float(right[taken].mean() - right[name].mean()) <= SMALL_LOSS]
    cheap = _fastest(close, models) if close else fast[0]
    rule = "the fastest that loses at most 2.5 points"
    if not close:
        rule = "all such models lose more than 2.5 points, and it loses least"
    words = (
        f"{_speed_up(models[taken], models[cheap]):.1f} times as fast as {taken}, {rule}: "
        f"{_loss(right[taken], right[cheap], groups)}"
    )
    if answers.tuned and cheap not in answers.tuned:
        words += "; it was not fine-tuned yet and may lose less"
    return sentence, advised, Advice(name=cheap, reason=f"{words}.")


def choose_by_estimate(
    ranked: Sequence[RankedModel], answers: Answers, judged: Mapping[str, Judged], tuned: Mapping[str, Judged]
) -> ModelChoice:
    """Which models are considered: under a shift those that may be the best by the estimate on the test images.

    Args:
        ranked: as of `compare_probes`.
        answers: of all these models.
        judged: of the probes, by name.
        tuned: of the fine-tuned models, by name.
    """
    counts = counted_answers(ranked, answers)[1]
    return choose_model({model.name: (tuned if counts[model.name] else judged)[model.name] for model in ranked})


def trust(ranked: Sequence[RankedModel]) -> str:
    """How far to trust the answer, in one sentence."""
    tuned = [model for model in ranked if model.fine_tuning is not None]
    untested = list(dict.fromkeys(model.line for model in ranked if model.state == "recipe untested"))
    if not tuned:
        return (
            "A probe judges frozen features: fine-tuning can change the order, above all for masked pretraining (ViT-B "
            "of MAE: 68 % by probe, 83.6 % fine-tuned; He et al., 2022)."
        )
    also = f"; the recipe of {listing(untested)} is untested, which is no verdict" if untested else ""
    return (
        f"{len(tuned)} of {len(ranked)} models were trained for a short time and judged on one fold: what is close may "
        f"change with longer training{also}."
    )


def _untested(ranked: Sequence[RankedModel], taken: str, answers: Answers, tuned: Mapping[str, bool]) -> str:
    """A sentence on models that were not fine-tuned although their probes are at least as good; empty without any."""
    if not tuned[taken]:
        return ""
    own = answers.probe[taken].mean()
    untested = [model.name for model in ranked if model.name not in answers.tuned]
    names = [name for name in untested if answers.probe[name].mean() >= own]
    if not names:
        return ""
    verb = plural(len(names), "has", "have")
    return f" {listing(names, most=3)} {verb} a better probe and an untested recipe: fine-tune before ruling out."


def _fastest(names: Sequence[str], models: Mapping[str, RankedModel]) -> str:
    """The first of the names that is as fast as the fastest, but for the noise of the timing; the best comes first."""
    fastest = models[min(names, key=lambda name: models[name].cost.seconds_per_1000)]
    return next(name for name in names if _speed_up(models[name], fastest) < FASTER)


def _how(tuned: bool) -> str:
    return "fine-tuned" if tuned else "with a linear probe"


def _share(right: NDArray[np.bool_]) -> str:
    low, high = wilson(int(right.sum()), len(right))
    return f"{percent(float(right.mean()), 1)} ({100 * low:.1f} to {100 * high:.1f}) on {len(right)} images"


def _loss(taken: NDArray[np.bool_], other: NDArray[np.bool_], groups: NDArray[np.int64]) -> str:
    mean, half = cluster_mean(other.astype(np.float64) - taken, groups)
    return f"{points(mean)} ({100 * (mean - half):+.1f} to {100 * (mean + half):+.1f})"


def _speed_up(best: RankedModel, other: RankedModel) -> float:
    return best.cost.seconds_per_1000 / max(other.cost.seconds_per_1000, 1e-9)
