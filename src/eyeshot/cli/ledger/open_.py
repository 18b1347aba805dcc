"""`eyeshot open`: the project as a page that follows its ledger, or as pages in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.options import DATA, OUTPUT, Json, option
from eyeshot.cli.output import open_address, print_json, progress_shown, say


def run(
    id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="The experiment to begin at: its id, or a unique beginning of it. Default: the overview.",
            show_default=False,
        ),
    ] = None,
    author: Annotated[
        str | None, option(panel=DATA, text="Who writes. Default: EYESHOT_AUTHOR, git's user.name or the login name.")
    ] = None,
    port: Annotated[int, option(panel=OUTPUT, text="Port on this machine; 0 takes any free port.")] = 0,
    export: Annotated[
        Path | None,
        option(
            panel=OUTPUT,
            metavar="DIR",
            text="Write the workbench as pages into this folder, to hand in, instead of serving it.",
        ),
    ] = None,
    open_: Annotated[bool, option("--open/--no-open", panel=OUTPUT, text="Open the page in a browser.")] = True,
    json: Json = False,
) -> None:
    """The project on a live page: the next step, results of every command, experiments as they run.

    Write there what was learned, tags, insights and the texts of the report. Only this machine can open the page.
    """
    import eyeshot
    from eyeshot.core import InputError, plural

    if export is not None:
        if id is not None:
            raise InputError(
                f"ID belongs to the served page, got {id!r} with --export, which writes all. Leave it out."
            )
        with progress_shown() as progress:
            written = eyeshot.export_workbench(export, progress=progress)
        if json:
            print_json(written)
        else:
            typer.echo(written["answer"])
            say(written["left_out"])
            typer.echo(f"Next: {written['next_step']}")
        return

    def served(address: str, notes: list[str]) -> None:
        if json:
            print_json({"page": address, "notes": notes})
        else:
            typer.echo("\n".join(notes))
            typer.echo(f"Page: {address}   (this machine only; Ctrl+C ends it)")
        if open_:
            open_address(address, quiet=json)

    stored = eyeshot.open_workbench(id, author=author, port=port, served=served)
    if not json and stored:
        typer.echo(f"\n{stored:,} {plural(stored, 'edit was', 'edits were')} stored in the ledger.")
