"""The choice of the device that runs the model, and the reason for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from eyeshot.core import InputError, ModelError
from eyeshot.models.memory import out_of_memory


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
                f"The GPU stopped answering ({message}). What was computed is kept: run the same command again, or "
                "--device cpu."
            ) from error
        raise
