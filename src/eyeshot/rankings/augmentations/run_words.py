"""What short runs and the ranking of all mean, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eyeshot.core import percent, plural, points
from eyeshot.rankings.augmentations.report import Candidate, Part, Round, ShortRun
from eyeshot.rankings.augmentations.words import reached_with, tied_with_first

AGREE = 0.5


def run_reasons(run: ShortRun | None) -> list[str]:
    """What a candidate's short run says of it."""
    if run is None:
        return []
    if run.log_loss_gain is None:
        return [f"no short run: {run.ended}"] if run.ended else []
    when = "with a head on its views" if run.stage == "head" else f"after {run.steps} steps with it"
    low, high = run.log_loss_interval or (0.0, 0.0)
    said = "no different from clean's beyond noise"
    if low > 0 or high < 0:
        said = f"{abs(run.log_loss_gain):.3f} {'better' if low > 0 else 'worse'} than clean's"
    found = [f"{when} validation log loss is {said}"]
    if run.cover_after_run_gain is not None and run.cover_after_run_interval is not None:
        low, high = run.cover_after_run_interval
        if low > 0 or high < 0:
            more = "more" if low > 0 else "less"
            found.append(
                f"after its run clean training covers {points(abs(run.cover_after_run_gain))} {more} of the target"
            )
    if run.ended:
        found.append(f"its run ended early: {run.ended}")
    return found


def head_counts(parts: Mapping[str, Part]) -> list[str]:
    """Why a candidate stands well though its network has fallen behind."""
    head, network = parts.get("head"), parts.get("validation")
    if head is None or network is None or head.value is None or network.value is None or head.value <= network.value:
        return []
    return [
        f"validation counts as a head on its views has it, {_more(head.value)}; its network, after so few steps, is at "
        f"{_more(network.value)}"
    ]


def _more(gain: float) -> str:
    return f"{points(abs(gain))} of probability {'less' if gain < 0 else 'more'} than clean for the right class"


def two_orders(by_cover: Sequence[str], by_validation: Sequence[str], *, agreement: float | None, weight: float) -> str:
    """What it means where the order by cover and that by validation differ."""
    if agreement is None:
        return "The orders by cover and by validation cannot be compared: one of them tells no candidates apart."
    if agreement >= AGREE:
        return f"The orders by cover and by validation agree (Spearman {agreement:.2f})."
    weighs = f"Here cover counts {percent(weight)} and validation {percent(1 - weight)}"
    trust = "trust cover" if weight > AGREE else "trust validation"
    return (
        f"The orders disagree (Spearman {agreement:.2f}): by cover {by_cover[0]} is first, by validation "
        f"{by_validation[0]}. Validation images look like training images: they say what helps on more of the same. "
        f"Cover says what brings training nearer to the target. {weighs}: {trust} where they differ."
    )


def budget_words(
    rounds: Sequence[Round], *, budget_s: float, used_s: float, steps: int, starts: int, share: float
) -> str:
    """What the budget bought: steps of a candidate in each round of the network, and their share of whole trainings."""
    trained = [one for one in rounds if one.stage == "network"]
    of_all = f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.2g} %"
    each = [
        f"{one.steps} {'more ' if number else ''}steps for each of {one.candidates} candidates"
        for number, one in enumerate(trained)
    ]
    return (
        f"Short runs took {used_s:.0f} of {budget_s:.0f} s, from {starts} {plural(starts, 'start')}: "
        f"{', then '.join(each) or 'no candidate had a turn'}. {steps:,} steps in all, {of_all} of training all "
        "candidates for 30 epochs."
    )


def finding_of_all(ranked: list[Candidate], *, clear: bool, advice: str, target: str) -> list[str]:
    """The result of the ranking of all, the most important first."""
    if not clear:
        return [f"No candidate beats clean by more than noise, by cover and short runs together. {advice}".strip()]
    best, why = ranked[0], []
    if best.score is not None and best.interval is not None and best.interval[0] > 0:
        why.append(
            reached_with(best, target)
            if best.parts["reach"].value == best.scores.reach
            else f"its views come nearer to the {target} images than any no-op's"
        )
    why += run_reasons(best.run)
    first = f"Train with {best.name}" if not advice else f"{best.name} is first"
    return [f"{first}: {'; '.join(why)}.", *tied_with_first(ranked), *([advice] if advice else [])]
