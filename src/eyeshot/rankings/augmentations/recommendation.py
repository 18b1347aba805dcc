"""The answer: headline, next step, advice, how far to trust it, and sentences that explain the numbers.

`trust.json`, in this folder, is written by `python -m benchmarks.augmentation_truth judge --trust FILE`: the results of
real trainings about the ranking in four situations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Literal

from eyeshot.core import listing, percent, plural, points
from eyeshot.rankings.augmentations.report import (
    BaselineAugmentation,
    Candidate,
    Order,
    Part,
    RankedBy,
    Rung,
    Shift,
    ShortRun,
)

CLEAN = "clean"
CONTROL_ADVICE = "trivial-augment"
FILE = "trust.json"
LEAST_COVERAGE = 0.05
"""Share of the target that the best ranked candidate must cover; below it, candidates are ranked by distance."""
LEAST_IMAGES = 2
"""Target images that a gain needs at least: a single image is no gain, however narrow its interval."""
HARDLY_ANY = 0.9
"""`shift` says "hardly any shift" from this ratio on."""
LEAST_TARGETS, LEAST_VALIDATION = 40, 20
"""With fewer images no winner is named: one target image is 2.5 points of the score, and a 95 % interval of a share is
up to 15 points wide on either side; accuracy on 20 validation images is known within 22 points."""
LEAST_STEPS = 8
"""Steps of a short run; with fewer, its validation says nothing, because the learning rate has not risen and fallen."""
HALF = 0.5
AGREE = 0.5
Target = Literal["test", "validation"]


def recommend(
    candidates: Sequence[Candidate],
    *,
    ranked_by: RankedBy,
    order: Order | None,
    shift: Shift,
    baseline: BaselineAugmentation | None,
    pretrained: bool,
    at_chance: bool,
    target: Target,
    n_target: int,
    n_val: int,
    repeated: str = "",
    n_sources: int = 0,
    max_images: int | None = None,
    explained: Sequence[str] = (),
    longer_baseline_s: int | None = None,
    share_of_full: float | None = None,
) -> dict[str, Any]:
    """The answer, as fields of `RankingReport`: headline, next_step, longer_baseline_s, trust, answer, advice.

    A winner is named if it beats clean images significantly and, after short runs, can be told from the control, unless
    real trainings in the same situation show that
    clean images are better: with pretrained weights and without a shift they lost nothing against the best.

    Args:
        candidates: with ranks; ranked candidates first and in order.
        ranked_by: what `score` is.
        order: of the combined score; None without short runs.
        shift: shift of the target for this model; an unknown shift counts as a shift.
        baseline: the augmentation that is applied before every candidate.
        pretrained: whether the model has pretrained weights.
        at_chance: whether the probe on clean images is no better than chance.
        target: what is to be covered.
        n_target, n_val: images used.
        repeated: which target images are also training images, in words.
        n_sources: source images used.
        max_images: the limit that left images out; None if it left none out.
        explained: notes on the baseline, which are added to the answer if nothing is ranked.
        longer_baseline_s: a longer time cap for the training of the baseline, in whole minutes, if the cap ended it
            early; otherwise None.
        share_of_full: steps of the short runs, as a share of training all candidates; None without short runs.
    """
    ranked = [candidate for candidate in candidates if candidate.role == "ranked" and candidate.rank is not None]
    winner = _winner(candidates)
    best = winner or (ranked[0] if ranked else None)
    shifted = shift.ratio is None or shift.ratio < HARDLY_ANY
    advice, why = choose_advice(candidates, ranked_by=ranked_by, order=order)
    clear = winner is not None
    tied = clear and order is not None and advice == CONTROL_ADVICE and best is not None and best.name != advice
    answer: list[str] = []
    if at_chance:
        advice = CLEAN
        headline = "This model's features cannot tell the classes apart here, so nothing is ranked."
        next_step = (
            "Check the weights and the preprocessing (--mean, --std, --size), or choose another model with --model."
        )
        if max_images is not None:
            next_step = f"Use more than {max_images} images of each kind with --max-images. {next_step}"
        if longer_baseline_s is not None:
            minutes = longer_baseline_s // 60
            next_step = f"Give --scratch-time {minutes}m: the time cap ended the training of the baseline early."
        few = "" if max_images is None else f", at most {max_images} of each kind (--max-images)"
        answer.append(
            f"A linear probe on clean features of {n_sources} source images classifies {n_val} held-out images no "
            f"better than chance{few}, so label-consistent coverage and label preservation mean nothing."
        )
        answer += explained
        if explained:
            answer.append(
                "Both may be true: the baseline's accuracy is that of its own head; the probe is a new head on few "
                "images, and chance is what guessing by the class frequencies gives."
            )
    elif too_few(n_target, n_val):
        advice = CLEAN
        headline, next_step = too_few_words(n_target, n_val, target=target)
        answer.append(f"With so few images, one image is {points(1 / max(1, min(n_target, n_val)))}.")
    elif best is None:
        advice = CLEAN
        headline = "No candidate was ranked, so there is no winner."
        next_step = "Name candidates with --candidates, or leave the option out to rank all of them."
    elif pretrained and not shifted:
        advice = CLEAN
        headline = (
            "Train on clean images: without a shift, augmentation did not help pretrained models."
            if clear
            else "No clear winner: without a shift, a pretrained model does best on clean images."
        )
        next_step = "Train on clean images, and keep an augmentation only if it beats that run on validation images."
        if clear:
            answer.append(f"By coverage {_why_first(best, ranked_by, target)}, but there is hardly any shift to close.")
            answer += _indistinguishable(ranked)
    elif clear and not why:
        headline = _headline(best, ranked_by, order, target)
        next_step = "Compare it with clean images on the same validation images."
        answer += _indistinguishable(ranked) + _because(best, ranked_by, order, target)
    else:
        what = "on clean images" if advice == CLEAN else f"with {advice}"
        headline = f"No clear winner: nothing beats clean images by more than noise; train {what}."
        if tied:
            headline = f"Train with {advice}, the usual default: {ranked[0].name} is first, but not clearly better."
        elif clear:
            headline = f"No clear winner: with all candidates hardly any {target} image is covered; train {what}."
        next_step = (
            "Train on clean images, and keep an augmentation only if it beats that run on validation images."
            if advice == CLEAN
            else f"Train once with {advice} and once on clean images, and keep what validates better."
        )
        if tied:
            next_step = f"A larger --budget may tell it from {ranked[0].name}."
        answer += [why] if why else []
        if ranked_by == "nearest_distance":
            most = max(candidate.scores.coverage or 0.0 for candidate in ranked)
            answer.append(
                f"With the best candidate, {percent(most)} of the {target} images are covered: hardly any, since a "
                f"ranking by coverage needs {percent(LEAST_COVERAGE)}."
            )
            answer.append(f"So distances rank instead of coverage: {best.name} comes nearest.")
        elif not clear and best.score is not None and best.interval is not None and best.interval[0] > 0:
            answer.append(
                f"The gain of {best.name}, {points(best.score)}, is too little to call it better: {_least(n_target)}"
            )
        if clear:
            answer += _indistinguishable(ranked)
    if baseline is not None:
        answer.insert(0, _of_baseline(baseline))
    if repeated:
        answer.append(repeated)
    trust, details = trust_words(shift, pretrained=pretrained, share=share_of_full, nothing_matched=bool(why))
    if at_chance or too_few(n_target, n_val):
        trust, details = "Nothing is suggested, so no comparison with real trainings applies.", []
    return {
        "headline": headline,
        "next_step": next_step,
        "longer_baseline_s": longer_baseline_s if at_chance else None,
        "trust": trust,
        "answer": [*answer, shift.words, *details],
        "advice": advice,
    }


def too_few(n_target: int, n_val: int) -> bool:
    """Whether there are too few images used to name a winner."""
    return n_target < LEAST_TARGETS or n_val < LEAST_VALIDATION


def too_few_words(n_target: int, n_val: int, *, target: Target) -> tuple[str, str]:
    """Headline and next step where too few images are used to name a winner; the plan says them before the work."""
    few = f"{n_target} {target}" if n_target < LEAST_TARGETS else f"{n_val} validation"
    least = LEAST_TARGETS if n_target < LEAST_TARGETS else LEAST_VALIDATION
    return (
        f"Too few images to say: {few} images are used, and a winner needs at least {least}.",
        f"Add images until at least {LEAST_TARGETS} target and {LEAST_VALIDATION} validation images are used "
        "(--max-images, --val-share), and train on clean images until then.",
    )


def choose_advice(candidates: Sequence[Candidate], *, ranked_by: RankedBy, order: Order | None) -> tuple[str, str]:
    """The first ranked candidate that clearly beats clean; otherwise the control, with a sentence that says why.

    After short runs, the first candidate of all must beat clean and be told from the control, the usual default: one
    that is behind it is no answer, even if its gain is surer. If no candidate covers
    any target image, distance alone is not enough for a recommendation: it also needs a gain in estimated accuracy on
    the target, from a short run that is long enough.
    """
    best = _winner(candidates)
    control = next((candidate for candidate in candidates if candidate.name == CONTROL_ADVICE), None)
    may_be_best = control is not None and control.role == "ranked" and control.group == 1
    first = next((candidate for candidate in candidates if candidate.role == "ranked"), None)
    breaks = control is not None and control.role == "label-breaking"
    if best is not None and first is not None and first is not best and order is not None and not breaks:
        return CONTROL_ADVICE, (
            f"{first.name} is first, but cannot be told from clean images after so few steps; {best.name} beats them, "
            "but is behind it."
        )
    if best is not None and best is not control and order is not None and may_be_best:
        return CONTROL_ADVICE, (
            f"{best.name} is first and beats clean images, but cannot be told from {CONTROL_ADVICE}, the usual default."
        )
    if best is not None:
        long_enough = best.run is not None and best.run.steps >= LEAST_STEPS
        gain = best.run.target_accuracy_gain_interval if best.run is not None and long_enough else None
        weight = 1.0 if order is None else order.weight
        if ranked_by == "coverage_gain" or weight < HALF or (gain is not None and gain[0] > 0):
            return best.name, ""
    if breaks:
        return CLEAN, f"{CONTROL_ADVICE}, the usual default in that case, breaks labels here."
    if control is not None and control.combined_interval is not None and control.combined_interval[1] < 0:
        return CLEAN, f"{CONTROL_ADVICE}, the usual default in that case, is worse than clean images here."
    return CONTROL_ADVICE, f"{CONTROL_ADVICE} is the safest default when nothing in the catalogue matches the shift."


def _least(n_target: int) -> str:
    """Which gains are counted."""
    return (
        f"a gain counts from {LEAST_IMAGES} of {n_target} images on, {points(LEAST_IMAGES / max(1, n_target))}, and "
        "beyond the noise of all candidates at once."
    )


def _winner(candidates: Sequence[Candidate]) -> Candidate | None:
    """The first ranked candidate that beats clean; a candidate before it has a larger gain, which may be noise."""
    return next((candidate for candidate in candidates if candidate.role == "ranked" and candidate.beats_clean), None)


def _headline(best: Candidate, ranked_by: RankedBy, order: Order | None, target: Target) -> str:
    if ranked_by == "coverage_gain" and best.interval is not None and best.interval[0] > 0:
        return (
            f"Train with {best.name}: it covers {percent(best.scores.consistent_coverage)} of the {target} images with "
            f"consistent labels, {points(best.score, 0)} more than clean."
        )
    if order is None:
        return f"Train with {best.name}: it brings training closer to the {target} images than clean images are."
    return f"Train with {best.name}: coverage and short runs together put it clearly ahead of clean images."


def _why_first(best: Candidate, ranked_by: RankedBy, target: Target) -> str:
    if ranked_by == "coverage_gain":
        place = "is first" if best.rank == 1 else "is the first that beats clean images"
        return f"{best.name} {place}, with {points(best.score)} more of the {target} images covered than without"
    return f"{best.name} comes nearest to the {target} images"


def _because(best: Candidate, ranked_by: RankedBy, order: Order | None, target: Target) -> list[str]:
    """Further facts about the first candidate."""
    facts = run_reasons(best.run) if order is not None else []
    if ranked_by == "nearest_distance" and best.interval is not None and best.interval[0] > 0:
        facts.insert(0, f"its samples are nearer to the {target} images than clean images are")
    return [f"{best.name}: {'; '.join(facts)}."] if facts else []


def _indistinguishable(ranked: Sequence[Candidate]) -> list[str]:
    """A sentence with the candidates that are indistinguishable from the first, if there are any."""
    winner = _winner(ranked)
    names = [candidate.name for candidate in ranked if candidate.group == 1 and candidate is not winner]
    return [f"It is indistinguishable from {listing(names)}."] if names else []


def _of_baseline(baseline: BaselineAugmentation) -> str:
    """What the baseline augmentation does to the gains; if it breaks labels, it spoils all of them."""
    if baseline.label_breaking:
        why = "; ".join(baseline.label_breaking)
        return f"The baseline augmentation {baseline.name} breaks labels itself: {why}. Gains on top of it mean little."
    return f"All gains are on top of {baseline.name}."


def trust_words(
    shift: Shift,
    *,
    pretrained: bool,
    share: float | None,
    nothing_matched: bool = False,
    measured: Mapping[str, Any] | None = None,
) -> tuple[str, list[str]]:
    """How far to trust the advice in this situation, in one sentence, with details.

    Args:
        shift: shift of the target for this model; an unknown shift counts as a shift.
        pretrained: whether the model has pretrained weights.
        share: steps of the short runs, as a share of training all candidates; None: coverage alone ranked. The figures
            are those of the longest compared short runs that are no longer, or else of coverage alone.
        nothing_matched: whether no candidate is advised because none beats clean images or covers the target. Then the
            trainings without the augmentation that matches the shift are the relevant ones.
        measured: contents of the file; None: read it.
    """
    known = json.loads((files(__package__) / FILE).read_text(encoding="utf-8")) if measured is None else measured
    shifted = shift.ratio is None or shift.ratio < HARDLY_ANY
    situation = f"{'pretrained' if pretrained else 'from scratch'}, {'shifted' if shifted else 'not shifted'}"
    compared = [each for each in known["short_runs"] if situation in each["situations"]] if share is not None else []
    shorter = [each for each in compared if each["share"] <= (share or 0.0)]
    situations = max(shorter, key=lambda each: float(each["share"]))["situations"] if shorter else known["situations"]
    figures = situations.get(situation)
    if figures is None:
        others = "; ".join(known["situations"])
        return f"This was not compared with real trainings for a model {situation}; only for {others}.", []
    tasks, trivial = figures["tasks"], f"always TrivialAugment lost {_lost(figures['regret_of_trivial_augment'])}"
    if pretrained and not shifted:
        lost = f"clean images lost {_points(figures['regret_of_clean'])} against the best; {trivial}."
    else:
        lost = f"the first suggestion lost {_points(figures['regret_of_advice'])} against the best; {trivial}."
    unmatched = figures.get("nothing_matched")
    if nothing_matched and unmatched is not None:
        tasks = unmatched["tasks"]
        advised = unmatched.get("regret_of_advice")
        first, lost_there = ("the first candidate", unmatched["regret"]) if advised is None else ("the advice", advised)
        lost = (
            f"where nothing in the catalogue matched the shift, {first} lost {_points(lost_there)} against the best, "
            f"always TrivialAugment {_lost(unmatched['regret_of_trivial_augment'])} and clean images "
            f"{_lost(unmatched['regret_of_clean'])}."
        )
    spearman = figures["spearman"]
    details = [
        f"Of {known['trainings']:,} trainings to the end, those of {figures['tasks']} tasks are comparable "
        f"({situation}; {figures['sources']} {plural(figures['sources'], 'source')}; models "
        f"{listing(figures['models'])}): clean images lost "
        f"{_points(figures['regret_of_clean'])} on them, and the order of candidates agrees with that of "
        f"real training by a Spearman correlation of {_correlation(spearman)}."
    ]
    by_pretrained = figures.get("by_pretrained_model")
    if by_pretrained is not None:
        details.append(_by_pretrained(by_pretrained, figures.get("without_cure")))
    if shorter:
        of_steps = percent(max(float(each["share"]) for each in shorter))
        details.append(
            f"These figures are for short runs of {of_steps} of the steps of all trainings"
            + ("" if pretrained else ", which began untrained and not from clean training as here")
            + f"; here they were {_share_words(share or 0.0)}."
        )
    elif compared:
        least = percent(min(float(each["share"]) for each in compared))
        details.append(
            f"These figures are for the ranking by coverage: short runs of at least {least} of the steps of all "
            f"trainings were compared, and here they were {_share_words(share or 0.0)}."
        )
    elif share is not None:
        details.append("These figures are for the ranking by coverage; with short runs it was not compared.")
    return f"On {tasks} comparable {plural(tasks, 'task')} {lost}", details


def _by_pretrained(lost: Mapping[str, Any], without_match: Mapping[str, Any] | None) -> str:
    """A pretrained model may rank better for a model from scratch; without a match in the catalogue it ranks worse."""
    words = (
        f"Ranked by a pretrained model's features the first candidate lost {_points(lost['regret'])}, by its own "
        f"{_points(lost['regret_of_own'])}"
    )
    if without_match is not None:
        words += (
            f"; with the matching augmentation left out of the catalogue {_points(without_match['regret'])} and "
            f"{_points(without_match['regret_of_own'])}"
        )
    return f"{words}. If you have weights, look at their ranking too: --model TAG --weights FILE."


def _correlation(estimate: Mapping[str, float | None]) -> str:
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None:
        return "unknown size"
    interval = "" if low is None or high is None else f" ({max(low, -1):.2f} to {min(high, 1):.2f})"
    return f"{value:.2f}{interval}".replace("-", "−")


def _lost(estimate: Mapping[str, float | None]) -> str:
    # Below 0 if the best candidate was the best by luck: it was chosen on other seeds.
    return "an unknown number" if estimate["value"] is None else f"{max(0.0, estimate['value']):.1f}"


def _points(estimate: Mapping[str, float | None]) -> str:
    return f"{_lost(estimate)}{' of' if estimate['value'] is None else ''} points"


def reasons(candidate: Candidate, *, by_distance: bool, harmed: list[str], helped: list[str]) -> list[str]:
    """Why the candidate has its place in the ranking; the first sentence is for the table."""
    scores = candidate.scores
    sentences = []
    if candidate.role == "control":
        sentences.append("a control: shows what no gain looks like, or what broken labels look like")
    elif candidate.role == "regulariser":
        sentences.append("a regulariser (masking/mixing): coverage cannot measure it; see validation")
    elif candidate.rank is None:
        sentences.append("not ranked: the features cannot tell the classes apart")
    elif by_distance:
        nearer = "nearer" if candidate.beats_clean else "not nearer"
        sentences.append(f"its samples are {nearer} to the target than clean images; hardly any of it is covered")
    elif candidate.beats_clean:
        sentences.append(f"covers {points(scores.coverage_gain)} more of the target with consistent labels")
    elif candidate.interval and candidate.interval[0] > 0:
        sentences.append(f"covers {points(candidate.score)} more of the target: too little to call it better")
    elif candidate.interval and candidate.interval[1] < 0:
        sentences.append(f"covers {points(-(candidate.score or 0))} less of the target: neighbours agree less")
    else:
        sentences.append("no clear gain of coverage")
    if helped:
        sentences.append(f"covers target images near {listing(helped)}")
    if harmed:
        sentences.append(f"costs clean accuracy on {listing(harmed)}")
    if scores.only_covered:
        verb = plural(scores.only_covered, "target image is", "target images are")
        sentences.append(f"{scores.only_covered} {verb} covered by it alone")
    if candidate.left_out:
        sentences.append(f"{candidate.left_out} samples left out, because the operation failed")
    return sentences


def run_reasons(run: ShortRun | None) -> list[str]:
    """What a candidate's short run shows."""
    if run is None:
        return []
    if run.log_loss_gain is None:
        return [f"no short run: {run.ended}"] if run.ended else []
    if run.stage == "network" and run.steps < LEAST_STEPS:
        return [f"its short run had {run.steps} {plural(run.steps, 'step')}: too few to say"]
    when = "with a linear probe on its samples" if run.stage == "probe" else f"after {run.steps} steps with it"
    low, high = run.log_loss_interval or (0.0, 0.0)
    difference = "no different from that of clean images beyond noise"
    if low > 0 or high < 0:
        difference = f"{abs(run.log_loss_gain):.3f} {'better' if low > 0 else 'worse'} than that of clean images"
    sentences = []
    if run.target_accuracy is not None and run.target_accuracy_gain is not None:
        low_gain, high_gain = run.target_accuracy_gain_interval or (0.0, 0.0)
        gained = f"{points(abs(run.target_accuracy_gain))} {'more' if run.target_accuracy_gain > 0 else 'less'}"
        than_clean = f"{gained} than clean" if low_gain > 0 or high_gain < 0 else "no different from clean beyond noise"
        sentences.append(
            f"estimated accuracy on the target after {run.steps} steps {percent(run.target_accuracy)}, {than_clean}"
        )
    sentences.append(f"{when} validation log loss is {difference}")
    if run.post_training_coverage_gain is not None and run.post_training_coverage_interval is not None:
        low, high = run.post_training_coverage_interval
        if low > 0 or high < 0:
            gain = points(abs(run.post_training_coverage_gain))
            sentences.append(
                f"after its run clean training covers {gain} {'more' if low > 0 else 'less'} of the target"
            )
    if run.ended:
        sentences.append(f"its run ended early: {run.ended}")
    return sentences


