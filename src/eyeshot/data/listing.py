"""Finds the image files below a folder. Unusable files are reported with a reason and never end a run."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from eyeshot.core import DEFAULT_FOLDER, InputError, full_path, plural
from eyeshot.data.decoding import formats, os_reason

SYSTEM_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini", "ehthumbs.db"})
SYSTEM_FOLDERS = frozenset({"__macosx", "$recycle.bin", "system volume information", "@eadir"})
# Extensions of images that Pillow may not open: such files are reported as skipped, not ignored.
FOREIGN_ENDINGS = frozenset({".heic", ".heif", ".avif", ".jxl"})


@dataclass(frozen=True)
class Skipped:
    """A file that was left out.

    Attributes:
        path: the file, or the text in the labels CSV if there is no such file.
        reason: why, in a few words, the same for all files with the same problem.
        content: xxh3_128 of the bytes, to which decisions refer; empty if they were not read.
    """

    path: str
    reason: str
    content: str = field(default="", compare=False)


def printable(path: str) -> str:
    """The path with bytes that are not valid Unicode escaped, so it can be written to any text file."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def count_reasons(skipped: Iterable[Skipped]) -> dict[str, int]:
    """Number of skipped files for each reason, the most frequent first."""
    return dict(Counter(file.reason for file in skipped).most_common())


