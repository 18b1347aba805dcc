"""`eyeshot.try_experiment()`: a change is stated with its reason, trained beside its parent, and judged by the rule."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock

from eyeshot.core import (
    EyeshotError,
    InputError,
    Progress,
    ProgressUntil,
    duration,
    find_workspace,
    key_of,
    listing,
    make_folder,
    plural,
    shown_progress,
)
from eyeshot.ledger.judging.expectations import parse_expectation
from eyeshot.ledger.judging.judgement import judge
from eyeshot.ledger.store.database import Ledger, open_ledger
from eyeshot.ledger.store.records import Experiment
from eyeshot.ledger.training_runs import create_training_run
from eyeshot.ledger.trials.code_state import code_state, short_code, who
from eyeshot.ledger.trials.parents import (
    NO_PARENT,
    adopt_run,
    best_parent,
    latest_run,
    named_parent,
    unreadable_runs,
)
from eyeshot.ledger.trials.training_settings import read_changes, train_command
from eyeshot.ledger.trials.trial_plan import Trial, TryPlan
from eyeshot.ledger.writing_up import checked_tags
from eyeshot.training import RESULT_FILE, train_folder

BASELINE = "baseline: what comes before any change"
MOST_SEEDS = 50
LOCK_FILE = "try.lock"


class TimeUp(BaseException):
    """The budget is used up. It is no `Exception`, so that code which goes on after errors does not catch it."""


def try_experiment(
    why: str,
    *,
    settings: Mapping[str, Any] | Sequence[str] = (),
    parent: str | None = None,
    expect: str | None = None,
    seeds: int = 1,
    until_clear_s: float = 0.0,
    budget_s: float = 0.0,
    measure_noise: bool = True,
    tags: Sequence[str] = (),
    own_work: str | None = None,
    off_the_shelf: str | None = None,
    author: str | None = None,
    agent: str | None = None,
    train: str | Path | None = None,
    device: str | None = None,
    cache: str | Path | None = None,
    progress: Progress | bool | None = None,
    planned: Callable[[TryPlan], object] | None = None,
) -> Experiment:
    """State an experiment, train it beside its parent on the same images and seeds, and judge it.

    The same call continues an experiment that was cut off, and gives one that is done without doing anything.

    Args:
        why: the reason, in a sentence.
        settings: what changes, as {"training.optimizer": "nadamw", "augmentation": "invert"} or ["NAME=VALUE"]:
            `training.` and a setting of the recipe, `augmentation`, `model`, `weights`, `from_scratch`, `size`, `fit`,
            `interpolation`, `mean`, `std`, `data.train`, `data.labels`, `data.decisions`. Nothing: the same recipe
            with another seed.
        parent: experiment or run to go on from; "none" begins anew. None: the last experiment that is better than its
            parent, else what the last one began from, else the latest run; without any a baseline is trained first.
        expect: what is expected of the difference, as "+1.0 accuracy", "up accuracy", "same accuracy"; frozen before
            the first run.
        seeds: trainings of the child; seeds that the parent lacks are trained too.
        until_clear_s: add seeds to both, and folds where the split has them, until the difference is clear, for so many
            seconds at most; 0: `seeds` are trained.
        budget_s: end after so many seconds, whatever is reached; 0: no limit.
        measure_noise: where no recipe of the project has two seeds, train the parent with one more, once: a single
            seed of each says nothing about seeds.
        tags: of the experiment.
        own_work, off_the_shelf: which parts are the author's own, and which were taken.
        author: who tries; None: EYESHOT_AUTHOR, git's user.name or the login name.
        agent: name of the agent that tries; None: EYESHOT_AGENT, or a person.
        train: folder of training images, for a beginning; None: what eyeshot.toml says.
        device: cuda, mps or cpu; None: the fastest there is.
        cache: folder of decoded images; None: the project's.
        progress: told how far it is; None: shown in a terminal and a notebook; False: nobody.
        planned: called with what will be done before anything is written; what it raises ends it.

    Returns:
        the experiment; its state is "done", or "stopped" where the budget ended first.

    Raises:
        InputError: a setting, an expectation or a parent cannot be used, or the budget is too small for one run.
        ModelError: the model cannot be had, or the loss is not finite; the experiment is kept as failed.
        StorageError: the ledger or a folder cannot be written.
    """
    began = time.monotonic()
    why = " ".join(why.split())
    if not why:
        raise InputError(
            'An experiment needs a reason, got none. For instance: eyeshot try "RAdam warms up by itself".'
        )
    tags = checked_tags(tags)
    if not 1 <= seeds <= MOST_SEEDS:
        raise InputError(f"--seeds must be from 1 to {MOST_SEEDS}, got {seeds}.")
    if until_clear_s and seeds > 1:
        raise InputError("--until-clear chooses the number of seeds, got --seeds as well. Leave one of them out.")
    expected = None if expect is None else parse_expectation(expect)
    asked = read_changes(settings)
    place = None if train is None else str(train)
    request = key_of(why, asked, parent, expect, seeds, bool(until_clear_s), place)
    workspace = find_workspace()
    root = workspace.root
    with open_ledger(root) as ledger:
        earlier = _earlier(ledger, why, request)
        if earlier is not None and earlier.state == "done":
            return earlier
        origin = _origin(ledger, earlier, parent)
    name, kind = who(author, agent, workspace.project)
    if origin is None and earlier is None and parent is None and asked:
        left = max(1e-3, budget_s - (time.monotonic() - began)) if budget_s else 0.0
        said = _begun_anew(root, planned)
        first = try_experiment(
            BASELINE, parent=NO_PARENT, budget_s=left, author=author, agent=agent, train=train, device=device,
            cache=cache, progress=progress, planned=said,
        )  # fmt: skip
        if first.state != "done":
            return first
        origin = first
    limit = min([limit for limit in (budget_s, until_clear_s) if limit], default=0.0)
    with shown_progress(progress) as shown:
        watched: Progress = ProgressUntil(shown, began + limit, ended=TimeUp, clock=time.monotonic) if limit else shown
        trial = Trial(root, workspace.cache if cache is None else Path(cache), device=device, progress=watched)
        try:
            if earlier is not None:
                trial.resume(earlier, origin if isinstance(origin, Experiment) else None)
            else:
                if origin is None:
                    trial.begin(asked, train)
                else:
                    trial.branch(origin, asked)
                trial.choose_seeds(seeds, until_clear_s=until_clear_s, measure_noise=measure_noise)
        except TimeUp:
            if earlier is not None:
                return earlier
            raise InputError(
                f"The time must suffice for a training, and {duration(limit)} did not suffice to plan it. Give more."
            ) from None
        if earlier is None and limit:
            trial.check_time(limit - (time.monotonic() - began), until_clear=bool(until_clear_s))
        if planned is not None:
            planned(trial.shown(earlier, origin))
        make_folder(root)
        with filelock.FileLock(root / LOCK_FILE), open_ledger(root, write=True) as ledger:
            if isinstance(origin, Path):
                origin = adopt_run(ledger, origin, author=name)
            experiment = _earlier(ledger, why, request)  # somebody else may have stated it in the meantime
            if experiment is None:
                code = code_state(workspace.project)
                experiment = ledger.add(
                    why, author=name, author_kind=kind, parent=None if origin is None else origin.id,
                    difference=trial.difference, expected=expected, config=trial.settings, code=code,
                    seeds=list(trial.seeds), tags=list(tags), cost_planned_s=trial.planned_s(),
                    own_work=own_work or _own_code(trial, code), off_the_shelf=off_the_shelf,
                    plan={
                        "request": request, "looks": list(trial.looks), "pairs": [list(pair) for pair in trial.pairs],
                        "parent_pairs": [list(pair) for pair in trial.parent_pairs], "parent_anew": trial.parent_anew,
                        "run_s": trial.run_s,
                    },
                )  # fmt: skip
        return _run(trial, experiment, origin, watched, until=began + until_clear_s if until_clear_s else None)


def _begun_anew(root: Path, planned: Callable[[TryPlan], object] | None) -> Callable[[TryPlan], object] | None:
    """`planned`, told also why a beginning is trained although there were trainings: their results are damaged."""
    damaged = unreadable_runs(root / "runs")
    if planned is None or not damaged:
        return planned
    note = (
        f"A new beginning is trained: {plural(len(damaged), 'the result', 'the results')} of "
        f"{listing(damaged, most=3)} cannot be read, and there is no other training to go on from. To keep the old "
        f"one, put {RESULT_FILE} back from a copy first."
    )
    return lambda plan: planned(replace(plan, notes=(note, *plan.notes)))


def _earlier(ledger: Ledger, why: str, request: str) -> Experiment | None:
    """The experiment that the same call has stated before."""
    same = [one for one in ledger.experiments("why = ?", (why,)) if one.plan.get("request") == request]
    return next((one for one in reversed(same) if one.state != "dropped"), None)


def _origin(ledger: Ledger, earlier: Experiment | None, parent: str | None) -> Experiment | Path | None:
    """What to go on from."""
    if earlier is not None:
        return None if earlier.parent is None else ledger.experiment(earlier.parent)
    if parent == NO_PARENT:
        return None
    if parent is not None:
        return named_parent(ledger, parent)
    best = best_parent(ledger)
    return latest_run(ledger) if best is None else ledger.experiment(best)


def _own_code(trial: Trial, code: dict[str, str]) -> str | None:
    """Parts that are the user's own by their names."""
    own = [name for name in (trial.settings["model"], *trial.settings["augmentation"]) if ":" in name]
    if not own:
        return None
    return f"{listing(own)}{f' at {short_code(code)}' if short_code(code) else ''}"


