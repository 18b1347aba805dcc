"""Opening a page. Apart from the runs that write them: those of `eyeshot cover` load torch."""

from __future__ import annotations

from pathlib import Path

import typer


def open_page(page: Path, *, quiet: bool) -> None:
    """Show a page in the user's browser; say where it lies if there is none."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()) and not quiet:
        typer.echo(f"No browser was found to open it: {page}")
