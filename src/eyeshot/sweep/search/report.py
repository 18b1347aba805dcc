"""What a sweep came to, in numbers and sentences."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from eyeshot.core import duration, percent, plural, points, wilson
from eyeshot.ledger import stored_tests
from eyeshot.predictions import ModelChoice, align, choose_model, compare_members, judge_model, load_predictions
from eyeshot.sweep.budget import Budget
from eyeshot.sweep.search.planning import Costs, Level, SearchPlan
from eyeshot.sweep.search.promotion import Agreement, agreements
from eyeshot.sweep.search.trials import BASE, SearchTrial, difference
from eyeshot.training import VALIDATION_FILE

WAITING = ("stated", "waiting", "running")
BUDGET_OPTION = r" --budget(=| )\S+"


class SweepReport(BaseModel):
    """The state of a sweep; `eyeshot sweep --json` prints it. Shares, not points. Keys are only added until 1.0.

    Attributes:
        id, why: of the sweep.
        state: "finished", "budget over", or "planned" for a dry run.
        budget_s, used_s: seconds; `used_s` counts all sittings.
        levels: of each rung `name`, planned and real `trials`, `seconds` in all, and the seconds of one trial.
        trials: how many there are, by state.
        best: the best of the highest rung that more than the base reached: `id`, `value`, `low`, `high`, `n`, `rung`,
            `difference` (what it changes); null before any.
        base: the trial that changes nothing, by the same keys.
        choice: which trial of that rung to take, by the estimates on the test images where these show a shift; null
            unless all its trials have predicted them. `best` follows it.
        gain: accuracy of the best less that of the base at the same rung, paired over images: `value`, `low`, `high`,
            `p`; null where they are the same. The best was picked among many, so the gain is too high on average.
        agreement: how well each rung ordered the trials as the last one did: `rung`, `n`, `correlation`, `low`, `high`.
        simple: what "the best after the first rung" would have chosen, and what it came to at the end.
        cost_share: seconds of all trials over those of training every trial to the end.
        failed: what failed, and why.
        plan, notes: sentences.
        next_command: what to type next.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 1
    id: str
    why: str
    state: str
    budget_s: float
    used_s: float
    levels: list[dict[str, Any]]
    trials: dict[str, int]
    best: dict[str, Any] | None = None
    base: dict[str, Any] | None = None
    choice: ModelChoice | None = None
    gain: dict[str, float] | None = None
    agreement: list[dict[str, Any]]
    simple: dict[str, Any] | None = None
    cost_share: float | None = None
    failed: list[dict[str, str]]
    notes: list[str]
    next_command: str

    @property
    def answer(self) -> str:
        """The outcome in sentences; of a dry run, what would be done."""
        if self.state == "planned":
            return "Nothing was trained: this is what the budget would hold."
        if self.best is None:
            return "No trial has come to a result yet."
        best = self.best
        came = (
            f"{percent(best['value'], 1)} at {best['rung']} (95 % interval {percent(best['low'], 1)} to "
            f"{percent(best['high'], 1)}, n = {best['n']})"
        )
        chosen = "" if self.choice is None else f" {self.choice.reason}"
        which = "the chosen one" if self.choice is not None and self.choice.by == "estimate" else "the most accurate"
        if not best["difference"]:
            return f"Nothing beat the recipe without changes, {best['id']}: {came}.{chosen}"
        changes = ", ".join(f"{name} {before} → {after}" for name, (before, after) in best["difference"].items())
        if self.gain is None:
            return f"{which[0].upper()}{which[1:]} is {best['id']}, {came}: {changes}.{chosen}"
        gain = self.gain
        against = f"{points(gain['value'])} ({points(gain['low'])} to {points(gain['high'])}, p = {gain['p']:.2g})"
        picked = f"It was picked among many, which flatters it: try it once more with other seeds.{chosen}"
        if gain["low"] > 0:
            return f"{best['id']} beat the recipe without changes by {against}: {changes}; {came}. {picked}"
        return (
            f"No trial can be told from the recipe without changes: {which}, {best['id']}, came to "
            f"{came}, {against} against it: {changes}. {picked}"
        )


