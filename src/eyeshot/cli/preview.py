"""`eyeshot preview`: see the augmentations on one image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    image: Annotated[Path, typer.Argument(help="An image.")],
    patterns: Annotated[
        list[str] | None,
        typer.Argument(help="Names, wildcards, families, or your own as module:attribute. Default: all."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Picture to write.")] = Path("preview.png"),
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.", min=1)] = 128,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
) -> None:
    """Draw a labelled grid: the original, and a few draws of each augmentation."""
    from eyeshot.augment import augmentations, preview_grid
    from eyeshot.core import make_folder, replacing

    grid = preview_grid(image, augmentations(*(patterns or ())), size=size, seed=seed)
    make_folder(out.parent)
    with replacing(out) as temporary:
        grid.save(temporary, format="PNG")
    typer.echo(f"Wrote {out}. Next: eyeshot cover TRAIN --test TEST")
