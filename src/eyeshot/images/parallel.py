"""Work on many files, in threads where they are few and in processes where they are many.

Python runs one thread at a time, and those that decode small images wait for each other at every step: on two cores
two threads take 1.3 to 1.6 times the CPU time of one and are 1.3 times as fast; two processes take no more and are
twice as fast. A process takes 0.2 s to start.
"""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, TypeVar

from eyeshot.images.reading import strict_pillow

Item = TypeVar("Item")
Result = TypeVar("Result")

MANY = 2000  # files
MOST_PROCESSES = 16  # 60 MB each
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt()
START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from eyeshot.images.parallel import serve; serve()"


def default_workers() -> int:
    """Threads for reading and decoding when the user names no number: one per processor, at most 16."""
    return min(16, os.cpu_count() or 1)


def keep_freed_memory() -> None:
    """Have this process keep up to 256 MB that it frees: glibc gives them back otherwise, after every image and array,
    and asking for them anew costs a tenth of the time. Elsewhere this does nothing."""
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    mallopt(M_TRIM_THRESHOLD, 1 << 28)
    mallopt(M_MMAP_THRESHOLD, 1 << 26)


def in_parallel(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int, *, files: int | None = None
) -> Iterator[Result]:
    """Results of `work` in order, with only a few waiting in memory at a time; enter `strict_pillow` around it.

    Args:
        work: what processes can be sent: a function of a module, or a `partial` of one; it changes nothing of its own.
        items: what it is called with.
        workers: threads or processes.
        files: how many files the items are; None: one each.
    """
    if workers < 2 or (len(items) if files is None else files) < MANY or not sys.executable:
        yield from _in_threads(work, items, workers)
        return
    workers = min(workers, MOST_PROCESSES)
    with ExitStack() as stack:
        idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for _ in range(workers):
            idle.put(stack.enter_context(_Worker(work)))

        def ask(item: Item) -> Result:
            worker = idle.get()
            try:
                result: Result = worker.ask(item)
                return result
            finally:
                idle.put(worker)

        yield from _in_threads(ask, items, workers)


def _in_threads(work: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="eyeshot-decode")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """A process that does the work for one item after the other; ended by leaving the context."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work
        # Not multiprocessing: it would start the user's own script again, which not everybody guards against.
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, json.dumps(list(map(str, sys.path)))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ENVIRONMENT,
        )
        self._lost = not self._sent(work)

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, item: Any) -> Any:
        """The result for an item; of a process that was killed, for want of memory say, its parent's own."""
        answer = None if self._lost else self._answer(item)
        if answer is None:
            return self._work(item)
        fine, result = answer
        if not fine:
            raise result
        return result

    def _answer(self, item: Any) -> tuple[bool, Any] | None:
        assert self._process.stdout is not None
        try:
            answer: tuple[bool, Any] | None = pickle.load(self._process.stdout) if self._sent(item) else None
        except (EOFError, pickle.UnpicklingError):
            answer = None
        self._lost = answer is None
        return answer

    def _sent(self, value: Any) -> bool:
        """False where nobody reads any more."""
        assert self._process.stdin is not None
        try:
            pickle.dump(value, self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
        except OSError:
            return False
        return True


def serve() -> None:
    """The other end: the work, then items from standard input until it is closed, results to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told too, and ends this
    source, results = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the results
    keep_freed_memory()
    work = pickle.load(source)
    with strict_pillow():
        while True:
            try:
                item = pickle.load(source)
            except EOFError:
                return
            try:
                answer = (True, work(item))
            except Exception as error:
                answer = (False, error)
            try:
                pickle.dump(answer, results, pickle.HIGHEST_PROTOCOL)
                results.flush()
            except BrokenPipeError:  # the parent was killed
                os._exit(1)
