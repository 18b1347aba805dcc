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


def list_optimizers(json: Json = False) -> None:
    """List the optimizers: what each fixes, when to take it, its cost, the evidence, and what speaks against it."""
    import eyeshot

    listed = eyeshot.optimizers()
    if json:
        from dataclasses import asdict

        print_json([{name: value for name, value in asdict(record).items() if name != "maker"} for record in listed])
        return
    for record in listed:
        rate = f"{record.rate_factor:g} times AdamW's" if record.rate_factor else f"{record.learning_rate:g}"
        extra = "" if record.package in ("timm", "own") else f' (pip install "eyeshot[{record.extra}]")'
        _print_record(
            f"{record.name}{extra}",
            {
                "fixes": record.fixes, "when": record.situation, "cost": record.cost, "evidence": record.evidence,
                "against": record.against, "rate": f"{rate}: {record.rate_source}.",
            },
        )  # fmt: skip
    typer.echo(f"{len(listed)} optimizers. Train with one: eyeshot train --optimizer {listed[1].name}")


def list_schedules(json: Json = False) -> None:
    """List the learning rate schedules: curve, what it fixes, when to take it, evidence, what speaks against it."""
    import eyeshot

    listed = eyeshot.schedules()
    if json:
        from dataclasses import asdict

        print_json([asdict(record) for record in listed])
        return
    for record in listed:
        _print_record(
            record.name,
            {
                "curve": f"{record.shape}.",
                "fixes": record.fixes, "when": record.situation, "evidence": record.evidence,
                "against": record.against,
            },
        )  # fmt: skip
    typer.echo(f"{len(listed)} schedules. Train with one: eyeshot train --schedule {listed[1].name}")


def _print_record(name: str, fields: dict[str, str]) -> None:
    """A record of a catalogue: its name, and a line for each field."""
    import shutil
    import textwrap

    width = min(shutil.get_terminal_size().columns, 120)
    typer.secho(name, bold=True)
    for label, text in fields.items():
        lines = textwrap.fill(
            text, width, initial_indent=f"  {label:<9} ", subsequent_indent=" " * 12,
            break_on_hyphens=False, break_long_words=False,
        )  # fmt: skip
        typer.echo(lines)
