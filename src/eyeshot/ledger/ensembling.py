"""`eyeshot.ensemble()`: combines runs, judges each way against the best single run, and stores the best as a run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError, Progress, find_workspace, key_of, listing, percent, points, shown_progress
from eyeshot.ledger.ensemble_folder import EnsembleMember, EnsembleMethod, EnsembleReport, mean_of
from eyeshot.ledger.ensemble_members import Candidate, gather_candidates
from eyeshot.ledger.run_predictions import combine_stored, estimate_on, may_estimate, stored_estimate, stored_test
from eyeshot.ledger.runs import advise, create_run, find_run_by_key
from eyeshot.ledger.weight_soups import WeightSoups
from eyeshot.models import choose_device
from eyeshot.predictions import (
    METHODS,
    SOUPS,
    Accuracy,
    Combination,
    EnsembleJudge,
    Gain,
    ModelChoice,
    TargetEstimate,
    align,
    can_stack,
    choose_model,
    combine,
    error_correlation,
    gain,
    judge_model,
)
from eyeshot.training import VALIDATION_FILE

ENSEMBLE = "ensemble"
"""Its name among estimates and in the choice, beside those of its members."""
MOST_ESTIMATES = 10  # members; an estimate on 10,000 images with 500 classes takes 10 s


def ensemble(
    runs: Sequence[str | Path],
    *,
    method: str | None = None,
    soup: bool = False,
    device: str | None = None,
    logits: bool = False,
    seed: int = 0,
    progress: Progress | bool | None = None,
    command: str = "",
) -> EnsembleReport:
    """Combine runs and say whether that is worth more than the best single run.

    The ensemble is stored as a run if it is advised, or asked for by `method` or `soup`, and has more than one member.
    Each method is fitted and judged on different validation images: `EnsembleJudge`. Runs that differ only in the fold
    are one member.

    Args:
        runs: ids, beginnings of ids, folders, or .csv, .tsv and .npz files of the user's own with predictions of the
            validation images; at least two.
        method: soft, hard, geometric, rank, per-class, greedy or stacking, with `soup` uniform-soup or greedy-soup;
            None: the cheapest of those that cannot be told apart from the best.
        soup: also try networks with the mean weights of the runs whose model and size agree; it takes about two forward
            passes over the validation images for each run.
        device: of these forward passes: cuda, mps or cpu; None: the fastest there is.
        logits: files of the user's own hold scores before softmax.
        seed: of the folds that judge.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.
        command: what was typed, for the record.

    Returns:
        the report; where the ensemble is stored, as in `ensemble.json` of the new run.

    Raises:
        InputError: a run cannot be used, or runs do not fit together.
        StorageError: the disk is full or a folder cannot be written.
    """
    names = [runs] if isinstance(runs, str | Path) else list(runs)
    known = [*METHODS, *(SOUPS if soup else ())]
    if method is not None and method not in known:
        hint = " It needs --soup." if method in SOUPS else ""
        raise InputError(f"--method must be one of {listing(known, most=9)}, got {method!r}.{hint}")
    if len(names) < 2:
        raise InputError(f"An ensemble needs at least 2 runs, got {len(names)}. eyeshot train makes more.")
    candidates, notes = gather_candidates(names, logits=logits)
    if len(candidates) < 2:
        rule = f"An ensemble needs at least 2 runs that differ in more than the fold, got {len(candidates)}."
        raise InputError(" ".join([rule, *notes, "eyeshot train with another --seed or --model makes another."]))
    candidates, labels, left_out = _labelled(candidates)
    notes += left_out
    members = [np.asarray(candidate.table.probabilities, np.float16) for candidate in candidates]
    classes = candidates[0].table.classes
    methods = list(METHODS)
    if not can_stack(len(members), len(classes)):
        methods.remove("stacking")
        notes.append(
            f"Stacking is left out: {len(members)} members with {len(classes)} classes are too many coefficients."
        )
        if method == "stacking":
            raise InputError(f"{notes[-1]} Choose fewer runs or another --method.")
    with shown_progress(progress) as shown:
        soups = WeightSoups(candidates, device=choose_device(device)[0], progress=shown) if soup else None
        averaged = {} if soups is None else {"uniform-soup": soups.uniform, "greedy-soup": soups.greedy}
        if soups is not None:
            notes.append(soups.note)
        judge = EnsembleJudge(members, labels, [*methods, *averaged], soups=averaged, seed=seed, progress=shown)
        return _store(judge, candidates, method, seed, notes, command, soups)


def _labelled(candidates: Sequence[Candidate]) -> tuple[list[Candidate], NDArray[np.int64], list[str]]:
    """The candidates on the images with a label."""
    labels = candidates[0].table.labels
    if labels is None or not (labels >= 0).any():
        raise InputError(
            "Ensembles are judged on labelled images, but none of the given predictions has labels. Give the "
            "predictions of validation images; a CSV needs a column label."
        )
    rows = np.flatnonzero(labels >= 0)
    if len(rows) == len(labels):
        return list(candidates), labels, []
    note = f"{len(labels) - len(rows)} of {len(labels)} images have no label and are left out."
    ids = tuple(candidates[0].table.ids[row] for row in rows)
    chosen = [
        replace(
            candidate,
            table=replace(
                candidate.table, ids=ids, probabilities=candidate.table.probabilities[rows], labels=labels[rows]
            ),
        )
        for candidate in candidates
    ]
    return chosen, labels[rows], [note]


def _store(
    judge: EnsembleJudge,
    candidates: Sequence[Candidate],
    method: str | None,
    seed: int,
    notes: list[str],
    command: str,
    soups: WeightSoups | None,
) -> EnsembleReport:
    table, best_run = candidates[0].table, judge.best_run()
    right = {name: judge.out_of_fold(name) for name in judge.methods}
    combinations = {name: judge.fit(name) for name in judge.methods}
    rows = []
    for name in judge.methods:
        used = [candidate for candidate, weight in zip(candidates, combinations[name].weights, strict=True) if weight]
        rows.append(
            EnsembleMethod(
                method=name,
                members=len(used),
                cost=1 if name in SOUPS else sum(len(candidate.parts) for candidate in used),
                accuracy=Accuracy.of_counts(int(right[name].sum()), len(table)),
                gain=gain(right[name], best_run),
            )
        )
    rows.sort(key=lambda row: -(row.accuracy.value or 0))
    overall = gain(judge.best_method() if method is None else right[method], best_run)
    chosen = method or _cheapest(rows, right, overall, soup=soups is not None)
    combination = combinations[chosen]
    members = tuple(
        EnsembleMember(
            name=candidate.name, parts=candidate.parts, own=candidate.own, accuracy=candidate.table.accuracy(),
            weight=weight,
        )
        for candidate, weight in zip(candidates, combination.weights, strict=True)
    )  # fmt: skip
    key = key_of([candidate.table.probabilities for candidate in candidates], judge.labels, table.ids, chosen, seed)
    runs = find_workspace().results("runs")
    row = next(row for row in rows if row.method == chosen)
    single = max(members, key=lambda member: (row.members == 1 and member.weight, member.accuracy.value or 0))
    best_name = single.name
    advised = overall.real and row.members > 1
    asked = method is not None or soups is not None
    choice = None if row.members == 1 else _choice(judge, candidates, combination, single.name)
    # Where the estimate cannot tell ensemble and best run apart, nested validation decides between them as elsewhere.
    by_estimate = choice is not None and choice.by == "estimate" and not {ENSEMBLE, single.name} <= set(choice.tied)
    answer = _answer(row, overall, single, len(members), asked=method is not None)
    if choice is not None and by_estimate:
        advised = choice.chosen == ENSEMBLE
        single = next((member for member in members if member.name == choice.chosen), single)
        between = f"{points(overall.low)} to {points(overall.high)}"
        answer = (
            f"{choice.reason} On validation images the ensemble is right on {points(overall.difference)} against the "
            f"best single run ({between})."
        )
    folder = None
    if row.members == 1:
        notes.append(f"{chosen} puts all weight on {single.name}: that is no ensemble, so none is stored.")
    elif advised or asked:
        folder = find_run_by_key(runs, key) or create_run(
            runs, kind="ensemble", key=key, model="ensemble", augmentations=[chosen], seed=seed,
            config={"method": chosen, "members": [list(member.parts) for member in members]}, command=command,
        )  # fmt: skip
    report = EnsembleReport(
        answer=answer,
        next_step=f"eyeshot predict {folder.name}" if advised and folder is not None else _predict(single),
        run="" if folder is None else folder.name,
        method=chosen,
        advised="ensemble" if advised else "best run",
        best_run=best_name,
        n=len(table),
        gain=overall,
        accuracy=row.accuracy,
        members=members,
        methods=tuple(rows),
        correlation=tuple(map(tuple, error_correlation(judge.right).round(4).tolist())),
        per_class=_per_class(right[chosen], best_run, judge.labels, table.classes),
        estimates=_estimates(
            [candidate for candidate, weight in zip(candidates, combination.weights, strict=True) if weight]
        ),
        choice=choice,
        combination=combination.only_used(),
        key=key,
        notes=tuple(notes),
        command=command,
    )
    if folder is not None:
        validation = replace(
            table, probabilities=judge.out_of_fold_probabilities(chosen), run=folder.name, fold=None,
            split="validation", key=key,
        )  # fmt: skip
        validation.save(folder / VALIDATION_FILE)
        if chosen in SOUPS:
            assert soups is not None
            soups.save(combination.weights, folder)
        test = combine_stored(folder, report, "test")
        own = estimate_on(test, validation) if test is not None and may_estimate() else None
        if own is not None:
            report = report.model_copy(update={"estimates": report.estimates | {ENSEMBLE: own}})
        report.write(folder)
    single_run = None if single.own else single.parts[0]
    advise(runs, folder.name if advised and folder is not None else single_run)
    return report


def _choice(
    judge: EnsembleJudge, candidates: Sequence[Candidate], combination: Combination, best: str
) -> ModelChoice | None:
    """Which to take of the members that are used, the best run and the ensemble.

    None for a network with mean weights, and unless all of them have predicted the same test images.
    """
    if combination.method in SOUPS or not may_estimate():
        return None
    asked = [
        (candidate, weight)
        for candidate, weight in zip(candidates, combination.weights, strict=True)
        if weight or candidate.name == best
    ]
    made = [[None if each.own else stored_test(part) for part in each.parts] for each, _ in asked]
    tables = [table for parts in made for table in parts if table is not None]
    if len(tables) < sum(map(len, made)):
        return None
    classes = candidates[0].table.classes
    shape = (len(tables[0]), len(classes))
    ordered = replace(tables[0], classes=classes, labels=None, probabilities=np.empty(shape, np.float16))
    try:
        aligned = iter(align([ordered, *tables])[1:])
    except InputError:  # of images that have changed since
        return None
    tests = [replace(ordered, probabilities=mean_of([next(aligned) for _ in parts])) for parts in made]
    together = combine(
        combination.only_used(), [test.probabilities for test, (_, weight) in zip(tests, asked, strict=True) if weight]
    )
    validation = replace(
        candidates[0].table, labels=judge.labels, probabilities=judge.out_of_fold_probabilities(combination.method)
    )
    models = {
        each.name: judge_model([(replace(each.table, labels=judge.labels), test)])
        for (each, _), test in zip(asked, tests, strict=True)
    }
    return choose_model(models | {ENSEMBLE: judge_model([(validation, replace(ordered, probabilities=together))])})


def _estimates(candidates: Sequence[Candidate]) -> dict[str, TargetEstimate]:
    """Estimated accuracy of members on the test images, where a member is one run that has predicted them."""
    single = [candidate for candidate in candidates[:MOST_ESTIMATES] if not candidate.own and len(candidate.parts) == 1]
    estimates = {candidate.name: stored_estimate(candidate.parts[0]) for candidate in single}
    return {name: estimate for name, estimate in estimates.items() if estimate is not None}


def _predict(single: EnsembleMember) -> str:
    """The command that predicts the test images with a single run."""
    if single.own:
        return "predict the test images with the program that wrote your file, then: eyeshot submit submission.csv"
    return shlex.join(["eyeshot", "predict", *single.parts])


def _cheapest(rows: Sequence[EnsembleMethod], right: dict[str, NDArray[np.bool_]], overall: Gain, *, soup: bool) -> str:
    """The method with the fewest forward passes among those that cannot be told apart from the best.

    Where none is advised, it is the best, of the soups if those were asked for.
    """
    if not overall.real:
        return next((row for row in rows if row.method in SOUPS), rows[0]).method if soup else rows[0].method
    rows = [row for row in rows if row.members > 1] or rows
    best = rows[0]
    good = [row for row in rows if row.gain.real and not gain(right[best.method], right[row.method]).real]
    return min(good or [best], key=lambda row: row.cost).method


def _answer(row: EnsembleMethod, overall: Gain, single: EnsembleMember, count: int, *, asked: bool) -> str:
    between = f"{points(overall.low)} to {points(overall.high)}"
    how = f"combined by {row.method}" if asked else "with the method chosen on inner folds"
    if overall.real and row.members > 1:
        best = "" if asked else f" The cheapest that is as good as the best: {row.method},"
        return (
            f"An ensemble is right on {points(overall.difference)} more than the best single run ({between}; {how})."
            f"{best or ' It uses'} {row.members} of {count} runs, {percent(row.accuracy.value, 1)} out of fold."
        )
    if overall.real:
        return f"{row.method} uses a single run. Use {single.name} as it is: it costs less."
    return (
        f"No ensemble of these {count} runs is distinguishable from the best single run ({points(overall.difference)}, "
        f"{between}; {how}). Use {single.name}: it costs less."
    )


def _per_class(
    right: NDArray[np.bool_], best_run: NDArray[np.bool_], labels: NDArray[np.int64], classes: Sequence[str]
) -> dict[str, Gain]:
    """For each class with at least two images, how much more often the ensemble finds it than the best run."""
    rows = {name: np.flatnonzero(labels == number) for number, name in enumerate(classes)}
    return {name: gain(right[own], best_run[own]) for name, own in rows.items() if len(own) > 1}
