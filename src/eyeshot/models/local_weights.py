"""Weights on this machine: files in a folder, named by tag, or in the hub's cache; and the ways to get the rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from eyeshot.core import InputError, ModelError, listing
from eyeshot.models.hub import FILES, cached_file
from eyeshot.models.own_models import is_factory

SUFFIXES = (".safetensors", ".pth.tar", ".pth", ".pt", ".bin", ".ckpt")
SHOWN = 8


def weights_in_folder(model: str, folder: Path) -> tuple[Path, str]:
    """The file of a folder that holds the weights of a model, and a sentence that names it and why it was taken.

    Looked for in this order: a file or folder named by the full tag (`resnet18.a1_in1k.safetensors`), a copied folder
    of the hub's cache (`models--timm--…`), then the only file that is named by the architecture alone or begins with
    it and a hyphen (`resnet18-mine.pth`). A file named by another tag of the architecture is never taken: its
    weights are others.

    Args:
        model: timm's full tag, or "package.module:factory", whose files are named by the factory.
        folder: files with one of the usual endings of weights.

    Raises:
        InputError: several files are named by the architecture alone.
        ModelError: there is none; the message lists what the folder holds.
    """
    architecture = model.rpartition(":")[2] if is_factory(model) else model.partition(".")[0]
    name = architecture if is_factory(model) else model
    files = sorted(file for file in folder.iterdir() if file.is_file() and _stem(file) is not None)
    if exact := next((file for ending in SUFFIXES for file in files if file.name == f"{name}{ending}"), None):
        return exact, f"{exact} is named by the {'factory' if is_factory(model) else 'tag'}."
    for place in (folder / name, *sorted(folder.glob(f"models--*--{name}/snapshots/*"))):
        if inside := next((place / file for file in FILES if (place / file).is_file()), None):
            return inside, f"{inside} lies in a folder named by the tag."
    similar = [file for file in files if (_stem(file) or "").partition("-")[0] == architecture]
    if len(similar) == 1:
        return similar[0], f"{similar[0]} is the only file of the architecture {architecture}, and none has the tag."
    if similar:
        raise InputError(
            f"`weights` must be one file for {model}, and {str(folder)!r} has {len(similar)} of its architecture: "
            f"{listing([file.name for file in similar])}. Name one of them {name}.safetensors, or give --weights FILE."
        )
    held = listing([file.name for file in files], most=SHOWN) if files else "no file with one of the endings"
    raise ModelError(
        f"Weights of {model} must lie in {str(folder)!r} as {name} with one of {', '.join(SUFFIXES)}; it holds {held}. "
        "Rename or copy its file there, or give --weights FILE."
    )


def weights_at_hand(tags: Sequence[str], folder: Path | None = None) -> list[tuple[str, Path | None, str]]:
    """For each model, its full tag, the file of its weights if this machine has it, and the ways to get it if not.

    The folder is looked through first, then the caches of the hub and of torch.hub. The ways are "" where nothing is
    missing; a factory without a file in the folder is taken to bring its own weights.

    Raises:
        InputError: the folder does not exist.
        ModelError: timm has no such model.
    """
    from eyeshot.models import timm_models

    if folder is not None and not folder.is_dir():
        raise InputError(f"`weights` must be a folder, got {str(folder)!r}, which is none. Check the path.")
    rows: list[tuple[str, Path | None, str]] = []
    for tag in tags:
        name, config, _ = (tag, None, []) if is_factory(tag) else timm_models.resolve_tag(tag)
        file, why = None, ""
        if folder is not None:
            try:
                file, _ = weights_in_folder(name, folder)
            except (InputError, ModelError) as error:
                why = str(error) if isinstance(error, InputError) else ""
        if file is None and not is_factory(tag):
            file = None if config is None else cached_file(config)
            why = why or _ways(name, has_weights=config is not None and bool(config.hf_hub_id or config.url))
        rows.append((name, file, "" if file is not None or is_factory(tag) else why))
    return rows


def ranked_weights(results: Path, model: str) -> Path | None:
    """The file that `rank models` loaded for a model; None where it was not ranked, or its weights need no file.

    Args:
        results: folder of the project's results, with `models/models.json` in it.
        model: its full tag.
    """
    try:
        report = json.loads((results / "models" / "models.json").read_text("utf-8"))
        file = next((entry.get("weights_file") for entry in report["models"] if entry.get("name") == model), None)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # none, damaged or of another version
        return None
    return Path(file) if isinstance(file, str) and Path(file).is_file() else None


def _ways(name: str, *, has_weights: bool) -> str:
    by_file = f"--weights DIR with a file {name}.safetensors in it"
    if not has_weights:
        return f"timm has no weights for {name}: {by_file}"
    return f"eyeshot models fetch {name}, or {by_file}"


def _stem(file: Path) -> str | None:
    """The name without the ending of a weights file; None for other files."""
    return next((file.name[: -len(ending)] for ending in SUFFIXES if file.name.endswith(ending)), None)
