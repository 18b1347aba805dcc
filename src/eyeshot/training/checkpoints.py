"""The state of a run on disk, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from eyeshot.errors import StorageError
from eyeshot.workspace import make_folder, replacing

CHECKPOINT_VERSION = 1


def save_checkpoint(file: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, lists and dicts of these)."""
    make_folder(file.parent)
    with replacing(file) as temporary:
        torch.save({"version": CHECKPOINT_VERSION, **state}, temporary)


def load_checkpoint(file: Path) -> dict[str, Any] | None:
    """The state that was saved last; None where there is none.

    Raises:
        StorageError: the file cannot be read.
    """
    if not file.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise StorageError(
            f"The checkpoint {str(file)!r} cannot be read ({error}). Delete it to start this run over."
        ) from error
    return state
