"""Which code an experiment was made with: the commit of the project's repository, and what was changed since."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Literal

from eyeshot.core import key_of
from eyeshot.data import default_author

AGENT_VARIABLE = "EYESHOT_AGENT"
GIT_TIMEOUT_S = 10.0
LONGEST_DIFFERENCE = 20_000
"""Characters of a code difference that are stored; the hash is of all of it."""


def code_state(project: Path) -> dict[str, str]:
    """`commit`, and of what differs from it in tracked files `difference` and `hash`; empty without a repository.

    Args:
        project: a folder in it.
    """
    commit = _git(project, "rev-parse", "HEAD")
    if commit is None:
        return {}
    difference = _git(project, "diff", "HEAD", "--", ".") or ""
    state = {"commit": commit.strip()}
    if difference:
        cut = "" if len(difference) <= LONGEST_DIFFERENCE else "\n(cut here)\n"
        state |= {"difference": difference[:LONGEST_DIFFERENCE] + cut, "hash": key_of(difference)}
    return state


def short_code(state: dict[str, str]) -> str | None:
    """The code in a word: "1a2b3c4d", with "+" and a hash where tracked files differ from it; None: not known."""
    if "commit" not in state:
        return None
    return state["commit"][:8] + (f"+{state['hash'][:8]}" if "hash" in state else "")


def who(author: str | None, agent: str | None, project: Path) -> tuple[str, Literal["person", "agent"]]:
    """Who makes an experiment, and whether that is a person or an agent.

    Args:
        author: as given; None: EYESHOT_AUTHOR, else git's user.name, else the login name.
        agent: name of the agent that acts; None: EYESHOT_AGENT, where it is set.
        project: a folder whose repository may name the author.
    """
    agent = (agent or os.environ.get(AGENT_VARIABLE, "")).strip()
    if agent:
        return agent, "agent"
    return author or default_author(project), "person"


def _git(folder: Path, *words: str) -> str | None:
    """What git says; None where it is not installed, or says nothing but an error."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, timeout=GIT_TIMEOUT_S, check=False,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
