"""`cover.html`: the answer, the ranking, the joint map and every candidate on one self-contained page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eyeshot.reports.page import render, write_text

if TYPE_CHECKING:
    from eyeshot.coverage.result import Cover


def write_cover_page(cover: Cover, path: Path, *, images: bool = True) -> Path:
    """Write the page of `cover` to `path`: one file, no network.

    Raises:
        StorageError: the file cannot be written.
    """
    return write_text(path, render("cover.html.j2", {"report": cover.report, "images": images}))
