"""Which optimizer is better than AdamW on the validation images, and whether the difference is more than noise."""

from __future__ import annotations

from collections.abc import Sequence

from eyeshot.core import listing, points
from eyeshot.predictions import Difference, compare_members, mean_accuracy, seed_variance
from eyeshot.rankings.optimizers.options import BASELINE
from eyeshot.rankings.optimizers.report import Advised, TriedOptimizer
from eyeshot.rankings.optimizers.trials import Trained, right_of, trial_settings
from eyeshot.training import TrainConfig


def judge(trained: Sequence[Trained], base: TrainConfig, count: int) -> tuple[list[TriedOptimizer], list[str]]:
    """Compare all optimizers with the first, AdamW, on the same images and seeds.

    Paired differences over images and, with several seeds, seeds; Holm's allowance for all comparisons.

    Args:
        trained: the trials, AdamW's first.
        base: AdamW's recipe.
        count: validation images.

    Returns:
        AdamW and those with at least one learning rate that kept the loss finite; and notes.
    """
    kept = [each for each in trained if each.learning_rate is not None]
    notes = [
        f"{each.optimizer}: the loss did not stay finite at any learning rate from {each.rates[0].learning_rate:g} to "
        f"{each.rates[-1].learning_rate:g}; it is left out."
        for each in trained
        if each.learning_rate is None
    ]
    members = [right_of(each.judged, count) for each in kept]
    differences: list[Difference | None] = [None]
    if len(kept) > 1:
        differences = compare_members(members, reference=0)[1]
    between, freedom = seed_variance(members)
    tried = []
    for each, right, difference in zip(kept, members, differences, strict=True):
        rate = each.learning_rate or 0.0
        settings = trial_settings(base, each.optimizer, rate, epochs=base.epochs, seed=base.seed)
        rates = [one.learning_rate for one in each.rates]
        at_edge = len(rates) > 1 and rate in (rates[0], rates[-1])
        diverged = sum(trial.predictions is None for trial in each.judged)
        tried.append(
            TriedOptimizer(
                optimizer=each.optimizer,
                learning_rate=rate,
                weight_decay=settings.weight_decay,
                schedule=settings.schedule,
                rates=each.rates,
                at_edge=at_edge,
                accuracies=[float(value) for value in right.mean(1)],
                diverged=diverged,
                accuracy=mean_accuracy(right, between, freedom),
                difference=difference,
                verdict=verdict_words(each.optimizer, difference, comparisons=len(kept) - 1),
                seconds=sum(trial.seconds for trial in each.judged) / len(each.judged),
            )
        )
        if at_edge:
            end = "lowest" if rate == rates[0] else "highest"
            notes.append(
                f"{each.optimizer}: its best learning rate, {rate:g}, is the {end} that was tried: a better one may "
                f"lie beyond. Try more with --rates {len(rates) + 2}."
            )
        if diverged:
            notes.append(
                f"{each.optimizer}: with {diverged} of {len(each.judged)} seeds the loss did not stay finite; all of "
                "their answers count as wrong."
            )
    return tried, notes


def verdict_words(name: str, difference: Difference | None, *, comparisons: int) -> str:
    """The verdict on an optimizer in a sentence."""
    if difference is None:
        return "The one to beat."
    interval = f"95 % interval {_signed(difference.low)} to {_signed(difference.high)}"
    chance = "p < 0.001" if difference.p_adjusted < 0.0005 else f"p = {difference.p_adjusted:.3f}"
    allowed = f"{chance} after allowance for {comparisons} comparisons" if comparisons > 1 else chance
    if difference.verdict == "not distinguishable":
        more = ""
        if difference.seeds_needed is not None:
            more = f" About {difference.seeds_needed} seeds of each would tell a difference of this size."
        elif difference.images_needed is not None:
            more = f" About {difference.images_needed:,} validation images would tell a difference of this size."
        value = f"{_signed(difference.value)} points"
        return f"{name} cannot be told apart from {BASELINE}: {value} ({interval}; {allowed}).{more}"
    return f"{name} is {difference.verdict} than {BASELINE} by {points(abs(difference.value))} ({interval}; {allowed})."


def _signed(difference: float) -> str:
    """A difference of shares in points; no difference is "0.0", without a sign."""
    return f"{100 * difference:+.1f}" if abs(100 * difference) >= 0.05 else "0.0"


def conclude(tried: Sequence[TriedOptimizer], advice: Sequence[Advised]) -> tuple[str, str]:
    """The answer in a sentence, and the optimizer to take.

    Args:
        tried: AdamW first; empty where nothing was tried.
        advice: what was advised, the first first.
    """
    names = listing([each.optimizer for each in advice])
    if not tried:
        return f"Worth a try beside {BASELINE} here: {names}; nothing was tried, since the budget is 0.", BASELINE
    others = [each for each in tried if each.difference is not None]
    better = [each for each in others if each.difference is not None and each.difference.verdict == "better"]
    if better:
        best = max(better, key=lambda each: each.accuracy.value or 0.0)
        return f"Take {best.optimizer}: it{best.verdict.removeprefix(best.optimizer)}", best.optimizer
    unsure = [each.optimizer for each in others if each.difference and each.difference.verdict != "worse"]
    worse = [each.optimizer for each in others if each.difference and each.difference.verdict == "worse"]
    if not others:
        return f"Stay with {BASELINE}: none of {names} kept the loss finite.", BASELINE
    parts = []
    if unsure:
        parts.append(f"{listing(unsure)} cannot be told apart from it")
    if worse:
        parts.append(f"{listing(worse)} {'is' if len(worse) == 1 else 'are'} worse")
    return f"Stay with {BASELINE}: {', and '.join(parts)}.", BASELINE
