"""A document as PDF, set by typst: bookmarks from headings, alternative texts, Korean letters in the file.

The document goes to typst as data, so that no text of a person is read as markup.
"""

from __future__ import annotations

import json
import re
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

from eyeshot.core import InputError, MissingExtraError, make_folder, replacing, require
from eyeshot.reports.document import Document, column_widths, texts_of
from eyeshot.reports.formats.fonts import korean_fonts
from eyeshot.reports.page import asset

EXTRA = "pdf"
PIXELS_PER_INCH = 150
FONTS = ("Noto Sans KR", "Libertinus Serif")
"""Tried in this order; for a sign that neither has, typst looks through all fonts of the machine."""
IN_NO_FONT = "\U0010fffd"
MOST_SIGNS = 12
FEW = 0.6
"""Share of the width of a page that a table of up to three columns takes."""


def write_pdf(document: Document, path: Path) -> Path:
    """Write the document.

    Raises:
        MissingExtraError: the extra `pdf` is not installed.
        StorageError: the file cannot be written.
    """
    require("typst", extra=EXTRA)
    with tempfile.TemporaryDirectory(prefix="eyeshot-") as place:
        root = Path(place)
        blocks: list[dict[str, Any]] = []
        for number, block in enumerate(document["blocks"]):
            shown: dict[str, Any] = dict(block)
            if block["kind"] == "figure":
                kind = "svg" if block["svg"] else "png"
                shown = {"kind": "figure", "caption": block["caption"], "alt": block["alt"], "file": ""}
                if block["svg"] or block["png"]:
                    shown["file"] = f"{number}.{kind}"
                    (root / shown["file"]).write_bytes(
                        drawable(block["svg"]).encode("utf-8", "replace") if block["svg"] else block["png"]
                    )
            elif block["kind"] == "table":
                shown["widths"] = column_widths(block)
                shown["share"] = FEW if len(block["columns"]) < 4 else 1.0
            blocks.append(shown)
        content = {**document, "blocks": blocks, "fonts": FONTS}
        (root / "document.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        (root / "report.typ").write_text(asset("wrapup.typ"), encoding="utf-8")
        made = _compiled(root / "report.typ", root, format="pdf")
    make_folder(path.parent)
    with replacing(path) as temporary:
        temporary.write_bytes(made)
    return path


def missing_signs(document: Document) -> list[str]:
    """Signs of a document that no font of its PDF has, in the order of their codes; typst draws a crossed box for each.

    Raises:
        MissingExtraError: the extra `pdf` is not installed.
    """
    require("typst", extra=EXTRA)
    signs = sorted({sign for text in texts_of(document) for sign in text if not sign.isascii()})
    if not signs:
        return []
    with tempfile.TemporaryDirectory(prefix="eyeshot-") as place:
        root = Path(place)
        (root / "signs.json").write_text(json.dumps({"fonts": FONTS, "signs": [IN_NO_FONT, *signs]}), encoding="utf-8")
        (root / "signs.typ").write_text(
            '#let given = json("signs.json")\n#set text(font: given.fonts)\n'
            "#given.signs.map(sign => page(text(sign))).join()\n",
            encoding="utf-8"
        )  # fmt: skip
        pages = _pages(root / "signs.typ", root, format="svg")
    # A glyph has the same name on each page, so that of the box is known from the first.
    glyphs = [set(re.findall(r'<use [^>]*href="#([^"]+)"', page.decode("utf-8"))) for page in pages]
    return [sign for sign, drawn in zip(signs, glyphs[1:], strict=True) if drawn & glyphs[0]]


def missing_words(document: Document) -> str:
    """A sentence that names `missing_signs`; empty where all are there."""
    names = [f"U+{ord(sign):04X} {unicodedata.name(sign, '')}".rstrip() for sign in missing_signs(document)]
    if not names:
        return ""
    shown = f"{', '.join(names[:MOST_SIGNS])}" + (f" + {len(names) - MOST_SIGNS:,}" if len(names) > MOST_SIGNS else "")
    if document["language"] == "ko":
        return f"PDF 글꼴에 없어 상자로 표시된 문자: {shown}. HTML에서는 표시됨."
    return f"No font of the PDF has these signs, and boxes stand for them: {shown}. The HTML shows them."


def as_png(svg: str) -> bytes:
    """A picture as pixels; empty where the extra `pdf`, which draws it, is not installed."""
    if not svg:
        return b""
    try:
        require("typst", extra=EXTRA)
    except MissingExtraError:
        return b""
    with tempfile.TemporaryDirectory(prefix="eyeshot-") as place:
        root = Path(place)
        (root / "picture.svg").write_text(drawable(svg), encoding="utf-8", errors="replace")
        (root / "picture.typ").write_text(
            "#set page(width: auto, height: auto, margin: 0pt)\n#image(\"picture.svg\", width: 24cm)\n",
            encoding="utf-8"
        )  # fmt: skip
        return _compiled(root / "picture.typ", root, format="png", ppi=PIXELS_PER_INCH)


def drawable(svg: str) -> str:
    """The picture with fonts that typst has: it does not know the system's names, and boxes would stand for letters."""
    return re.sub(r"font(-family)?: ?([^;\"']*)?'DejaVu Sans'[^;\"]*", lambda found: _font(found.group(0)), svg)


def _font(rule: str) -> str:
    return rule.replace("'DejaVu Sans'", "'DejaVu Sans', 'Noto Sans KR'") if "Noto Sans KR" not in rule else rule


def _compiled(source: Path, root: Path, **options: Any) -> bytes:
    return _pages(source, root, **options)[0]


def _pages(source: Path, root: Path, **options: Any) -> list[bytes]:
    """What typst makes; pictures are a file for each page."""
    typst = require("typst", extra=EXTRA)
    fonts = sorted({str(file.parent) for file in korean_fonts()})
    try:
        made = typst.compile(str(source), root=str(root), font_paths=fonts, **options)
    except RuntimeError as error:
        raise InputError(
            f"typst could not set the report: {error}. Write it as HTML or DOCX: --format html,docx"
        ) from error
    return [bytes(page) for page in made] if isinstance(made, list) else [bytes(made)]
