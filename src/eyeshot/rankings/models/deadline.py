"""A budget that holds: work that reports its progress is stopped at a point in time."""

from __future__ import annotations

import time

from eyeshot.core import EyeshotError, Progress


class OutOfTime(EyeshotError):
    """The time of a piece of work is spent. It is no fault: what is done is kept."""


class Until:
    """A `Progress` that stops the work, by raising `OutOfTime`, at the first report after a deadline."""

    def __init__(self, progress: Progress, deadline: float) -> None:
        """Pass reports on to `progress` until `deadline`, of `time.perf_counter`."""
        self._progress, self._deadline = progress, deadline

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Report, or raise `OutOfTime`."""
        if time.perf_counter() > self._deadline:
            raise OutOfTime("Its time was spent before it was done.")
        self._progress(done, total, text)

    def sub(self, text: str) -> Until:
        """The same for a step."""
        return Until(self._progress.sub(text), self._deadline)

    def say(self, text: str) -> None:
        """Show a line that stays."""
        self._progress.say(text)
