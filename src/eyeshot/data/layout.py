"""What lies where in the folder of a competition: training images, labels, test images and the sample submission.

Names of folders and files are tried first, then which files the rows of a CSV name. What the user named is taken as it
is. A guess that is not clear is an error that names both readings, and every choice comes with its reason.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eyeshot.core import InputError, plural
from eyeshot.core import listing as in_words
from eyeshot.data.csv_columns import (
    LABEL_NAMES,
    CsvRows,
    UnclearError,
    alike,
    choose_labels,
    path_columns,
    path_likeness,
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
HEAD_BYTES = 4 << 20
"""Of a larger CSV file only the beginning is looked at here; the chosen file is read whole afterwards."""
FULL_SHARE = 0.9
"""Share of the images in class folders that a CSV must name before its labels replace the folders."""


def training_folder(root: Path, said: Mapping[str, Any]) -> Listing:
    """The files of the folder with the training images, found without labels; arguments and errors of `find_layout`."""
    listing = list_images(root)
    if not listing.files:
        raise InputError(_no_images(listing))
    counts = _images_below(listing)
    tables, _ = _csv_files(listing, said)
    roles = _folder_roles(listing, counts, said["test"])
    return _below(listing, _training_folder(listing, counts, roles, tables, said))


def find_layout(root: Path, said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Where the images, labels and sample submission lie in a folder.

    Args:
        root: the folder that the user named: that of a competition, or of training images alone.
        said: what the user named besides: `test`, `labels`, `path_column`, `label_column`, `image_root`, `submission`.

    Returns:
        the entries for the project's section on data, those on the submission (`file`, `id_column`, `label_columns`;
        empty if there is none), and what was taken and why, in sentences.

    Raises:
        InputError: there is no image, no label, or a guess is not clear; with what was found and what to give.
    """
    listing = list_images(root)
    if not listing.files:
        raise InputError(_no_images(listing))
    counts = _images_below(listing)
    roles = _folder_roles(listing, counts, said["test"])
    tables, reasons = _csv_files(listing, said)
    samples = _submission_files(tables, roles["test"], said)
    test = said["test"] or _test_folder(listing, roles["test"], tables, samples, reasons)
    submission = _submission(tables, samples, test, listing, said, reasons)
    train = _training_folder(listing, counts, roles, tables, said)
    inside = _below(listing, train)
    data: dict[str, Any] = {"train": train}
    labels = _labels(root, inside, tables, samples, test, submission, said, reasons, data)
    if labels is None:
        data["train"] = train = _class_folders(inside, listing, tables, samples, reasons)
    how = _training_reason(root, train, labels)
    reasons.insert(0, f"Training images: {_name(train, root)} ({how}).")
    if test is not None:
        data["test"] = test
    reasons += _left_reasons(listing, counts, roles, train, test, inside, tables, samples, said)
    return data, submission, reasons


# Folders -------------------------------------------------------------------------------------------------------------


def _role(name: str) -> str | None:
    """What a folder or file is for by the words of its name: train, test, val, or None."""
    words = _words(name)
    found = [role for role, names in ROLES.items() if any(word in names for word in words)]
    # "train_val2019" holds both, for training.
    return "train" if found[:1] == ["train"] and "test" not in found else found[0] if len(found) == 1 else None


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])", name)]


def _images_below(listing: Listing) -> Counter[str]:
    """Number of images below each folder, by the folder's id; "" is the root."""
    counts: Counter[str] = Counter()
    for file in listing.files:
        folder = file.id.rpartition("/")[0]
        while folder:
            counts[folder] += 1
            folder = folder.rpartition("/")[0]
        counts[""] += 1
    return counts


def _folder_roles(listing: Listing, counts: Counter[str], test: Path | None) -> dict[str, list[str]]:
    """The topmost folders with images for each role. Folders of classes are none, whatever their names.

    `test` is what the user named; then no other folder is that of the test images.
    """
    roles: dict[str, list[str]] = {"train": [], "test": [], "val": []}
    taken: list[str] = []
    if test is not None and test.absolute() != listing.root and test.absolute().is_relative_to(listing.root):
        taken = roles["test"] = [test.absolute().relative_to(listing.root).as_posix()]
        taken = [*taken]
    for folder in sorted(listing.folders, key=lambda folder: (folder.count("/"), folder)):
        if not counts[folder] or any(folder.startswith(f"{above}/") for above in taken):
            continue
        role = _role(folder.rpartition("/")[2])
        if folder in taken or role is None or (role == "test" and test is not None):
            continue
        if _is_class_among_classes(folder, role, listing, counts):
            continue
        roles[role].append(folder)
        taken.append(folder)
    return roles


