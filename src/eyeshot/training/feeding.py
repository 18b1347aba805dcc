"""Batches on their way to the network: made ahead by a thread, from images that lie on the device where they fit."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eyeshot.augment import Augmentation, Pool
from eyeshot.core import megabytes
from eyeshot.models import Backbone, normalise
from eyeshot.training.batches import make_batch, of_epoch

AHEAD = 3
"""Batches that a GPU has ready: one to take, one that is being made, and one for a batch that takes longer."""
DEVICE_SHARE = 0.25
"""Of the device's free memory that images may take; the network's own need is not known before its first step."""
COPIED_BYTES = 1 << 28

Batch = tuple[Tensor, Tensor, int]
"""Normalised images float32 (n, 3, S, S), soft labels float32 (n, C), images on which an augmentation failed."""


def ready_batch(
    rows: NDArray[np.int64],
    epoch: int,
    *,
    pool: Pool,
    labels: Tensor,
    augmentations: Sequence[Augmentation],
    epochs: int,
    backbone: Backbone,
    class_count: int,
    seed: int,
    device: torch.device,
    layout: torch.memory_format = torch.contiguous_format,
) -> Batch:
    """What `make_batch` gives in an epoch of so many, normalised for the backbone, in `layout`."""
    now = of_epoch(augmentations, epoch, epochs)
    images, targets, failed = make_batch(
        pool, labels, rows, now, class_count=class_count, seed=seed, epoch=epoch, device=device
    )
    return normalise(images, backbone, device=device, layout=layout), targets, failed


class Feed:
    """Batches of consecutive steps; a thread makes the next ones while the device computes.

    The batches are the same with and without the thread, bit for bit on a CPU. What fails in the thread is raised by
    `batch` for the step that it belongs to. The thread holds nothing but the batches that were asked for, and ends
    with this object.

    Attributes:
        make: a batch from rows and the number of an epoch, as given.
        ahead: how many batches the thread makes ahead; 0: each batch is made when it is taken.
    """

    def __init__(
        self, make: Callable[[NDArray[np.int64], int], Batch], *, device: torch.device, ahead: int = 0
    ) -> None:
        """Prepare to make batches.

        Args:
            make: a batch from rows and the number of the epoch; called in the thread, by one step after the other.
            device: where the batches lie.
            ahead: see above.
        """
        self.ahead = ahead
        self.make, self._device = make, device
        self._waiting: deque[tuple[int, Future[tuple[Batch, torch.cuda.Event | None]]]] = deque()
        self._thread: ThreadPoolExecutor | None = None
        self._stream: torch.cuda.Stream | None = None
        self._waited_s = 0.0
        self._marks: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def batch(self, step: int, end: int, rows_of: Callable[[int], tuple[NDArray[np.int64], int]]) -> Batch:
        """The batch of a step.

        Args:
            step: its number.
            end: batches are made ahead of steps below this number only.
            rows_of: rows and epoch of a step; called by this thread.
        """
        begin, mark = time.perf_counter(), self._mark()
        if not self.ahead:
            made = self.make(*rows_of(step))
        else:
            self._make_ahead(step, max(end, step + 1), rows_of)
            made, ready = self._waiting.popleft()[1].result()
            if ready is not None:
                stream = torch.cuda.current_stream(self._device)
                ready.wait(stream)
                for tensor in made[:2]:
                    tensor.record_stream(stream)
        if mark is None:
            self._waited_s += time.perf_counter() - begin
        elif (after := self._mark()) is not None:
            self._marks.append((mark, after))
        return made

    def waited_s(self) -> float:
        """Seconds so far in which the device had no batch; waits for the device to get there.

        On CUDA these are times of the device itself: from the end of a step until the next batch is there.
        """
        for before, after in self._marks:
            after.synchronize()
            self._waited_s += before.elapsed_time(after) / 1000
        self._marks.clear()
        return self._waited_s

    def close(self) -> None:
        """Drop the batches that were made ahead, and end the thread when it has finished the present one."""
        for _, future in self._waiting:
            future.cancel()
        self._waiting.clear()
        if self._thread is not None:
            self._thread.shutdown(wait=True)
            self._thread = None

    def _make_ahead(self, step: int, end: int, rows_of: Callable[[int], tuple[NDArray[np.int64], int]]) -> None:
        """Have the batches of `step` and of those after it in the making."""
        if self._waiting and self._waiting[0][0] != step:
            for _, future in self._waiting:
                future.cancel()
            self._waiting.clear()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="eyeshot-feed")
            if self._device.type == "cuda":
                self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
                # Images and labels on the device may still be on their way there.
                self._stream.wait_stream(torch.cuda.current_stream(self._device))
        following = self._waiting[-1][0] + 1 if self._waiting else step
        for number in range(following, min(step + self.ahead, end)):
            self._waiting.append((number, self._thread.submit(self._make_one, *rows_of(number))))

    def _make_one(self, rows: NDArray[np.int64], epoch: int) -> tuple[Batch, torch.cuda.Event | None]:
        """A batch and, on CUDA, the event that it is ready: the thread's work has a stream of its own."""
        if self._stream is None:
            return self.make(rows, epoch), None
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            made = self.make(rows, epoch)
            ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
            ready.record(self._stream)
        return made, ready

    def _mark(self) -> torch.cuda.Event | None:
        """The present place in the device's work; None on other devices than CUDA."""
        if self._device.type != "cuda":
            return None
        mark = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        mark.record(torch.cuda.current_stream(self._device))
        return mark


def choose_ahead(device: torch.device, augmentations: Sequence[Augmentation]) -> tuple[int, str]:
    """Choose how many batches a thread makes ahead, and say why."""
    for augmentation in augmentations:
        if augmentation.operation.seeds_globally:
            return 0, f"each batch made when it is needed: {augmentation.name} sets the random state of the process"
    if device.type != "cuda":
        # With a small network at 64 px on two cores, batches take one to three hundredths of the time, and a thread
        # gains nothing that can be told from noise (`benchmarks.training_speed`).
        return 0, "each batch made when it is needed: a thread would take the processors from the network"
    return AHEAD, f"a thread makes {AHEAD} batches ahead, so that the GPU need not wait"


def bring_to_device(pool: Pool, device: torch.device, *, image_reads: int) -> tuple[Pool, str]:
    """The pool with its images in the device's memory, where they fit, and the reason.

    Args:
        pool: the training images alone.
        device: of the training.
        image_reads: how many images the run will read in all.
    """
    if device.type != "cuda":
        return pool, "images stay where they are: the network computes in the same memory"
    needed = int(np.prod(pool.images.shape))
    free = torch.cuda.mem_get_info(device)[0]
    share = f"{megabytes(needed)} of {megabytes(free)} free"
    if image_reads < len(pool):
        return pool, "images are copied batch by batch: the run does not read all of them"
    if needed > DEVICE_SHARE * free:
        return pool, f"images are copied batch by batch: {share}, and at most {DEVICE_SHARE:.0%} is used for images"
    return Pool(_copied(pool, device), pool.keys), f"all images lie on the GPU: {share}"


def _copied(pool: Pool, device: torch.device) -> Tensor:
    """All images of the pool, uint8 (N, H, W, 3) on `device`."""
    images = torch.empty(tuple(pool.images.shape), dtype=torch.uint8, device=device)
    rows = max(1, COPIED_BYTES // (3 * pool.shape[0] * pool.shape[1]))
    for start in range(0, len(pool), rows):
        part = np.arange(start, min(start + rows, len(pool)))
        images[start : start + rows] = torch.from_numpy(np.ascontiguousarray(pool.images[part]))
    return images