def make_report(
    sweep: str,
    why: str,
    trials: Sequence[SearchTrial],
    plan: SearchPlan,
    costs: Costs | None,
    budget: Budget,
    *,
    n: int | None,
    runs: Path,
    notes: Sequence[str],
    command: str,
) -> SweepReport:
    """The report of a sweep as it stands.

    Args:
        sweep, why: of it.
        trials: all.
        plan, costs: its own; no costs before it has a plan.
        budget: with the seconds used.
        n: validation images.
        runs: folder of the runs.
        notes: sentences.
        command: as it was typed, for the next one; "" for a call in Python.
    """
    states: dict[str, int] = {}
    for trial in trials:
        states[trial.state] = states.get(trial.state, 0) + 1
    waiting = [trial for trial in trials if trial.state in WAITING]
    there, level = _highest(trials, plan.levels)
    choice = choose_trial(there, runs)
    best = max(there, key=lambda trial: (*trial.results[level.name], -trial.number)) if there and level else None
    if choice is not None and choice.by == "estimate":
        best = next(trial for trial in there if trial.experiment == choice.chosen)
    base = trials[BASE] if trials else None
    shown = {} if base is None else base.config
    failed = [{"id": trial.experiment, "why": trial.why_ended} for trial in trials if trial.state == "failed"]
    gain = None
    if best is not None and base is not None and best is not base and level is not None and level.name in base.results:
        gain = _gain(runs, best, base)
    full_s = None if costs is None else sum(map(costs.of, plan.levels))
    spent_s = sum(seconds for trial in trials for seconds in trial.seconds.values())
    begun = sum(bool(trial.results) for trial in trials)
    return SweepReport(
        id=sweep,
        why=why,
        state="budget over" if waiting else "finished",
        budget_s=budget.seconds,
        used_s=budget.used_s,
        levels=[_level(own, count, trials, costs) for own, count in zip(plan.levels, plan.counts, strict=True)],
        trials=states,
        best=None if best is None or level is None else _shown(best, level, n, shown),
        base=None if base is None or level is None or level.name not in base.results else _shown(base, level, n, shown),
        choice=choice,
        gain=gain,
        agreement=[own._asdict() for own in rung_agreements(trials, plan.levels)],
        simple=_simple(trials, plan.levels),
        cost_share=None if not full_s or not begun or len(plan.levels) < 2 else spent_s / (begun * full_s),
        failed=failed,
        notes=list(notes),
        next_command=_with_twice(command or f"eyeshot sweep {shlex.quote(why)}", budget.seconds)
        if best is None
        else f"eyeshot show {best.experiment}",
    )


def rung_agreements(trials: Sequence[SearchTrial], levels: Sequence[Level]) -> list[Agreement]:
    """How well each rung ordered the trials that came to the end."""
    values = {
        level.name: {trial.number: trial.results[level.name][0] for trial in trials if level.name in trial.results}
        for level in levels
    }
    return agreements(values, levels[-1].name) if len(levels) > 1 else []


def agreement_words(agreement: dict[str, Any]) -> str:
    """An agreement in a sentence."""
    if agreement["correlation"] is None:
        return f"{agreement['rung']} and the end: {agreement['n']} trials came to both, too few or too alike."
    return (
        f"{agreement['rung']} and the end: rank correlation {agreement['correlation']:.2f} (95 % interval "
        f"{agreement['low']:.2f} to {agreement['high']:.2f}, {agreement['n']} trials that came to both)."
    )


