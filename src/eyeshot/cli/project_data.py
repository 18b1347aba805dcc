"""What several commands need: the training images, the decisions about them, and the manifest of both."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from eyeshot.core import Progress, Project
    from eyeshot.data import DecisionLog, Decisions, ImageTable, Manifest

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


def as_typed(train: Path | None, **options: object) -> list[str]:
    """The words that name the same images in the next command; none where the project file names them."""
    words = [] if train is None else [str(train)]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def find_log(file: Path | None) -> DecisionLog:
    """The decisions of the project, or those of a file that was named."""
    from eyeshot.core import find_workspace
    from eyeshot.data import DECISIONS_FILE, DecisionLog

    return DecisionLog(file or find_workspace().project / DECISIONS_FILE)


def read_decisions(log: DecisionLog, *, needed: bool = False) -> Decisions:
    """Read them, and say which lines cannot be used; with `needed` the file must be there."""
    decisions = log.read(needed=needed)
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
    cache: Path | None = None,
    progress: Progress | None = None,
    flat_too: bool = False,
) -> ImageTable:
    """The training images that were named, or those of the project; with `flat_too` also a folder without labels."""
    from eyeshot.auditing import has_no_class_folders
    from eyeshot.cli.console import progress_shown
    from eyeshot.core import find_workspace
    from eyeshot.data import read_images

    folder = project.value("train", train, needed="TRAIN must be a folder of labelled images")
    # A folder of another kind than the project's must not be read with the project's CSV.
    own = project if train is None else type(project)()
    labels = own.value("labels", labels)
    with nullcontext(progress) if progress is not None else progress_shown() as report:
        return read_images(
            folder,
            labels=labels,
            labelled=not (flat_too and labels is None and has_no_class_folders(folder)),
            path_column=own.value("path_column", path_column),
            label_column=own.value("label_column", label_column),
            image_root=own.value("image_root", image_root),
            cache=cache or find_workspace().cache,
            progress=report.sub("reading training files"),
        )


def project_files(*, manifest: bool = True, split: bool = True) -> tuple[Path | None, Path | None]:
    """The project's decisions and split, those that are there and wanted."""
    from eyeshot.core import find_workspace
    from eyeshot.data import DECISIONS_FILE, SPLIT_FILE

    folder = find_workspace().project
    files = (folder / DECISIONS_FILE if manifest else None, folder / SPLIT_FILE if split else None)
    decisions, divided = (file if file is not None and file.is_file() else None for file in files)
    return decisions, divided


def chosen_images(
    table: ImageTable, *, manifest: bool, split: bool, fold: int | None
) -> tuple[ImageTable, ImageTable | None, list[str]]:
    """Training images and, where there is a split, those that validate; and what was used, in sentences."""
    from eyeshot.core import InputError
    from eyeshot.data import use_decisions, use_split

    decisions, divided = project_files(manifest=manifest, split=split)
    if fold is not None and divided is None:
        raise InputError(f"--fold {fold} needs a split. Make one: eyeshot split.")
    notes: list[str] = []
    if decisions is not None:
        table, done = use_decisions(table, decisions)
        notes += done
    if divided is None:
        return table, None, notes
    rows, done = use_split(table, divided, fold=fold)
    notes += done
    if rows is None:
        return table, None, notes
    return table.take(rows[0]), table.take(rows[1]), notes


def read_manifest(table: ImageTable, decisions: Decisions) -> Manifest:
    """The images after decisions; what a person should know goes to standard error."""
    from eyeshot.data import compute_manifest

    manifest = compute_manifest(table, decisions)
    for note in manifest.notes:
        typer.echo(f"- {note}", err=True)
    return manifest


def cover_data(
    train: Path | None,
    test: Path | None,
    *,
    manifest: bool,
    split: bool,
    fold: int | None,
    labels: Path | None,
    path_column: str | None,
    label_column: str | None,
    image_root: Path | None,
) -> tuple[Path, dict[str, Any]]:
    """The training folder, and the settings of `eyeshot cover` that say which images it is about.

    Raises:
        InputError: no training images, or a use of test images that the rules do not allow.
    """
    from eyeshot.core import InputError, Project, find_project

    project = find_project()
    folder: Path = project.value("train", train, needed="TRAIN must be a folder of labelled images")
    own = project if train is None else Project()
    rules = project.rules() if project.file is not None else ""
    if test is not None:
        project.check_use("features", "--test")
    elif project.test_images == "nothing" and own.data.get("test") is not None:
        rules += " The target is the validation images."
    else:
        test = own.data.get("test")
    decisions, divided = project_files(manifest=manifest, split=split)
    if fold is not None and divided is None:
        raise InputError(f"--fold {fold} needs a split. Make one: eyeshot split.")
    given = {"labels": labels, "path_column": path_column, "label_column": label_column, "image_root": image_root}
    data: dict[str, Any] = {name: own.value(name, value) for name, value in given.items()}
    return folder, {**data, "test": test, "decisions": decisions, "split": divided, "fold": fold, "rules": rules}
