"""`eyeshot list …`: the catalogues."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eyeshot.cli.options import Json
from eyeshot.cli.output import plain_table, print_fitting, print_json, progress_shown, say_next

if TYPE_CHECKING:
    from eyeshot.models import ModelRecord

FREE = ("apache-", "mit", "bsd-")
MOST_SENTENCES = 12
"""Longer lists are read as a table."""
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


def list_models(
    pattern: Annotated[
        str | None,
        typer.Argument(help="A line (ConvNeXt), a tag, or wildcards over all of timm ('vit_*dinov3*'). Default: all."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Folder of weights files named by tag, looked through too.", metavar="DIR")
    ] = None,
    json: Json = False,
) -> None:
    """List models: parameters, cost, licence, whether the weights are at hand; for one tag its recipe too.

    Without a pattern, the catalogue. Models beyond it have what timm knows of them.
    """
    from dataclasses import asdict

    import eyeshot
    from eyeshot.core import plural
    from eyeshot.models import cached_weights

    records = eyeshot.list_models(pattern)
    tags = [record.tag for record in records]
    here = {tag: cached_weights(tag) for tag in tags}
    if weights is not None:
        from eyeshot.models import weights_at_hand  # loads torch, which takes seconds

        here = {tag: file for tag, file, _ in weights_at_hand(tags, weights)}
    if json:
        print_json([
            {**asdict(record), "at_hand": None if here[record.tag] is None else str(here[record.tag])}
            for record in records
        ])  # fmt: skip
        return
    words = ("tag", "terms", "here")
    table = plain_table("tag", "params", "GMACs", "size", "terms", "here", left=words)
    for place, record in enumerate(records):
        if place == 0 or record.line != records[place - 1].line:
            table.add_row(f"{record.line or 'Others'}:", "", "", "", "", "")
        table.add_row(
            record.tag,
            "" if record.parameters is None else f"{record.parameters / 1e6:.1f}M",
            "" if record.gmacs is None else f"{record.gmacs:.1f}",
            str(record.size or ""),
            _terms(record.licence),
            "" if here[record.tag] is None else "yes",
        )
    print_fitting(table, names=("tag",))
    if pattern is not None and len(records) <= MOST_SENTENCES:
        for record in records:
            _say_more(record, recipe=len(records) == 1)
    typer.echo(
        f"{len(records)} {plural(len(records), 'model')}. Parameters without the classifier; GMACs for one image of "
        "that size; terms: free (Apache, MIT, BSD), NC (not for commercial use), own (a licence of its own)."
    )
    if len(records) == 1:
        say_next("models", "fetch", records[0].tag)
    else:
        typer.echo("The recipe of one, its licence and more: eyeshot list models TAG")


def _terms(licence: str | None) -> str:
    if licence is None:
        return "unknown"
    if licence.startswith(FREE):
        return "free"
    return "NC" if "-nc" in licence or "noncommercial" in licence else "own"


def _say_more(record: ModelRecord, *, recipe: bool) -> None:
    import eyeshot

    if record.when_to_take is not None:
        typer.echo(f"- {record.tag}: {record.when_to_take}")
    if not recipe:
        return
    if record.pretraining_data is not None:
        typer.echo(f"- Pretraining: {record.objective or 'objective unknown'}; {record.pretraining_data}.")
    typer.echo(f"- Licence of the weights: {record.licence or 'timm names none'}.")
    values, reason = eyeshot.model_recipe(record.tag)
    typer.echo(
        f"- Recipe ({reason}): {values.optimizer}, {values.schedule}, learning rate {values.learning_rate:g} at "
        f"{values.batch_size} images a step, weight decay {values.weight_decay:g}, "
        f"layer decay {'none' if values.layer_decay is None else f'{values.layer_decay:g}'}, "
        f"drop path {values.drop_path:g}, label smoothing {values.label_smoothing:g}, "
        f"warm-up {values.warm_up_share:.0%} of the steps, "
        f"{'no clipping' if values.clip_norm is None else f'gradients clipped at norm {values.clip_norm:g}'}. "
        f"Source: {values.source}"
    )


Patterns = Annotated[list[str] | None, typer.Argument(help="Names or wildcards ('*adam*'). Default: all.")]


def list_optimizers(patterns: Patterns = None, json: Json = False) -> None:
    """List the optimizers: what each fixes, when to take it, its cost, the evidence, and what speaks against it."""
    import eyeshot
    from eyeshot.core import plural

    listed = eyeshot.optimizers(*(patterns or ()))
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
    count = len(listed)
    typer.echo(f"{count} {plural(count, 'optimizer')}. Train with one: eyeshot train --optimizer {listed[:2][-1].name}")


def list_schedules(patterns: Patterns = None, json: Json = False) -> None:
    """List the learning rate schedules: curve, what it fixes, when to take it, evidence, what speaks against it."""
    import eyeshot
    from eyeshot.core import plural

    listed = eyeshot.schedules(*(patterns or ()))
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
    count = len(listed)
    typer.echo(f"{count} {plural(count, 'schedule')}. Train with one: eyeshot train --schedule {listed[:2][-1].name}")


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