def _run(
    trial: Trial, experiment: Experiment, parent: Experiment | Path | None, progress: Progress, *, until: float | None
) -> Experiment:
    """Train what is missing and judge; the state says how it ended, whatever happened."""
    assert not isinstance(parent, Path)
    root = trial.workspace.root
    folder = make_folder(root / "experiments" / experiment.id)
    try:
        lock = filelock.FileLock(folder / "lock", timeout=0)
        lock.acquire()
    except filelock.Timeout:
        raise InputError(
            f"An experiment is run by one process at a time, and another runs {experiment.id!r}. Wait for it."
        ) from None
    try:
        _say(root, experiment.id, "running", "")
        _train_and_judge(trial, experiment.id, parent, progress, until=until)
        return _say(root, experiment.id, "done", "")
    except TimeUp:
        if until is not None and _judged_with_what_there_is(trial, experiment.id, parent):
            return _say(root, experiment.id, "done", "")
        words = "the budget ended first; the same command continues"
        return _say(root, experiment.id, "stopped", words)
    except KeyboardInterrupt:
        _say(root, experiment.id, "stopped", "interrupted; the same command continues")
        raise
    except EyeshotError as error:
        _say(root, experiment.id, "failed", str(error))
        raise
    finally:
        lock.release()


def _train_and_judge(
    trial: Trial, experiment_id: str, parent: Experiment | None, progress: Progress, *, until: float | None
) -> None:
    root, order = trial.workspace.root, trial.trainings()
    looks = trial.looks if until is not None else ()
    done, took = 0, 0.0
    for number, (role, seed, fold) in enumerate(order, 1):
        if until is not None and done and took and time.monotonic() + took > until:
            raise TimeUp  # the next training would not end in time
        begin = time.monotonic()
        whose = "parent, " if role == "parent" else ""
        of_fold = "" if fold is None else f", fold {fold}"
        step = progress.sub(f"training {number} of {len(order)} ({whose}seed {seed}{of_fold})")
        if _trained(trial, experiment_id, role, seed, fold, step):
            took = max(took, time.monotonic() - begin)
        done += role == "own"
        last = number == len(order)
        if role == "own" and (last or done in looks):
            _, gain = judge(root, experiment_id, parent, looks=max(1, len(looks)), settle=last)
            if gain is not None and gain != "not distinguishable":
                return


