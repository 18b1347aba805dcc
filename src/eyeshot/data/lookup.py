"""Find the file that a cell of a labels CSV means."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from eyeshot.data.listing import FoundFile, Listing, describe_file, image_endings
from eyeshot.data.skipped import Skipped

COMMON_ENDINGS = (".jpg", ".jpeg", ".png", ".JPEG", ".JPG", ".PNG", ".webp", ".bmp", ".tif", ".tiff", ".gif")


@dataclass(frozen=True)
class Rule:
    """How cells become paths; the same for every row of a CSV, so that no row finds a stranger's file.

    Attributes:
        root: folder that the paths are relative to.
        dropped: how many leading folders of each cell are cut off.
        by_name: the cell is just a name, wherever below the root the file lies.
    """

    root: Path
    dropped: int = 0
    by_name: bool = False

    def describe(self) -> str:
        """The rule in words."""
        where = f"image root {str(self.root)!r}"
        if self.by_name:
            return f"{where}, files found by their names in any subfolder"
        if self.dropped:
            return f"{where}, the first {self.dropped} folders of each path cut off"
        return where


class Lookup:
    """Finds files among those of a listing, and beyond it on the disk."""

    def __init__(self, listing: Listing) -> None:
        self._root = listing.root
        self._endings = image_endings()
        self._by_path = {_normal(file.path): file for file in listing.files}
        self._by_bare = _unique((self._bare(_normal(file.path)), file) for file in listing.files)
        names = [(_normal(file.id.rpartition("/")[2]), file) for file in listing.files]
        self._by_name = _unique([*names, *((self._bare(name), file) for name, file in names)])

    def find(self, cell: str, rule: Rule) -> FoundFile | Skipped:
        """The file that `cell` means, or why there is none."""
        text = "/".join(cell.replace("\\", "/").removeprefix("./").split("/")[rule.dropped :])
        if not text:
            return Skipped(cell, "not found")
        if rule.by_name:
            found = self._by_name.get(_normal(text), Skipped(cell, "not found"))
        else:
            found = self._find_path(cell, os.path.normpath(os.path.join(rule.root, text)))
        if found is None:
            return Skipped(cell, "name fits several files")
        return found

    def _find_path(self, cell: str, path: str) -> FoundFile | Skipped | None:
        normal = _normal(path)
        if normal in self._by_path:
            return self._by_path[normal]
        if normal in self._by_bare:
            return self._by_bare[normal]
        if os.path.lexists(path) and not os.path.isdir(path):
            return describe_file(path, path)
        # An id without an ending; below the listed folder the listing has answered already.
        if not Path(path).is_relative_to(self._root) and os.path.splitext(path)[1] not in self._endings:
            for ending in COMMON_ENDINGS:
                if os.path.isfile(path + ending):
                    return describe_file(path + ending, path + ending)
        return Skipped(cell, "not found")

    def _bare(self, path: str) -> str:
        """The path without the ending of an image; other dots belong to the name."""
        stem, ending = os.path.splitext(path)
        return stem if ending.lower() in self._endings else path


def _normal(path: str) -> str:
    """One spelling per path: letters composed (macOS stores Korean decomposed), the system's case."""
    return os.path.normcase(unicodedata.normalize("NFC", path))


def _unique(pairs: Iterable[tuple[str, FoundFile]]) -> dict[str, FoundFile | None]:
    """The file of each key; None where several files have it."""
    found: dict[str, FoundFile | None] = {}
    for key, file in pairs:
        found[key] = file if found.get(key, file) == file else None
    return found
