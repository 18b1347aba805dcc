"""The images of a command or public function: its arguments, with the project's settings as defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eyeshot.core import Progress, find_project, project_file
from eyeshot.data.config import DataConfig
from eyeshot.data.dataset import check_data
from eyeshot.data.decisions import DECISIONS_FILE
from eyeshot.data.listing import has_no_class_folders
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
