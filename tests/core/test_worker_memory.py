"""A worker process keeps what it has loaded, and spends no time on looking for leaks."""

from __future__ import annotations

import gc
import os
import time

from eyeshot.core import process_pool, send_to_pool

LONGER_S = 1.2  # than the second after which loky looks for leaks
_collected: list[int] = []
_kept: list[bytes] = []


def count_collections(number: int) -> tuple[int, int]:
    """The process, and how often all its garbage was collected since its first item; it keeps 100 MB an item."""
    if number == 0:
        gc.disable()  # so that only what somebody asks for is counted
        gc.callbacks.append(lambda phase, info: _collected.append(1) if info["generation"] == 2 else None)
    _kept.append(b"1" * 100_000_000)
    time.sleep(LONGER_S)
    return os.getpid(), len(_collected)


def test_a_worker_that_keeps_much_goes_on_and_collects_no_garbage_after_each_item() -> None:
    with process_pool(count_collections, 1) as pool:
        assert pool is not None
        results = [send_to_pool(pool, number).result() for number in range(5)]
    assert len({pid for pid, _ in results}) == 1
    assert [count for _, count in results] == [0] * 5
