"""`eyeshot init`: write a project down once, so that later commands need no arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    train: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of labelled images.")],
    test: Annotated[Path | None, typer.Option(help="Folder of test images.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV with paths and labels, in the place of class folders.")
    ] = None,
    path_column: Annotated[str | None, typer.Option(help="Column with paths or ids.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column with labels.")] = None,
    image_root: Annotated[Path | None, typer.Option(help="Folder that the paths start from.")] = None,
    test_images: Annotated[
        str, typer.Option(help="What the rules allow on test images: nothing, features, pseudo-labels, hand-labels.")
    ] = "features",
    force: Annotated[bool, typer.Option("--force", help="Write over an eyeshot.toml that is there.")] = False,
) -> None:
    """Write a commented eyeshot.toml in the current folder."""
    import os

    from eyeshot.core import SETTINGS_FILE, USES, InputError, find_workspace, write_project
    from eyeshot.data import check_apart, read_images

    file = Path(SETTINGS_FILE)
    if file.exists() and not force:
        raise InputError(f"There is an {SETTINGS_FILE} in this folder already. Edit it, or write over it with --force.")
    if test_images not in USES:
        raise InputError(f"--test-images must be one of {', '.join(USES)}, got {test_images!r}.")
    for name, folder in (("DATA", train), ("--test", test)):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{name} must be a folder of images, got {str(folder)!r}, which is none. Check the path.")
    if test is not None:
        check_apart(train, test)
    # Read now, so that a wrong folder or CSV is told now; what was read is kept for later commands.
    table = read_images(
        train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root,
        cache=find_workspace().cache,
    )  # fmt: skip
    given = {"train": train, "test": test, "labels": labels, "image_root": image_root}
    data = {name: _relative(path) for name, path in given.items() if path is not None}
    columns = {"path_column": path_column, "label_column": label_column}
    data |= {name: text for name, text in columns.items() if text is not None}
    write_project(file, data=data, test_images=test_images)
    for note in table.notes:
        typer.echo(f"- {note}")
    typer.echo(f"Wrote {file}: {len(table)} images in {len(table.classes)} classes; {os.path.abspath(file)}")
    typer.echo(f'Rules for test images: "{test_images}". Change that line if yours differ.')
    typer.echo("Next: eyeshot audit; then eyeshot split and eyeshot cover. They need no arguments here.")


def _relative(path: Path) -> str:
    """The path from here where it lies below, with forward slashes; absolute elsewhere."""
    full = path.expanduser().absolute()
    here = Path.cwd()
    return full.relative_to(here).as_posix() or "." if full.is_relative_to(here) else str(full)
