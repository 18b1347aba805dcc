"""Who computes the tasks of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from eyeshot.core import StorageError

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerLost(Exception):
    """The process or the machine that computed an item is gone; the item itself may be fine."""


class Executor(Protocol):
    """Computes the same task for many items, here, in other processes or on other machines."""

    @property
    def workers(self) -> int:
        """How many tasks it does at a time."""
        ...

    def stream(
        self,
        task: Callable[[Item], Result],
        next_item: Callable[[], Item | None],
        *,
        over: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[Item, Result | BaseException]]:
        """Each item with its result, in the order in which they end; a failing one with its error.

        Args:
            task: what is computed; workers keep what it keeps from one item to the next.
            next_item: asked whenever a worker is free, and now and then while all others are busy; None: there is
                none now. It ends where there is none and nothing is being computed.
            over: asked at least twice a second while other processes compute; True ends it there, and items that have
                no result yet never get one. This process does an item to its end.

        An item whose worker is gone comes back with `WorkerLost`, and a new worker takes its place.
        """
        ...

    def map(
        self, task: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[Item, Result | BaseException]]:
        """Each item with its result, in the order in which they end; a failing one with its error.

        Tasks begin in the order of the items. Those that have not begun when the iterator is closed never do.

        Raises:
            StorageError: a worker is gone.
        """
        ...


def map_by_stream(
    executor: Executor, task: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[tuple[Item, Result | BaseException]]:
    """`Executor.map` of an executor that has `stream`."""
    waiting = iter(items)
    for item, result in executor.stream(task, lambda: next(waiting, None)):
        if isinstance(result, WorkerLost):
            raise StorageError(
                f"A worker process was killed, probably for lack of memory ({executor.workers} of them). "
                "Give fewer; the same command continues."
            ) from result
        yield item, result
