"""Which processor runs the model, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from eyeshot.core import InputError, ModelError
from eyeshot.models.memory import out_of_memory


def choose_device(device: str | None = None) -> tuple[torch.device, str]:
    """The device to compute on and the reason for it.

    Args:
        device: "cuda", "cuda:1", "mps" or "cpu"; None takes the fastest that is there.

    Raises:
        InputError: the device is unknown or this machine has none of it.
    """
    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    if device is None:
        if cuda:
            return torch.device("cuda"), f"CUDA found: {torch.cuda.get_device_name()}"
        if mps:
            return torch.device("mps"), "MPS found: an Apple GPU"
        return torch.device("cpu"), "no CUDA or MPS device found"
    there = ["cpu", *(["cuda"] if cuda else []), *(["mps"] if mps else [])]
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"`device` must be one of {', '.join(there)}, got {device!r}.") from error
    if chosen.type not in there:
        raise InputError(
            f"`device` must be one that this machine has ({', '.join(there)}), got {device!r}. "
            "Leave --device out to take the best one."
        )
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise InputError(f"This machine has {torch.cuda.device_count()} CUDA devices, got {device!r}.")
    return chosen, "chosen by --device"


@contextmanager
def gpu_errors_told() -> Iterator[None]:
    """Inside, a GPU that is lost or full is told as such. After a lost one, this process can use no GPU any more.

    Raises:
        ModelError: the GPU stopped answering, or has no room for what is left to do.
    """
    try:
        yield
    except RuntimeError as error:
        what = str(error).strip().partition("\n")[0]
        if out_of_memory(error):
            raise ModelError(
                f"The device must have room for the model and a batch of images, and has not ({what}). What was "
                "computed is kept: give the same command again with a smaller --batch-size, --size or model, or "
                "--device cpu."
            ) from error
        if re.search(r"\b(CUDA|HIP) error: ", what):
            raise ModelError(
                f"The GPU stopped answering ({what}). What was computed is kept: give the same command again, or "
                "--device cpu."
            ) from error
        raise
