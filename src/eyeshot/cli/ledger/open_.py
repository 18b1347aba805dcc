"""`eyeshot open`: the project as a page that follows its ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from eyeshot.cli.options import DATA, OUTPUT, Json, option
from eyeshot.cli.output import open_address, print_json


def run(
    author: Annotated[
        str | None, option(panel=DATA, text="Who writes. Default: EYESHOT_AUTHOR, git's user.name or the login name.")
    ] = None,
    port: Annotated[int, option(panel=OUTPUT, text="Port on this machine; 0 takes any free port.")] = 0,
    open_: Annotated[bool, option("--open/--no-open", panel=OUTPUT, text="Open the page in a browser.")] = True,
    json: Json = False,
) -> None:
    """The project on a live page: the next step, results of every command, experiments as they run.

    Write there what was learned, tags and insights. Only this machine can open the page.
    """
    import eyeshot
    from eyeshot.core import plural

    def served(address: str, notes: list[str]) -> None:
        if json:
            print_json({"page": address, "notes": notes})
        else:
            typer.echo("\n".join(notes))
            typer.echo(f"Page: {address}   (this machine only; Ctrl+C ends it)")
        if open_:
            open_address(address, quiet=json)

    stored = eyeshot.open_workbench(author=author, port=port, served=served)
    if not json and stored:
        typer.echo(f"\n{stored:,} {plural(stored, 'edit was', 'edits were')} stored in the ledger.")
