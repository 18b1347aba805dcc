"""Who computes the tasks of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """Computes the same task for many items, here, in other processes or on other machines."""

    @property
    def workers(self) -> int:
        """How many tasks it does at a time."""
        ...

    def map(
        self, task: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[Item, Result | BaseException]]:
        """Each item with its result, in the order in which they end; a failing one with its error.

        Tasks begin in the order of the items. Those that have not begun when the iterator is closed never do.
        """
        ...
