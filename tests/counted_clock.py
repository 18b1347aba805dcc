"""Short runs on a clock that counts steps and evaluations, so that a budget buys the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from eyeshot.rankings.augmentations import plan, short_runs
from eyeshot.sweep import Budget, Costs

STEP_S, EVALUATE_S = 0.25, 0.5


@contextmanager
def counted_clock(
    *, batch_size: int = 64, step_s: float = STEP_S, evaluate_s: float = EVALUATE_S
) -> Iterator[list[str]]:
    """Real training and evaluating; yields what was called, in order: "train" and "evaluate"."""
    now, calls = 0.0, []
    train, evaluate = short_runs.CandidateTraining.__call__, short_runs.evaluate_state

    def training(*arguments: Any, steps: int, **options: Any) -> Any:
        nonlocal now
        calls.append("train")
        now += step_s * steps
        return train(*arguments, steps=steps, **options)

    def evaluating(*arguments: Any, **options: Any) -> Any:
        nonlocal now
        calls.append("evaluate")
        now += evaluate_s
        return evaluate(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "probe_costs", lambda *_, **__: (Costs(step_s, evaluate_s), batch_size))
        patch.setattr(short_runs.CandidateTraining, "__call__", training)
        patch.setattr(short_runs, "evaluate_state", evaluating)
        patch.setattr(short_runs, "Budget", lambda *given, **more: Budget(*given, clock=lambda: now, **more))
        yield calls
