"""`eyeshot init`: write a project file, so that later commands need no arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.options import (
    DATA,
    OUTPUT,
    ImageRoot,
    Json,
    LabelColumn,
    Labels,
    PathColumn,
    Test,
    existing_folder,
    option,
)
from eyeshot.cli.output import print_json, progress_shown, say, say_next


def run(
    train: Annotated[
        Path,
        typer.Argument(metavar="TRAIN", help="Folder of labelled images.", callback=existing_folder("TRAIN")),
    ],
    test: Test = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    test_images: Annotated[
        str,
        option(panel=DATA, text="What the rules allow on test images: nothing, features, pseudo-labels, hand-labels."),
    ] = "features",
    force: Annotated[bool, option("--force", panel=OUTPUT, text="Overwrite an existing eyeshot.toml.")] = False,
    json: Json = False,
) -> None:
    """Write a commented eyeshot.toml in the current folder, so that later commands need no arguments here."""
    import os

    import eyeshot
    from eyeshot.core import SETTINGS_FILE, plural

    with progress_shown() as progress:
        table = eyeshot.init(
            train, test, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root,
            test_images=test_images, force=force, progress=progress,  # type: ignore[arg-type]  # checked there
        )  # fmt: skip
    place = os.path.abspath(SETTINGS_FILE)
    if json:
        facts = {"file": place, "images": len(table), "classes": list(table.classes), "test_images": test_images}
        print_json(facts | {"notes": list(table.notes)})
        return
    say(table.notes)
    images, classes = plural(len(table), "image"), plural(len(table.classes), "class", "classes")
    typer.echo(f"Wrote {SETTINGS_FILE}: {len(table)} {images} in {len(table.classes)} {classes}; {place}")
    typer.echo(f'Rules for test images: "{test_images}". Change that line if yours differ.')
    say_next("audit")
