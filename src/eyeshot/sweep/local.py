"""Executors of this machine: this very process, or several with one thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from typing import Any

from eyeshot.core import process_pool, send_to_pool
from eyeshot.sweep.executor import Item, Result, WorkerLost, map_by_stream

POLL_S = 0.5
"""Between two looks for new items, and at the time, while all workers compute."""


class _Over(Exception):
    """Ends a pool with its processes at once, whatever they compute."""


class InProcess:
    """One task after the other in this process; each begins when its result is asked for."""

    workers = 1

    def stream(
        self,
        task: Callable[[Item], Result],
        next_item: Callable[[], Item | None],
        *,
        over: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[Item, Result | BaseException]]:
        """See `Executor.stream`."""
        while not over() and (item := next_item()) is not None:
            try:
                result = task(item)
            except Exception as error:
                yield item, error
            else:
                yield item, result

    def map(
        self, task: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[Item, Result | BaseException]]:
        """See `Executor.map`."""
        yield from map_by_stream(self, task, items)


class Processes:
    """Tasks in processes of their own, each with one thread of torch; `task` and items must be picklable.

    They end with this process, also where it is killed. Where the system lets no process start, this one does it all.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def stream(
        self,
        task: Callable[[Item], Result],
        next_item: Callable[[], Item | None],
        *,
        over: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[Item, Result | BaseException]]:
        """See `Executor.stream`."""
        with suppress(_Over), ExitStack() as pools:
            running: dict[Future[Any], Item] = {}
            pool = pools.enter_context(process_pool(task, self.workers))
            while pool is not None:
                while len(running) < self.workers and not over() and (item := next_item()) is not None:
                    running[send_to_pool(pool, item)] = item
                if not running:
                    return
                is_broken = False
                for future in wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED).done:
                    item, error = running.pop(future), future.exception()
                    is_broken |= isinstance(error, BrokenProcessPool)
                    lost = WorkerLost(str(error)) if isinstance(error, BrokenProcessPool) else error
                    yield item, future.result() if lost is None else lost
                if over():
                    raise _Over
                if is_broken:
                    for item in running.values():
                        yield item, WorkerLost("another process of the same pool was killed, and this one with it")
                    running.clear()
                    pools.close()
                    pool = pools.enter_context(process_pool(task, self.workers))
            yield from InProcess().stream(task, next_item, over=over)

    def map(
        self, task: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[Item, Result | BaseException]]:
        """See `Executor.map`."""
        yield from map_by_stream(self, task, items)
