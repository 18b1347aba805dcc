"""Which processor runs the model, and why."""

from __future__ import annotations

import torch

from eyeshot.errors import InputError


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
