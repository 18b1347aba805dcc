"""The user's own code by "package.module:attribute" or "path/to/file.py:attribute": imported, never changed."""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib
import importlib.resources
import importlib.util
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from eyeshot.core.errors import InputError

_hash_when_imported: dict[str, str] = {}


@dataclass(frozen=True)
class UserCode:
    """The attribute that a name stands for, with its origin.

    Attributes:
        value: the attribute.
        file: of its module; None where it has none.
        source: hash of that file.
        folder: where the name was looked up from, to find it again in another process.
    """

    value: Any
    file: Path | None
    source: str
    folder: Path


def load_user_code(name: str, *, label: str, folder: Path | None = None) -> UserCode:
    """The attribute that `name` stands for. A file that has changed since it was loaded here is loaded again.

    Args:
        name: "package.module:attribute", in the current folder or installed, or "path/to/file.py:attribute".
        label: how messages begin, for instance "--model my_network:make".
        folder: searched instead of the current folder.

    Raises:
        InputError: there is no such module, file or attribute, or importing it fails.
    """
    place, _, attribute = name.rpartition(":")
    folder = folder or Path.cwd()
    if not place or not attribute.isidentifier():
        raise InputError(
            f"{label}: your code is named as package.module:attribute or path/to/file.py:attribute, got {name!r}."
        )
    with importable(folder):
        module = _from_file(folder / place, label) if place.endswith(".py") else _import(place, label, folder)
    module_file = getattr(module, "__file__", None)
    file = Path(module_file) if module_file else None
    if not hasattr(module, attribute):
        near = difflib.get_close_matches(attribute, dir(module), n=3)
        raise InputError(
            f"{label}: {place!r} ({file or 'built in'}) has nothing called {attribute!r}."
            + (f" Nearest: {', '.join(near)}." if near else "")
        )
    source = _hash_when_imported.get(module.__name__) or (_hash(file) if file else "")
    return UserCode(getattr(module, attribute), file, source, folder)


def user_line(error: BaseException) -> str:
    """The last line of the user's own code that an error passed through: "my_aug.py, line 3: return 1 / 0"."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    user_frames = [frame for frame in frames if is_user_file(frame.filename)] or list(frames)
    if not user_frames:
        return "an unknown line"
    return f"{user_frames[-1].filename}, line {user_frames[-1].lineno}: {user_frames[-1].line}"


def is_user_file(file: str) -> bool:
    """Whether a file is neither Python's, nor an installed package's, nor eyeshot's."""
    if file.startswith("<"):
        return False
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _foreign_folders())


@functools.lru_cache(maxsize=1024)
def source_hash(thing: Any) -> str:
    """Hash of the file that a class or function was written in; of its own lines where it has no file."""
    try:
        file = inspect.getsourcefile(thing)
        if file is not None and Path(file).is_file():
            return _hash(Path(file))
        return hashlib.sha256(inspect.getsource(thing).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        return ""


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Modules of `folder` can be imported; installed ones of the same name come first."""
    path = str(folder)
    added = path not in sys.path
    if added:
        sys.path.append(path)
    try:
        yield
    finally:
        if added and path in sys.path:
            sys.path.remove(path)


def _import(name: str, label: str, folder: Path) -> ModuleType:
    loaded = sys.modules.get(name)
    try:
        importlib.invalidate_caches()
        module = importlib.import_module(name)
        file = getattr(module, "__file__", None)
        if file is None or not is_user_file(file) or name == "__main__":
            return module
        digest = _hash(Path(file))
        if loaded is not None and _hash_when_imported.setdefault(name, digest) != digest:
            module = importlib.reload(module)
    except (Exception, SystemExit) as error:
        raise _not_imported(name, label, folder, error) from error
    _hash_when_imported[name] = digest
    return module


def _from_file(path: Path, label: str) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise InputError(f"{label}: there is no file {str(path)!r}. Give its path from the current folder.")
    # The hash makes the name unique: an installed module may have the same stem.
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    digest = _hash(path)
    if name in sys.modules and _hash_when_imported.get(name) == digest:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{label}: {str(path)!r} must be a Python file that can be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with importable(path.parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _not_imported(str(path), label, path.parent, error) from error
    _hash_when_imported[name] = digest
    return module


def _not_imported(place: str, label: str, folder: Path, error: BaseException) -> InputError:
    message = f"{label}: the module {place!r} cannot be imported ({type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError) and error.name in (place, place.partition(".")[0]):
        return InputError(f"{message}). It must lie in the current folder, {folder}, or be installed.")
    if isinstance(error, SystemExit):
        advice = "Put the code that runs the file as a script under: if __name__ == '__main__':"
    else:
        advice = "Correct it, or install what it needs."
    return InputError(f"{message}; {user_line(error)}). {advice}")


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


@functools.cache
def _foreign_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    eyeshot = Path(str(importlib.resources.files("eyeshot")))
    return (eyeshot.resolve(), *(Path(paths[name]).resolve() for name in ("stdlib", "platstdlib")))
