"""A budget that holds: work that reports its progress is stopped at a point in time."""

from __future__ import annotations

import time

from eyeshot.core import EyeshotError, Progress, ProgressUntil


class OutOfTime(EyeshotError):
    """The time of a piece of work is spent. It is no fault: what is done is kept."""


def until(progress: Progress, deadline: float) -> Progress:
    """Progress that raises `OutOfTime` at the first report from `deadline` of `time.perf_counter` on."""
    return ProgressUntil(
        progress, deadline, ended=lambda: OutOfTime("Its time was spent before it was done."), clock=time.perf_counter
    )
