"""A device out of memory: smaller batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from eyeshot.core import ModelError

Result = TypeVar("Result")


def out_of_memory(error: BaseException) -> bool:
    """Whether a device had no room left; only CUDA has an error of its own for it, and its libraries have not."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "cublas_status_alloc_failed" in text)


def smaller_batches(action: Callable[[int], Result], batch_size: int, *, least: int = 1) -> tuple[Result, int]:
    """Do `action` with a batch size, halved as often as the device runs out of memory.

    Returns:
        what `action` gave, and the batch size that it fitted with.

    Raises:
        ModelError: there is no room for `least` images.
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
                    f"The device must hold {least} images at once, and is out of memory with {size}. "
                    "Give a smaller --size, a smaller model, or --device cpu."
                ) from error
        # Outside of the handler: the traceback would keep the tensors alive.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        size = max(least, size // 2)
