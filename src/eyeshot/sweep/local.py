"""Executors of this machine: this very process, or several with one thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from eyeshot.core import StorageError, process_pool, send_to_pool
from eyeshot.sweep.executor import Item, Result


class InProcess:
    """One task after the other in this process; each begins when its result is asked for."""

    workers = 1

    def map(
        self, task: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[Item, Result | BaseException]]:
        """See `Executor.map`."""
        for item in items:
            try:
                result = task(item)
            except Exception as error:
                yield item, error
            else:
                yield item, result


class Processes:
    """Tasks in processes of their own, each with one thread of torch; `task` and items must be picklable.

    They end with this process, also where it is killed. Where the system lets no process start, this one does it all.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(
        self, task: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[Item, Result | BaseException]]:
        """See `Executor.map`.

        Raises:
            StorageError: a process was killed.
        """
        with process_pool(task, min(self.workers, max(1, len(items)))) as pool:
            if pool is None:
                yield from InProcess().map(task, items)
                return
            futures: dict[Any, Item] = {send_to_pool(pool, item): item for item in items}
            for future in as_completed(futures):
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    raise StorageError(
                        f"A worker process was killed, probably for lack of memory ({self.workers} of them). "
                        "Give fewer; the same command continues."
                    ) from error
                yield futures[future], future.result() if error is None else error
