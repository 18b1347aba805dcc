"""Smaller batches for a device that is out of memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from eyeshot.core import ModelError

Result = TypeVar("Result")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device is out of memory. CUDA's libraries do not raise PyTorch's class for it."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "cublas_status_alloc_failed" in text)


def smaller_batches(action: Callable[[int], Result], batch_size: int, *, least: int = 1) -> tuple[Result, int]:
    """Call `action` with a batch size, and halve the size each time the device runs out of memory.

    Returns:
        the result of `action`, and the batch size that worked.

    Raises:
        ModelError: there is not enough memory for `least` images.
    """
    size = batch_size
    while True:
        try:
            return action(size), size
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if size <= least:
                raise ModelError(
                    f"The device must have memory for {least} images at once, but ran out with {size}. "
                    "Give a smaller --size, a smaller model, or --device cpu."
                ) from error
        # Outside the handler, because there the traceback would keep the tensors alive.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        size = max(least, size // 2)
