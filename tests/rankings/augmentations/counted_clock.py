"""Short runs on a clock that counts steps and readings, so that a budget buys the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from eyeshot.rankings.augmentations import plan, short_runs, spend_budget
from eyeshot.rankings.augmentations.halving import Costs

STEP_S, READ_S = 0.25, 0.5


@contextmanager
def counted_clock(*, batch_size: int = 64) -> Iterator[list[str]]:
    """Real training and reading; yields what was called, in order: "train" and "read"."""
    now, calls = 0.0, []
    train, read, run = short_runs.train_steps, short_runs.read_state, spend_budget.run_short

    def training(*arguments: Any, count: int, **options: Any) -> Any:
        nonlocal now
        calls.append("train")
        now += STEP_S * count
        return train(*arguments, count=count, **options)

    def reading(*arguments: Any, **options: Any) -> Any:
        nonlocal now
        calls.append("read")
        now += READ_S
        return read(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "probe_costs", lambda *_, **__: (Costs(STEP_S, READ_S), batch_size))
        patch.setattr(short_runs, "train_steps", training)
        patch.setattr(short_runs, "read_state", reading)
        patch.setattr(spend_budget, "run_short", lambda *given, **more: run(*given, clock=lambda: now, **more))
        yield calls
