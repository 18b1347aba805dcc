"""What several commands need: the training images, the decisions about them, and the manifest of both."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from eyeshot.core import Progress, Project
    from eyeshot.data import DataConfig, DecisionLog, Decisions, ImageTable, Manifest

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
    from eyeshot.auditing import is_flat
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
            labelled=not (flat_too and labels is None and is_flat(folder)),
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


def read_manifest(table: ImageTable, decisions: Decisions) -> Manifest:
    """The images after decisions; what a person should know goes to standard error."""
    from eyeshot.data import compute_manifest

    manifest = compute_manifest(table, decisions)
    for note in manifest.notes:
        typer.echo(f"- {note}", err=True)
    return manifest


def data_config(
    train: Path | None,
    test: Path | None = None,
    *,
    use_test: bool = False,
    manifest: bool = True,
    decisions: Path | None = None,
    split: bool = True,
    fold: int | None = None,
    val: Path | None = None,
    val_share: float | None = 0.2,
    seed: int = 0,
    labels: Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: Path | None = None,
) -> DataConfig:
    """Which images a command is about: what was typed and, where nothing was, what the project says.

    Args:
        train, test: folders that were typed.
        use_test: the command reads test images: those of the project where none were typed.
        manifest, split: use the project's decisions and split, where they are there.
        decisions: a file of decisions in the place of the project's.

    Raises:
        InputError: no training images, or a use of test images that the rules do not allow.
    """
    from eyeshot.core import Project, find_project
    from eyeshot.data import DataConfig

    project = find_project()
    folder: Path = project.value("train", train, needed="TRAIN must be a folder of labelled images")
    # A folder of another kind than the project's must not be read with the project's CSV.
    own = project if train is None else Project()
    rules = project.rules() if use_test and project.file is not None else ""
    if test is not None:
        project.check_use("features", "--test")
    elif use_test and project.test_images == "nothing" and own.data.get("test") is not None:
        rules += " The target is the validation images."
    elif use_test:
        test = own.data.get("test")
    own_decisions, divided = project_files(manifest=manifest, split=split)
    return DataConfig(
        train=folder, test=test, val=val, val_share=val_share, decisions=decisions or own_decisions,
        split=None if val is not None else divided, fold=fold, seed=seed, rules=rules,
        labels=own.value("labels", labels), path_column=own.value("path_column", path_column),
        label_column=own.value("label_column", label_column), image_root=own.value("image_root", image_root),
    )  # fmt: skip
