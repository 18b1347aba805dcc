"""Progress with time left on a terminal, a line per stage elsewhere; always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

QUIET_S = 15.0


@dataclass(frozen=True)
class Progress:
    """Called with (what, done, total); `paused()` leaves the terminal to other output meanwhile."""

    show: Callable[[str, int, int], None]
    paused: Callable[[], AbstractContextManager[None]] = nullcontext

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show how far `what` is."""
        self.show(what, done, total)


@contextmanager
def progress_shown() -> Iterator[Progress]:
    """Yields a function to be called with (what, done, total)."""
    if sys.stderr.isatty():
        with _bars() as shown:
            yield shown
    else:
        yield _lines()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, object] = {}

        def show(what: str, done: int, total: int) -> None:
            stage = _stage(what)
            if stage not in tasks:
                tasks[stage] = bars.add_task(what, total=total or None)
            bars.update(tasks[stage], description=what, completed=done, total=total or None)  # type: ignore[arg-type]

        @contextmanager
        def paused() -> Iterator[None]:
            bars.stop()
            try:
                yield
            finally:
                bars.start()

        yield Progress(show, paused)


def _lines() -> Progress:
    state: dict[str, float] = {}

    def show(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        stage = _stage(what)
        first = stage not in state
        start = state.setdefault(stage, now)
        finished = total > 0 and done >= total
        spoken = state.setdefault(f"{stage} spoken", -QUIET_S)
        if not first and not finished and now - spoken < QUIET_S:
            return
        if finished and f"{stage} finished" in state:
            return
        if finished:
            state[f"{stage} finished"] = now
        state[f"{stage} spoken"] = now
        left = f", {(now - start) / done * (total - done):.0f} s left" if 0 < done < total and now - start > 1 else ""
        print(f"{what}{f' {done}/{total}' if total else ''}{left}", file=sys.stderr, flush=True)

    return Progress(show)


def _stage(what: str) -> str:
    """The part of a text that names its bar: `training the baseline epoch 3` is one bar for all epochs."""
    return what.split(" epoch ")[0].split(", ")[0]


def megabytes(size: int) -> str:
    """12345678 as "12 MB"."""
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
