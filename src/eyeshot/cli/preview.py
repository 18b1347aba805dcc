"""`eyeshot preview`: look at the augmentations on an image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.options import OUTPUT, Json, Seed, option
from eyeshot.cli.output import print_json, progress_shown


def run(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image.")],
    patterns: Annotated[
        list[str] | None,
        typer.Argument(help="Names, wildcards, families, or your own as module:attribute. Default: all."),
    ] = None,
    samples: Annotated[int, option(panel=OUTPUT, text="Augmented samples of each.", min=1)] = 4,
    size: Annotated[int, option(panel=OUTPUT, text="Side of the pictures in pixels.", min=1)] = 128,
    seed: Seed = 0,
    out: Annotated[Path, option(panel=OUTPUT, text="Picture to write.")] = Path("preview.png"),
    json: Json = False,
) -> None:
    """Draw a labelled grid: the original, and a few augmented samples of each augmentation."""
    import eyeshot

    with progress_shown():
        grid = eyeshot.preview(image, *(patterns or ()), samples=samples, size=size, seed=seed, out=out)
    if json:
        print_json({"out": str(out), "width": grid.width, "height": grid.height})
    else:
        typer.echo(f"Wrote {out}. Rank them on your images: eyeshot rank augmentations TRAIN --test TEST")
