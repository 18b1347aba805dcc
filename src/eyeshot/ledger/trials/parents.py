"""What an experiment goes on from: never what cannot be told apart from its own parent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eyeshot.core import EyeshotError, InputError, listing
from eyeshot.ledger.runs import find_run, list_runs, logged_recipe
from eyeshot.ledger.store.database import Ledger
from eyeshot.ledger.store.records import Experiment, Got
from eyeshot.ledger.trials.training_settings import settings_of
from eyeshot.training import RESULT_FILE, VALIDATION_FILE, TrainResult, read_result

UNSTATED = "without a stated reason"
NO_PARENT = "none"


def best_parent(ledger: Ledger) -> str | None:
    """The experiment to go on from: the last that is better than its parent; else what the last one began from.

    Experiments of sweeps are no last ones, but what others began from; logged ones, whose code eyeshot cannot run, are
    left out.

    Returns:
        its id; None where nothing was trained by experiments.
    """
    runs = ledger.root / "runs"
    done = ledger.rows("id", "gain", "parent", "author_kind", where="state = 'done'")
    by_id = {row["id"]: row for row in done}
    rows = [row for row in done if row["author_kind"] != "sweep"]
    for row in reversed(rows):
        if row["gain"] == "better" and first_result(runs, ledger.experiment(row["id"])) is not None:
            return str(row["id"])
    for last in reversed(rows):
        row = last_better(last, by_id)
        if first_result(runs, ledger.experiment(row["id"])) is not None:
            return str(row["id"])
    return None


def last_better(row: dict[str, Any], by_id: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """An experiment if it is better than its parent; else the nearest that is among those it came from, or their first.

    Args:
        row: with `gain` and `parent`.
        by_id: rows of all finished experiments.
    """
    while row["gain"] != "better" and row["parent"] in by_id:
        row = by_id[row["parent"]]
    return row


def named_parent(ledger: Ledger, text: str) -> Experiment | Path:
    """The experiment with this id, or the one that a run belongs to; the run's folder where no experiment has it.

    Raises:
        InputError: there is neither such an experiment nor such a run.
    """
    try:
        return ledger.experiment(text)
    except InputError as no_experiment:
        try:
            folder = find_run(ledger.root / "runs", text)
        except InputError:
            raise InputError(f"--parent must be an experiment or a run, got {text!r}. {no_experiment}") from None
    return experiment_with(ledger, folder) or folder


def latest_run(ledger: Ledger) -> Experiment | Path | None:
    """The latest finished training of the project; None without one.

    Of a sweep it is the recipe without changes: its trials are many, and the last is as good as any.
    """
    runs = ledger.root / "runs"
    for record in reversed(list_runs(runs)):
        if record.kind == "train":
            try:
                if read_result(runs / record.id) is None:
                    continue
            except EyeshotError:  # damaged: an earlier one is used
                continue
            trial = experiment_with(ledger, runs / record.id)
            if trial is None or trial.sweep is None:
                return runs / record.id
            base = trial if trial.parent is None else ledger.experiment(trial.parent)
            return base if first_result(runs, base) is not None else runs / record.id
    return None


def unreadable_runs(runs: Path) -> list[str]:
    """Ids of trainings whose result is there and cannot be read, so that nothing can go on from them."""
    damaged = []
    for record in list_runs(runs):
        if record.kind == "train":
            try:
                read_result(runs / record.id)
            except EyeshotError:
                damaged.append(record.id)
    return damaged


def experiment_with(ledger: Ledger, folder: Path) -> Experiment | None:
    """The experiment that has this run as its own."""
    text = f'%"{folder.name}"%'
    fitting = [one for one in ledger.experiments("record LIKE ?", (text,)) if folder.name in one.runs]
    return fitting[0] if fitting else None


def adopt_run(ledger: Ledger, folder: Path, *, author: str) -> Experiment:
    """Make a finished run an experiment without a stated reason, so that others can go on from it.

    Raises:
        InputError: it is not finished.
    """
    known = experiment_with(ledger, folder)
    if known is not None:
        return known
    result = read_result(folder)
    if result is None:
        raise InputError(f"The run {folder.name!r} is not finished. The command that began it continues it.")
    accuracy = result.accuracy
    experiment = ledger.add(UNSTATED, author=author, config=settings_of(result), seeds=[result.settings.seed])
    ledger.append(experiment.id, "run", run=folder.name, seed=result.settings.seed, role="own")
    if accuracy.value is not None:
        got = Got(
            value=accuracy.value, low=accuracy.low, high=accuracy.high, n=accuracy.n, seeds=(result.settings.seed,),
            seconds=result.seconds,
        )  # fmt: skip
        ledger.append(experiment.id, "got", got=got)
    return ledger.append(experiment.id, "state", state="done")


def first_result(runs: Path, experiment: Experiment) -> tuple[Path, TrainResult] | None:
    """The first finished training of an experiment; None where it has none, as logged ones."""
    for run_id in experiment.runs:
        try:
            result = read_result(runs / run_id)
        except EyeshotError:
            continue
        if result is not None:
            return runs / run_id, result
    return None


def check_validation(folder: Path) -> None:
    """Refuse a finished training whose answers are gone, before a child is trained that nothing could judge.

    Raises:
        InputError: they are.
    """
    if not (folder / VALIDATION_FILE).is_file():
        raise InputError(
            f"A parent is compared by its answers on the validation images, and {str(folder / VALIDATION_FILE)!r} is "
            f"missing. Delete {RESULT_FILE} there and give the command of that run again, or name another --parent."
        )


def trained_parent(runs: Path, parent: Experiment) -> tuple[Path, TrainResult]:
    """The training that a child's settings come from.

    Raises:
        InputError: the parent was not trained by eyeshot, or is not finished.
    """
    first = first_result(runs, parent)
    if first is not None:
        check_validation(first[0])
        return first
    if any(logged_recipe(runs / run)[0] is not None for run in parent.runs):
        raise InputError(
            f"eyeshot trains children of what it trained, and {parent.id!r} was logged. Train the child with your own "
            f"program too: eyeshot log --predictions FILE --parent {parent.id}."
        )
    raise InputError(
        f"A parent must have a finished run, and {parent.id!r} has {listing(list(parent.runs)) or 'none'} in state "
        f"{parent.state!r}. Continue it with the command that began it, or name another with --parent."
    )
