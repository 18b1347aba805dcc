"""Progress of long work: the protocol between the code that works and the code that displays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Receives how far work is.

    A function with several steps calls `progress.sub("decoding")` for each and hands the result to the function that
    does the step, which then calls it with its counts alone.
    """

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Report progress.

        Args:
            done: how many are done.
            total: of how many; 0 if unknown.
            text: what is being done.
        """
        ...

    def sub(self, text: str) -> Progress:
        """Progress of one step: `text` precedes the texts that it is called with."""
        ...

    def say(self, text: str) -> None:
        """Show a line that stays, such as a warning, while the work goes on."""
        ...


class CallbackProgress:
    """Calls a function with (done, total, text), where `text` holds the names of all enclosing steps: "a: b: c"."""

    def __init__(self, call: Callable[[int, int, str], None], text: str = "") -> None:
        self._call = call
        self._text = text

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Call the function."""
        self._call(done, total, joined_text(self._text, text))

    def sub(self, text: str) -> CallbackProgress:
        """The same function, with `text` before its texts."""
        return CallbackProgress(self._call, joined_text(self._text, text))

    def say(self, text: str) -> None:
        """Nothing: the function is called with counts alone. What is said is in the result as well."""


class ProgressUntil:
    """Passes reports on, and ends the work at the first one from a point in time on."""

    def __init__(
        self, progress: Progress, deadline: float, *, ended: Callable[[], BaseException], clock: Callable[[], float]
    ) -> None:
        """`deadline`: of `clock`, in seconds. `ended`: makes the error that ends the work."""
        self._progress, self._deadline, self._ended, self._clock = progress, deadline, ended, clock

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Report progress, or end the work."""
        if self._clock() >= self._deadline:
            raise self._ended()
        self._progress(done, total, text)

    def sub(self, text: str) -> ProgressUntil:
        """The same deadline for one step."""
        return ProgressUntil(self._progress.sub(text), self._deadline, ended=self._ended, clock=self._clock)

    def say(self, text: str) -> None:
        """Show a line that stays."""
        self._progress.say(text)


class _Silent:
    def __call__(self, done: int, total: int, text: str = "") -> None:
        pass

    def sub(self, text: str) -> _Silent:
        return self

    def say(self, text: str) -> None:
        pass


SILENT: Progress = _Silent()
"""Shows nothing, so that work need not check whether progress is displayed."""


def joined_text(*texts: str) -> str:
    """The names of steps, the outermost first, without the empty ones."""
    return ": ".join(text for text in texts if text)
