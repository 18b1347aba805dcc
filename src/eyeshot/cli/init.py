"""`eyeshot init`: write a project file, so that later commands need no arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
    root: Annotated[
        Path,
        typer.Argument(
            metavar="ROOT",
            help="Folder of labelled images, or of a competition: training and test images, labels and sample "
            "submission are found in it.",
            callback=existing_folder("ROOT"),
        ),
    ],
    test: Test = None,
    labels: Labels = None,
    labels_from_names: Annotated[
        bool,
        option(
            "--labels-from-names",
            panel=DATA,
            text="The label is what stands before the number in the file name, as cat.12.jpg.",
        ),
    ] = False,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    submission: Annotated[
        Path | None, option(panel=DATA, text="CSV that shows what to submit. Default: found in ROOT.")
    ] = None,
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
    from eyeshot.core import SETTINGS_FILE, find_project, plural

    with progress_shown() as progress:
        table = eyeshot.init(
            root, test, labels=labels, labels_from_names=labels_from_names, path_column=path_column,
            label_column=label_column, image_root=image_root, submission=submission, test_images=test_images,  # type: ignore[arg-type]  # checked there
            force=force, progress=progress,
        )  # fmt: skip
    place = os.path.abspath(SETTINGS_FILE)
    if json:
        project = find_project()
        facts = {"file": place, "images": len(table), "classes": list(table.classes), "test_images": test_images}
        found = {"data": _texts(project.data), "submission": _texts(project.submission)}
        print_json(facts | found | {"notes": list(table.notes)})
        return
    say(table.notes)
    images, classes = plural(len(table), "image"), plural(len(table.classes), "class", "classes")
    typer.echo(f"Wrote {SETTINGS_FILE}: {len(table)} {images} in {len(table.classes)} {classes}; {place}")
    typer.echo(f'Rules for test images: "{test_images}". Change that line if yours differ.')
    say_next("audit")


def _texts(entries: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in entries.items()}
