"""The Korean font that the extra `pdf` brings (Noto Sans KR, SIL Open Font License 1.1), cut to a document."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE = "pylopdf_fonts_ko"
FAMILY = "Noto Sans KR"
HANGUL = re.compile("[\u1100-\u11ff\u3000-\u303f\u3130-\u318f\uac00-\ud7af]")
"""Korean letters and their punctuation; the page's style names the same ranges."""
LARGEST_ERROR = 1.0
"""Of a curve in a TrueType font, in thousandths of the letter's size: fontTools' own choice."""


def korean_fonts() -> list[Path]:
    """Files of Noto Sans KR; empty where the extra is not installed."""
    package = find_spec(PACKAGE)
    places = package.submodule_search_locations if package else None
    return sorted(file for place in places or () for file in Path(place).glob("NotoSansKR-*.otf"))


def woff_of(texts: Iterable[str]) -> bytes:
    """The font with just the Korean signs of `texts`, as WOFF for a page; empty where it is not installed."""
    signs = _signs(texts)
    return _stored(_cut(signs, names=[1, 2, 13, 14]), flavor="woff") if signs and korean_fonts() else b""


def truetype_of(texts: Iterable[str]) -> bytes:
    """The font with the Korean signs of `texts` and all common syllables, as TrueType; empty where it is not installed.

    Word reads no other outlines from a document. The 2,350 syllables of KS X 1001 are in it, so that a person who edits
    the document types in the same font.
    """
    signs = _signs(texts)
    if not signs or not korean_fonts():
        return b""
    common = (bytes([row, column]).decode("euc_kr") for row in range(0xB0, 0xC9) for column in range(0xA1, 0xFF))
    font = _cut(signs | {ord(sign) for sign in common} | set(range(0x20, 0x7F)), names=[1, 2, 3, 4, 5, 6, 13, 14])
    _draw_as_truetype(font)
    return _stored(font)


def _signs(texts: Iterable[str]) -> set[int]:
    return {ord(sign) for text in texts for sign in HANGUL.findall(text)}


def _cut(signs: set[int], *, names: list[int]) -> Any:
    """The font with these signs alone; `names` are the records of its name that stay."""
    from fontTools import subset, ttLib

    logging.getLogger("fontTools").setLevel(logging.ERROR)
    font = ttLib.TTFont(korean_fonts()[0])
    cutter = subset.Subsetter(subset.Options(layout_features=[], hinting=False, notdef_outline=True, name_IDs=names))
    cutter.populate(unicodes=signs)
    cutter.subset(font)
    return font


def _draw_as_truetype(font: Any) -> None:
    """Replace cubic outlines (the table CFF) by quadratic ones (the table glyf)."""
    from fontTools import ttLib
    from fontTools.pens.cu2quPen import Cu2QuPen
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    order, outlines = font.getGlyphOrder(), font.getGlyphSet()
    glyphs = {}
    for name in order:
        pen = TTGlyphPen(None)
        outlines[name].draw(Cu2QuPen(pen, max_err=LARGEST_ERROR, reverse_direction=True))
        glyphs[name] = pen.glyph()
    for table in ("CFF ", "VORG"):
        if table in font:
            del font[table]
    font["loca"] = ttLib.newTable("loca")
    font["glyf"] = outline_table = ttLib.newTable("glyf")
    outline_table.glyphOrder, outline_table.glyphs = order, glyphs
    largest = font["maxp"]
    largest.tableVersion = 0x00010000
    for what in (
        "maxZones", "maxTwilightPoints", "maxStorage", "maxFunctionDefs", "maxInstructionDefs", "maxStackElements",
        "maxSizeOfInstructions", "maxComponentElements", "maxPoints", "maxContours", "maxCompositePoints",
        "maxCompositeContours", "maxComponentDepth",
    ):  # fmt: skip
        setattr(largest, what, 1 if what == "maxZones" else 0)
    font["post"].formatType, font["head"].glyphDataFormat = 3.0, 0
    font.sfntVersion = "\x00\x01\x00\x00"


def _stored(font: Any, *, flavor: str | None = None) -> bytes:
    font.flavor = flavor
    stored = io.BytesIO()
    font.save(stored)
    return stored.getvalue()
