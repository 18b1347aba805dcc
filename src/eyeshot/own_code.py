"""The user's own code by "package.module:attribute" or "path/to/file.py:attribute": found, run, never changed."""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib
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

from eyeshot.errors import InputError

_hash_when_imported: dict[str, str] = {}


@dataclass(frozen=True)
class OwnCode:
    """What a name stands for.

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


def load_own_code(name: str, *, told_as: str, folder: Path | None = None) -> OwnCode:
    """The attribute that `name` stands for. A file that has changed since it was loaded here is loaded again.

    Args:
        name: "package.module:attribute", in the current folder or installed, or "path/to/file.py:attribute".
        told_as: how messages begin, for instance "--model my_network:make".
        folder: searched in the place of the current folder.

    Raises:
        InputError: there is no such module, file or attribute, or importing it fails.
    """
    place, _, attribute = name.rpartition(":")
    folder = folder or Path.cwd()
    if not place or not attribute.isidentifier():
        raise InputError(
            f"{told_as}: own code is named as package.module:attribute or path/to/file.py:attribute, got {name!r}."
        )
    with importable(folder):
        module = _from_file(folder / place, told_as) if place.endswith(".py") else _import(place, told_as, folder)
    written_in = getattr(module, "__file__", None)
    file = Path(written_in) if written_in else None
    if not hasattr(module, attribute):
        near = difflib.get_close_matches(attribute, dir(module), n=3)
        raise InputError(
            f"{told_as}: {place!r} ({file or 'built in'}) has nothing called {attribute!r}."
            + (f" Nearest: {', '.join(near)}." if near else "")
        )
    source = _hash_when_imported.get(module.__name__) or (_hash(file) if file else "")
    return OwnCode(getattr(module, attribute), file, source, folder)


def user_line(error: BaseException) -> str:
    """The last line of the user's own code that an error passed through: "my_aug.py, line 3: return 1 / 0"."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if is_own_file(frame.filename)] or list(frames)
    return f"{theirs[-1].filename}, line {theirs[-1].lineno}: {theirs[-1].line}" if theirs else "an unknown line"


def is_own_file(file: str) -> bool:
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
    here = str(folder)
    added = here not in sys.path
    if added:
        sys.path.append(here)
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


def _import(name: str, told_as: str, folder: Path) -> ModuleType:
    loaded = sys.modules.get(name)
    try:
        importlib.invalidate_caches()
        module = importlib.import_module(name)
        file = getattr(module, "__file__", None)
        if file is None or not is_own_file(file) or name == "__main__":
            return module
        now = _hash(Path(file))
        if loaded is not None and _hash_when_imported.setdefault(name, now) != now:
            module = importlib.reload(module)
    except (Exception, SystemExit) as error:
        raise _not_imported(name, told_as, folder, error) from error
    _hash_when_imported[name] = now
    return module


def _from_file(path: Path, told_as: str) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise InputError(f"{told_as}: there is no file {str(path)!r}. Give its path from the current folder.")
    # Under a name of its own: an installed module may have the same one.
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    now = _hash(path)
    if name in sys.modules and _hash_when_imported.get(name) == now:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{told_as}: {str(path)!r} must be a Python file that can be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with importable(path.parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _not_imported(str(path), told_as, path.parent, error) from error
    _hash_when_imported[name] = now
    return module


def _not_imported(place: str, told_as: str, folder: Path, error: BaseException) -> InputError:
    what = f"{told_as}: the module {place!r} cannot be imported ({type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError) and error.name in (place, place.partition(".")[0]):
        return InputError(f"{what}). It must lie in the current folder, {folder}, or be installed.")
    if isinstance(error, SystemExit):
        advice = "Put what the file does when it is run under: if __name__ == '__main__':"
    else:
        advice = "Correct it, or install what it needs."
    return InputError(f"{what}; {user_line(error)}). {advice}")


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


@functools.cache
def _foreign_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return (Path(__file__).resolve().parent, *(Path(paths[name]).resolve() for name in ("stdlib", "platstdlib")))