def _is_class_among_classes(folder: str, role: str, listing: Listing, counts: Counter[str]) -> bool:
    """Whether a folder stands among two or more folders of images without a role, as "train" beside "bus" and "ship".

    Raises:
        InputError: "test" stands among them: class or test images, nobody can tell.
    """
    parent, _, name = folder.rpartition("/")
    beside = [
        other
        for other in listing.folders
        if other.rpartition("/")[0] == parent and other != folder and counts[other] and _is_flat(other, listing)
    ]
    plain_names = [other for other in beside if _role(other.rpartition("/")[2]) is None]
    roles = {_role(other.rpartition("/")[2]) for other in beside}
    if len(plain_names) < 2 or not _is_flat(folder, listing) or roles & ({"train", "test"} - {role}):
        return False
    if role == "test" and name.lower() in ROLES["test"]:
        others = in_words([repr(other.rpartition("/")[2]) for other in plain_names], most=4)
        raise InputError(
            f"It is not clear whether {name!r} in {str(listing.root / parent)!r} holds test images or is a class "
            f"beside {others}. If it holds test images, move it out of that folder and name it with --test; "
            "if it is a class, give the folder another name."
        )
    return True


def _is_flat(folder: str, listing: Listing) -> bool:
    return not any(other.startswith(f"{folder}/") for other in listing.folders)


def _below(listing: Listing, folder: Path) -> Listing:
    """The part of the listing in one folder, as if that folder had been listed."""
    if folder == listing.root:
        return listing
    prefix = folder.relative_to(listing.root).as_posix() + "/"
    cut = len(prefix)
    files = [FoundFile(f.id[cut:], f.path, f.size, f.mtime_ns) for f in listing.files if f.id.startswith(prefix)]
    return Listing(folder, files, [name[cut:] for name in listing.folders if name.startswith(prefix)])


def _training_folder(
    listing: Listing,
    counts: Counter[str],
    roles: Mapping[str, list[str]],
    tables: Mapping[Path, CsvRows],
    said: Mapping[str, Any],
) -> Path:
    """The folder with the training images: by its name, else the one that holds all images without another role."""
    start = said["image_root"]
    if start is not None and start != listing.root and start.is_relative_to(listing.root):
        return Path(start)
    trains = roles["train"]
    if len(trains) > 1:
        # Paths such as train/0.jpg say which folder they mean.
        spelled = {folder for folder in trains for table in tables.values() if _spells(table, folder)}
        if len(spelled) == 1:
            return listing.root / spelled.pop()
        names = in_words([f"{folder!r} ({counts[folder]} images)" for folder in trains])
        raise InputError(
            f"It is not clear which folder in {str(listing.root)!r} holds the training images: {names}. "
            f"Give one with its labels: eyeshot init {listing.root / trains[0]} --labels FILE.csv --test DIR."
        )
    if trains:
        return listing.root / trains[0]
    away = [*roles["test"], *roles["val"]]
    rest = [file.id for file in listing.files if not any(file.id.startswith(f"{folder}/") for folder in away)]
    if not rest:
        raise InputError(
            f"No training images were found in {str(listing.root)!r}: all {len(listing.files)} images lie in "
            f"{in_words([repr(folder) for folder in away])}. Name the folder of training images: "
            "eyeshot init TRAIN --labels FILE.csv --test DIR."
        )
    if not away:
        if said["labels"] is not None:
            return listing.root
        folders = {name.partition("/")[0] if "/" in name else "" for name in rest}
        # One folder beside the CSV files, as images/; class folders are left to the labels.
        return listing.root / folders.pop() if len(folders) == 1 else listing.root
    return listing.root / os.path.commonpath([os.path.dirname(name) for name in rest])