def say_reasons(skipped: Iterable[Skipped]) -> str:
    """The counts as a phrase for messages: `3 × empty file, 1 × truncated`."""
    return ", ".join(f"{count} × {reason}" for reason, count in count_reasons(skipped).items())


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that is an image by its name.

    Attributes:
        id: path relative to the folder, with forward slashes.
        path: path to open it.
        size: bytes.
        mtime_ns: time of the last change.
    """

    id: str
    path: str
    size: int
    mtime_ns: int


@dataclass
class Listing:
    """The files below a folder.

    Attributes:
        root: the folder.
        files: image files, sorted by id.
        folders: ids of all visited folders, sorted.
        skipped: files and folders that cannot be used.
        hidden: number of hidden and system files and folders that were ignored.
        others: number of files with an extension that is not an image's, by extension.
    """

    root: Path
    files: list[FoundFile] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    hidden: int = 0
    others: Counter[str] = field(default_factory=Counter)

    def notes(self) -> list[str]:
        """Notes on what was ignored."""
        notes = []
        if self.hidden:
            notes.append(f"Hidden or system files and folders ignored in {self.root.name!r}: {self.hidden}.")
        if self.others:
            endings = ", ".join(f"{ending} ({count})" for ending, count in self.others.most_common(5))
            notes.append(
                f"Files ignored in {self.root.name!r}, because their extensions are not those of images: {endings}."
            )
        return notes


def image_endings() -> frozenset[str]:
    """File extensions of images, in lower case with the dot."""
    read = set(formats())
    return FOREIGN_ENDINGS | {end for end, name in Image.registered_extensions().items() if name in read}


def check_folder(folder: Path, *, role: str) -> Path:
    """`folder` as an absolute path.

    Raises:
        InputError: it does not exist, is not a folder, or cannot be listed.
    """
    if not folder.exists():
        raise InputError(
            f"{role} must be an existing folder, got {str(folder)!r}, which does not exist. Check the path."
        )
    if not folder.is_dir():
        raise InputError(f"{role} must be a folder, got the file {str(folder)!r}. Give the folder that contains it.")
    try:
        with os.scandir(folder) as inside:
            next(inside, None)
    except OSError as error:
        raise InputError(f"{role} must be a readable folder, got {str(folder)!r}: {os_reason(error)}.") from error
    return full_path(folder)


def has_no_class_folders(folder: Path) -> bool:
    """Whether the folder has no visible subfolder. False if it cannot be read; the caller reports that later."""
    try:
        with os.scandir(folder) as entries:
            return not any(entry.is_dir() and not entry.name.startswith(".") for entry in entries)
    except OSError:
        return False


def class_folders(folder: Path) -> list[str]:
    """Names of the folders directly below `folder`, as `read_images` names classes; some may hold no usable image.

    Raises:
        InputError: the folder cannot be listed.
    """
    with os.scandir(check_folder(folder, role="The image folder")) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and not _is_hidden(entry.name)]
    return sorted(unicodedata.normalize("NFC", name) for name in names if name != DEFAULT_FOLDER)


def check_apart(training: Path, target: Path) -> None:
    """Check that neither folder contains the other; otherwise training images would count as target images.

    Raises:
        InputError: they are the same folder, or one is inside the other.
    """
    training_path, target_path = training.resolve(), target.resolve()
    if _same(training_path, target_path):
        raise InputError(f"Training and target must be different folders, got {str(target)!r} for both.")
    for inner, outer, words in (
        (target_path, training_path, "the target lies inside the training folder"),
        (training_path, target_path, "the training folder lies inside the target"),
    ):
        if any(_same(parent, outer) for parent in inner.parents):
            raise InputError(
                f"Training and target must lie apart, but {words}: {str(inner)!r} in {str(outer)!r}. "
                "Move one of them, or give another folder."
            )


def note_links(paths: Sequence[str], training: Path) -> list[str]:
    """A note on test images that links lead to in the training folder: links are followed, so both sides have them.

    Args:
        paths: of the test images.
        training: the training folder.
    """
    training_path = os.path.realpath(training)
    folders = {folder: os.path.realpath(folder) for folder in {os.path.dirname(path) for path in paths}}
    count = 0
    for path in paths:
        folder = folders[os.path.dirname(path)]
        real = os.path.realpath(path) if os.path.islink(path) else os.path.join(folder, os.path.basename(path))
        count += _inside(real, training_path)
    if not count:
        return []
    return [
        f"{count} of {len(paths)} test {plural(len(paths), 'image')} {plural(count, 'is a link', 'are links')} to "
        f"training images below {str(training)!r}: links are followed, so they count as test images too. Remove the "
        "links if this is not meant."
    ]


def list_images(root: Path) -> Listing:
    """All image files below `root`, also in subfolders; links are followed, loops are not.

    Hidden and system files are ignored and counted; files without an extension are treated as images. What eyeshot
    itself wrote into `eyeshot-out` below `root` is passed over: it holds copies, pictures and names of runs.
    """
    listing = Listing(root)
    endings = image_endings()
    real_root = os.path.realpath(root)
    # Each entry: the folder's id, its path, and the real folders above it, to detect a link that leads back up.
    waiting: list[tuple[str, str, tuple[str, ...]]] = [("", os.fspath(root), (real_root,))]
    while waiting:
        prefix, folder, above = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                children = list(entries)
        except OSError as error:
            listing.skipped.append(Skipped(printable(folder), f"folder {os_reason(error)}"))
            continue
        for entry in children:
            name = prefix + entry.name
            if entry.name == DEFAULT_FOLDER:
                continue
            if _is_hidden(entry.name):
                listing.hidden += 1
                continue
            try:
                is_folder = entry.is_dir()
                if not is_folder:
                    _add_file(listing, entry, name, endings)
                    continue
                real = plain = os.path.join(above[-1], entry.name)
                if entry.is_symlink() or os.name == "nt":  # Windows junctions are not reported as links
                    real = os.path.realpath(entry.path)
            except OSError as error:
                reason = "broken link" if entry.is_symlink() else os_reason(error)
                listing.skipped.append(Skipped(printable(entry.path), reason))
                continue
            # A link may lead back up or into the tree; such a folder is read only once, at its real place.
            strays = real != plain or not _inside(above[-1], real_root)
            if real in above or (strays and _inside(real, real_root)):
                listing.skipped.append(Skipped(printable(entry.path), "link to a folder that is read anyway"))
                continue
            listing.folders.append(name)
            waiting.append((name + "/", entry.path, (*above, real)))
    listing.files.sort(key=lambda file: file.id)
    listing.folders.sort()
    listing.skipped.sort(key=lambda file: file.path)
    return listing


def describe_file(path: str, name: str) -> FoundFile | Skipped:
    """The file at `path` with its size and time, or why it cannot be used."""
    try:
        state = os.stat(path)
    except OSError as error:
        return Skipped(printable(path), "broken link" if os.path.islink(path) else os_reason(error))
    if not stat.S_ISREG(state.st_mode):  # opening a named pipe would block forever
        return Skipped(printable(path), "not a regular file")
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return Skipped(printable(path), "name is not valid Unicode")
    return FoundFile(name, path, state.st_size, state.st_mtime_ns)


def _add_file(listing: Listing, entry: os.DirEntry[str], name: str, endings: frozenset[str]) -> None:
    ending = os.path.splitext(entry.name)[1].lower()
    if ending and ending not in endings:
        listing.others[printable(ending)] += 1
        return
    file = describe_file(entry.path, name)
    if isinstance(file, FoundFile):
        listing.files.append(file)
    else:
        listing.skipped.append(file)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FILES or name.lower() in SYSTEM_FOLDERS


def _inside(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)


def _same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:
        return first == second
