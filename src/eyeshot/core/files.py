"""Where a project's files lie, and writing them so that a kill leaves no half file."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from eyeshot.core.errors import InputError, StorageError

SETTINGS_FILE = "eyeshot.toml"
DEFAULT_FOLDER = "eyeshot-out"
AUDIT_FILE = "audit.json"
CACHE_VARIABLE = "EYESHOT_CACHE"


@dataclass(frozen=True)
class Workspace:
    """The folders of one project.

    Attributes:
        root: the folder that holds everything eyeshot writes.
        cache: decoded pixels, features and baselines; safe to delete.
    """

    root: Path
    cache: Path

    @property
    def project(self) -> Path:
        """The folder of the files that people write and share: eyeshot.toml, decisions, the split."""
        return self.root.parent

    def results(self, command: str) -> Path:
        """Default place for the results of `command`, for instance `eyeshot-out/augmentations`."""
        return self.root / command


def find_workspace(start: Path | None = None) -> Workspace:
    """The project that `start` (default: the current folder) lies in.

    The nearest parent with an `eyeshot.toml` is the project; without one it is `eyeshot-out` in the
    current folder. The environment variable EYESHOT_CACHE moves the cache, for instance to a faster disk.
    """
    here = (start or Path.cwd()).resolve()
    root = here / DEFAULT_FOLDER
    for folder in (here, *here.parents):
        if (folder / SETTINGS_FILE).is_file():
            root = folder / DEFAULT_FOLDER
            break
    moved = os.environ.get(CACHE_VARIABLE)
    return Workspace(root=root, cache=Path(moved).expanduser() if moved else root / "cache")


def shown_path(path: Path) -> str:
    """A path as it can be typed here: below this folder a relative one."""
    here, full = Path.cwd().resolve(), path.resolve()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)


def full_path(place: str | Path) -> Path:
    """The absolute path without "..", unless a link on the way gives ".." another meaning."""
    path = Path(place).absolute()
    short = Path(os.path.abspath(path))
    return short if short.exists() and path.exists() and short.samefile(path) else path


def make_folder(folder: Path) -> Path:
    """Create `folder` with its parents.

    Raises:
        StorageError: the folder cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(
            f"Results need a folder that can be written, got {str(folder)!r} ({error.strerror or error}). "
            "Name another with --out, or set EYESHOT_CACHE for the cache."
        ) from error
    return folder


def check_output(file: Path, *, suffixes: tuple[str, ...], mark: bytes) -> None:
    """Refuse to write over a file that eyeshot did not write: it may be the user's own.

    Args:
        file: to be written.
        suffixes: endings that it may have, for instance ".csv".
        mark: stands within the first 512 bytes of every such file that eyeshot writes.

    Raises:
        InputError: the file has another ending, is a folder, or exists and is not eyeshot's.
    """
    if file.suffix.lower() not in suffixes:
        raise InputError(f"The file to write must end in {' or '.join(suffixes)}, got {str(file)!r}. Name another.")
    if file.is_dir():
        raise InputError(f"The file to write must be no folder, got {str(file)!r}. Name a file in it.")
    try:
        with file.open("rb") as existing:
            begin = existing.read(512)
    except OSError:  # it does not exist, or the writing itself says what is wrong
        return
    if begin and mark not in begin:
        raise InputError(
            f"{str(file)!r} exists and was not written by this command, so it is left as it is. Name another file."
        )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a whole file or none: yields a temporary path next to `path`, which is moved over it on success.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise StorageError(
            f"Cannot write {str(path)!r}: {error.strerror or error}. "
            "Free some space or choose another folder; what was finished before is kept."
        ) from error
    finally:
        with suppress(OSError):  # of a disk that cannot be written; what went wrong is said already
            temporary.unlink(missing_ok=True)


def append_lines(file: Path, lines: Iterable[str]) -> None:
    """Add lines at the end of a file: all of them are on disk when this returns, or none is there.

    A kill leaves at most the beginning of a line; the next call ends it, so that it spoils no other.

    Raises:
        OSError: the disk is full or the file cannot be written.
    """
    data = "".join(f"{line}\n" for line in lines).encode("utf-8")
    with open(file, "ab", buffering=0) as opened:
        size = os.fstat(opened.fileno()).st_size
        try:
            if size and not _ends_a_line(file):
                data = b"\n" + data
            unwritten = memoryview(data)
            while unwritten:
                unwritten = unwritten[opened.write(unwritten) or 0 :]
            os.fsync(opened.fileno())
        except OSError:
            os.truncate(opened.fileno(), size)  # on a full disk, a part of the lines would count without the rest
            raise


def _ends_a_line(file: Path) -> bool:
    with open(file, "rb") as opened:
        opened.seek(-1, os.SEEK_END)
        return opened.read() == b"\n"


def folder_bytes(folder: Path) -> int:
    """Bytes of all files under `folder`; 0 where it does not exist."""
    if not folder.is_dir():
        return 0
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def clear_folder(folder: Path) -> int:
    """Delete `folder` and return how many bytes that freed."""
    freed = folder_bytes(folder)
    try:
        if folder.is_dir():
            shutil.rmtree(folder)
    except OSError as error:
        raise StorageError(f"Cannot empty {str(folder)!r}: {error.strerror or error}.") from error
    return freed


def cache_size() -> int:
    """Bytes of the project's cache: decoded pixels, features and baselines. See `clear_cache`."""
    return folder_bytes(find_workspace().cache)


def clear_cache() -> int:
    """Delete the project's cache, and return how many bytes that freed; the next run computes anew. Results are kept.

    Raises:
        StorageError: a file cannot be deleted.
    """
    return clear_folder(find_workspace().cache)


def check_file(file: str | Path, option: str) -> Path:
    """A file that must be there.

    Raises:
        InputError: it is not; the message names `option`.
    """
    if not Path(file).is_file():
        raise InputError(f"{option} must be a file, got {str(file)!r}, which is not a file. Check the path.")
    return Path(file)


def audit_file(audit: str | Path | None) -> Path | None:
    """`audit.json` of the audit that `--audit` names (its folder or the file) or, without the option, of the project.

    Returns:
        the file; None where nothing was named and the project has no audit.

    Raises:
        InputError: what was named holds no audit.
    """
    if audit is None:
        own = find_workspace().results("audit") / AUDIT_FILE
        return own if own.is_file() else None
    file = Path(audit) / AUDIT_FILE if Path(audit).is_dir() else Path(audit)
    if not file.is_file():
        raise InputError(
            f"--audit must be the folder of an audit or its {AUDIT_FILE}, got {str(audit)!r}. Run first: eyeshot audit."
        )
    return file


def project_file(given: bool | str | Path, name: str) -> Path | None:
    """A file of the project that is used if it exists: decisions, the split.

    Args:
        given: True: that of the project; False: none; a path: this file, which must be there.
        name: of the project's file.

    Raises:
        InputError: the file that was named is not there.
    """
    if not isinstance(given, bool):
        return check_file(given, f"--{name.partition('.')[0]}")
    file = find_workspace().project / name
    return file if given and file.is_file() else None
