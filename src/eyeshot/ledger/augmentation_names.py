"""Which augmentations a training is given: what was typed, or eyeshot.toml says, with policies read from their files.

This file loads nothing heavy: wrong names are refused before torch is loaded.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from eyeshot.augment import check_names, is_policy_file, with_policies
from eyeshot.core import Project
from eyeshot.ledger.runs import list_runs
from eyeshot.training import project_augmentations

OPTION = "--augment"


def chosen_augmentations(
    typed: Sequence[str], *, project: Project, runs: Path, out: Path | None = None
) -> tuple[list[str], str]:
    """Names of augmentations, in order; those of a policy's operations say all that its file held.

    A policy's file that is gone is no loss where a run was begun with the same words: it is continued with what the
    file held then.

    Args:
        typed: names as given; none takes those of eyeshot.toml.
        project: the project.
        runs: folder of all runs.
        out: folder of the run, where it is given.

    Returns:
        the names, and what is worth saying of them.

    Raises:
        InputError: a name stands for nothing, or a policy holds something that is not allowed.
    """
    words = list(typed) or project_augmentations(project)
    gone = [name for name in words if is_policy_file(name) and not Path(name.strip()).exists()]
    if gone:
        begun = _of_earlier_run(words, runs, out)
        if begun is not None:
            return begun[1], f"{gone[0]} is gone; the run {begun[0]} was begun with it, and goes on with what it held."
    check_names(*words, policies=True)
    return with_policies(words), ""


def _of_earlier_run(words: Sequence[str], runs: Path, out: Path | None) -> tuple[str, list[str]] | None:
    """Name and augmentations of the latest run that was begun with the same words."""
    if out is not None:
        try:
            config = json.loads((out / "config.json").read_text(encoding="utf-8"))
            if _typed_in(str(config["command"])) == list(words):
                return out.name, [str(name) for name in config["augmentations"]]
        except (OSError, ValueError, KeyError):  # not begun, or damaged
            pass
        return None
    for record in reversed(list_runs(runs)):
        if record.kind == "train" and _typed_in(record.command) == list(words):
            return record.id, list(record.augmentations)
    return None


def _typed_in(command: str) -> list[str]:
    """The values of --augment in a command."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    found = [words[place + 1] for place, word in enumerate(words[:-1]) if word == OPTION]
    return found or [word.partition("=")[2] for word in words if word.startswith(f"{OPTION}=")]
