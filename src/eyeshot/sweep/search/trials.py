"""The trials of a sweep and the ledger: each is an experiment, and the ledger is where a sweep is continued from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eyeshot.core import InputError, wilson
from eyeshot.ledger import Experiment, Ledger, create_run
from eyeshot.sweep.search.planning import Level
from eyeshot.sweep.search.promotion import FAILED
from eyeshot.sweep.search.space import AUGMENTATION, MODEL, PENALTY, USUAL_PENALTY, augmentations_of, strength_of

OWN_KEYS = ("trial", "round", "proposed", "queued")
"""Of an experiment's configuration: what a sweep keeps of its own; everything else is the recipe."""
BASE = 0
"""Number of the trial that changes nothing: what the others are compared with."""


@dataclass(eq=False)
class SearchTrial:
    """A trial on its way.

    Attributes:
        number: counts from 0 in its sweep.
        experiment: id in the ledger, and of its run.
        config: what it is trained with.
        proposed: what the sampler proposed; empty where it did not.
        round: the sweep begins a new round where a budget holds several.
        group: its strength, within which it competes.
        results: by the name of a level, what it came to: (accuracy, -log loss).
        seconds: by the name of a level.
        state: of the experiment.
        why_ended: why it failed or was stopped.
        lost: how often its worker was lost.
        cut: its time was over in this sitting; its state is kept.
    """

    number: int
    experiment: str
    config: dict[str, Any]
    proposed: dict[str, Any] = field(default_factory=dict)
    round: int = 0
    group: str = "light"
    results: dict[str, tuple[float, ...]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    state: str = "stated"
    why_ended: str = ""
    lost: int = 0
    cut: bool = False
    queued: str = ""

    @property
    def is_out(self) -> bool:
        """It failed, or somebody dropped it: it takes part in nothing any more."""
        return self.state in ("failed", "dropped")

    def value_at(self, level: Level) -> tuple[float, ...] | None:
        """What it is ranked by at a level; the lowest where it is out, None where it has not come so far."""
        own = self.results.get(level.name)
        return (FAILED,) if own is None and self.is_out else own


def state_trial(
    ledger: Ledger,
    sweep: str,
    why: str,
    config: Mapping[str, Any],
    *,
    number: int,
    round_: int,
    base: SearchTrial | None,
    hypothesis: str,
    seed: int,
    cost_s: float | None,
    proposed: Mapping[str, Any] | None = None,
    queued: str = "",
    author_kind: str = "sweep",
) -> SearchTrial:
    """Write a new trial into the ledger before anything of it is computed.

    Raises:
        StorageError: the ledger cannot be written.
    """
    own = dict(config)
    known = own | {"trial": number, "round": round_} | ({"proposed": dict(proposed)} if proposed else {})
    if queued:
        known["queued"] = queued
    experiment = ledger.add(
        f"trial {number} of {why}",
        parent=None if base is None else base.experiment,
        difference={} if base is None else difference(base.config, own),
        expected=None if base is None else {"metric": "accuracy", "direction": "up", "words": "up accuracy"},
        config=known,
        seeds=[seed],
        author_kind=author_kind,
        sweep=sweep,
        hypothesis=hypothesis,
        cost_planned_s=cost_s,
        own_work="",
        off_the_shelf="the search, the training and the network",
    )
    return _trial_of(experiment)


def stored_trials(ledger: Ledger, sweep: str) -> list[SearchTrial]:
    """The trials of a sweep as the ledger holds them, by number."""
    experiments = ledger.experiments("sweep = ?", (sweep,))
    return sorted(map(_trial_of, experiments), key=lambda trial: trial.number)


def difference(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What a trial changes, computed: setting → [before, after]."""
    names = sorted({*base, *own})
    return {name: [base.get(name), own.get(name)] for name in names if base.get(name) != own.get(name)}


def begin_run(ledger: Ledger, trial: SearchTrial, runs: Path, *, seed: int, command: str) -> Path:
    """The folder of a trial's run; made, and said in the ledger, when it is first needed."""
    folder = runs / trial.experiment
    if not (folder / "run.json").is_file():
        create_run(
            runs, kind="train", key=trial.experiment, model=str(trial.config[MODEL]),
            augmentations=augmentations_of(trial.config), seed=seed, config=trial.config, command=command,
            run_id=trial.experiment,
        )  # fmt: skip
    if trial.state in ("stated", "waiting"):
        ledger.append(trial.experiment, "run", run=trial.experiment, seed=seed, role="own")
        trial.state = "running"
    return folder


def keep_result(ledger: Ledger, trial: SearchTrial, level: Level, result: Mapping[str, Any]) -> None:
    """Keep what a trial came to at a level."""
    trial.results[level.name] = float(result["value"]), -float(result["loss"])
    trial.seconds[level.name] = float(result["seconds"])
    ledger.append(
        trial.experiment, "rung", rung=level.name, value=result["value"], n=result["n"], loss=result["loss"],
        seconds=result["seconds"],
    )  # fmt: skip
    for note in result.get("notes", ()):
        ledger.append(trial.experiment, "note", text=note)


def end_trial(
    ledger: Ledger, trial: SearchTrial, state: str, words: str, *, n: int | None, seed: int, base: SearchTrial | None
) -> None:
    """Say how a trial ended: what it got at its last level, and why it goes no further."""
    if trial.results:
        value = list(trial.results.values())[-1][0]
        low, high = wilson(round(value * n), n) if n else (None, None)
        ledger.append(
            trial.experiment, "got",
            got={
                "value": value, "low": low, "high": high, "n": n, "seeds": [seed],
                "against": None if base is None or base is trial else base.experiment,
                "seconds": sum(trial.seconds.values()),
            },
        )  # fmt: skip
    ledger.append(trial.experiment, "state", state=state, words=words)
    trial.state, trial.why_ended = state, words


def base_config(space: Sequence[Any], *, model: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration that would be trained without a sweep: what the others are compared with.

    Args:
        space: choices; those that a recipe has no value of take their first.
        model: its name.
        recipe: settings of its training.

    Raises:
        InputError: a choice names a setting that there is none of.
    """
    config: dict[str, Any] = {}
    for choice in space:
        if choice.name == MODEL:
            config[MODEL] = model
        elif choice.name == AUGMENTATION:
            config[AUGMENTATION] = "none"
        elif choice.name == PENALTY:
            config[PENALTY] = USUAL_PENALTY
        elif choice.name.startswith("training."):
            name = choice.name.removeprefix("training.")
            if name not in recipe:
                raise InputError(f"--space {choice.name}: a training has no such setting. See docs/training.md.")
            config[choice.name] = recipe[name]
    return {MODEL: model} | config


def _trial_of(experiment: Experiment) -> SearchTrial:
    config = {name: value for name, value in experiment.config.items() if name not in OWN_KEYS}
    trial = SearchTrial(
        number=int(experiment.config["trial"]),
        experiment=experiment.id,
        config=config,
        proposed=dict(experiment.config.get("proposed") or {}),
        round=int(experiment.config.get("round", 0)),
        group=strength_of(config),
        state=experiment.state,
        why_ended=experiment.words,
        queued=str(experiment.config.get("queued") or ""),
    )
    for rung in experiment.rungs:
        trial.results[rung["rung"]] = float(rung["value"]), -float(rung.get("loss") or 0.0)
        trial.seconds[rung["rung"]] = float(rung.get("seconds") or 0.0)
    return trial
