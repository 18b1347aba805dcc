"""Which CSV file in the folder of a competition holds the labels, and which is the sample submission."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eyeshot.core import DEFAULT_FOLDER, InputError, plural
from eyeshot.core import listing as in_words
from eyeshot.data.csv_columns import (
    LABEL_NAMES,
    CsvRows,
    UnclearError,
    alike,
    choose_labels,
    path_columns,
    plain,
)
from eyeshot.data.labels_csv import Lookup, Rule, collect, find_paths, image_roots, read_csv
from eyeshot.data.listing import FoundFile, Listing, list_images

ROLES = {
    "train": ("train", "training", "trainset", "trn", "학습", "훈련"),
    "test": ("test", "testing", "testset", "tst", "eval", "evaluation", "테스트", "평가"),
    "val": ("val", "valid", "validation", "dev", "검증"),
}
SUBMISSIONS = ("submission", "submissions", "submit", "제출")
SAMPLES = ("sample", "example", "샘플")
LABEL_FILES = ("label", "labels", "groundtruth", "ground", "truth", "annotations", "metadata", "list")
CSV_ENDINGS = (".csv", ".tsv")
DEEPEST_CSV = 3  # folders below the root that are searched for CSV files
MOST_CSVS = 40
HEAD_BYTES = 16 << 20
"""Of a larger CSV file only the beginning is looked at here; the chosen file is read whole afterwards."""
FULL_SHARE = 0.9
"""Share of the images in class folders that a CSV must name before its labels replace the folders."""


def role_of(name: str) -> str | None:
    """What a folder or file is for by the words of its name: train, test, val, or None."""
    words = words_of(name)
    found = [role for role, names in ROLES.items() if any(word in names for word in words)]
    # "train_val2019" holds both, for training.
    return "train" if found[:1] == ["train"] and "test" not in found else found[0] if len(found) == 1 else None


def words_of(name: str) -> list[str]:
    """The words of a file's or folder's name in small letters: "trainLabels_2" gives train and labels."""
    return [word.lower() for word in re.findall(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])", name)]


def quoted(path: Path, root: Path) -> str:
    """A path in quotes, relative to the folder if it lies in it."""
    return repr(path.relative_to(root).as_posix() if path != root and path.is_relative_to(root) else str(path))


# CSV files -----------------------------------------------------------------------------------------------------------


def files_ending(root: Path, endings: Sequence[str]) -> Iterator[Path]:
    """Files with these endings in the folder and a few levels below, in a fixed order; none hidden or eyeshot's own."""
    for folder, folders, names in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = (
            sorted(name for name in folders if not name.startswith(".") and name != DEFAULT_FOLDER)
            if depth < DEEPEST_CSV
            else []
        )
        for name in sorted(names):
            if name.lower().endswith(tuple(endings)) and not name.startswith("."):
                yield Path(folder, name)


def csv_files(listing: Listing, said: Mapping[str, Any]) -> tuple[dict[Path, CsvRows], list[str]]:
    """The CSV files near the images, and notes on those that cannot be read; those that the user named must be."""
    tables: dict[Path, CsvRows] = {}
    notes = []
    for file in list(files_ending(listing.root, CSV_ENDINGS))[:MOST_CSVS]:
        try:
            tables[file] = read_csv(file, most_bytes=HEAD_BYTES, least_columns=1)
        except InputError as error:
            notes.append(f"{quoted(file, listing.root)} is not used. {error}")
    for name in ("labels", "submission"):
        if said[name] is not None and said[name] not in tables:
            tables[said[name]] = read_csv(said[name], most_bytes=HEAD_BYTES)
    return tables, notes


def submission_files(
    tables: Mapping[Path, CsvRows], test_folders: Sequence[str], said: Mapping[str, Any]
) -> list[Path]:
    """CSV files that show what to submit or list the test images, the sample submission first."""
    if said["submission"] is not None:
        return [said["submission"], *(file for file in tables if role_of(file.stem) == "test")]
    samples: list[Path] = []
    submissions: list[Path] = []
    tests: list[Path] = []
    for file in tables:
        words = words_of(file.stem)
        joined = "".join(words)
        if file == said["labels"]:
            continue
        if any(word in joined for word in SUBMISSIONS):
            (samples if any(word in joined for word in SAMPLES) else submissions).append(file)
        elif role_of(file.stem) == "test" or any(part in file.as_posix() for part in _in_test(test_folders)):
            tests.append(file)
    return [*samples, *submissions, *tests]


def _in_test(test_folders: Sequence[str]) -> list[str]:
    return [f"/{folder}/" for folder in test_folders]


