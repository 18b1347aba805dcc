"""Exports the manifest for other programs: a CSV file, or a folder of links or file copies. Originals stay in place."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from eyeshot.core import InputError, StorageError, check_output, make_folder, replacing
from eyeshot.data.decisions import Decisions
from eyeshot.data.manifest import Manifest

# Characters that some system forbids in folder names, and names that Windows reserves for devices.
FORBIDDEN = re.compile(r'[\x00-\x1f<>:"/\\|?*%]|[. ]$|^\.')
DEVICES = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
NO_LABEL = "unlabelled"


def write_csv(manifest: Manifest, file: Path, *, parts: list[str | None] | None = None) -> None:
    """Write path, label, id, original label and content key of each remaining image; `eyeshot` can read it as labels.

    Args:
        manifest: the images to write.
        file: the CSV file.
        parts: the part of the split of each image, for a column `split`.

    Raises:
        InputError: the file exists and is no such CSV.
        StorageError: the file cannot be written.
    """
    check_output(file, suffixes=(".csv",), mark=b"path,label,id,label_in_files,content")
    frame = manifest.table.frame.select(
        "path", "label", "id", pl.Series("label_in_files", manifest.given, dtype=pl.String), "content"
    )
    if parts is not None:
        frame = frame.with_columns(pl.Series("split", parts, dtype=pl.String))
    make_folder(file.absolute().parent)
    with replacing(file) as temporary:
        frame.write_csv(temporary)


def write_links(manifest: Manifest, folder: Path, *, sources: tuple[Path, ...] = (), copies: bool = False) -> str:
    """Make a folder with one subfolder per class, with links to the remaining images.

    Args:
        manifest: the images to link to.
        folder: must be new or empty, and must not lie in one of `sources`.
        sources: folders of the originals.
        copies: copy the files instead of linking; files are also copied if the system does not allow links.

    Returns:
        "links" or "copies", whichever was made.

    Raises:
        InputError: the folder is not empty, or lies among the originals.
        StorageError: the disk is full, or the folder cannot be written; nothing is left behind.
    """
    target = folder.absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            f"--links needs a new or empty folder, got {str(folder)!r}, which is not empty. Name another folder."
        )
    for source in sources:
        if target.resolve().is_relative_to(source.resolve()):
            raise InputError(
                f"--links must lie outside the images, got {str(folder)!r} in {str(source)!r}: the links would "
                "count as images. Name a folder outside it."
            )
    make_folder(target.parent)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as name:
            building = Path(name) / "set"
            building.mkdir()
            copies = copies or not _links_allowed(Path(name))
            for path, place in places(manifest):
                target_file = building / place
                target_file.parent.mkdir(exist_ok=True)
                if copies:
                    shutil.copyfile(path, target_file)
                else:
                    os.symlink(path, target_file)
            if target.exists():
                target.rmdir()
            building.rename(target)
    except OSError as error:
        raise StorageError(
            f"Cannot make {str(folder)!r}: {error.strerror or error}. Nothing was left behind; free some space or "
            "name another folder."
        ) from error
    return "copies" if copies else "links"


def write_decisions(decisions: Decisions, file: Path) -> None:
    """Write all decisions in the order in which they take effect: a table if the name ends in .csv, else JSON lines.

    Raises:
        InputError: the file exists and holds no exported decisions.
        StorageError: the file cannot be written.
    """
    is_table = file.suffix.lower() == ".csv"
    check_output(file, suffixes=(".csv", ".jsonl"), mark=b"id,time,author,kind" if is_table else b'"kind":')
    make_folder(file.absolute().parent)
    with replacing(file) as temporary:
        if file.suffix.lower() != ".csv":
            temporary.write_text("".join(f"{decision.line()}\n" for decision in decisions.stored), encoding="utf-8")
            return
        columns: dict[str, list[str]] = {
            "id": [decision.id for decision in decisions.stored],
            "time": [decision.time.isoformat() for decision in decisions.stored],
            "author": [decision.author for decision in decisions.stored],
            "kind": [decision.kind for decision in decisions.stored],
            "counts": ["no" if decision.id in decisions.undone else "yes" for decision in decisions.stored],
            "label": [decision.label or "" for decision in decisions.stored],
            "what": [decision.words() for decision in decisions.stored],
            "images": [" ".join(decision.images) for decision in decisions.stored],
            "policy": [decision.policy for decision in decisions.stored],
        }
        pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).write_csv(temporary)


def places(manifest: Manifest) -> Iterator[tuple[Path, str]]:
    """The real path of each image, and its unique place `class/name`, also on systems that ignore case."""
    frame = manifest.table.frame
    labels = frame["label"].to_list()
    folders: dict[str | None, str] = {}
    used_names: set[str] = set()
    for label in sorted(set(labels), key=lambda label: (label is None, label or "")):
        folders[label] = _free(safe_name(NO_LABEL if label is None else label), used_names)
    files: dict[str, set[str]] = {name: set() for name in folders.values()}
    for path, label in zip(frame["path"], labels, strict=True):
        name = folders[label]
        yield Path(os.path.realpath(path)), f"{name}/{_free(os.path.basename(path), files[name])}"


def safe_name(label: str) -> str:
    """A label as a folder name valid on every system; forbidden characters become % and hexadecimal digits."""
    name = FORBIDDEN.sub(lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode("utf-8")), label)
    return f"%{ord(name[0]):02X}{name[1:]}" if DEVICES.match(name) else name


def _free(name: str, used_names: set[str]) -> str:
    stem, ending = os.path.splitext(name)
    number, free = 1, name
    while free.casefold() in used_names:
        number += 1
        free = f"{stem}-{number}{ending}"
    used_names.add(free.casefold())
    return free


def _links_allowed(folder: Path) -> bool:
    try:
        os.symlink(folder, folder / "link")
    except (OSError, NotImplementedError):  # Windows without the right to create links, and some file systems
        return False
    return True
