"""How the command line shows progress: always on standard error, so that results can be piped."""

from __future__ import annotations

import sys

from eyeshot.core import ProgressDisplay


def progress_shown() -> ProgressDisplay:
    """A display to be entered with `with`; it is the `Progress` to hand on."""
    return ProgressDisplay(sys.stderr)
