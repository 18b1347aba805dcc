"""What lies where in the folder of a competition: training images, labels, test images and the sample submission.

Names of folders and files are tried first, then which files the rows of a CSV name. What the user named is taken as it
is. A guess that is not clear is an error that names both readings, and every choice comes with its reason.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eyeshot.core import InputError, plural
from eyeshot.core import listing as in_words
from eyeshot.data.csv_columns import (
    CsvRows,
    path_columns,
    path_likeness,
)
from eyeshot.data.labels_csv import Lookup, find_paths, image_roots
from eyeshot.data.layout_csv import (
    ROLES,
    csv_files,
    files_ending,
    find_labels,
    quoted,
    role_of,
    sample_submission,
    submission_files,
)
from eyeshot.data.listing import FoundFile, Listing, list_images


def training_folder(root: Path, said: Mapping[str, Any]) -> Listing:
    """The files of the folder with the training images, found without labels; arguments and errors of `find_layout`."""
    listing = list_images(root)
    if not listing.files:
        raise InputError(_no_images(listing))
    counts = _images_below(listing)
    tables, _ = csv_files(listing, said)
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
    tables, reasons = csv_files(listing, said)
    samples = submission_files(tables, roles["test"], said)
    test = said["test"] or _test_folder(listing, roles["test"], tables, samples, reasons)
    submission = sample_submission(tables, samples, test, listing, said, reasons)
    train = _training_folder(listing, counts, roles, tables, said)
    inside = _below(listing, train)
    data: dict[str, Any] = {"train": train}
    labels = find_labels(root, inside, tables, samples, test, submission, said, reasons, data)
    if labels is None:
        data["train"] = train = _class_folders(inside, listing, tables, samples, reasons)
    how = _training_reason(root, train, labels)
    reasons.insert(0, f"Training images: {quoted(train, root)} ({how}).")
    if said["test"] is not None:
        reasons.insert(1, f"Test images: {quoted(said['test'], root)} (the folder that you named).")
    if test is not None:
        data["test"] = test
    reasons += _left_reasons(listing, counts, roles, train, test, inside, tables, samples, said)
    return data, submission, reasons


# Folders -------------------------------------------------------------------------------------------------------------


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
        role = role_of(folder.rpartition("/")[2])
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
    plain_names = [other for other in beside if role_of(other.rpartition("/")[2]) is None]
    roles = {role_of(other.rpartition("/")[2]) for other in beside}
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
    described = sorted(path for path in files_ending(listing.root, (".json",)) if role_of(path.stem) != "test")
    if nested > len(names) / 2:
        inner = {name.split("/")[1] for name in names if name.count("/") > 1}
        if described:
            raise InputError(
                f"It is not clear what the classes in {str(folder)!r} are: {len(folders)} folders hold {len(inner)} "
                f"folders, and the labels may stand in {quoted(described[0], listing.root)}. JSON is not read. Write a "
                "CSV with columns path and label from it and give it with --labels."
            )
        reasons.append(
            f"Classes are the {len(folders)} folders in {quoted(folder, listing.root)}; the {len(inner)} folders "
            "inside them are not classes."
        )
    return folder


def _test_folder(
    listing: Listing, folders: Sequence[str], tables: Mapping[Path, CsvRows], files: Sequence[Path], reasons: list[str]
) -> Path | None:
    """The folder of test images: by its name; of several, the one whose images the sample submission names."""
    if len(folders) == 1:
        count = sum(file.id.startswith(f"{folders[0]}/") for file in listing.files)
        reasons.append(
            f"Test images: {quoted(listing.root / folders[0], listing.root)} (by its name; {count} "
            f"{plural(count, 'file')})."
        )
        return listing.root / folders[0]
    if not folders:
        return None
    named = []
    for name in folders:
        inside = _below(listing, listing.root / name)
        for file in files[:1]:
            try:
                find_paths(tables[file], file, Lookup(inside), image_roots(file, inside))
            except InputError:
                continue
            named.append(name)
    if len(named) == 1:
        folder = listing.root / named[0]
        reasons.append(f"Test images: {quoted(folder, listing.root)} ({quoted(files[0], listing.root)} names them).")
        return folder
    raise InputError(
        f"It is not clear which folder in {str(listing.root)!r} holds the test images: "
        f"{in_words([repr(folder) for folder in folders])}. Name it with --test."
    )


# Reasons and errors --------------------------------------------------------------------------------------------------


def _training_reason(root: Path, train: Path, labels: str | None) -> str:
    if train == root:
        return "the folder that you named" + ("" if labels else ", which holds the class folders")
    how = "by its name" if role_of(train.name) == "train" else "the only folder of images without another role"
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
            f"Validation images: {quoted(listing.root / folder, listing.root)} ({counts[folder]} images) is not "
            f"stored; give it to eyeshot train and eyeshot rank augmentations as --val {listing.root / folder}."
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
            f"Test images: none taken. {quoted(file, root)} names {count} test images that lie among the training "
            f"images in {quoted(inside.root, root)}. They are not trained on. To use them, copy them into a folder "
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
    others = [quoted(file, listing.root) for file in tables if file not in files]
    shown = [quoted(file, listing.root) for file in files]
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
    described = sorted(files_ending(listing.root, (".json",)))
    if described:
        return (
            f"{message}. {quoted(described[0], listing.root)} may hold them, and JSON is not read: write a CSV with "
            "columns path and label from it and give it with --labels."
        )
    return f"{message}. Sort them into class folders, or give a CSV with columns path and label: --labels FILE.csv."


def name_label(name: str) -> str:
    """The label in a file's name: what stands before the last number, as "cat" in cat.12.jpg; "" if nothing does."""
    stem = os.path.splitext(name.rpartition("/")[2])[0]
    match = re.fullmatch(r"(.*?[^\W\d_].*?)[\W_]*\d+", stem)
    return match.group(1) if match else ""