def _spells(table: CsvRows, folder: str) -> bool:
    """Whether the paths of a table begin with the folder, or with its last name."""
    columns = path_columns(table, None)
    starts = tuple(f"{name}/" for name in (folder, folder.rpartition("/")[2]))
    return any(
        table.column(name)[0].replace("\\", "/").removeprefix("./").startswith(starts)
        for name in columns
        if path_likeness(name) == path_likeness(columns[0])
    )


def _class_folders(
    inside: Listing, listing: Listing, tables: Mapping[Path, CsvRows], samples: Sequence[Path], reasons: list[str]
) -> Path:
    """The folder that holds the class folders, below others with a single folder if need be.

    Raises:
        InputError: the images lie in no class folders, or the folders are nested and may not be the classes.
    """
    prefix = ""
    while True:
        names = [file.id.removeprefix(prefix) for file in inside.files]
        folders = {name.partition("/")[0] for name in names if "/" in name}
        if any("/" not in name for name in names) or len(folders) != 1:
            break
        prefix += folders.pop() + "/"
    folder = inside.root / prefix if prefix else inside.root
    if len(folders) < 2:
        raise InputError(_no_labels(folder, [file.id for file in inside.files], listing, tables, samples))
    nested = sum(name.count("/") > 1 for name in names)
    described = sorted(path for path in _files(listing.root, (".json",)) if _role(path.stem) != "test")
    if nested > len(names) / 2:
        inner = {name.split("/")[1] for name in names if name.count("/") > 1}
        if described:
            raise InputError(
                f"It is not clear what the classes in {str(folder)!r} are: {len(folders)} folders hold {len(inner)} "
                f"folders, and the labels may stand in {_name(described[0], listing.root)}. JSON is not read. Write a "
                "CSV with columns path and label from it and give it with --labels."
            )
        reasons.append(
            f"Classes are the {len(folders)} folders in {_name(folder, listing.root)}; the {len(inner)} folders inside "
            "them are not classes."
        )
    return folder


# CSV files -----------------------------------------------------------------------------------------------------------


def _files(root: Path, endings: Sequence[str]) -> Iterator[Path]:
    """Files with these endings in the folder and a few levels below, in a fixed order; hidden files are passed over."""
    for folder, folders, names in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < DEEPEST_CSV else []
        for name in sorted(names):
            if name.lower().endswith(tuple(endings)) and not name.startswith("."):
                yield Path(folder, name)


def _csv_files(listing: Listing, said: Mapping[str, Any]) -> tuple[dict[Path, CsvRows], list[str]]:
    """The CSV files near the images, and notes on those that cannot be read; those that the user named must be."""
    tables: dict[Path, CsvRows] = {}
    notes = []
    for file in list(_files(listing.root, CSV_ENDINGS))[:MOST_CSVS]:
        try:
            tables[file] = read_csv(file, most_bytes=HEAD_BYTES, least_columns=1)
        except InputError as error:
            notes.append(f"{_name(file, listing.root)} is not used. {error}")
    for name in ("labels", "submission"):
        if said[name] is not None and said[name] not in tables:
            tables[said[name]] = read_csv(said[name], most_bytes=HEAD_BYTES)
    return tables, notes


def _submission_files(
    tables: Mapping[Path, CsvRows], test_folders: Sequence[str], said: Mapping[str, Any]
) -> list[Path]:
    """CSV files that show what to submit or list the test images, the sample submission first."""
    if said["submission"] is not None:
        return [said["submission"], *(file for file in tables if _role(file.stem) == "test")]
    samples: list[Path] = []
    submissions: list[Path] = []
    tests: list[Path] = []
    for file in tables:
        words = _words(file.stem)
        joined = "".join(words)
        if file == said["labels"]:
            continue
        if any(word in joined for word in SUBMISSIONS):
            (samples if any(word in joined for word in SAMPLES) else submissions).append(file)
        elif _role(file.stem) == "test" or any(part in file.as_posix() for part in _in_test(test_folders)):
            tests.append(file)
    return [*samples, *submissions, *tests]


def _in_test(test_folders: Sequence[str]) -> list[str]:
    return [f"/{folder}/" for folder in test_folders]