def report_lines(report: SweepReport) -> list[str]:
    """What else is worth saying of a sweep, one sentence a line."""
    lines = [agreement_words(agreement) for agreement in report.agreement]
    if report.simple is not None:
        simple = report.simple
        same = "the same trial" if report.best is not None and simple["id"] == report.best["id"] else simple["id"]
        came = (
            f"which came to {percent(simple['value'], 1)} at {simple['rung']}"
            if simple["value"] is not None
            else "which was not trained to the end"
        )
        lines.append(f"The best after the first rung alone would have been {same}, {came}.")
    if report.cost_share is not None:
        lines.append(
            f"All trials took {percent(report.cost_share)} of what training each of them to the end would have taken."
        )
    if report.failed:
        count, first = len(report.failed), report.failed[0]
        lines.append(f"{count} {plural(count, 'trial')} failed, for instance {first['id']}: {first['why']}")
    lines.append(f"Used {duration(report.used_s)} of {duration(report.budget_s)}.")
    if report.state == "budget over":
        count = sum(report.trials.get(state, 0) for state in WAITING)
        lines.append(
            f"{count} {plural(count, 'trial')} did not get a turn: the same command with a larger --budget goes on."
        )
    return lines


def _with_twice(command: str, seconds: float) -> str:
    """The same command with twice the budget."""
    return f"{re.sub(BUDGET_OPTION, '', command)} --budget {2 * seconds:g}s"


def _highest(trials: Sequence[SearchTrial], levels: Sequence[Level]) -> tuple[list[SearchTrial], Level | None]:
    """The trials at the highest level that anybody but the base has reached."""
    for level in reversed(levels):
        there = [trial for trial in trials if level.name in trial.results and trial.state != "failed"]
        if any(trial.number != BASE for trial in there) or (there and level == levels[0]):
            return there, level
    return [], None


def choose_trial(trials: Sequence[SearchTrial], runs: Path) -> ModelChoice | None:
    """Which of several trials to take; None unless all have predicted the same test images, or with a single one."""
    folders = [runs / trial.experiment for trial in trials]
    tests = stored_tests(folders) if len(trials) > 1 else None
    if tests is None:
        return None
    return choose_model(
        {
            trial.experiment: judge_model([(load_predictions(folder / VALIDATION_FILE), test)])
            for trial, folder, test in zip(trials, folders, tests, strict=True)
        }
    )


def _shown(trial: SearchTrial, level: Level, n: int | None, base: dict[str, Any]) -> dict[str, Any]:
    value = trial.results[level.name][0]
    low, high = wilson(round(value * n), n) if n else (None, None)
    return {
        "id": trial.experiment, "value": value, "low": low, "high": high, "n": n, "rung": level.name,
        "difference": difference(base, trial.config), "config": trial.config,
    }  # fmt: skip


def _gain(runs: Path, best: SearchTrial, base: SearchTrial) -> dict[str, float] | None:
    """Accuracy of the best less that of the base, paired over the images that both were judged on."""
    both = [load_predictions(runs / trial.experiment / VALIDATION_FILE) for trial in (best, base)]
    first, second = align(both)
    compared = compare_members([first.right[None], second.right[None]], reference=1)[1][0]
    if compared is None:
        return None
    return {"value": compared.value, "low": compared.low, "high": compared.high, "p": compared.p}


def _level(level: Level, planned: int, trials: Sequence[SearchTrial], costs: Costs | None) -> dict[str, Any]:
    seconds = [trial.seconds.get(level.name, 0.0) for trial in trials if level.name in trial.results]
    return {
        "name": level.name, "planned": planned, "trials": len(seconds), "seconds": sum(seconds),
        "seconds_each": None if costs is None else costs.of(level),
    }  # fmt: skip


def _simple(trials: Sequence[SearchTrial], levels: Sequence[Level]) -> dict[str, Any] | None:
    """What the simple way would have chosen: the best after the first rung."""
    first, last = levels[0].name, levels[-1].name
    there = [trial for trial in trials if first in trial.results]
    if len(levels) < 2 or not there:
        return None
    chosen = max(there, key=lambda trial: (*trial.results[first], -trial.number))
    end = chosen.results.get(last)
    return {"id": chosen.experiment, "value": None if end is None else end[0], "rung": last}
