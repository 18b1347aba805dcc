"""A sweep on simulated learning curves and a clock of its own: training and evaluating are made up."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eyeshot.core import ModelError, key_of
from eyeshot.sweep import Budget, Costs, Executor, SweepResult, SweepStore, Trial, run_sweep

NAMES = tuple(f"trial {number}" for number in range(16))
STEP_S, EVALUATE_S = 0.1, 0.3
REFERENCE = "clean"


class Kill(BaseException):
    """What stands for `kill -9`."""


class Diverging(ModelError):
    """Training that diverges."""


class World:
    """Training that only counts steps, on a clock that it moves itself.

    `final` is each trial's loss in the long run; all start at 1 and come nearer by their steps.
    """

    def __init__(
        self,
        final: Mapping[str, float],
        *,
        slower: Callable[[float], float] = lambda now: 1.0,
        kill_at: int | None = None,
    ) -> None:
        self.now, self.final, self.slower = 0.0, final, slower
        self.calls, self.kill_at = 0, kill_at
        self.steps_begun: list[float] = []
        self.trained: list[tuple[str, int, int, int]] = []
        self.evaluated: list[tuple[str, str]] = []
        self.fails: set[str] = set()
        self.error: Exception | None = None

    def spend(self, seconds: float) -> None:
        self.now += seconds * self.slower(self.now)

    def maybe_die(self) -> None:
        self.calls += 1
        if self.calls == self.kill_at:
            raise Kill

    def train(
        self, trial: Trial, seed: int, state: Any, *, first: int, steps: int, stop: Callable[[], bool]
    ) -> dict[str, float] | None:
        self.maybe_die()
        state = state or {"steps": 0, "gap": 0.0}
        assert state["steps"] == first
        for _ in range(steps):
            if stop():
                return None
            self.steps_begun.append(self.now)
            self.spend(STEP_S)
        self.trained.append((trial.name, seed, first, steps))
        if trial.name in self.fails:
            raise self.error or Diverging(f"{trial.name} diverged")
        gap = state["gap"] + steps * (1 - self.final.get(trial.name, 1.0)) if trial.name != REFERENCE else 0.0
        return {"steps": first + steps, "gap": gap}

    def evaluate(self, trial: Trial, state: Any) -> float:
        self.maybe_die()
        self.spend(EVALUATE_S)
        self.evaluated.append((trial.name, trial.measures))
        return 10.0 - float(state["gap"]) / 100

    def sweep(
        self,
        folder: Path,
        budget_s: float,
        names: Sequence[str] = NAMES,
        *,
        others: Sequence[str] = (),
        executor: Executor | None = None,
        passing_failure: Callable[[Exception], str | None] = lambda error: None,
    ) -> SweepResult:
        """All names in one group, `others` in a second one whose evaluations measure more."""
        trials = [make_trial(name) for name in names] + [make_trial(name, "other", "more") for name in others]
        store = SweepStore(
            folder, key_of([trial.id for trial in trials], budget_s), states=pickle, evaluations=pickle
        )  # fmt: skip
        return run_sweep(
            trials,
            reference=make_trial(REFERENCE, measures="more" if others else ""),
            train=self.train,
            evaluate=self.evaluate,
            order=by_loss,
            budget=Budget(budget_s, Costs(STEP_S, EVALUATE_S), spent_s=store.seconds, clock=lambda: self.now),
            store=store,
            executor=executor,
            passing_failure=passing_failure,
        )


def make_trial(name: str, group: str = "first", measures: str = "") -> Trial:
    return Trial(id=key_of(name), name=name, group=group, measures=measures)


def by_loss(group: str, names: Sequence[str], trials: Mapping[str, Trial]) -> list[str]:
    return sorted(names, key=lambda name: np.mean(trials[name].evaluations) if trials[name].evaluations else 99.0)


def curves(seed: int) -> dict[str, float]:
    random = np.random.default_rng(seed)
    return dict(zip(NAMES, random.permutation(np.linspace(0.2, 1.2, len(NAMES))).tolist(), strict=True))


def outcome(result: SweepResult) -> dict[str, tuple[Any, ...]]:
    """What must be the same when the same sweep is done again."""
    return {
        name: (trial.steps, trial.rung, trial.ended, trial.status, trial.evaluations, trial.reference)
        for name, trial in result.trials.items()
    }
