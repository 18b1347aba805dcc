"""`eyeshot.compare()`: which of several runs is better on the same images, and whether it is more than noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eyeshot.core import (
    InputError,
    Progress,
    find_project,
    find_workspace,
    listing,
    percent,
    plural,
    points,
    shown_progress,
)
from eyeshot.data import folds_of
from eyeshot.ledger.ensemble_folder import read_ensemble
from eyeshot.ledger.judging.noise import noise_of, noise_sd
from eyeshot.ledger.judging.verdicts import LEVEL
from eyeshot.ledger.recipes import recipe_of
from eyeshot.ledger.run_predictions import (
    check_class_shares,
    find_predictions,
    may_estimate,
    stored_estimate,
    stored_tests,
)
from eyeshot.ledger.runs import find_run, logged_recipe, record_of
from eyeshot.ledger.store.records import Experiment
from eyeshot.ledger.views.tables import runs_of
from eyeshot.predictions import (
    FILE_ENDINGS,
    Accuracy,
    Difference,
    ModelChoice,
    Predictions,
    TargetEstimate,
    align,
    check_probabilities,
    choose_model,
    compare_members,
    gain_of,
    join_folds,
    judge_model,
    mean_accuracy,
    seed_variance,
)
from eyeshot.training import read_result

UNSEEN_SEEDS = (
    "The noise between seeds is not measured here; it was guessed from the images on which the runs differ. "
    "Measure it: train one of them with another --seed."
)


class ComparedMember(BaseModel):
    """Runs that differ in nothing but seed and fold, as one member of the comparison.

    Attributes:
        name: id of the first run.
        runs: ids of all.
        seeds: how many; the accuracy is their mean.
        folds: how many validated on other images; together they are out of fold.
        accuracy: with a 95 % interval over images and, where some member has several seeds, over seeds.
        seed_spread: standard deviation of the accuracies of the seeds; null for a single seed.
        difference: from the reference; null for the reference itself.
        estimate: estimated accuracy on the test images, mean over the runs; null where they are not predicted.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    runs: tuple[str, ...]
    seeds: int
    folds: int
    accuracy: Accuracy
    seed_spread: float | None
    difference: Difference | None
    estimate: TargetEstimate | None = None

    @property
    def words(self) -> str:
        """The name, with the number of seeds and folds where there are several."""
        parts = [f"{count} {what}" for count, what in ((self.seeds, "seeds"), (self.folds, "folds")) if count > 1]
        return f"{self.name} ({', '.join(parts)})" if parts else self.name