def _submission(
    tables: Mapping[Path, CsvRows],
    files: Sequence[Path],
    test: Path | None,
    listing: Listing,
    said: Mapping[str, Any],
    reasons: list[str],
) -> dict[str, Any]:
    """Path, id column and label columns of the sample submission; empty, with a reason, if it is not clear."""
    shown = [file for file in files if any(word in "".join(_words(file.stem)) for word in SUBMISSIONS)]
    samples = [file for file in shown if any(word in "".join(_words(file.stem)) for word in SAMPLES)]
    # A list of test images with one more column that never changes is what AI Stages gives.
    lists = [file for file in files if file not in shown and _has_constant_column(tables[file])]
    for candidates in ([said["submission"]] if said["submission"] is not None else [], samples, shown, lists):
        if len(candidates) > 1:
            names = in_words([_name(file, listing.root) for file in candidates])
            reasons.append(f"Sample submission: none taken, because {names} may be it. Name it with --submission.")
            return {}
        if candidates:
            break
    else:
        reasons.append("Sample submission: none found.")
        return {}
    file = candidates[0]
    table = tables[file]
    column, why = table.columns[0], "the first column"
    if test is not None:
        try:
            target = list_images(test)
            column = find_paths(table, file, Lookup(target), image_roots(file, target))[0]
            why = "it names test images"
        except InputError:
            pass
    labels = [name for name in table.columns if name != column]
    reasons.append(
        f"Sample submission: {_name(file, listing.root)}, ids in column {column!r} ({why}), answers in "
        f"{plural(len(labels), 'column')} {in_words([repr(name) for name in labels])}."
    )
    return {"file": file, "id_column": column, "label_columns": labels}


def _has_constant_column(table: CsvRows) -> bool:
    return len(table.columns) > 1 and any(len(set(table.column(name))) == 1 for name in table.columns[1:])


def _test_folder(
    listing: Listing, folders: Sequence[str], tables: Mapping[Path, CsvRows], files: Sequence[Path], reasons: list[str]
) -> Path | None:
    """The folder of test images: by its name; of several, the one whose images the sample submission names."""
    if len(folders) == 1:
        count = sum(file.id.startswith(f"{folders[0]}/") for file in listing.files)
        reasons.append(
            f"Test images: {_name(listing.root / folders[0], listing.root)} (by its name; {count} "
            f"{plural(count, 'file')})."
        )
        return listing.root / folders[0]
    if not folders:
        return None
    named = []
    for folder in folders:
        inside = _below(listing, listing.root / folder)
        for file in files[:1]:
            try:
                find_paths(tables[file], file, Lookup(inside), image_roots(file, inside))
            except InputError:
                continue
            named.append(folder)
    if len(named) == 1:
        reasons.append(
            f"Test images: {_name(listing.root / named[0], listing.root)} ({_name(files[0], listing.root)} names them)."
        )
        return listing.root / named[0]
    raise InputError(
        f"It is not clear which folder in {str(listing.root)!r} holds the test images: "
        f"{in_words([repr(folder) for folder in folders])}. Name it with --test."
    )


# Labels --------------------------------------------------------------------------------------------------------------


