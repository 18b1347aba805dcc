"""`eyeshot.start_sweep()`: a search over models and settings within a budget, continued by the same call."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import filelock

from eyeshot.core import (
    InputError,
    Progress,
    StorageError,
    Workspace,
    duration,
    find_project,
    find_workspace,
    key_of,
    make_folder,
    shown_progress,
)
from eyeshot.data import DataConfig, project_data
from eyeshot.ledger import judge, may_estimate, open_ledger, predict, stored_test
from eyeshot.models import DEFAULT_MODEL, choose_device
from eyeshot.sweep.budget import Budget
from eyeshot.sweep.budget import Costs as ClockCosts
from eyeshot.sweep.executor import Executor
from eyeshot.sweep.local import InProcess, Processes
from eyeshot.sweep.search import planning
from eyeshot.sweep.search.campaign import Campaign
from eyeshot.sweep.search.prices import model_key
from eyeshot.sweep.search.queue import LOCK_FILE, SWEEPS_FOLDER
from eyeshot.sweep.search.report import SweepReport, make_report
from eyeshot.sweep.search.space import (
    MODEL,
    SIZE,
    Choice,
    check_space,
    first_model,
    known_space,
    merged_space,
    read_space,
)
from eyeshot.sweep.search.trials import BASE, SearchTrial
from eyeshot.sweep.search.work import SearchWork, Work
from eyeshot.sweep.store import DecisionFile
from eyeshot.training import RESULT_FILE, check_config, kept_recipe, project_settings

WORDS = 32
LEAST_LEFT_S = 1.0
"""Of the budget, in which nothing more is judged."""
ASKED_S = 1.0
"""For which a sweep asks for its lock: `eyeshot queue` holds it for a moment to see whether anybody does."""
LEAST_BUDGET_S = 10.0
"""Below this not even the reserve is left."""


def start_sweep(
    why: str,
    train: str | Path | None = None,
    *,
    budget_s: float = 3600.0,
    space: Sequence[str] = (),
    models: Sequence[str] = (),
    weights: str | Path | None = None,
    from_scratch: bool = False,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"] | None = None,
    fit: Literal["crop", "pad"] = "crop",
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    val: str | Path | None = None,
    val_share: float = 0.2,
    decisions: bool | str | Path = True,
    split: bool | str | Path = True,
    fold: int | None = None,
    settings: Mapping[str, object] | None = None,
    epochs: int | None = None,
    most_trials: int = 500,
    simple: bool = False,
    seed: int = 0,
    device: str | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    wait: bool = False,
    dry_run: bool = False,
    cache: str | Path | None = None,
    progress: Progress | bool | None = None,
    command: str = "",
    begun: float | None = None,
) -> SweepReport:
    """Search models and settings within a budget of time; the same call continues a search that was cut off.

    Trials are proposed by a sampler and go from rung to rung: a softmax head on cached features, the last stage, the
    whole network. The best third of each rung goes on with its state. Each trial is an experiment in the ledger.

    Args:
        why: the reason. With the images and the space it names the sweep: the same ones continue it.
        train, labels, path_column, label_column, image_root, val, val_share, decisions, split, fold: the images, as of
            `eyeshot.train`.
        budget_s: of all sittings together. It is never exceeded.
        space: what may be chosen, "NAME=A,B" or "NAME=LOW..HIGH"; it takes the place of what is known by the same
            name. Names are model, size, augmentation, probe.penalty and training.NAME.
        models: to choose from; none: those of `eyeshot rank models`, else the one of `eyeshot train`.
        weights, from_scratch, size, mean, std, interpolation, fit: of all models, as of `eyeshot.train`. Without
            weights, each model takes the file that `eyeshot rank models` took.
        settings: of every training, by the names of `TrainConfig`.
        epochs: of a full training; None: the recipe's.
        most_trials: of a round.
        simple: the best after the first rung go right to the end, without rungs between.
        seed: of trainings and of the sampler.
        device: where to compute; found where not given.
        jobs: trainings at a time; None: one for each GPU, and one on a CPU.
        executor: who computes instead, for instance `eyeshot.ray_executor()`.
        wait: wait for another sweep of this project to end, in the place of refusing.
        dry_run: measure and plan only; nothing is written to the ledger.
        cache: folder of decoded images and features; the project's where not given.
        progress: told how far it is; None: shown in a terminal and a notebook; False: nobody.
        command: what was typed, for the runs.
        begun: `time.monotonic()` from which the budget counts; None: this call.

    Raises:
        InputError: an option cannot be used, or the budget holds not a single trial.
        ModelError: a model cannot be had, or the first trials failed alike.
        StorageError: a folder cannot be written, or another sweep of this project is running.
    """
    begin = time.monotonic() if begun is None else begun
    if not why.strip():
        raise InputError('A sweep needs a reason: eyeshot sweep "does a larger model help?" --budget 1h.')
    if budget_s < LEAST_BUDGET_S:
        raise InputError(f"--budget must be at least {LEAST_BUDGET_S:.0f} s, got {budget_s:g} s. Give more time.")
    if most_trials < planning.FEWEST:
        raise InputError(f"--most-trials must be at least {planning.FEWEST}, got {most_trials}.")
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs must be at least 1, got {jobs}. Leave it out for one on each GPU.")
    if not 0 <= seed < 2**63:
        raise InputError(f"--seed must be from 0 to {2**63 - 1}, got {seed}.")
    given = read_space(space)
    workspace = find_workspace()
    if cache is not None:
        workspace = replace(workspace, cache=Path(cache))
    own = project_settings(find_project(workspace.project)) | dict(settings or {})
    if epochs is not None:
        own["epochs"] = epochs
    check_config(**own)
    data = project_data(
        train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root, val=val,
        val_share=val_share, decisions=decisions, split=split, fold=fold,
    )  # fmt: skip
    chosen, _ = choose_device(device)
    devices = _devices(str(chosen), device)
    model = first_model(workspace.root, given, models) or DEFAULT_MODEL
    recipe = kept_recipe(workspace.project, model)[0] | own  # as the trainings will have it
    known = known_space(
        workspace.root, models=models, learning_rate=float(str(recipe.get("learning_rate", 5e-5))),
        optimizer=str(recipe.get("optimizer", "adamw")), schedule=str(recipe.get("schedule", "cosine")),
        sizes=size is None and all(choice.name != SIZE for choice in given),
    )  # fmt: skip
    whole = merged_space(known, given)
    check_space(whole)
    loading: dict[str, Any] = {
        "weights": None if weights is None else Path(weights), "from_scratch": from_scratch, "size": size,
        "mean": mean, "std": std, "interpolation": interpolation, "fit": fit,
    }  # fmt: skip
    sweep = _sweep_id(why, data, whole, own, loading, seed=seed, simple=simple)
    task = SearchWork(data, workspace, models=loading, seed=seed, command=command, settings=own)
    with shown_progress(progress) as shown:
        if dry_run:
            return _planned(
                sweep, why, task, whole, model, budget_s, begin, device=devices[0], epochs=epochs, most=most_trials,
                simple=simple, workers=jobs or len(devices), command=command,
            )  # fmt: skip
        workers = jobs or len(devices)
        who = executor or (InProcess() if workers == 1 and devices[0] == "cpu" else Processes(workers))
        with _alone(workspace, sweep, why, wait=wait) as folder, open_ledger(workspace.root, write=True) as ledger:
            kept = DecisionFile(folder / "sweep.json")
            clock = Budget(
                budget_s, ClockCosts(0.0, 0.0), spent_s=float(kept.get("seconds") or 0.0) + time.monotonic() - begin
            )
            for name, value in (("why", why), ("budget_s", budget_s), ("workers", who.workers), ("command", command)):
                kept.keep(name, value)
            kept.keep("space", [choice._asdict() for choice in whole])
            campaign = Campaign(
                sweep, why, ledger=ledger, folder=folder, task=task, executor=who, budget=clock, space=whole,
                model=model, seed=seed, devices=devices, epochs=epochs, most=most_trials, simple=simple,
                command=command, progress=shown,
            )  # fmt: skip
            if kept.damage:
                campaign.notes.append(kept.damage)
                shown.say(kept.damage)
            campaign.spend()
            campaign.notes += _judged(workspace, campaign.trials, clock)
            campaign.notes += _predicted(workspace, campaign.trials, clock, device=devices[0])
            return make_report(
                sweep, why, campaign.trials, campaign.prices.plan,
                campaign.standings.costs if campaign.prices.is_planned else None, clock, n=campaign.decisions.get("n"),
                runs=workspace.results("runs"), notes=[*campaign.notes, *(choice.words for choice in whole)],
                command=command,
            )  # fmt: skip


def _devices(chosen: str, given: str | None) -> list[str]:
    """One slot for each GPU, where none was named; else the device that was chosen."""
    if not chosen.startswith("cuda") or given is not None:
        return [chosen]
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def _sweep_id(
    why: str,
    data: DataConfig,
    space: Sequence[Choice],
    settings: Mapping[str, object],
    loading: Mapping[str, Any],
    *,
    seed: int,
    simple: bool,
) -> str:
    """What names a sweep: its reason, readable, and a hash of all that decides what it does; the budget does not."""
    key = key_of(
        why.strip(), data.model_dump(mode="json"), [choice._replace(source="") for choice in space],
        {name: str(value) for name, value in settings.items()}, {name: str(value) for name, value in loading.items()},
        seed, simple,
    )  # fmt: skip
    words = re.sub(r"[^a-z0-9]+", "-", why.lower()).strip("-")[:WORDS].strip("-") or "sweep"
    return f"{words}-{key[:6]}"


@contextmanager
def _alone(workspace: Workspace, sweep: str, why: str, *, wait: bool) -> Iterator[Path]:
    """The folder of a sweep, for one process of the project alone; a kill frees it."""
    sweeps = make_folder(workspace.results(SWEEPS_FOLDER))
    lock, said = filelock.FileLock(sweeps / LOCK_FILE, timeout=-1 if wait else ASKED_S), sweeps / "running.json"
    try:
        lock.acquire()
    except filelock.Timeout as error:
        other = DecisionFile(said)
        raise StorageError(
            f"One sweep at a time may run in a project, and {other.get('why') or 'another'!r} is running since "
            f"{other.get('since') or 'a while'}. Wait for it (--wait), add to it (eyeshot queue add), or pause it "
            "(eyeshot queue pause) and end it with Ctrl-C."
        ) from error
    try:
        now = DecisionFile(said)
        now.keep("why", why)
        now.keep("since", time.strftime("%Y-%m-%d %H:%M"))
        yield make_folder(sweeps / sweep)
    finally:
        now.delete()
        lock.release()


def _judged(workspace: Workspace, trials: Sequence[SearchTrial], clock: Budget) -> list[str]:
    """Let the ledger judge the trials that came to the end against the base, by its one rule; what it has no time for.

    Those that were stopped before are not judged: their predictions are of a rung that the base has left behind.
    """
    done = [trial for trial in trials if trial.state == "done"]
    if len(done) < 2 or done[0].number != BASE:
        return []
    with open_ledger(workspace.root) as ledger:
        judged = {row["id"] for row in ledger.rows("id", where="gain IS NOT NULL")}
        base = ledger.experiment(done[0].experiment)
    for place, trial in enumerate(done[1:]):
        if clock.used_s > clock.seconds - LEAST_LEFT_S:
            return [f"{len(done) - 1 - place} trials have no verdict yet, for lack of time: the same command goes on."]
        if trial.experiment not in judged:
            judge(workspace.root, trial.experiment, base)
    return []


def _predicted(workspace: Workspace, trials: Sequence[SearchTrial], clock: Budget, *, device: str) -> list[str]:
    """Let the trials that came to the end predict the test images, so that the estimate can choose under a shift; what
    there was no time for."""
    if find_project(workspace.project).data.get("test") is None or not may_estimate():
        return []
    folders = [workspace.results("runs") / trial.experiment for trial in trials if trial.state == "done"]
    left = [folder for folder in folders if stored_test(folder) is None and (folder / RESULT_FILE).is_file()]
    longest_s = 0.0
    for place, folder in enumerate(left):
        if clock.used_s + longest_s > clock.seconds - LEAST_LEFT_S:
            names = " ".join(each.name for each in left[place:])
            return [
                f"{len(left) - place} trials have not predicted the test images, for lack of time, so validation alone "
                f"chooses: eyeshot predict {names}"
            ]
        before_s = clock.used_s
        predict(folder, device=device, progress=False)
        longest_s = max(longest_s, clock.used_s - before_s)
    return []


def _planned(
    sweep: str,
    why: str,
    task: Callable[[Work], dict[str, Any]],
    space: Sequence[Choice],
    model: str,
    seconds: float,
    begin: float,
    *,
    device: str,
    epochs: int | None,
    most: int,
    simple: bool,
    workers: int,
    command: str,
) -> SweepReport:
    """The plan from a measurement of the base alone; a fit is taken to cost as much as the features of 100 images."""
    own = task(Work("measure", -1, {MODEL: model}, seconds, device, steps=True))
    if own.get("over"):
        raise InputError(f"Measuring alone took {duration(own['seconds'])}. Give a larger --budget.")
    count = len(next((choice.values for choice in space if choice.name == MODEL), (model,)))
    images = own["n_train"] + own["n_val"]
    costs = planning.Costs(
        once_s=count * images * (own["forward_s"] + own["decode_s"]), probe_s=100 * own["forward_s"],
        last_stage_s=own["n_train"] * own["last-stage_s"], full_s=own["n_train"] * own["none_s"],
        evaluate_s=own["n_val"] * own["forward_s"],
    )  # fmt: skip
    left_s = planning.usable(seconds) - (time.monotonic() - begin)
    plan = planning.make_plan(
        costs, left_s, epochs=epochs or int(own["epochs"]), workers=workers, groups=1 if simple else 3, most=most,
        simple=simple,
    )  # fmt: skip
    words = f"Measured on {model_key({MODEL: model})}: {duration(costs.full_s)} for an epoch of the whole network" + (
        f"; each of the {count} models is taken to cost as much." if count > 1 else "."
    )
    budget = Budget(seconds, ClockCosts(0.0, 0.0), spent_s=time.monotonic() - begin)
    report = make_report(
        sweep, why, [], plan, costs, budget, n=None, runs=Path(), command=command,
        notes=[*planning.plan_words(plan, seconds), words, *(choice.words for choice in space)],
    )  # fmt: skip
    same = re.sub(r" --dry-run\b", "", command) or f"eyeshot sweep {shlex.quote(why)} --budget {seconds:g}s"
    return report.model_copy(update={"state": "planned", "next_command": same})
