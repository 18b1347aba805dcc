"""Where a project's files lie, and how they are written so that a kill leaves no half file."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eyeshot.core.errors import StorageError

SETTINGS_FILE = "eyeshot.toml"
DEFAULT_FOLDER = "eyeshot-out"
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
        """The folder of what people write and share: eyeshot.toml, decisions, the split."""
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


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a whole file or none: yields a temporary path beside `path`, moved over it on success.

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
        temporary.unlink(missing_ok=True)


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
