"""`export_manifest()`: the images that remain after decisions, for other programs: a CSV file, or a folder of links or
file copies. Originals stay in place.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from eyeshot.core import (
    InputError,
    Progress,
    StorageError,
    check_output,
    find_project,
    find_workspace,
    make_folder,
    plural,
    project_file,
    replacing,
    shown_progress,
)
from eyeshot.data.decision_edits import bad_lines
from eyeshot.data.decisions import DECISIONS_FILE, DecisionLog, Decisions
from eyeshot.data.duplicates import load_small
from eyeshot.data.listing import Skipped, say_reasons
from eyeshot.data.manifest import Manifest, compute_manifest
from eyeshot.data.project import read_labelled
from eyeshot.data.split import SPLIT_FILE, read_split

# Characters that some system forbids in folder names, and names that Windows reserves for devices.
FORBIDDEN = re.compile(r'[\x00-\x1f<>:"/\\|?*%]|[. ]$|^\.')
DEVICES = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
NO_LABEL = "unlabelled"
MOST_NAME_BYTES = 255


@dataclass(frozen=True, eq=False)
class ExportedManifest:
    """The result of an export.

    Attributes:
        manifest: the remaining images.
        n_images: number of images before decisions, those that cannot be decoded included.
        n_decisions: number of active decisions.
        split: the split file whose parts are in the CSV; None without a split.
        unusable: files that are left out because they cannot be used, with reasons.
        linked: "links" or "copies", whichever was made; None if no folder was requested.
        notes: what a person should know, in sentences.
    """

    manifest: Manifest
    n_images: int
    n_decisions: int
    split: Path | None
    unusable: tuple[Skipped, ...]
    linked: str | None
    notes: tuple[str, ...]


def export_manifest(
    train: str | Path | None = None,
    *,
    csv: str | Path | None = None,
    links: str | Path | None = None,
    copies: bool = False,
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    decisions: bool | str | Path = True,
    split: bool | str | Path = True,
    progress: Progress | bool | None = None,
) -> ExportedManifest:
    """Export the cleaned images for another program: a CSV file, a folder of links or file copies, or both.

    Every image is decoded once, because files that cannot be decoded would end the other program; they are left out.

    Args:
        train: folder of images; None: the folder in eyeshot.toml.
        csv: file to write: path, label, id, label in the files, content and, with a split, the part.
        links: new or empty folder that gets one folder of links per class; originals stay in place.
        copies: copy the files instead of linking.
        labels: CSV with paths and labels.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        decisions: True: apply the project's decisions.jsonl if it exists; or the file to apply.
        split: True: write the parts of the project's split.json if it exists; or the file to use.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.

    Raises:
        InputError: there is nothing to write, or a folder or file cannot be used.
        StorageError: the disk is full, or a file cannot be written.
    """
    if csv is None and links is None:
        raise InputError("Nothing to write: give --csv FILE, --links DIR or both.")
    if copies and links is None:
        raise InputError("--copies needs --links DIR, got no --links. Add it.")
    sources = find_project().sources(
        train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root
    )
    log, divided = project_file(decisions, DECISIONS_FILE), project_file(split, SPLIT_FILE)
    parts_of = None if divided is None or csv is None else read_split(divided)
    with shown_progress(progress) as report_progress:
        table = read_labelled(sources, cache=find_workspace().cache, progress=report_progress, flat_too=True)
        pixels = load_small(table, cache=find_workspace().cache, progress=report_progress.sub("decoding images"))
        unusable = (*table.skipped, *pixels.skipped)
        n_images, table = len(table), table.take(pixels.rows)
        if not len(table):
            raise InputError(
                f"The cleaned set needs images that can be decoded, and of the {n_images} below "
                f"{str(sources['train'])!r} none can: {say_reasons(unusable)}. See eyeshot audit."
            )
        stored_decisions = Decisions() if log is None else DecisionLog(log).read()
        manifest = compute_manifest(table, stored_decisions)
        if csv is not None:
            parts = None
            if parts_of is not None:
                parts = [None if part is None else str(part) for part in parts_of.of(manifest.table)]
            write_csv(manifest, Path(csv), parts=parts)
        linked = None
        if links is not None:
            report_progress(0, 0, "linking files")
            linked = write_links(manifest, Path(links), sources=(sources["train"],), copies=copies)
    return ExportedManifest(
        manifest=manifest,
        n_images=n_images,
        n_decisions=len(stored_decisions.active),
        split=None if parts_of is None else divided,
        unusable=unusable,
        linked=linked,
        notes=(*_say_unusable(unusable), *bad_lines(stored_decisions), *manifest.notes),
    )


def _say_unusable(unusable: Sequence[Skipped]) -> list[str]:
    if not unusable:
        return []
    count = len(unusable)
    return [
        f"{count} {plural(count, 'file', 'files')} cannot be used and {plural(count, 'is', 'are')} left out: "
        f"{say_reasons(unusable)}."
    ]


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
    """A name of at most 255 bytes that is not used yet, also where case and Unicode form do not count."""
    stem, ending = os.path.splitext(name)
    number, free = 1, _short(stem, ending)
    while (key := unicodedata.normalize("NFC", free).casefold()) in used_names:
        number += 1
        free = _short(stem, f"-{number}{ending}")
    used_names.add(key)
    return free


def _short(stem: str, ending: str) -> str:
    room = MOST_NAME_BYTES - len(ending.encode("utf-8"))
    return stem.encode("utf-8")[: max(room, 0)].decode("utf-8", "ignore") + ending


def _links_allowed(folder: Path) -> bool:
    try:
        os.symlink(folder, folder / "link")
    except (OSError, NotImplementedError):  # Windows without the right to create links, and some file systems
        return False
    return True