def _labels(
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
    reasons.append(f"Labels: {_name(file, root)} ({why}).")
    if len(tables) and len(wanted) == 1 and reading["labels"] == tuple(wanted):
        reasons.append(f"Label column: {wanted[0]!r}, as in the sample submission.")
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
    return _role(file.stem) == "train" or any(word in LABEL_FILES for word in _words(file.stem))


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
    if len(label_of) < FULL_SHARE * len(inside.files):
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


# Reasons and errors --------------------------------------------------------------------------------------------------


def _training_reason(root: Path, train: Path, labels: str | None) -> str:
    if train == root:
        return "the folder that you named" + ("" if labels else ", which holds the class folders")
    how = "by its name" if _role(train.name) == "train" else "the only folder of images without another role"
    return how if labels else f"{how}; its folders are the classes"


def _left_reasons(
    listing: Listing,
    counts: Counter[str],
    roles: Mapping[str, list[str]],
    train: Path,
    test: Path | None,
    inside: Listing,
    tables: Mapping[Path, CsvRows],
    files: Sequence[Path],
    said: Mapping[str, Any],
) -> list[str]:
    """What was not taken: validation folders, other folders of images, test images among the training images."""
    reasons = []
    if test is None:
        reasons.append(_no_test(inside, tables, files, listing.root))
    for folder in roles["val"]:
        reasons.append(
            f"Validation images: {_name(listing.root / folder, listing.root)} ({counts[folder]} images) is not stored; "
            f"give it to eyeshot train and eyeshot rank augmentations as --val {listing.root / folder}."
        )
    used = [place for place in (train, test) if place is not None]
    used += [listing.root / folder for folder in roles["val"]]
    left = {
        folder: counts[folder]
        for folder in listing.folders
        if "/" not in folder
        and counts[folder]
        and not any(_touch(listing.root / folder, place.absolute()) for place in used)
    }
    if left:
        names = in_words([f"{folder!r} ({count} images)" for folder, count in left.items()])
        reasons.append(f"Not used: {names}.")
    return reasons


def _touch(first: Path, second: Path) -> bool:
    return first.is_relative_to(second) or second.is_relative_to(first)


def _no_test(inside: Listing, tables: Mapping[Path, CsvRows], files: Sequence[Path], root: Path) -> str:
    """That there is no test folder; and that test images lie among the training images, if a list of them says so."""
    for file in files:
        try:
            lookup = Lookup(inside)
            column, rule, _ = find_paths(tables[file], file, lookup, image_roots(file, inside))
        except InputError:
            continue
        count = sum(isinstance(lookup.find(cell, rule), FoundFile) for cell in set(tables[file].column(column)))
        return (
            f"Test images: none taken. {_name(file, root)} names {count} test images that lie among the training "
            f"images in {_name(inside.root, root)}. They are not trained on. To use them, copy them into a folder "
            "outside it and give --test DIR."
        )
    return "Test images: no folder found. If there is one, give it with --test."


def _no_images(listing: Listing) -> str:
    packed = [end for end in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar") if listing.others[end]]
    message = f"{str(listing.root)!r} must hold images, and holds no file that is one by its name."
    if listing.others:
        endings = in_words([f"{ending} ({count})" for ending, count in listing.others.most_common(5)])
        message += f" Its files end in {endings}."
    if packed:
        return f"{message} Unpack the archives first."
    if listing.others:
        return f"{message} Only image files are read: write the images out as PNG or JPEG, one file per image."
    return f"{message} Check the path."


def _no_labels(
    folder: Path, names: Sequence[str], listing: Listing, tables: Mapping[Path, CsvRows], files: Sequence[Path]
) -> str:
    message = f"No labels were found for the {len(names)} images in {str(folder)!r}: no class folders"
    others = [_name(file, listing.root) for file in tables if file not in files]
    shown = [_name(file, listing.root) for file in files]
    message += f", and {in_words(others)} {plural(len(others), 'does', 'do')} not name them" if others else ", no CSV"
    if shown:
        message += f" ({in_words(shown)} {plural(len(shown), 'is', 'are')} about test images)"
    starts = Counter(start for name in names if (start := name_label(name)))
    if 2 <= len(starts) <= len(names) / 2 and starts.total() == len(names):
        said = in_words([f"{start!r} ({count})" for start, count in starts.most_common()], most=4)
        return (
            f"{message}. The file names begin with {said}: if these are the classes, write that down: "
            "--labels-from-names."
        )
    described = sorted(_files(listing.root, (".json",)))
    if described:
        return (
            f"{message}. {_name(described[0], listing.root)} may hold them, and JSON is not read: write a CSV with "
            "columns path and label from it and give it with --labels."
        )
    return f"{message}. Sort them into class folders, or give a CSV with columns path and label: --labels FILE.csv."


def name_label(name: str) -> str:
    """The label in a file's name: what stands before the last number, as "cat" in cat.12.jpg; "" if nothing does."""
    stem = os.path.splitext(name.rpartition("/")[2])[0]
    match = re.fullmatch(r"(.*?[^\W\d_].*?)[\W_]*\d+", stem)
    return match.group(1) if match else ""


def _name(path: Path, root: Path) -> str:
    """A path in quotes, relative to the folder if it lies in it."""
    return repr(path.relative_to(root).as_posix() if path != root and path.is_relative_to(root) else str(path))
