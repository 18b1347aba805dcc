"""The images of a project: `init()` writes down where they are, later commands read them from there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eyeshot.core import (
    SETTINGS_FILE,
    USES,
    InputError,
    Progress,
    TestUse,
    find_project,
    find_workspace,
    project_file,
    shown_progress,
    write_project,
)
from eyeshot.data.dataset import DataConfig, check_data
from eyeshot.data.decisions import DECISIONS_FILE
from eyeshot.data.listing import check_apart, has_no_class_folders
from eyeshot.data.split import SPLIT_FILE
from eyeshot.data.table import ImageTable, read_images


def project_data(
    train: str | Path | None,
    test: str | Path | None = None,
    *,
    use_test: bool = False,
    decisions: bool | str | Path = True,
    split: bool | str | Path = True,
    fold: int | None = None,
    val: str | Path | None = None,
    val_share: float | None = 0.2,
    seed: int = 0,
    **columns: Any,
) -> DataConfig:
    """The data configuration of a call in this project, checked as far as possible without reading images.

    Args:
        train, test: the folders of the call; None: those of the project.
        use_test: read test images; None for `test` means those of the project.
        decisions, split: True: the project's file if it exists; False: none; a path: this file.
        fold, val, val_share, seed: see `DataConfig`.
        **columns: `labels`, `path_column`, `label_column`, `image_root`.

    Raises:
        InputError: there are no training images, the rules forbid this use of test images, or as `check_data`.
    """
    project = find_project()
    sources = project.sources(train, test, **columns)
    rules = project.rules() if use_test and project.file is not None else ""
    if test is not None:
        project.check_use("features", "--test" if use_test else "--match-test")
    elif not use_test:
        sources["test"] = None
    elif project.test_images == "nothing" and sources["test"] is not None:
        rules += " The target is the validation images."
        sources["test"] = None
    config = DataConfig(
        **sources,
        val=None if val is None else Path(val),
        val_share=val_share,
        decisions=project_file(decisions, DECISIONS_FILE),
        split=None if val is not None else project_file(split, SPLIT_FILE),
        fold=fold,
        seed=seed,
        rules=rules,
    )
    check_data(config)
    return config


def read_labelled(sources: Mapping[str, Any], *, cache: Path, progress: Progress, flat_too: bool = False) -> ImageTable:
    """The training images of `Project.sources` as they are in the files: before decisions, without roles.

    Args:
        sources: the result of `Project.sources`.
        cache: folder of cached hashes and headers.
        progress: called with the number of files read.
        flat_too: accept a folder without class folders and without a CSV as unlabelled images.

    Raises:
        InputError: as `read_images`.
    """
    folder, labels = sources["train"], sources["labels"]
    return read_images(
        folder,
        labels=labels,
        path_column=sources["path_column"],
        label_column=sources["label_column"],
        image_root=sources["image_root"],
        labelled=not (flat_too and labels is None and has_no_class_folders(folder)),
        cache=cache,
        progress=progress.sub("reading training files"),
    )


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
