"""`eyeshot augmentations`: list the catalogue."""

from __future__ import annotations

from typing import Annotated

import typer


def run(
    patterns: Annotated[
        list[str] | None,
        typer.Argument(help="Names, wildcards, families, or your own as module:attribute. Default: all."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the augmentations: family, strength, probability, what they may destroy, source."""
    import json

    from eyeshot.augment import augmentations

    found = augmentations(*(patterns or ()))
    if json_:
        fields = ("name", "family", "strength", "probability", "description", "may_destroy", "source")
        typer.echo(json.dumps([{field: getattr(one, field) for field in fields} for one in found], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "family", "p", "what it does", "may destroy"):
        table.add_column(heading, overflow="fold")
    for one in found:
        table.add_row(
            one.name,
            one.family,
            f"{one.probability:g}",
            f"{one.description} ({one.strength})",
            one.may_destroy,
        )
    Console().print(table)
    typer.echo(f"{len(found)} augmentations. Next: eyeshot preview IMAGE {found[0].name}")