class Comparison(BaseModel):
    """Result of `eyeshot compare`. Keys are only added until 1.0.

    Attributes:
        version: 1.
        split: which images.
        n: how many of them have a label.
        reference: name of the member that the others are compared with.
        members: the most accurate first.
        choice: which member to take: by the estimates on the test images where they show a shift, else by validation;
            null on other images than validation, and unless all have predicted the test images. Verdicts stay on
            validation.
        notes: what the intervals cover, and what was left out, in sentences.
        answer: in a sentence.
        next_step: what to do now.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 1
    split: str
    n: int
    reference: str
    members: tuple[ComparedMember, ...]
    choice: ModelChoice | None = None
    notes: tuple[str, ...]
    answer: str
    next_step: str


class _Run(NamedTuple):
    """A run as it is grouped: recipe and images are the same for runs that differ in seed and fold alone.

    `given` is how it was named; `seed` is None for an ensemble and a file of the user's own, and `fold` without folds.
    `images` says how many it trained and validated on, all folds together. `model` is None for a file.
    """

    given: str | Path
    predictions: Predictions
    recipe: str
    seed: int | None
    fold: int | None
    images: str = ""
    model: str | None = None

    @property
    def name(self) -> str:
        return self.predictions.run

    @property
    def own(self) -> bool:
        return Path(self.given).suffix.lower() in FILE_ENDINGS


Member = list[list[_Run]]
"""Runs of one recipe: for each seed those of its folds."""


def compare(
    runs: Sequence[str | Path] | str | Path,
    *more: str | Path,
    split: str = "validation",
    against: str | Path | None = None,
    class_shares: str | None = None,
    logits: bool = False,
    progress: Progress | bool | None = None,
) -> Comparison:
    """Compare runs on the same images, by the predictions that they have stored.

    Runs that differ only in the seed are replicates of one member, and runs that differ only in the fold are joined out
    of fold. Runs of one recipe that trained or validated on other numbers of images are members of their own. With
    predictions of the test images, their accuracy there is estimated; their labels are not used.

    Args:
        runs: ids, beginnings of ids, folders, or .csv, .tsv and .npz files of your own; a list, or the first of them.
            The id of an experiment stands for its runs.
        more: the others, where `runs` is the first.
        split: which predictions: "validation", or the name of a labelled folder that was predicted.
        against: the run that the others are compared with; None: the most accurate, which costs a larger allowance,
            because it is chosen by the same images.
        class_shares: how often classes occur among the test images, for the estimate: "even", or None: as among the
            validation images.
        logits: files of your own hold scores before softmax.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.

    Returns:
        accuracies, differences, verdicts and estimates.

    Raises:
        InputError: a run cannot be used, or the runs have other images or classes or no labels.
        StorageError: predictions are damaged.
    """
    check_class_shares(class_shares)
    names, experiments = runs_of([*([runs] if isinstance(runs, str | Path) else runs), *more])
    if len(names) < 2:
        raise InputError(f"At least two runs are needed to compare, got {len(names)}.")
    loaded = _with_own_names([_load(name, split, logits=logits) for name in names])
    members = _members(loaded, split)
    against = None if against is None else runs_of([against])[0][0]
    reference = None if against is None else _place_of(_load(against, split, logits=logits), members)
    right = _right(members, split)
    noises = {
        pair: _noise(members, right, pair, split=split)
        for pair in combinations_with_replacement(range(len(members)), 2)
    }
    chosen, differences = compare_members(
        right, reference=reference, noise=lambda one, other: noises[min(one, other), max(one, other)]
    )
    differences, of_ledger = _with_allowance(differences, members, chosen, experiments if split == "validation" else {})
    with shown_progress(progress) as shown:
        estimates, notes = _estimates(members, class_shares, shown)
    choice = _choice(members, class_shares) if split == "validation" and len(members) > 1 else None
    compared = [
        ComparedMember(
            name=member[0][0].name,
            runs=tuple(run.name for runs_of_seed in member for run in runs_of_seed),
            seeds=len(member),
            folds=len(member[0]),
            accuracy=mean_accuracy(answers, *noises[number, number]),
            seed_spread=float(answers.mean(1).std(ddof=1)) if len(answers) > 1 else None,
            difference=difference,
            estimate=estimate,
        )
        for number, (member, answers, difference, estimate) in enumerate(
            zip(members, right, differences, estimates, strict=True)
        )
    ]
    best = compared[chosen]
    ordered = sorted(compared, key=lambda member: -(member.accuracy.value or 0))
    return Comparison(
        split=split,
        n=right[0].shape[1],
        reference=best.name,
        members=tuple(ordered),
        choice=choice,
        notes=(
            *_scope(compared, noises, chosen_by_images=reference is None),
            *of_ledger,
            *_other_images(loaded),
            *notes,
        ),
        answer=_answer(ordered, best, right[0].shape[1]) + (f" {choice.reason}" if choice else ""),
        next_step=_next_step(ordered, best, split, {run.name for run in loaded if run.own}, choice),
    )


def _load(name: str | Path, split: str, *, logits: bool) -> _Run:
    predictions = find_predictions(name, split, logits=logits)
    if Path(name).suffix.lower() in FILE_ENDINGS:
        return _Run(name, predictions, f"file {Path(name).resolve()}", None, None)
    folder = find_run(find_workspace().results("runs"), name)
    model = record_of(folder).model
    check_probabilities(predictions.probabilities, name=folder.name)  # a training may have ended in NaN
    if read_ensemble(folder) is not None:  # out of fold on all images, whatever folds its members have
        return _Run(name, predictions, f"ensemble {folder.resolve()}", None, None, model=model)
    recipe, seed = logged_recipe(folder)
    if recipe is not None:
        return _Run(name, predictions, f"logged {recipe}", seed, None, model=model)
    result = read_result(folder)
    if result is None:
        raise InputError(f"The run {folder.name!r} is not finished. The command that began it continues it.")
    recipe = recipe_of(result)
    fold = result.data.get("fold")
    if fold is None and result.data_config is not None:
        fold = next(iter(folds_of(result.data_config)), None)
    if isinstance(fold, int):  # each fold leaves others out
        images = str(result.n_train + result.n_val)
        return _Run(name, predictions, recipe, result.settings.seed, fold, images, model)
    return _Run(name, predictions, recipe, result.settings.seed, None, f"{result.n_train} + {result.n_val}", model)


def _other_images(loaded: Sequence[_Run]) -> list[str]:
    """Which runs of one recipe are no replicates of each other, in sentences."""
    of_recipe: dict[str, dict[str, list[str]]] = {}
    for run in loaded:
        of_recipe.setdefault(run.recipe, {}).setdefault(run.images, []).append(run.name)
    return [
        "Of one recipe, but not on the same images (training + validation), so no seeds of each other: "
        f"{listing([f'{listing(names)} ({images})' for images, names in by_images.items()])}."
        for by_images in of_recipe.values()
        if len(by_images) > 1
    ]


def _members(loaded: Sequence[_Run], split: str) -> list[Member]:
    """The runs of each recipe, in the order in which they were given; none twice, and each with the same folds."""
    recipes: dict[tuple[str, str], dict[object, list[_Run]]] = {}
    for number, run in enumerate(loaded):
        seeds = recipes.setdefault((run.recipe, run.images), {})
        same = [other.name for runs in seeds.values() for other in runs if other[3:] == run[3:]]
        if same:
            raise InputError(
                f"Each run must be given once, but {str(run.given)!r} is the same training as {same[0]!r}, with the "
                "same seed and fold. Leave one of them out."
            )
        # On other images than validation, the folds of a recipe are replicates like its seeds.
        seeds.setdefault(run.seed if split == "validation" else number, []).append(run)
    members = [list(seeds.values()) for seeds in recipes.values()]
    folds = {run.fold for runs in [runs for member in members for runs in member] for run in runs} - {None}
    for runs in [runs for member in members for runs in member] if split == "validation" else []:
        missing = sorted(map(str, folds - {run.fold for run in runs}))
        if len(folds) > 1 and missing and runs[0].seed is not None:
            raise InputError(
                f"All runs must have the same folds, but there is none like {runs[0].name!r} of "
                f"{plural(len(missing), 'fold')} {listing(missing)}. Train {plural(len(missing), 'it', 'them')} with "
                "--fold, or leave those folds out of the others."
            )
    return members


def _place_of(against: _Run, members: Sequence[Member]) -> int:
    """Number of the member that a run belongs to."""
    for number, member in enumerate(members):
        if any(run[2:] == against[2:] for runs in member for run in runs):
            return number
    raise InputError(
        f"--against must be one of the runs that are compared, got {str(against.given)!r}. Add it to them."
    )


def _with_own_names(loaded: Sequence[_Run]) -> list[_Run]:
    """Files of the same name in different folders are called by their paths."""
    count = Counter(run.name for run in loaded)
    return [
        run if count[run.name] == 1 or not run.own
        else run._replace(predictions=replace(run.predictions, run=str(run.given)))
        for run in loaded
    ]  # fmt: skip


def _right(members: Sequence[Member], split: str) -> list[NDArray[np.bool_]]:
    """bool (seeds, n) for each member, on the same labelled images."""
    tables = [join_folds([run.predictions for run in runs], run=runs[0].name) for member in members for runs in member]
    aligned = align(tables)
    labels = aligned[0].labels
    labelled = np.zeros(len(aligned[0]), np.bool_) if labels is None else labels >= 0
    if not labelled.any():
        raise InputError(
            f"Runs are compared on images with labels, but no {split} image has one. Compare them on the validation "
            "images: leave --split out."
        )
    answers = iter([table.right[labelled] for table in aligned])
    return [np.stack([next(answers) for _ in member]) for member in members]


def _estimates(
    members: Sequence[Member], class_shares: str | None, progress: Progress
) -> tuple[list[TargetEstimate | None], list[str]]:
    """The estimated accuracy of each member on the test images, and why some are missing."""
    project = find_project()
    if not may_estimate():
        return [None] * len(members), [f"No estimate of accuracy on the test images. {project.rules()}"]
    by_member: list[TargetEstimate | None] = []
    missing: list[str] = []
    total = sum(len(runs) for member in members for runs in member)
    done = 0
    for member in members:
        estimates = []
        for run in [run for runs in member for run in runs]:
            estimate = stored_estimate(run.given, class_shares)
            if estimate is not None:
                estimates.append(estimate)
            elif not run.own:
                missing.append(run.name)
            done += 1
            progress(done, total, "estimating accuracy on the test images")
        by_member.append(_mean_estimate(estimates) if estimates else None)
    notes = []
    if missing and project.data.get("test") is not None:
        notes.append(
            f"{len(missing)} {plural(len(missing), 'run has', 'runs have')} no usable test predictions and "
            f"so no estimate: eyeshot predict {' '.join(missing)}"
        )
    notes += dict.fromkeys(
        f"Estimate on the test images of {member[0][0].name}: {warning}"
        for member, estimate in zip(members, by_member, strict=True)
        if estimate is not None
        for warning in estimate.warnings
    )
    return by_member, notes


def _choice(members: Sequence[Member], class_shares: str | None) -> ModelChoice | None:
    """Which member to take; None unless all have predicted the same test images."""
    runs = [run for member in members for runs in member for run in runs]
    aligned = stored_tests(run.given for run in runs)
    if aligned is None:
        return None
    tests = iter(aligned)
    return choose_model(
        {
            member[0][0].name: judge_model(
                [(run.predictions, next(tests)) for runs in member for run in runs], class_shares=class_shares
            )
            for member in members
        }
    )


def _mean_estimate(estimates: Sequence[TargetEstimate]) -> TargetEstimate:
    """The mean of the estimates of several runs on the same images; their intervals are averaged, not narrowed."""
    first = estimates[0]
    means = {
        name: float(np.mean([getattr(estimate, name) for estimate in estimates]))
        for name in ("value", "low", "high", "temperature", "confidence", "mismatch", "gap")
    }
    warnings = dict.fromkeys(warning for estimate in estimates for warning in estimate.warnings)
    return first.model_copy(update={**means, "warnings": tuple(warnings)})


def _noise(
    members: Sequence[Member], right: Sequence[NDArray[np.bool_]], pair: tuple[int, int], *, split: str
) -> tuple[float, float]:
    """The noise between seeds for two members, as the ledger takes it for an experiment and its parent."""
    own = [right[number] for number in dict.fromkeys(pair)]
    if split != "validation":
        return seed_variance(right)
    runs = find_workspace().results("runs")
    trained = [run for number in pair for runs_of_seed in members[number] for run in runs_of_seed]
    folds = members[pair[0]][0]
    images = [len(run.predictions) for run in folds] if len(folds) > 1 else [own[0].shape[1]]
    return noise_of(runs, own, images=images, models={run.model for run in trained if run.model is not None})


def _with_allowance(
    differences: Sequence[Difference | None], members: Sequence[Member], reference: int,
    experiments: Mapping[str, Experiment],
) -> tuple[list[Difference | None], list[str]]:  # fmt: skip
    """The allowance of the ledger for an experiment and its parent, where it is larger, and its reason in sentences."""
    changed, notes = list(differences), []
    place = {run.name: number for number, member in enumerate(members) for runs in member for run in runs}
    for experiment in experiments.values():
        got, parent = experiment.got, experiments.get(experiment.parent or "")
        if got is None or got.allowed_p is None or got.comparisons is None or parent is None:
            continue
        pair = {place.get(experiment.runs[0]), place.get((*experiment.parent_runs, *parent.runs)[0])}
        number = next(iter(pair - {reference}), None)
        difference = None if number is None else changed[number]
        if number is None or difference is None or reference not in pair:
            continue
        p = min(1.0, difference.p * LEVEL / got.allowed_p)
        if p > difference.p_adjusted:
            update = {"p_adjusted": p, "verdict": gain_of(difference.value, p)}
            changed[number] = difference.model_copy(update=update)
            notes.append(
                f"p of {experiment.id} is after allowance for {got.comparisons} "
                f"{plural(got.comparisons, 'comparison')} with its parent and for all looks at it, as in the ledger."
            )
    return changed, notes


def _scope(
    members: Sequence[ComparedMember], noises: Mapping[tuple[int, int], tuple[float, float]], *, chosen_by_images: bool
) -> list[str]:
    """What intervals and p values cover."""
    measured = [noise_sd(noise) for noise in noises.values()]
    least = min((sd for sd in measured if sd is not None), default=None)
    most = max((sd for sd in measured if sd is not None), default=None)
    if least is None or most is None:
        scope = UNSEEN_SEEDS
    else:
        sds = points(most) if points(least) == points(most) else f"{100 * least:.1f} to {points(most)}"
        scope = f"Intervals and p cover other images and other seeds; seeds of one recipe differ by {sds} here (SD)."
    count = len(members)
    if count < 3:
        return [scope]
    pairs = count * (count - 1) // 2 if chosen_by_images else count - 1
    why = ", since the reference was chosen by the same images" if chosen_by_images else ""
    return [
        scope,
        f"p is after allowance for {pairs} comparisons (Holm){why}; each interval is of one comparison alone.",
    ]


def _answer(ordered: Sequence[ComparedMember], reference: ComparedMember, count: int) -> str:
    if len(ordered) == 1:
        (member,) = ordered
        spread = "" if member.seed_spread is None else f", and seeds differ by {points(member.seed_spread)} (SD)"
        return (
            f"All {len(member.runs)} runs are one recipe: {percent(member.accuracy.value, 1)} on {count} images"
            f"{spread}. There is nothing to compare."
        )
    by_verdict: dict[str, list[ComparedMember]] = {"better": [], "worse": [], "not distinguishable": []}
    for member in ordered:
        if member.difference is not None:
            by_verdict[member.difference.verdict].append(member)
    parts = []
    for verdict in ("better", "worse"):
        told = by_verdict[verdict]
        if told:
            parts.append(f"{_listed(told)} {plural(len(told), 'is', 'are')} {verdict} than {reference.name}")
    same = by_verdict["not distinguishable"]
    if same:
        parts.append(f"{_listed(same)} {plural(len(same), 'is', 'are')} not distinguishable from {reference.name}")
    return f"On {count} images " + "; ".join(parts) + "."


def _listed(members: Sequence[ComparedMember]) -> str:
    """Names with their differences."""
    return listing(
        [f"{member.name} ({points(member.difference.value)})" for member in members if member.difference], most=4
    )


def _next_step(
    ordered: Sequence[ComparedMember],
    reference: ComparedMember,
    split: str,
    own: Collection[str],
    choice: ModelChoice | None,
) -> str:
    if choice is not None and choice.by == "estimate":
        chosen = next(member for member in ordered if member.name == choice.chosen)
        return f"Go on with {chosen.name}: eyeshot predict {' '.join(chosen.runs)}"
    compared = [member for member in ordered if member.difference is not None]
    same = [member for member in compared if member.difference and member.difference.verdict == "not distinguishable"]
    if len(ordered) > 1 and not same:
        best = ordered[0]
        if best.name in own:
            return "Predict the test images with the program that wrote the better file, then: eyeshot submit FILE"
        return f"Predict the test images with the better one: eyeshot predict {' '.join(best.runs)}"
    if not same:
        return f"Give another recipe to compare it with: eyeshot compare {ordered[0].runs[0]} OTHER"
    closest = same[0].difference
    needs = []
    if closest is not None and closest.images_needed is not None:
        needs.append(f"about {closest.images_needed:,} images")
    if closest is not None and closest.seeds_needed is not None:
        needs.append(f"about {closest.seeds_needed} seeds of each")
    if needs:
        told = f"If the difference to {same[0].name} is as measured, {' or '.join(needs)} would show it. Until then"
    elif same[0].seeds > 1 or reference.seeds > 1:
        told = f"Neither more {split} images nor more seeds alone would tell {same[0].name} apart. So"
    else:
        told = f"No number of {split} images would tell {same[0].name} apart. So"
    return f"{told} choose the cheaper of them."
