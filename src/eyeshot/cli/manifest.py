"""`eyeshot manifest`: the images after decisions, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.options import (
    OUTPUT,
    DecisionsFile,
    ImageRoot,
    Json,
    LabelColumn,
    Labels,
    PathColumn,
    Train,
    UseDecisions,
    option,
)
from eyeshot.cli.output import print_json, progress_shown, say

app = typer.Typer(no_args_is_help=True, help="The images that are left after decisions, with their labels.")


@app.command("export")
def export(
    train: Train = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    decisions: UseDecisions = True,
    decisions_file: DecisionsFile = None,
    split: Annotated[
        bool, option("--split/--no-split", panel=OUTPUT, text="Write the parts of the project's split.json too.")
    ] = True,
    csv: Annotated[Path | None, option(panel=OUTPUT, text="Write path, label, id and content to a CSV file.")] = None,
    links: Annotated[Path | None, option(panel=OUTPUT, text="Make a folder of links by class; originals stay.")] = None,
    copies: Annotated[bool, option("--copies", panel=OUTPUT, text="With --links: copy the files instead.")] = False,
    json: Json = False,
) -> None:
    """Export the cleaned images for other programs: a CSV file, or a folder of links or copies."""
    import eyeshot
    from eyeshot.core import plural

    with progress_shown() as progress:
        done = eyeshot.export_manifest(
            train, csv=csv, links=links, copies=copies, labels=labels, path_column=path_column,
            label_column=label_column, image_root=image_root, decisions=decisions_file or decisions, split=split,
            progress=progress,
        )  # fmt: skip
    table, relabelled = done.manifest.table, done.manifest.relabelled
    if json:
        print_json(
            {
                "images": done.n_images, "stay": len(table), "relabelled": relabelled, "classes": list(table.classes),
                "decisions": done.n_decisions, "csv": csv and str(csv), "split": done.split and str(done.split),
                "links": links and str(links), "made": done.linked,
                "unusable": [{"path": file.path, "reason": file.reason} for file in done.unusable],
                "notes": list(done.notes),
            }
        )  # fmt: skip
        return
    say(done.notes, warning=True)
    typer.echo(
        f"{len(table)} of {done.n_images} images stay, {relabelled} under another label, in {len(table.classes)} "
        f"{plural(len(table.classes), 'class', 'classes')} ({done.n_decisions} "
        f"{plural(done.n_decisions, 'decision')})."
    )
    if csv is not None:
        typer.echo(f"Wrote {csv}" + ("" if done.split is None else f", with the split of {done.split}"))
    if links is not None:
        typer.echo(f"Made {links}: a folder of {done.linked}; no original was touched.")
