"""The state of a run on disk, whole or not at all."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path
from typing import Any

import torch

from eyeshot.core import StorageError, replacing

CHECKPOINT_FILE = "checkpoint.pt"
CHECKPOINT_VERSION = 3


def save_checkpoint(folder: Path, state: dict[str, Any], *, name: str = CHECKPOINT_FILE) -> None:
    """Write `state`: tensors, numbers, strings, and lists and dicts of these; to the file `name` in `folder`.

    Raises:
        StorageError: the disk is full; the checkpoint before this one is kept.
    """
    with replacing(folder / name) as temporary:
        try:
            torch.save({"version": CHECKPOINT_VERSION, **state}, temporary)
        except RuntimeError as error:
            # torch's own writer says "[enforce fail at inline_container.cc …]" where a write comes up short.
            if "inline_container" in str(error):
                raise OSError(errno.ENOSPC, "the disk is full") from error
            raise OSError(str(error).partition("\n")[0]) from error


def load_checkpoint(folder: Path, *, name: str = CHECKPOINT_FILE) -> dict[str, Any] | None:
    """The state that was saved last; None if there is none.

    Raises:
        StorageError: the file cannot be read.
    """
    file = folder / name
    if not file.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise StorageError(
            f"The checkpoint {str(file)!r} cannot be read ({why}). Delete it to start this run over."
        ) from error
    if state.get("version") != CHECKPOINT_VERSION:
        raise StorageError(
            f"The checkpoint {str(file)!r} is of version {state.get('version')}, this eyeshot reads "
            f"{CHECKPOINT_VERSION}. Delete it to start this run over."
        )
    return state
