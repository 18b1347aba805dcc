"""`eyeshot pace`: what is done, what is to come, and whether a number of experiments fits before a deadline."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eyeshot.core import InputError, duration, find_workspace, percent, plural
from eyeshot.ledger import Experiment, open_ledger
from eyeshot.sweep.search.planning import Level
from eyeshot.sweep.search.queue import SWEEPS_FOLDER
from eyeshot.sweep.store import DecisionFile

OTHER = "own runs"
"""Experiments that no sweep made."""
ENDED = ("done", "failed", "stopped", "dropped")
HOUR = 3600.0
MOST_OF_IDLE = 0.9
TO_SPARE = 1.2


def pace(
    deadline: str | datetime, *, wanted: int = 500, jobs: int | None = None, root: str | Path | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What a deadline holds: rungs done and to come, hours that machines will stand idle, what more experiments take.

    Args:
        deadline: "2026-12-18" (the end of that day, local time), "2026-12-18T18:00", or a time.
        wanted: experiments until then.
        jobs: trainings at a time; None: those of the latest sweep, else one.
        root: the folder that holds everything eyeshot writes; None: the project's.
        now: None: this moment.

    Returns:
        `deadline`, `hours_left`, `workers`, `experiments`, `wanted`; `rungs`: `name`, `done`, `to_come`, `hours` that
        they took, `seconds_each`; `hours_used`, `hours_to_come` (of what waits), `hours_idle`, `hours_wanted` (of what
        is missing, through the rungs as sweeps have gone), `fits`; `words` and `next_command`.

    Raises:
        InputError: the deadline is no date, or has passed.
    """
    moment = now or datetime.now().astimezone()
    end = _time(deadline) if isinstance(deadline, str) else deadline.astimezone()
    hours_left = (end - moment).total_seconds() / HOUR
    if hours_left <= 0:
        raise InputError(f"--deadline must lie in the future, got {deadline!s}. Give a later date.")
    if wanted < 1:
        raise InputError(f"--wanted must be at least 1, got {wanted}.")
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs must be at least 1, got {jobs}. Leave it out for those of the last sweep.")
    place = find_workspace().root if root is None else Path(root)
    with open_ledger(place) as ledger:
        experiments = ledger.experiments()
    plans = _plans(place)
    latest = max(plans.values(), key=lambda plan: plan["modified"], default=None)
    machines = jobs or (int(latest["workers"]) if latest else 1)
    rungs = _rungs(experiments, plans)
    begun = sum(bool(experiment.rungs or experiment.runs) for experiment in experiments)
    each_s = _seconds_of_one(rungs, begun)
    to_come_h = sum(rung["to_come"] * (rung["seconds_each"] or 0.0) for rung in rungs) / HOUR
    missing = max(0, wanted - len(experiments))
    wanted_h = None if each_s is None else missing * each_s / HOUR
    machine_h = hours_left * machines
    idle_h = max(0.0, machine_h - to_come_h)
    used_h = sum(rung["hours"] for rung in rungs)
    fits = None if wanted_h is None else to_come_h + wanted_h <= machine_h
    ended = sum(experiment.state in ENDED for experiment in experiments)
    words = [
        f"{len(experiments)} experiments so far, {ended} ended, in {duration(used_h * HOUR)} of a machine.",
        f"{hours_left:.1f} h are left, {machines} {plural(machines, 'training')} at a time: {machine_h:.1f} machine "
        f"hours, of which {to_come_h:.1f} h are planned and {idle_h:.1f} h would stand idle.",
    ]
    if wanted_h is None:
        words.append(f"What {wanted} would take is not known before the first one has ended.")
    else:
        words.append(
            f"{wanted} experiments: {missing} are missing, {duration(each_s or 0.0)} of a machine each on average "
            f"over all rungs, {duration(wanted_h * HOUR)} in all. "
            + ("They fit." if fits else f"They do not fit: {percent(machine_h / max(wanted_h + to_come_h, 1e-9))} do.")
        )
    return {
        "deadline": end.isoformat(), "hours_left": hours_left, "workers": machines, "experiments": len(experiments),
        "wanted": wanted, "rungs": rungs, "hours_used": used_h, "hours_to_come": to_come_h, "hours_idle": idle_h,
        "hours_wanted": wanted_h, "fits": fits, "words": words,
        "next_command": f'eyeshot sweep "what else helps?" --budget {_budget(idle_h, wanted_h, machines)}',
    }  # fmt: skip


def _budget(idle_h: float, wanted_h: float | None, machines: int) -> str:
    """For what is missing, with something to spare; at most for most of what would stand idle."""
    hours = MOST_OF_IDLE * idle_h if not wanted_h else min(MOST_OF_IDLE * idle_h, TO_SPARE * wanted_h)
    minutes = max(1, math.ceil(hours * 60 / machines))
    return f"{minutes}m" if minutes < 120 else f"{minutes // 60}h"


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InputError(f"--deadline takes a date such as 2026-12-18 or 2026-12-18T18:00, got {text!r}.") from error
    if len(text.strip()) <= len("2026-12-18"):
        moment = moment.replace(hour=23, minute=59, second=59)
    return moment.astimezone()


def _plans(root: Path) -> dict[str, dict[str, Any]]:
    """Of each sweep: its levels and counts, its workers, and when it was last written."""
    plans: dict[str, dict[str, Any]] = {}
    for file in sorted((root / SWEEPS_FOLDER).glob("*/sweep.json")):
        decisions = DecisionFile(file)
        plans[file.parent.name] = {
            "plan": decisions.get("plan"), "trials": decisions.get("trials") or [],
            "workers": decisions.get("workers") or 1,
            "modified": datetime.fromtimestamp(file.stat().st_mtime, UTC),
        }  # fmt: skip
    return plans


def _rungs(experiments: list[Experiment], plans: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """By rung, in the order of the plans: done, to come, hours, and seconds of one."""
    done: dict[str, list[float]] = {}
    for plan in plans.values():
        for level in (plan["plan"] or {}).get("levels", ()):
            done.setdefault(_level_name(level), [])
    for experiment in experiments:
        for rung in experiment.rungs:
            done.setdefault(str(rung["rung"]), []).append(float(rung.get("seconds") or 0.0))
        if not experiment.rungs and experiment.cost_s:
            done.setdefault(OTHER, []).append(experiment.cost_s)
    to_come: dict[str, int] = dict.fromkeys(done, 0)
    for sweep, plan in plans.items():
        own = [experiment for experiment in experiments if experiment.sweep == sweep]
        if not plan["plan"] or not any(e.state not in ENDED for e in own):
            continue
        names = [_level_name(level) for level in plan["plan"]["levels"]]
        planned = plan["plan"]["counts"]
        for name, count in zip(names, planned, strict=True):
            there = sum(any(rung["rung"] == name for rung in experiment.rungs) for experiment in own)
            to_come[name] += max(0, int(count) - there)
    return [
        {
            "name": name, "done": len(seconds), "to_come": to_come[name], "hours": sum(seconds) / HOUR,
            "seconds_each": sum(seconds) / len(seconds) if seconds else None,
        }
        for name, seconds in done.items()
    ]  # fmt: skip


def _level_name(level: list[Any]) -> str:
    return Level(*level).name


def _seconds_of_one(rungs: list[dict[str, Any]], begun: int) -> float | None:
    """Machine seconds of an experiment, those that were stopped early counted with what they took."""
    hours = sum(rung["hours"] for rung in rungs)
    return hours * HOUR / begun if begun and hours else None
