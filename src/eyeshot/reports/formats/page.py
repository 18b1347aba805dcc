"""A document as one HTML page in the style of all pages; Korean letters are in the file."""

from __future__ import annotations

import base64
import io
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eyeshot.reports.document import Document
from eyeshot.reports.formats.fonts import korean_fonts
from eyeshot.reports.page import render, write_text

IMAGE = "data:image/{};base64,{}"
HANGUL = re.compile("[\u1100-\u11ff\u3000-\u303f\u3130-\u318f\uac00-\ud7af]")
"""Korean letters and their punctuation; the page's style names the same ranges."""


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
        {"document": document, "sections": sections, "font": embedded_font(_texts(document))},
    )


def address(data: bytes, kind: str) -> str:
    """A picture as a data address."""
    return IMAGE.format(kind, base64.b64encode(data).decode("ascii")) if data else ""


def _texts(document: Document) -> Iterable[str]:
    yield document["title"] + document["subtitle"]
    for block in document["blocks"]:
        match block["kind"]:
            case "table":
                yield block["caption"] + "".join(block["columns"])
                yield from (cell["text"] for row in block["rows"] for cell in row)
                yield from (link["text"] for row in block["rows"] for cell in row for link in cell.get("links", []))
            case "figure":
                yield block["caption"] + block["alt"]
            case _:
                yield block["text"]


def embedded_font(texts: Iterable[str]) -> str:
    """Noto Sans KR with just the Korean signs of `texts`, as a data address; empty where the font is not installed.

    A reader's machine nearly always has Korean fonts of its own, so the page is whole without it.
    """
    files = korean_fonts()
    signs = {ord(sign) for text in texts for sign in HANGUL.findall(text)}
    if not files or not signs:
        return ""
    from fontTools import subset, ttLib

    logging.getLogger("fontTools").setLevel(logging.ERROR)
    options = subset.Options(
        flavor="woff", layout_features=[], hinting=False, notdef_outline=True, name_IDs=[1, 2, 13, 14]
    )
    font = ttLib.TTFont(files[0])
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=signs)
    cutter.subset(font)
    font.flavor = "woff"
    stored = io.BytesIO()
    font.save(stored)
    return f"data:font/woff;base64,{base64.b64encode(stored.getvalue()).decode('ascii')}"
