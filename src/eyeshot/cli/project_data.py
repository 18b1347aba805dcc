"""What several commands need: the training images, the decisions about them, and the manifest of both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from eyeshot.auditing import Decisions, Journal, Manifest
    from eyeshot.images import ImageTable
    from eyeshot.project import Project

Train = Annotated[
    Path | None, typer.Argument(help="Folder of labelled images. Default: what eyeshot.toml says.", show_default=False)
]
Labels = Annotated[Path | None, typer.Option(help="CSV with paths and labels, in the place of class folders.")]
PathColumn = Annotated[str | None, typer.Option(help="Column with paths or ids. Default: guessed.")]
LabelColumn = Annotated[str | None, typer.Option(help="Column with labels. Default: guessed.")]
ImageRoot = Annotated[Path | None, typer.Option(help="Folder that the paths start from. Default: guessed.")]
DecisionsFile = Annotated[
    Path | None, typer.Option("--decisions", help="File of decisions. Default: decisions.jsonl of the project.")
]


def find_journal(file: Path | None) -> Journal:
    """The decisions of the project, or those of a file that was named."""
    from eyeshot.auditing import DECISIONS_FILE, Journal
    from eyeshot.workspace import find_workspace

    return Journal(file or find_workspace().project / DECISIONS_FILE)


def read_decisions(journal: Journal) -> Decisions:
    """Read them, and say which lines cannot be used."""
    decisions = journal.read()
    for bad in decisions.bad[:10]:
        typer.echo(f"warning: {bad}; this line is passed over, the rest counts", err=True)
    if len(decisions.bad) > 10:
        typer.echo(f"warning: {len(decisions.bad) - 10} more lines cannot be used", err=True)
    for name in decisions.conflicting:
        typer.echo(f"warning: two different decisions under the id {name}; the later counts", err=True)
    return decisions


def read_train(
    project: Project,
    train: Path | None,
    *,
    labels: Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: Path | None = None,
) -> ImageTable:
    """The training images that were named, or those of the project."""
    from eyeshot.cli.console import progress_shown
    from eyeshot.images import read_images
    from eyeshot.workspace import find_workspace

    folder = project.value("train", train, needed="TRAIN must be a folder of labelled images")
    # A folder of another kind than the project's must not be read with the project's CSV.
    own = project if train is None else type(project)()
    with progress_shown() as progress:
        return read_images(
            folder,
            labels=own.value("labels", labels),
            path_column=own.value("path_column", path_column),
            label_column=own.value("label_column", label_column),
            image_root=own.value("image_root", image_root),
            cache=find_workspace().cache,
            progress=lambda done, total: progress("reading training files", done, total),
        )


def read_manifest(table: ImageTable, decisions: Decisions) -> Manifest:
    """The images after decisions; what a person should know goes to standard error."""
    from eyeshot.auditing import compute_manifest

    manifest = compute_manifest(table, decisions)
    for note in manifest.notes:
        typer.echo(f"- {note}", err=True)
    return manifest
