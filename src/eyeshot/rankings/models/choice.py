"""Which models are ranked: those asked for, or all of the catalogue whose weights are on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from eyeshot.core import InputError, ModelError, check_file
from eyeshot.models import is_factory, line_of, list_models, weights_at_hand
from eyeshot.rankings.models.report import LeftOut

OTHER = "other"
"""The line of models that belong to none of the catalogue."""


class ChosenModel(NamedTuple):
    """A model to rank.

    Attributes:
        name: timm's full tag or "module:function".
        line: family of architectures.
        weights: the file to load; None: from the hub's cache, or the user's own function brings them.
        weights_bytes: size of the file on disk, 0 where there is none.
    """

    name: str
    line: str
    weights: Path | None = None
    weights_bytes: int = 0


def choose_models(asked: Sequence[str], weights_dir: Path | None) -> tuple[list[ChosenModel], list[LeftOut]]:
    """The models to rank, and those whose weights are not on this machine.

    Args:
        asked: tags, lines or wildcards over timm, "TAG=FILE", or the user's own "module:function"; empty: the
            catalogue, and what else of timm the folder holds.
        weights_dir: folder of files named by tag.

    Raises:
        InputError: a file or the folder is not there.
        ModelError: a name fits nothing.
    """
    given: dict[str, Path] = {}
    names: list[str] = []
    for name in asked:
        tag, equals, file = name.partition("=")
        if equals:
            given[tag] = check_file(file, f"--models {tag}")
            names.append(tag)
        elif is_factory(name):
            names.append(name)
        else:
            names += [record.tag for record in list_models(name)]
    if not asked:
        names = [record.tag for record in list_models()]
        names += _held(weights_dir) if weights_dir is not None else []
    chosen: dict[str, ChosenModel] = {}
    missing: dict[str, LeftOut] = {}
    for asked_name, (name, at_hand, ways) in zip(names, weights_at_hand(names, weights_dir), strict=True):
        own = given.get(asked_name)
        if own is None and ways:
            missing[name] = LeftOut(name=name, why="its weights are not on this machine", ways=[ways])
            continue
        if own is None and at_hand is not None and weights_dir is not None and weights_dir in at_hand.parents:
            own = at_hand
        held = own or at_hand
        size = 0 if held is None else held.stat().st_size
        line = "own" if is_factory(name) else line_of(name) or OTHER
        chosen.setdefault(name, ChosenModel(name, line, own, size))
    return list(chosen.values()), [left for name, left in missing.items() if name not in chosen]


def _held(folder: Path) -> list[str]:
    """Tags of timm that files of a folder are named by, "ARCHITECTURE.WEIGHTS.ending"."""
    tags = []
    for file in sorted(folder.iterdir()):
        architecture, _, weights = file.name.partition(".")
        tag = f"{architecture}.{weights.partition('.')[0]}"
        try:
            records = list_models(tag)
        except (InputError, ModelError):
            continue
        tags += [record.tag for record in records if record.tag == tag]
    return tags