def sample_submission(
    tables: Mapping[Path, CsvRows],
    files: Sequence[Path],
    test: Path | None,
    listing: Listing,
    said: Mapping[str, Any],
    reasons: list[str],
) -> dict[str, Any]:
    """Path, id column and label columns of the sample submission; empty, with a reason, if it is not clear."""
    shown = [file for file in files if any(word in "".join(words_of(file.stem)) for word in SUBMISSIONS)]
    samples = [file for file in shown if any(word in "".join(words_of(file.stem)) for word in SAMPLES)]
    # A list of test images with one more column that never changes is what AI Stages gives.
    lists = [file for file in files if file not in shown and _has_constant_column(tables[file])]
    for candidates in ([said["submission"]] if said["submission"] is not None else [], samples, shown, lists):
        if len(candidates) > 1:
            names = in_words([quoted(file, listing.root) for file in candidates])
            reasons.append(f"Sample submission: none taken, because {names} may be it. Name it with --submission.")
            return {}
        if candidates:
            break
    else:
        reasons.append("Sample submission: none found.")
        return {}
    file = candidates[0]
    table = tables[file]
    ids = path_columns(table, None)
    column, why = (ids[0], "its cells are ids") if ids else (table.columns[0], "the first column")
    if test is not None:
        try:
            target = list_images(test)
            column = find_paths(table, file, Lookup(target), image_roots(file, target))[0]
            why = "it names test images"
        except InputError:
            pass
    labels = [name for name in table.columns if name != column]
    reasons.append(
        f"Sample submission: {quoted(file, listing.root)}, ids in column {column!r} ({why}), answers in "
        f"{plural(len(labels), 'column')} {in_words([repr(name) for name in labels])}."
    )
    return {"file": file, "id_column": column, "label_columns": labels}


def _has_constant_column(table: CsvRows) -> bool:
    return len(table.columns) > 1 and any(len(set(table.column(name))) == 1 for name in table.columns[1:])


# Labels --------------------------------------------------------------------------------------------------------------


def find_labels(
    root: Path,
    inside: Listing,
    tables: Mapping[Path, CsvRows],
    not_labels: Sequence[Path],
    test: Path | None,
    submission: Mapping[str, Any],
    said: Mapping[str, Any],
    reasons: list[str],
    data: dict[str, Any],
) -> str | None:
    """Put the CSV of labels and its columns into `data`; returns its name, or None if class folders hold the labels.

    Raises:
        InputError: several CSV files may hold the labels, or CSV file and class folders contradict each other.
    """
    wanted = submission.get("label_columns", ())
    readings: dict[Path, dict[str, Any]] = {}
    without_files: list[InputError] = []
    without_labels: list[InputError] = []
    candidates = [said["labels"]] if said["labels"] is not None else [f for f in tables if f not in not_labels]
    for file in candidates:
        lookup = Lookup(inside)
        starts = image_roots(file, inside) if said["image_root"] is None else [said["image_root"]]
        try:
            paths = find_paths(tables[file], file, lookup, starts, said["path_column"], said["label_column"])
        except InputError as error:
            without_files += [error] if _is_named_for_labels(file) or file == said["labels"] else []
            continue
        try:
            readings[file] = _read(tables[file], file, lookup, paths, said["label_column"], wanted)
        except InputError as error:
            without_labels.append(error)
    if not readings:
        problems = [*without_labels, *without_files]
        unclear = [error for error in problems if isinstance(error, UnclearError)]
        # Beside class folders a CSV may be about something else; without them it must hold the labels.
        if problems and (unclear or said["labels"] is not None or not _has_class_folders(inside)):
            raise [*unclear, *problems][0]
        return None
    file = _one_of(readings, inside.root)
    reading = readings[file]
    if said["labels"] is None:
        _check_test(tables[file], file, reading, test)
        _check_folders(file, reading, inside)
    data |= {"labels": file}
    if not reading["headless"]:
        data["path_column"] = reading["column"]
        if not any("," in name for name in reading["labels"]):
            data["label_column"] = ",".join(reading["labels"])
    if reading["rule"].is_plain and reading["rule"].root != inside.root:
        data["image_root"] = reading["rule"].root
    if said["image_root"] is not None:
        data["image_root"] = said["image_root"]
    why = "as you said" if said["labels"] is not None else f"its rows name {len(reading['label_of'])} of these images"
    reasons.append(f"Labels: {quoted(file, root)} ({why}).")
    if len(tables) and len(wanted) == 1 and reading["labels"] == tuple(wanted):
        reasons.append(f"Label column: {wanted[0]!r}, as in the sample submission.")
    elif (
        len(wanted) == 1
        and said["label_column"] is None
        and wanted[0] in {*tables[file].columns} - {data.get("path_column")}
    ):
        reasons.append(
            f"Label column: {reading['labels'][0]!r}; {wanted[0]!r}, as in the sample submission, numbers the classes."
        )
    return file.name


