"""A document as one HTML page in the style of all pages; Korean letters are in the file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from eyeshot.reports.document import Document, texts_of
from eyeshot.reports.formats.fonts import woff_of
from eyeshot.reports.page import render, write_text


def write_html(document: Document, path: Path) -> Path:
    """Write the page.

    Raises:
        StorageError: the file cannot be written.
    """
    return write_text(path, html_of(document))


def html_of(document: Document) -> str:
    """The page as a text: one file that needs no network."""
    sections: list[dict[str, Any]] = []
    for block in document["blocks"]:
        if block["kind"] == "heading" and block["level"] == 1:
            sections.append({"title": block["text"], "anchor": block["anchor"], "blocks": []})
            continue
        if not sections:
            sections.append({"title": "", "anchor": "beginning", "blocks": []})
        shown: dict[str, Any] = dict(block)
        if block["kind"] == "figure":
            # As an image, not as a part of the page: ids and styles of several pictures would mix.
            shown["source"] = (
                address(block["svg"].encode("utf-8"), "svg+xml") if block["svg"] else address(block["png"], "png")
            )
        sections[-1]["blocks"].append(shown)
    return render(
        "wrapup.html.j2",
        {"document": document, "sections": sections, "font": _data(woff_of(texts_of(document)), "font/woff")},
    )


def address(data: bytes, kind: str) -> str:
    """A picture as a data address."""
    return _data(data, f"image/{kind}")


def _data(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}" if data else ""