def _judged_with_what_there_is(trial: Trial, experiment_id: str, parent: Experiment | None) -> bool:
    """Give the verdict on the seeds and folds that are finished; False where there are none.

    A look at a number of trainings that was not planned takes the place of those that are left out.
    """
    try:
        judge(trial.workspace.root, experiment_id, parent, looks=len(trial.looks))
    except InputError:
        return False
    return True


def _trained(
    trial: Trial, experiment_id: str, role: str, seed: int, fold: int | None, progress: Progress
) -> bool:  # fmt: skip
    """Train one seed and fold unless it is finished, and let the experiment know of the run before it begins."""
    plan, key, settings = trial.training(role, seed, fold)
    finished = (plan.folder / RESULT_FILE).is_file()
    if not finished:
        plan = create_training_run(plan, key=key, command=train_command(settings, seed))
    with open_ledger(trial.workspace.root, write=True) as ledger:
        experiment = ledger.experiment(experiment_id)
        known = experiment.runs if role == "own" else experiment.parent_runs
        if plan.folder.name not in known:
            ledger.append(experiment_id, "run", run=plan.folder.name, seed=seed, role=role, fold=fold)
    train_folder(plan, command=train_command(settings, seed), progress=progress)
    return not finished


def _say(root: Path, experiment_id: str, state: str, words: str) -> Experiment:
    with open_ledger(root, write=True) as ledger:
        experiment = ledger.experiment(experiment_id)
        if experiment.state == state and experiment.words == words:
            return experiment
        return ledger.append(experiment_id, "state", state=state, words=words)