def _read(
    table: CsvRows,
    file: Path,
    lookup: Lookup,
    paths: tuple[str, Rule, bool],
    label_column: str | None,
    wanted: Sequence[str],
) -> dict[str, Any]:
    """How a CSV labels the images: its columns, its rule, and the label of each file."""
    column, rule, headless = paths
    rows = table.without_header() if headless else table
    labels = choose_labels(rows, file, column, label_column, wanted)
    labelled, _, _ = collect(rows, column, labels, lookup, rule, file.name)
    label_of = {found.path: label for found, label in labelled}
    if len(set(label_of.values())) < 2:
        raise InputError(
            f"The labels must be of at least 2 classes, but {file.name!r} gives the {len(label_of)} images that it "
            f"names the label {', '.join(map(repr, set(label_of.values()))) or 'none'}."
        )
    return {"column": column, "rule": rule, "headless": headless, "labels": labels, "label_of": label_of}


def _is_named_for_labels(file: Path) -> bool:
    return role_of(file.stem) == "train" or any(word in LABEL_FILES for word in words_of(file.stem))


def _one_of(readings: Mapping[Path, dict[str, Any]], root: Path) -> Path:
    """The CSV with the labels: one named for it goes first; of several with the same labels, the one with most rows.

    Raises:
        InputError: two give different labels.
    """
    named = [file for file in readings if _is_named_for_labels(file)]
    files = sorted(named or readings, key=lambda file: (-len(readings[file]["label_of"]), len(file.name), file))
    first = readings[files[0]]["label_of"]
    for other in files[1:]:
        second = readings[other]["label_of"]
        both = first.keys() & second.keys()
        if not alike([first[path] for path in sorted(both)], [second[path] for path in sorted(both)]):
            raise InputError(
                f"It is not clear which file holds the labels of the images in {str(root)!r}: {str(files[0])!r} and "
                f"{str(other)!r} give different labels. Say which with --labels."
            )
    return files[0]


def _check_test(table: CsvRows, file: Path, reading: Mapping[str, Any], test: Path | None) -> None:
    """Raise an error if a CSV that is not named for labels names the test images as well as the training images."""
    if test is None or _is_named_for_labels(file):
        return
    target = list_images(test)
    try:
        column, rule, headless = find_paths(table, file, Lookup(target), image_roots(file, target))
    except InputError:
        return
    lookup = Lookup(target)
    cells = set((table.without_header() if headless else table).column(column))
    found = sum(isinstance(lookup.find(cell, rule), FoundFile) for cell in cells)
    if 2 * found >= len(reading["label_of"]):
        raise InputError(
            f"It is not clear whether {str(file)!r} labels the training images or the test images: its rows name "
            f"{len(reading['label_of'])} of the training images and {found} in {str(test)!r}. If it holds the labels "
            f"of the training images, say so: --labels {file}."
        )


def _has_class_folders(inside: Listing) -> bool:
    return len({file.id.partition("/")[0] for file in inside.files if "/" in file.id}) > 1


def _check_folders(file: Path, reading: Mapping[str, Any], inside: Listing) -> None:
    """Raise an error if the images lie in class folders that contradict the CSV, or if it leaves many of them out."""
    label_of = reading["label_of"]
    folder_of = {found.path: found.id.partition("/")[0] for found in inside.files if "/" in found.id}
    if not _has_class_folders(inside) or not label_of:
        return
    if len(label_of) < FULL_SHARE * len(inside.files) and file.stat().st_size <= HEAD_BYTES:
        what = f"names {len(label_of)} of {len(inside.files)} images"
    else:
        named = len(reading["labels"]) > 1 or plain(reading["labels"][0]) in LABEL_NAMES
        paths = sorted(label_of)
        same = alike([folder_of.get(path, "") for path in paths], [label_of[path] for path in paths])
        if same or named:
            return
        what = f"divides the images by column {reading['labels'][0]!r} in another way than the folders"
    raise InputError(
        f"It is not clear what the labels of the images in {str(inside.root)!r} are: they lie in "
        f"{len(set(folder_of.values()))} folders, and {str(file)!r} {what}. For the CSV: --labels {file}. For the "
        f"folders: eyeshot init {inside.root} --test DIR."
    )