def probe_reasons(parts: Mapping[str, Part]) -> list[str]:
    """Why a candidate ranks high although its network performs worse."""
    probe, network = parts.get("probe_validation"), parts.get("validation")
    if probe is None or network is None or probe.value is None or network.value is None or probe.value <= network.value:
        return []
    return [
        f"validation uses a linear probe on its samples, {_more(probe.value)}; its network, after so few "
        f"steps, is at {_more(network.value)}"
    ]


def _more(gain: float) -> str:
    return f"{points(abs(gain))} of probability {'less' if gain < 0 else 'more'} than clean for the right class"


def two_orders(
    by_target: Sequence[str], by_validation: Sequence[str], *, agreement: float | None, target_is_validation: bool
) -> str:
    """What it means if the order by the target and the order by validation differ."""
    if agreement is None:
        return "The orders by the target and by validation cannot be compared: one order has no differences."
    if agreement >= AGREE:
        return f"The orders by the target and by validation agree (Spearman {agreement:.2f})."
    if target_is_validation:
        trust = "The target is the validation images: trust validation where they differ."
    else:
        trust = "Coverage and predictions on the target show what brings training nearer to it: trust the target."
    return (
        f"The orders disagree (Spearman {agreement:.2f}): by the target {by_target[0]} is first, by validation "
        f"{by_validation[0]}. Validation images look like training images: they show what helps on more of the same. "
        f"{trust}"
    )


def budget_words(
    rungs: Sequence[Rung], *, budget_s: float, used_s: float, steps: int, seeds: int, share: float, epochs: int
) -> str:
    """What the budget was spent on: steps of a candidate on each rung, and their share of whole trainings."""
    trained = [rung for rung in rungs if rung.stage == "network"]
    each = [
        f"{rung.steps} {'more ' if number else ''}{plural(rung.steps, 'step')} for each of {rung.candidates} candidates"
        for number, rung in enumerate(trained)
    ]
    return (
        f"Short runs took {used_s:.0f} of {budget_s:.0f} s, with {seeds} {plural(seeds, 'seed')}: "
        f"{', then '.join(each) or 'no candidate was trained'}. {steps:,} steps in all, {_share_words(share)} of "
        f"training all candidates for {epochs} epochs."
    )


def _share_words(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.2g} %"
