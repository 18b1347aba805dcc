"""Which images a command or public function is about: what was given and, where nothing was, what the project says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eyeshot.core import Progress, find_project, project_file
from eyeshot.data.dataset import DataConfig, check_data
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
    """The images of a call in this project; everything about them that can be checked before a file is read, is.

    Args:
        train, test: folders that were given.
        use_test: test images are read: those of the project where none were given.
        decisions, split: True: the project's file where there is one; False: none; a path: this file.
        fold, val, val_share, seed: see `DataConfig`.
        **columns: `labels`, `path_column`, `label_column`, `image_root`.

    Raises:
        InputError: no training images, a use of test images that the rules do not allow, or as `check_data`.
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
    """The training images of `Project.sources`, as they lie in the files: before decisions, without roles.

    Args:
        sources: see there.
        cache: folder that keeps hashes and headers.
        progress: told how many files are read.
        flat_too: take a folder without class folders and without a CSV for unlabelled images.

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
