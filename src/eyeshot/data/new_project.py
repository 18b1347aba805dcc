"""`init()`: writes the project file, so that later commands need no arguments."""

from __future__ import annotations

from pathlib import Path

from eyeshot.core import (
    SETTINGS_FILE,
    USES,
    InputError,
    Progress,
    TestUse,
    find_workspace,
    shown_progress,
    write_project,
)
from eyeshot.data.listing import check_apart
from eyeshot.data.table import ImageTable, read_images


def init(
    train: str | Path,
    test: str | Path | None = None,
    *,
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    test_images: TestUse = "features",
    force: bool = False,
    progress: Progress | bool | None = None,
) -> ImageTable:
    """Write a commented eyeshot.toml in the current folder, which names the images and the rules for test images.

    Args:
        train: folder of labelled images.
        test: folder of test images.
        labels: CSV with paths and labels, instead of class folders.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        test_images: what the rules allow on test images: nothing, features, pseudo-labels or hand-labels.
        force: overwrite an existing eyeshot.toml.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.

    Returns:
        the labelled images; they are read now, so that a wrong folder or CSV is reported now.

    Raises:
        InputError: a folder or the CSV cannot be used, or eyeshot.toml exists already.
        StorageError: the file cannot be written.
    """
    file = Path(SETTINGS_FILE)
    train, test = Path(train), None if test is None else Path(test)
    if file.exists() and not force:
        raise InputError(f"This folder already has an {SETTINGS_FILE}. Edit it, or overwrite it with --force.")
    if test_images not in USES:
        raise InputError(f"--test-images must be one of {', '.join(USES)}, got {test_images!r}.")
    for name, folder in (("TRAIN", train), ("--test", test)):
        if folder is not None and not folder.is_dir():
            raise InputError(
                f"{name} must be a folder of images, got {str(folder)!r}, which is not a folder. Check the path."
            )
    if test is not None:
        check_apart(train, test)
    places = {"train": train, "test": test, "labels": labels, "image_root": image_root}
    data = {name: _relative(Path(place)) for name, place in places.items() if place is not None}
    columns = {"path_column": path_column, "label_column": label_column}
    data |= {name: text for name, text in columns.items() if text is not None}
    with shown_progress(progress) as report_progress:
        table = read_images(
            train,
            labels=None if labels is None else Path(labels),
            path_column=path_column,
            label_column=label_column,
            image_root=None if image_root is None else Path(image_root),
            cache=find_workspace().cache,
            progress=report_progress.sub("reading training files"),
        )
    write_project(file, data=data, test_images=test_images)
    return table


def _relative(path: Path) -> str:
    """The path relative to the current folder, with forward slashes, if it is inside; otherwise absolute."""
    full = path.expanduser().absolute()
    here = Path.cwd()
    return full.relative_to(here).as_posix() or "." if full.is_relative_to(here) else str(full)
