"""`eyeshot script`: a plain PyTorch file that trains a run again without eyeshot."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.options import MODEL, OUTPUT, Json, option
from eyeshot.cli.output import print_json, progress_shown, say

Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="Id of a run, the beginning of its id, its folder, latest or advised.", show_default=False
    ),
]


def run(
    run: Run,
    out: Annotated[
        Path | None, option(panel=OUTPUT, text="The file to write, FILE.py. Default: script.py in the run's folder.")
    ] = None,
    weights: Annotated[
        Path | None, option(panel=MODEL, text="File that the run started from, where its command does not name it.")
    ] = None,
    json: Json = False,
) -> None:
    """Write one plain PyTorch and timm file that trains a finished run again, to the same numbers on a CPU."""
    import eyeshot

    with progress_shown() as progress:
        file, notes = eyeshot.script(run, out=out, weights=weights, progress=progress)
    if json:
        print_json({"script": str(file), "notes": notes})
        return
    typer.echo(f"Script: {file}")
    say(notes)
    typer.echo(f"Next: {shlex.join(['python', str(file)])}")
