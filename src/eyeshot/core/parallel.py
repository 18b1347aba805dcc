"""Work on many files: few in threads, many in processes.

Python runs one thread at a time, and those that decode small images wait for each other at every step: on two cores
two threads take 1.3 to 1.6 times the CPU time of one and are 1.3 times as fast; two processes take no more and are
twice as fast. Processes take about a second to start.

The processes are those of joblib's loky: they start without the user's main module, which therefore needs no guard.
`joblib.Parallel` itself is not used: its generator goes on while no results are taken, which then fill the memory,
and it sends `work`, which may hold all keys of a cache, along with every item.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from eyeshot.core.errors import StorageError

Item = TypeVar("Item")
Result = TypeVar("Result")

MANY = 4000  # files; starting two processes costs as much CPU time as decoding 1,500 small ones
MOST_PROCESSES = 16  # 60 MB each
WAITING_PER_WORKER = 4  # results that wait in memory
PARENT_CHECK_S = 0.5
ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    )
}
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt()

LARGE_PIXELS = 20_000_000  # above most cameras; an image takes up to about 10 bytes a pixel while it is decoded

_large_image: Any = threading.Lock()  # in a worker process: the lock that all of them share
_process_work: Callable[[Any], Any] | None = None  # in a worker process: what it does with each item


def default_workers() -> int:
    """Threads for reading and decoding when the user names no number: one per processor, at most 16."""
    return min(16, os.cpu_count() or 1)


def keep_freed_memory() -> None:
    """Let this process keep up to 256 MB of freed memory; does nothing without glibc.

    glibc otherwise returns memory to the system after every image and array, and requesting it again costs a tenth of
    the time.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    mallopt(M_TRIM_THRESHOLD, 1 << 28)
    mallopt(M_MMAP_THRESHOLD, 1 << 26)


@contextmanager
def room_for(pixels: int) -> Iterator[None]:
    """Wait until no other thread or worker process decodes a large image, if this image is a large one.

    Sixteen images of Pillow's largest size at once would take 14 GB. Not to be entered twice by one thread.
    """
    if pixels <= LARGE_PIXELS:
        yield
        return
    with _large_image:
        yield


def in_parallel(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int, *, files: int | None = None
) -> Iterator[Result]:
    """Results of `work` in order, with only a few waiting in memory at a time; enter `strict_pillow` around it.

    Args:
        work: what processes can be sent: a function of a module, or a `partial` of one; it changes nothing of its own.
        items: what it is called with.
        workers: threads or processes.
        files: how many files the items are; None: one each.

    Raises:
        StorageError: a worker process was killed.
    """
    if workers >= 2 and (len(items) if files is None else files) >= MANY and sys.executable:
        processes = min(workers, MOST_PROCESSES)
        with process_pool(work, processes) as executor:
            if executor is not None:
                try:
                    yield from _in_order(executor, _do_work, items, processes)
                except BrokenProcessPool as error:
                    raise StorageError(
                        f"A worker process was killed, probably for lack of memory ({processes} workers). "
                        "Give fewer: --workers 1; the same command continues."
                    ) from error
                return
    threads = ThreadPoolExecutor(workers, thread_name_prefix="eyeshot-decode")
    try:
        yield from _in_order(threads, work, items, workers)
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


def _in_order(
    executor: Executor, work: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result]:
    # The caller ends the executor: loky's executor hangs if its futures are cancelled one by one.
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(executor.submit(work, item))
        if len(waiting) >= WAITING_PER_WORKER * workers:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def process_pool(work: Callable[[Any], Any], workers: int) -> Iterator[Executor | None]:
    """Worker processes that do `work` and end with the context; None if the system does not let them start.

    `send_to_pool` gives them items. They end with the parent too, also where it is killed.
    """
    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.backend.context import get_context

    executor: Any = None
    try:
        # `work` goes to each process once, as an argument of the initializer.
        executor = ProcessPoolExecutor(
            workers,
            initializer=_start_worker,
            initargs=(work, os.getpid(), *_pillow_settings(), get_context("loky").Lock()),
            env=ONE_THREAD,
        )
        executor.submit(os.getpid).result()
    except (OSError, ImportError, NotImplementedError, BrokenProcessPool):
        if executor is not None:
            executor.shutdown(kill_workers=True)
        executor = None
    finished = False
    try:
        yield executor
        finished = True
    finally:
        if executor is not None:
            if not finished:
                _forget_waiting(executor)
            executor.shutdown(wait=True, kill_workers=not finished)


def _forget_waiting(executor: Any) -> None:
    """Take what no process has begun out of loky's queue, before its processes are killed.

    When loky 3.6 kills its processes it empties the table of submitted items but not the queue of their numbers; its
    thread then may look up a number that is gone, end with a KeyError, and leave pipes and killed processes behind
    (joblib/loky pull request 663). Futures can't be cancelled instead: loky's thread hangs on those.
    """
    waiting = getattr(executor, "_work_ids", None)
    with suppress(queue.Empty):
        while waiting is not None:
            waiting.get_nowait()


def _start_worker(
    work: Callable[[Any], Any], parent: int, tolerant: bool, most_pixels: int | None, large_image: Any
) -> None:
    """Set up a worker process: quiet, with the parent's settings of Pillow, ending with the parent."""
    global _process_work, _large_image
    _large_image = large_image
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets the signal too, and ends this process
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    os.dup2(2, 1)  # what a library prints must not come between the parent's own output
    keep_freed_memory()
    _watch_no_memory()
    from PIL import Image, ImageFile

    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = tolerant, most_pixels
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", module=r"PIL\.")
    _process_work = work


def _watch_no_memory() -> None:
    """Turn off loky's search for leaks in this worker.

    After an item that took a second it collects all garbage, which takes a third of a second where torch is loaded.
    Where psutil is installed, it also ends a worker that has grown by 300 MB since its first item, as those do that
    keep networks and features on purpose.
    """
    from joblib.externals.loky import process_executor

    process_executor._MEMORY_LEAK_CHECK_DELAY = float("inf")


def _pillow_settings() -> tuple[bool, int | None]:
    from PIL import Image, ImageFile

    return ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS


def _end_with(parent: int) -> None:
    """Wait until the parent is gone, killed perhaps, and end this process."""
    if sys.platform == "win32":
        process = multiprocessing.parent_process()
        if process is None:
            return
        process.join()
    else:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_S)
    os._exit(1)


def send_to_pool(pool: Executor, item: Any) -> Future[Any]:
    """Run the work of a `process_pool` on one item, in its worker."""
    return pool.submit(_do_work, item)


def _do_work(item: Any) -> Any:
    assert _process_work is not None
    return _process_work(item)
