"""`eyeshot list …`: the catalogues."""

from __future__ import annotations

from typing import Annotated

import typer

from eyeshot.cli.options import Json
from eyeshot.cli.output import plain_table, print_json, progress_shown

AUGMENTATION_FIELDS = ("name", "family", "strength", "probability", "description", "may_destroy", "source")


def list_augmentations(
    patterns: Annotated[
        list[str] | None,
        typer.Argument(help="Names, wildcards, families, or your own as module:attribute. Default: all."),
    ] = None,
    json: Json = False,
) -> None:
    """List the augmentations: family, strength, probability, what they may destroy, source."""
    import eyeshot

    with progress_shown():
        listed = eyeshot.augmentations(*(patterns or ()))
    if json:
        print_json([{field: getattr(augmentation, field) for field in AUGMENTATION_FIELDS} for augmentation in listed])
        return
    from rich.console import Console

    words = ("name", "family", "p", "what it does", "may destroy")
    table = plain_table(*words, left=words, overflow="fold")
    table.columns[0].no_wrap = True  # names are copied into the next command
    for augmentation in listed:
        table.add_row(
            augmentation.name,
            augmentation.family,
            f"{augmentation.probability:g}",
            f"{augmentation.description} ({augmentation.strength})",
            augmentation.may_destroy,
        )
    Console().print(table)
    typer.echo(f"{len(listed)} augmentations. Preview on an image: eyeshot preview IMAGE {listed[0].name}")
