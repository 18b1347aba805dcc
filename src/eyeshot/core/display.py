"""Progress for people: a line that is written over in a terminal or a notebook, and lines now and then in a log."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

from eyeshot.core.progress import SILENT, Progress, joined_text
from eyeshot.core.text import duration, shortened

WIDTH = 80
SPOKEN_EVERY_S = 10.0
"""Time between two lines of a step in a log, even if the work itself reports nothing."""
DRAWN_EVERY_S = 0.1
BEAT_S = 1.0
LEAST_DETAIL = 12
"""Columns; fewer of a detail say nothing."""
SURE_AFTER_S = 2.0
SURE_SHARE = 0.02
"""Until both are reached, the pace is that of the warm-up, and the time left would jump."""


class ProgressDisplay:
    """Shows the step, how much of it is done and the time left; a `Progress`, and a context manager.

    The first text is the step: that of `sub`, or of the call itself where there is none. Each step has a line of its
    own. A thread keeps the line alive while the work says nothing.
    """

    def __init__(
        self, stream: TextIO | None = None, *, live: bool | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Where to write, and how.

        Args:
            stream: standard error where not given; in a notebook standard output, since the other is shown in red.
            live: write over the line, as terminals and notebooks can; found out where not given.
            clock: seconds.
        """
        notebook = stream is None and _in_notebook()
        self._stream = stream or (sys.stdout if notebook else sys.stderr)
        self._live = (notebook or self._stream.isatty()) if live is None else live
        self._clock = clock
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._paused = False
        self._step, self._detail = "", ""
        self._done = self._total = self._first = 0
        self._began = self._called = clock()
        self._shown_at = self._began
        self._open = 0  # columns of the line that can still be written over

    def __enter__(self) -> ProgressDisplay:
        self._thread = threading.Thread(target=self._keep_alive, name="progress", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._close_line()

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Show how far the step `text` is."""
        self._take(done, total, text, "")

    def sub(self, text: str) -> _Step:
        """Progress of the step `text`."""
        return _Step(self._take, self.say, text)

    def say(self, text: str) -> None:
        """Write a line of its own above the one that is written over."""
        encoding = self._stream.encoding or "utf-8"
        with self._lock:
            self._clear_line()
            self._stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
            self._stream.flush()

    @contextmanager
    def paused(self, *, clear: bool = False) -> Iterator[None]:
        """Ends the line while other output is written, or with `clear` removes it."""
        with self._lock:
            if clear:
                self._clear_line()
            self._close_line()
            self._paused = True
        try:
            yield
        finally:
            with self._lock:
                self._paused = False

    def beat(self) -> None:
        """Show that the work goes on if nothing was shown for a while."""
        with self._lock:
            now = self._clock()
            if now - self._shown_at >= (BEAT_S if self._live else SPOKEN_EVERY_S):
                self._show(now)

    def _take(self, done: int, total: int, step: str, detail: str) -> None:
        with self._lock:
            now = self._clock()
            new = step != self._step
            if new and self._open:
                self._show(now, ended=True)
                self._close_line()
            if new or total != self._total or done < self._done:
                self._began, self._first = now, done
            self._step, self._detail = step, detail
            finished = 0 < total <= done and self._done < done
            self._done, self._total, self._called = done, total, now
            waited = now - self._shown_at
            if new or (waited >= DRAWN_EVERY_S or finished if self._live else waited >= SPOKEN_EVERY_S):
                self._show(now)

    def _show(self, now: float, *, ended: bool = False) -> None:
        if self._paused:
            return
        self._shown_at = now
        line = self._line(now, ended=ended)
        if self._live:
            self._stream.write("\r" + line.ljust(self._open))
            self._open = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def _clear_line(self) -> None:
        if self._live and self._open:
            self._stream.write("\r" + " " * self._open + "\r")
            self._stream.flush()
            self._open = 0

    def _close_line(self) -> None:
        if self._open:
            self._stream.write("\n")
            self._stream.flush()
            self._open = 0

    def _line(self, now: float, *, ended: bool) -> str:
        left, took = None if ended else self._left_s(now), now - self._began
        counts = f"{self._done:,}/{self._total:,}"
        end = "" if self._total <= 0 else f" ({counts})" if self._detail else f" {counts}"
        if left is not None:
            end += f", {duration(left, 0)} left"
        elif took >= SURE_AFTER_S:
            end += f", {duration(took, 0)}" + ("" if ended or 0 < self._total <= self._done else " so far")
        columns = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns) if self._live else WIDTH
        # One column is left free: some terminals begin a new line when the last one is written.
        room = max(1, columns - 1 - len(end))
        text = self._step or "working"
        # The step names what is worked on, and is shortened last.
        parts = [part for part in self._detail.split(": ") if part]
        while len(parts) > 1 and len(joined_text(text, *parts)) > room:
            parts.pop(0)
        rest = room - len(text) - 2
        parts = [shortened(part, rest, mark="...") for part in parts if rest >= min(LEAST_DETAIL, len(part))]
        text = "".join(sign if sign.isprintable() else " " for sign in joined_text(text, *parts))
        line = shortened(text, room, mark="...") + end
        encoding = self._stream.encoding or "utf-8"
        return line.encode(encoding, "replace").decode(encoding)

    def _left_s(self, now: float) -> float | None:
        """Seconds left at the pace so far; None while that is unknown."""
        moved = self._done - self._first
        if not 0 < self._done < self._total or moved <= 0:
            return None
        if now - self._began < SURE_AFTER_S or moved < SURE_SHARE * (self._total - self._first):
            return None
        left = (self._called - self._began) / moved * (self._total - self._done) - (now - self._called)
        return left if left >= 1 else None

    def _keep_alive(self) -> None:
        while not self._stop.wait(BEAT_S):
            self.beat()


class _Step:
    """Progress of one step of a display; steps within it are its details."""

    def __init__(
        self, take: Callable[[int, int, str, str], None], say: Callable[[str], None], step: str, detail: str = ""
    ) -> None:
        self._take, self._step, self._detail = take, step, detail
        self.say = say

    def __call__(self, done: int, total: int, text: str = "") -> None:
        self._take(done, total, self._step, joined_text(self._detail, text))

    def sub(self, text: str) -> _Step:
        return _Step(self._take, self.say, self._step, joined_text(self._detail, text))


@contextmanager
def shown_progress(progress: Progress | bool | None = None) -> Iterator[Progress]:
    """The progress that a public function reports to.

    Args:
        progress: a `Progress`; True: a display; False: silence; None: a display in a terminal and in a
            notebook, silence elsewhere.
    """
    if progress is None:
        progress = _in_notebook() or sys.stderr.isatty()
    if progress is True:
        with ProgressDisplay() as display:
            yield display
    else:
        yield SILENT if progress is False else progress


def _in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook, which shows what is printed but is no terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")
