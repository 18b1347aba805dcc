"""The state of a run on disk, whole or not at all."""

from __future__ import annotations

import errno
import os
import pickle
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from eyeshot.core import StorageError, replacing

CHECKPOINT_FILE, PREVIOUS_FILE = "checkpoint.pt", "checkpoint.previous.pt"
"""The newest state of a run and the one before it, which is used where the newest is damaged; both go at its end."""
CHECKPOINT_VERSION = 3


def save_checkpoint(
    folder: Path, state: dict[str, Any], *, name: str = CHECKPOINT_FILE, previous: str | None = None
) -> None:
    """Write `state`: tensors, numbers, strings, and lists and dicts of these; to the file `name` in `folder`.

    Args:
        folder, state, name: as above.
        previous: name that the file which was `name` until now gets; None: it is overwritten.

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
        if previous is not None:
            # A kill between here and the end leaves the file before this one, under its new name.
            with suppress(FileNotFoundError):
                os.replace(folder / name, folder / previous)


def load_checkpoint(folder: Path, *, name: str = CHECKPOINT_FILE) -> dict[str, Any] | None:
    """The state that was saved last; None if there is none.

    Raises:
        StorageError: the file cannot be read.
    """
    file = folder / name
    if not file.exists():
        return None
    try:
        # torch reads the parts without comparing their checksums: zeros within a tensor would be taken as its values.
        with zipfile.ZipFile(file) as parts:
            if (damaged := parts.testzip()) is not None:
                raise OSError(f"checksum of its part {Path(damaged).name!r}")
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise StorageError(
            f"The checkpoint {str(file)!r} cannot be read ({why}). Delete it to start this run over."
        ) from error
    version = state.get("version") if isinstance(state, dict) else None
    if version != CHECKPOINT_VERSION:
        raise StorageError(
            f"The checkpoint {str(file)!r} is of version {version}, this eyeshot reads "
            f"{CHECKPOINT_VERSION}. Delete it to start this run over."
        )
    return state


def newest_checkpoint(
    folder: Path,
    names: Sequence[str] = (CHECKPOINT_FILE, PREVIOUS_FILE),
    *,
    notes: list[str],
    accept: Callable[[dict[str, Any]], bool] = lambda state: True,
) -> tuple[str, dict[str, Any]] | None:
    """The newest state that can be read, with the name of its file; None if there is none.

    A damaged file that it passes over is deleted, so that it never takes the place of a good one.

    Args:
        folder: of the run.
        names: of files that may be there, the newest state first.
        notes: gets a sentence about each file that was passed over.
        accept: whether a state is one of this run; others are left alone.

    Raises:
        StorageError: there is a file that cannot be read, and no good one. Nothing is deleted.
    """
    damaged: list[str] = []
    first: StorageError | None = None
    for name in names:
        try:
            state = load_checkpoint(folder, name=name)
        except StorageError as error:
            first = first or error
            damaged.append(name)
            continue
        if state is None or not accept(state):
            continue
        for other in damaged:
            (folder / other).unlink(missing_ok=True)
            notes.append(f"{other} is damaged; the newest good state before it is used.")
        return name, state
    if first is not None:
        raise first
    return None


def drop_checkpoints(folder: Path) -> None:
    """Delete the states of a run that has ended, or cannot go on with these settings."""
    for name in (CHECKPOINT_FILE, PREVIOUS_FILE):
        (folder / name).unlink(missing_ok=True)
