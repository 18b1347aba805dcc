"""`eyeshot manifest`: the images after decisions, for any other program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.project_data import DecisionsFile, ImageRoot, LabelColumn, Labels, PathColumn, Train

app = typer.Typer(no_args_is_help=True, help="The images that are left after decisions, under their labels.")


@app.command("export")
def export(
    train: Train = None,
    csv: Annotated[Path | None, typer.Option(help="Write path, label, id and content to a CSV file.")] = None,
    links: Annotated[Path | None, typer.Option(help="Make a folder of links by class; originals stay.")] = None,
    copies: Annotated[bool, typer.Option("--copies", help="With --links: copy the files instead.")] = False,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    decisions: DecisionsFile = None,
) -> None:
    """Give the cleaned set to another program: a CSV file, or a folder of links or copies."""
    from eyeshot.cli.project_data import find_log, read_decisions, read_manifest, read_train
    from eyeshot.core import InputError, find_project, find_workspace
    from eyeshot.data import SPLIT_FILE, read_split, write_csv, write_links

    if csv is None and links is None:
        raise InputError("Nothing to write: give --csv FILE, --links DIR or both.")
    if copies and links is None:
        raise InputError("--copies says how --links DIR is made: give that too.")
    project = find_project()
    found = read_decisions(find_log(decisions))
    table = read_train(
        project, train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root,
        flat_too=True,
    )  # fmt: skip
    manifest = read_manifest(table, found)
    typer.echo(
        f"{len(manifest.table)} of {len(table)} images stay, {manifest.relabelled} under another label, "
        f"in {len(manifest.table.classes)} classes ({len(found.active)} decisions)."
    )
    if csv is not None:
        file = find_workspace().project / SPLIT_FILE
        parts = None
        if file.is_file():
            parts = [None if part is None else str(part) for part in read_split(file).of(manifest.table)]
        write_csv(manifest, csv, parts=parts)
        typer.echo(f"Wrote {csv}" + ("" if parts is None else f", with the split of {file}"))
    if links is not None:
        source = project.value("train", train)
        made = write_links(manifest, links, sources=(source,), copies=copies)
        typer.echo(f"Made {links}: a folder of {made}; no original was touched.")
