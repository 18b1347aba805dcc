"""A budget of time that is kept hard: work ends at the next report of its progress."""

from __future__ import annotations

import time
from collections.abc import Callable

from eyeshot.core import Progress


class TimeUp(BaseException):
    """The budget is used up. It is no `Exception`, so that code which goes on after errors does not catch it."""


class Deadline:
    """A `Progress` that ends the work when its time is up: steps of a training report theirs."""

    def __init__(self, progress: Progress, until: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Pass on what is reported to `progress` until `clock` says `until`."""
        self._progress = progress
        self._until = until
        self._clock = clock

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Report progress, or end the work."""
        if self._clock() >= self._until:
            raise TimeUp
        self._progress(done, total, text)

    def sub(self, text: str) -> Deadline:
        """The same deadline for one step."""
        return Deadline(self._progress.sub(text), self._until, clock=self._clock)

    def say(self, text: str) -> None:
        """Pass on a line."""
        self._progress.say(text)
