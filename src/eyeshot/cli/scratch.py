"""A dry run writes nothing: what it must keep for a while lies in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from eyeshot.core import Workspace, find_workspace


@contextmanager
def workspace_for(*, dry_run: bool) -> Iterator[Workspace]:
    """The project's workspace; for a dry run with a cache that is gone afterwards."""
    workspace = find_workspace()
    if not dry_run:
        yield workspace
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="eyeshot-") as folder:
        yield replace(workspace, cache=Path(folder))
