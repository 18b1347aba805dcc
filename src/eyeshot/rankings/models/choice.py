"""Which models are ranked: those asked for, or all of the catalogue whose weights are on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from eyeshot.core import InputError
from eyeshot.models import is_factory
from eyeshot.rankings.models.report import LeftOut

ENDINGS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".npz", ".pth.tar")


class ChosenModel(NamedTuple):
    """A model to rank.

    Attributes:
        name: timm tag or "module:function".
        line: family of architectures.
        weights: the file to load; None: from the hub's cache, or the user's own function loads them.
    """

    name: str
    line: str
    weights: Path | None = None


def choose_models(asked: Sequence[str], weights_dir: Path | None) -> tuple[list[ChosenModel], list[LeftOut]]:
    """The models to rank, and those whose weights are not on this machine.

    Args:
        asked: tags, wildcards, "TAG=FILE", or the user's own "module:function"; empty: the catalogue.
        weights_dir: folder of files named by tag.

    Raises:
        InputError: a name fits nothing, or a file is not there.
    """
    chosen: dict[str, ChosenModel] = {}
    missing: dict[str, LeftOut] = {}
    for name in asked:
        tag, equals, file = name.partition("=")
        if equals:
            chosen[tag] = ChosenModel(tag, "other", _file(tag, Path(file)))
        elif is_factory(name):
            chosen.setdefault(name, ChosenModel(name, "own"))
        else:
            at_hand = None if weights_dir is None else _named_by(name, weights_dir)
            chosen.setdefault(name, ChosenModel(name, "other", at_hand))
    return list(chosen.values()), list(missing.values())


def _file(tag: str, file: Path) -> Path:
    if not file.is_file():
        raise InputError(f"--models {tag}=FILE needs a weights file, got {str(file)!r}, which is not a file.")
    return file


def _named_by(tag: str, folder: Path) -> Path | None:
    return next((folder / f"{tag}{ending}" for ending in ENDINGS if (folder / f"{tag}{ending}").is_file()), None)
