"""Whether a folder holds another run: asked before the libraries that train are loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eyeshot.core import InputError, StorageError, listing
from eyeshot.training.config import TrainConfig

RESULT_FILE = "result.json"


def check_folder(
    folder: Path, *, model: str | None, augmentations: Sequence[str], settings: Mapping[str, object]
) -> None:
    """Refuse a folder that holds another finished run, as far as its result shows, before any image is read.

    Args:
        folder: of the run.
        model: its full name; None: not known yet.
        augmentations: their names, in order.
        settings: those known so far, by the names of `TrainConfig`.

    Raises:
        InputError: it holds another run.
        StorageError: its result cannot be read.
    """
    file = folder / RESULT_FILE
    if not file.is_file():
        return
    try:
        done = json.loads(file.read_text(encoding="utf-8"))
        differing = [name for name, value in settings.items() if _setting(done, name) != value]
        differing += ["model"] if model is not None and done["model"] != model else []
        differing += ["augmentations"] if list(done["augmentations"]) != list(augmentations) else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{str(file)!r} is no result of a training run. Delete it to run again.") from error
    if differing:
        raise another_run(folder, listing([name.replace("_", " ") for name in differing]))


def _setting(done: dict[str, Any], name: str) -> object:
    """A setting of a result; results from before it existed were trained with its default."""
    settings = done["settings"]
    return settings[name] if name in settings else TrainConfig.model_fields[name].default


def another_run(folder: Path, differing: str) -> InputError:
    """The error for a folder that holds a run that differs in something."""
    return InputError(
        f"{str(folder)!r} holds another run, which differs in {differing}. Choose another folder with --out, or delete "
        "this one."
    )
