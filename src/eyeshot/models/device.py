"""The device that runs the model, the reason for it, and the number format of its forward passes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

from eyeshot.core import InputError, ModelError
from eyeshot.models.memory import out_of_memory

Precision = Literal["fp32", "bf16", "fp16"]

NATIVE_BF16 = (8, 0)
TENSOR_CORES = (7, 0)
"""CUDA compute capabilities: bfloat16 is native from Ampere (8.0) on; float16 is fast from Volta (7.0) on."""

GPU_LOST = "The GPU stopped answering"
"""How the message of `gpu_errors_explained` begins. A sweep ends by it, since all other trainings would fail too."""


def choose_device(device: str | None = None) -> tuple[torch.device, str]:
    """Choose the device to compute on, and say why.

    Args:
        device: "cuda", "cuda:1", "mps" or "cpu"; None takes the fastest device available.

    Raises:
        InputError: the device is unknown, or this machine does not have it.
    """
    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    if device is None:
        if cuda:
            return torch.device("cuda"), f"CUDA found: {torch.cuda.get_device_name()}"
        if mps:
            return torch.device("mps"), "MPS found: an Apple GPU"
        return torch.device("cpu"), "no CUDA or MPS device found"
    available = ["cpu", *(["cuda"] if cuda else []), *(["mps"] if mps else [])]
    try:
        chosen_device = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"`device` must be one of {', '.join(available)}, got {device!r}.") from error
    if chosen_device.type not in available:
        raise InputError(
            f"`device` must be available on this machine ({', '.join(available)}), got {device!r}. "
            "Leave out --device to take the fastest."
        )
    if chosen_device.type == "cuda" and (chosen_device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"`device` must be one of the {torch.cuda.device_count()} CUDA devices of this machine (numbered from 0), "
            f"got {device!r}. Leave out --device to take the first."
        )
    return chosen_device, "chosen by --device"


def feature_precision(device: torch.device) -> Precision:
    """The number format in which many features are computed: float16 on a GPU that is fast in it, else float32.

    A training takes bfloat16 for its range. Features take float16 for its three more bits, and are stored in it anyway;
    what it does not hold is computed in float32, see `forward`. The head that a training starts from, its validation
    and predictions of finished runs are computed in float32 on all devices: people compare and submit them, and they
    take a pass over the images each.
    """
    fast = device.type == "cuda" and torch.cuda.get_device_capability(device) >= TENSOR_CORES
    return "fp16" if fast else "fp32"


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """The context of a forward pass in `precision`; for fp32 it does nothing."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


@contextmanager
def gpu_errors_explained() -> Iterator[None]:
    """Turn GPU errors in the body into a `ModelError` with a next step.

    After a lost GPU, this process cannot use any GPU again.

    Raises:
        ModelError: the GPU stopped answering, or is out of memory.
    """
    try:
        yield
    except RuntimeError as error:
        message = str(error).strip().partition("\n")[0]
        if out_of_memory(error):
            raise ModelError(
                f"The device must have memory for the model and a batch of images, but it ran out ({message}). What "
                "was computed is kept: run the same command again with a smaller --batch-size, --size or model, or "
                "--device cpu."
            ) from error
        if re.search(r"\b(CUDA|HIP) error: ", message):
            raise ModelError(
                f"{GPU_LOST} ({message}). What was computed is kept: run the same command again, or --device cpu."
            ) from error
        raise
