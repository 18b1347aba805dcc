"""Workers on many machines: Ray's actors, with the same queue, trials and single owner of the ledger.

Ray only computes. What comes next, what is kept and what is tried again after a loss is decided by the process of the
sweep, as for processes of one machine. Run folders and the cache must lie on a disk that all machines reach.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from eyeshot.core import ModelError, require
from eyeshot.sweep.executor import Item, Result, WorkerLost, map_by_stream

POLL_S = 0.5
REVIVED_AFTER_S = 2.0
"""Between two tries to begin a worker anew where the last one was lost at once: a node may be on its way back."""
START_WAIT_S = 240
"""Seconds that a node may take to start; Ray's own limit is too short on a busy machine (its issue 65983)."""


class RayExecutor:
    """Tasks in actors of a Ray cluster, one item at a time each; an actor keeps what it has loaded.

    An actor whose process or node is lost is begun anew, on whatever node has room, and its item comes back with
    `WorkerLost`. An error of the task comes back as itself.
    """

    def __init__(
        self, address: str | None = None, *, workers: int | None = None, gpus: float = 1.0, cpus: float = 1.0,
        resources: dict[str, float] | None = None,
    ) -> None:  # fmt: skip
        """Connect to a cluster.

        Args:
            address: of its head ("10.0.0.1:6379"), "auto" for the one of this machine, None: begin one here.
            workers: actors; None: as many as the cluster has GPUs, or half of its CPUs where it has none.
            gpus: of each worker, where the cluster has any; below 1 several share one.
            cpus: of each worker.
            resources: of each worker, more that a node must have.

        Raises:
            MissingExtraError: ray is not installed.
            ModelError: no cluster answers at the address.
        """
        self._ray = ray = require("ray", extra="ray")
        os.environ.setdefault("RAY_raylet_start_wait_time_s", str(START_WAIT_S))
        if not ray.is_initialized():
            try:
                ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                why = str(error).partition("\n")[0]
                raise ModelError(
                    f"A Ray cluster must answer at {address!r}, and none does ({why}). Begin one: ray start --head. "
                    "See docs/many-machines.md."
                ) from error
        total = ray.cluster_resources()
        self._options: dict[str, Any] = {"num_cpus": cpus, "max_restarts": 0, "resources": resources or {}}
        if total.get("GPU"):
            self._options["num_gpus"] = gpus
        self.workers = workers or max(1, int(total.get("GPU", 0) / gpus) or int(total.get("CPU", 2) / (2 * cpus)))

    def stream(
        self,
        task: Callable[[Item], Result],
        next_item: Callable[[], Item | None],
        *,
        over: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[Item, Result | BaseException]]:
        """See `Executor.stream`."""
        ray = self._ray
        kept = ray.put(task)
        actor_class = ray.remote(**self._options)(_Worker)
        actors = [actor_class.remote(kept) for _ in range(self.workers)]
        free = list(range(self.workers))
        running: dict[Any, tuple[int, Item]] = {}
        lost_at = 0.0
        try:
            while True:
                while free and not over() and (item := next_item()) is not None:
                    slot = free.pop(0)
                    running[actors[slot].do.remote(item)] = slot, item
                if not running:
                    return
                ended, _ = ray.wait(list(running), num_returns=1, timeout=POLL_S)
                for reference in ended:
                    slot, item = running.pop(reference)
                    result, is_lost = self._result(reference)
                    if is_lost:
                        time.sleep(max(0.0, REVIVED_AFTER_S - (time.monotonic() - lost_at)))
                        lost_at = time.monotonic()
                        actors[slot] = actor_class.remote(kept)
                    free.append(slot)
                    yield item, result
                if over():
                    return
        finally:
            for actor in actors:
                ray.kill(actor)

    def map(
        self, task: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[Item, Result | BaseException]]:
        """See `Executor.map`."""
        yield from map_by_stream(self, task, items)

    def _result(self, reference: Any) -> tuple[Any, bool]:
        """The result or the error of an item, and whether its worker is gone."""
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(reference), False
        except exceptions.RayTaskError as error:
            return error.cause if isinstance(error.cause, BaseException) else error, False
        except exceptions.RayError as error:
            return WorkerLost(str(error).partition("\n")[0]), True


class _Worker:
    """One worker: it keeps the task, and with it what the task has loaded."""

    def __init__(self, task: Callable[[Any], Any]) -> None:
        self._task = task

    def do(self, item: Any) -> Any:
        """Do one item; on its GPU, Ray has hidden all others, so the device has number 0."""
        device = getattr(item, "device", "")
        if device.startswith("cuda"):
            item = item._replace(device="cuda:0")
        return self._task(item)


def ray_executor(address: str | None = None, *, workers: int | None = None, gpus: float = 1.0) -> RayExecutor:
    """Workers of a Ray cluster for `eyeshot.start_sweep(executor=…)`; see docs/many-machines.md.

    Args:
        address: of the cluster's head, "auto" for that of this machine, None: begin one here.
        workers: at a time; None: as many as the cluster has GPUs, or half of its CPUs.
        gpus: of each worker; 0.25 lets four small trainings share one.

    Raises:
        MissingExtraError: ray is not installed.
        ModelError: no cluster answers.
    """
    return RayExecutor(address, workers=workers, gpus=gpus)
