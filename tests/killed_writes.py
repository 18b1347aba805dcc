"""A kill at a chosen write, within the process of the test: nothing after it is done, as after SIGKILL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from eyeshot.ledger import Ledger


class Killed(BaseException):
    """The end of a process; no `Exception`, so that nothing goes on after it."""


@contextmanager
def killed_at(point: int) -> Iterator[None]:
    """Kill what runs within at its `point`-th point, where each write has two: just before it and just after.

    Writes are changes of the ledger and files that are moved to their place. A real kill leaves temporary files too,
    which is why each test that uses this has one with SIGKILL beside it.
    """
    passed = 0

    def counted(write: Callable[..., Any]) -> Callable[..., Any]:
        def written(*args: Any, **options: Any) -> Any:
            nonlocal passed
            _end_at(passed, point)
            passed += 1
            result = write(*args, **options)
            _end_at(passed, point)
            passed += 1
            return result

        return written

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", counted(os.replace))
        patch.setattr(Ledger, "change", counted(Ledger.change))
        yield


def _end_at(passed: int, point: int) -> None:
    if passed == point:
        raise Killed
