"""The images of a project: `init()` writes down where they are, later commands read them from there."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import replace
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
    full_path,
    project_file,
    replacing,
    shown_progress,
    write_project,
)
from eyeshot.data.config import DataConfig
from eyeshot.data.dataset import check_data
from eyeshot.data.decisions import DECISIONS_FILE
from eyeshot.data.layout import find_layout, name_label, training_folder
from eyeshot.data.listing import Listing, check_apart, has_no_class_folders
from eyeshot.data.split import SPLIT_FILE
from eyeshot.data.table import ImageTable, read_images

NAMES_FILE = "labels-from-names.csv"


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
        flat_too: accept a folder without class folders and without a CSV as unlabelled images, and a single class.

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
        minimum_classes=1 if flat_too else 2,
        cache=cache,
        progress=progress.sub("reading training files"),
    )


def init(
    root: str | Path,
    test: str | Path | None = None,
    *,
    labels: str | Path | None = None,
    labels_from_names: bool = False,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    submission: str | Path | None = None,
    test_images: TestUse = "features",
    force: bool = False,
    progress: Progress | bool | None = None,
) -> ImageTable:
    """Write a commented eyeshot.toml in the current folder, which names the images and the rules for test images.

    Args:
        root: folder of labelled images, or the folder of a competition, in which training images, labels, test images
            and sample submission are found; what was taken, and why, is in the notes of the result.
        test: folder of test images; None: found in `root`.
        labels: CSV with paths and labels, instead of class folders; None: found in `root`.
        labels_from_names: the label is what stands before the number in the file name, as in cat.12.jpg; writes
            labels-from-names.csv in the current folder.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        submission: sample submission; None: found in `root`.
        test_images: what the rules allow on test images: nothing, features, pseudo-labels or hand-labels.
        force: overwrite an existing eyeshot.toml.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.

    Returns:
        the labelled images; they are read now, so that a wrong folder or CSV is reported now.

    Raises:
        InputError: a folder or the CSV cannot be used, it is not clear what is meant, or eyeshot.toml exists already.
        StorageError: the file cannot be written.
    """
    file = Path(SETTINGS_FILE)
    if file.exists() and not force:
        raise InputError(f"This folder already has an {SETTINGS_FILE}. Edit it, or overwrite it with --force.")
    if test_images not in USES:
        raise InputError(f"--test-images must be one of {', '.join(USES)}, got {test_images!r}.")
    for name, folder in (("ROOT", root), ("--test", test)):
        if folder is not None and not Path(folder).is_dir():
            raise InputError(
                f"{name} must be a folder of images, got {str(folder)!r}, which is not a folder. Check the path."
            )
    if labels is not None and labels_from_names:
        raise InputError("--labels-from-names replaces --labels, got both. Leave one of them out.")
    places = {"test": test, "labels": labels, "image_root": image_root, "submission": submission}
    said: dict[str, Any] = {name: None if place is None else full_path(place) for name, place in places.items()}
    said |= {"path_column": path_column, "label_column": label_column}
    folder = full_path(root)
    with shown_progress(progress) as report_progress:
        report_progress(0, 0, "looking for images and labels")
        names_file = Path(NAMES_FILE).absolute()
        if labels_from_names:
            if names_file.exists() and not force:
                raise InputError(f"This folder already has a {NAMES_FILE}. Use it: --labels {NAMES_FILE}.")
            inside = training_folder(folder, said)
            text = _labels_from_names(inside)
            with replacing(names_file) as temporary:
                temporary.write_text(text, encoding="utf-8")
            said |= {"labels": names_file, "path_column": "path", "label_column": "label", "image_root": inside.root}
        data, answers, reasons = find_layout(folder, said)
        if data.get("test") is not None:
            check_apart(data["train"], data["test"])
        table = read_images(
            data["train"],
            labels=data.get("labels"),
            path_column=data.get("path_column"),
            label_column=data.get("label_column"),
            image_root=data.get("image_root"),
            cache=find_workspace().cache,
            progress=report_progress.sub("reading training files"),
        )
    outside = not any(Path(place).is_absolute() for place in (root, *places.values()) if place is not None)
    data, answers = (_written(entries, outside=outside) for entries in (data, answers))
    write_project(file, data=data, submission=answers, test_images=test_images)
    return replace(table, notes=(*reasons, *table.notes))


def _labels_from_names(inside: Listing) -> str:
    """A CSV of path and label, the label being what stands before the number in each file name.

    Raises:
        InputError: a name has no label, or all have the same.
    """
    labels = [(file.id, name_label(file.id)) for file in inside.files]
    for name, label in labels:
        if not label:
            raise InputError(
                f"--labels-from-names needs names with a label before a number, as cat.12.jpg, got {name!r}. Give the "
                "labels as a CSV with columns path and label: --labels FILE.csv."
            )
    classes = {label for _, label in labels}
    if len(classes) < 2:
        raise InputError(
            f"--labels-from-names needs names that begin with at least 2 labels, got {', '.join(map(repr, classes))} "
            f"for all {len(labels)} images. Give the labels as a CSV: --labels FILE.csv."
        )
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows([("path", "label"), *labels])
    return lines.getvalue()


def _written(entries: Mapping[str, Any], *, outside: bool) -> dict[str, Any]:
    """The entries as they are written: paths with forward slashes, relative if they lie in the current folder.

    `outside`: other paths are relative too, because the user typed no absolute path.
    """
    here = Path.cwd()
    written = dict(entries)
    for name, value in entries.items():
        if isinstance(value, Path):
            shared = outside and value.anchor == here.anchor
            near = value.is_relative_to(here) or shared
            written[name] = Path(os.path.relpath(value, here)).as_posix() if near else str(value)
    return written
