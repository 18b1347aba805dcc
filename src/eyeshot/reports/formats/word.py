"""A document as DOCX for Word and LibreOffice: real headings, captions, tables with repeated heads, alternative texts.

Korean letters are set in Noto Sans KR, which is in the file where the extra `pdf` is installed, and otherwise in Malgun
Gothic, which Word has on Windows and macOS.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import docx
import xxhash
from docx.enum.section import WD_ORIENT
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.oxml import serialize_part_xml
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import qn
from docx.shared import Cm, Pt, RGBColor

from eyeshot.core import make_folder, replacing
from eyeshot.reports.document import Cell, Document, Figure, Link, Paragraph, Table, column_widths, texts_of
from eyeshot.reports.formats.fonts import FAMILY, truetype_of
from eyeshot.reports.formats.typeset import FEW, as_png

LATIN, KOREAN = "Calibri", "Malgun Gothic"
OBFUSCATED = "application/vnd.openxmlformats-officedocument.obfuscatedFont"
HEIGHT_CM = 11.5
"""Largest height of a picture: its heading and caption stay on its page."""
TEXT_WIDTH_CM = 24.7
"""Of a landscape A4 page: the tables of experiments have seven columns."""
INK, SOFT, ACCENT, WARN = (RGBColor.from_string(colour) for colour in ("1D2025", "575C65", "1F5C9E", "6B4A00"))
LONGEST_BOOKMARK = 40
"""Characters that Word takes."""


def write_docx(document: Document, path: Path) -> Path:
    """Write the document.

    Raises:
        StorageError: the file cannot be written.
    """
    made = _Word(document).made
    make_folder(path.parent)
    with replacing(path) as temporary:
        made.save(str(temporary))
    return path


class _Word:
    """The file while it is built: bookmarks have numbers, and names that Word takes."""

    def __init__(self, document: Document) -> None:
        self.made: Any = docx.Document()
        self.korean = document["language"] == "ko"
        self._bookmarks: dict[str, str] = {}
        self._counts = {"table": 0, "figure": 0}
        self._styles: dict[str, Any] = {}
        self._prepare(document)
        self.made.add_paragraph(document["title"], style="Title")
        self._paragraph_of(document["subtitle"], colour=SOFT)
        for block in document["blocks"]:
            match block["kind"]:
                case "heading":
                    heading = self.made.add_heading(level=block["level"])
                    self._mark(heading, block["anchor"], block["text"])
                case "paragraph":
                    self._paragraph(block)
                case "table":
                    self._table(block)
                case "figure":
                    self._figure(block)

    def _prepare(self, document: Document) -> None:
        font = truetype_of(texts_of(document))
        if font:
            _embed(self.made, font)
        section = self.made.sections[0]
        section.orientation = WD_ORIENT.LANDSCAPE
        section.page_width, section.page_height = Cm(29.7), Cm(21.0)
        section.left_margin = section.right_margin = Cm(2.5)
        section.top_margin = section.bottom_margin = Cm(2.0)
        for name in ("Normal", "Title", "Heading 1", "Heading 2", "Heading 3", "Caption", "Quote", "List Bullet"):
            style = self._styles[name] = self.made.styles[name]
            style.font.name = LATIN
            fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
            for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
                fonts.attrib.pop(qn(f"w:{theme}"), None)  # a theme font goes before a named one
            fonts.set(qn("w:eastAsia"), FAMILY if font else KOREAN)
            style.font.color.rgb = SOFT if name == "Caption" else INK
        self.made.styles["Normal"].font.size = Pt(10)
        language = self.made.styles["Normal"].element.get_or_add_rPr()
        tag = OxmlElement("w:lang")
        tag.set(qn("w:val"), "en-US")
        tag.set(qn("w:eastAsia"), "ko-KR")
        language.append(tag)
        properties = self.made.core_properties
        properties.title, properties.author, properties.comments = document["title"][:255], "eyeshot", ""
        properties.language = "ko-KR" if self.korean else "en-US"

    def _paragraph_of(self, text: str, *, style: str | None = None, colour: RGBColor | None = None) -> Any:
        # The style itself: python-docx looks for one by its name through all of them.
        paragraph = self.made.add_paragraph(style=self._styles.get(style or ""))
        run = paragraph.add_run(text)
        if colour is not None:
            run.font.color.rgb = colour
        return paragraph

    def _paragraph(self, block: Paragraph) -> None:
        style = {"quote": "Quote", "item": "List Bullet"}.get(block["role"])
        colour = {"missing": WARN, "note": SOFT}.get(block["role"])
        paragraph = self._paragraph_of(block["text"], style=style, colour=colour)
        if block["links"]:
            self._links(paragraph, block["links"], " [", "]")
        if block["command"]:
            run = paragraph.add_run(f"  {block['command']}")
            run.font.name, run.font.size = "Consolas", Pt(9)

    def _links(self, paragraph: Any, links: list[Link], before: str = "", after: str = "") -> None:
        if before:
            paragraph.add_run(before)
        for place, link in enumerate(links):
            if place:
                paragraph.add_run(", ")
            wrapped = OxmlElement("w:hyperlink")
            wrapped.set(qn("w:anchor"), self._bookmark(link["anchor"]))
            run = paragraph.add_run(link["text"])
            run.font.color.rgb, run.font.underline = ACCENT, True
            wrapped.append(run._r)  # python-docx has no way to make a link within the document
            paragraph._p.append(wrapped)
        if after:
            paragraph.add_run(after)

    def _bookmark(self, anchor: str) -> str:
        """Its name in Word: at most 40 letters, digits and underscores, and unique."""
        if anchor not in self._bookmarks:
            number = len(self._bookmarks)
            plain = "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in anchor)
            self._bookmarks[anchor] = f"b{number}_{plain}"[:LONGEST_BOOKMARK]
        return self._bookmarks[anchor]

    def _mark(self, paragraph: Any, anchor: str, text: str) -> None:
        """Text that links of this anchor lead to."""
        name = self._bookmark(anchor)
        for tag in ("w:bookmarkStart", "w:bookmarkEnd"):
            mark = OxmlElement(tag)
            mark.set(qn("w:id"), name.partition("_")[0][1:])
            if tag == "w:bookmarkStart":
                mark.set(qn("w:name"), name)
            paragraph._p.append(mark)
            if tag == "w:bookmarkStart":
                paragraph.add_run(text)

    def _caption(self, kind: str, text: str) -> None:
        """A numbered caption: Word makes lists of figures and tables from its field."""
        self._counts[kind] += 1
        words = {"table": ("Table", "표"), "figure": ("Figure", "그림")}[kind]
        paragraph = self.made.add_paragraph(style="Caption")
        paragraph.paragraph_format.keep_with_next = kind == "table"
        paragraph.add_run(f"{words[self.korean]} ")
        field = OxmlElement("w:fldSimple")
        field.set(qn("w:instr"), f"SEQ {words[0]} \\* ARABIC")
        run = paragraph.add_run(str(self._counts[kind]))
        field.append(run._r)
        paragraph._p.append(field)
        paragraph.add_run(f". {text}")

    def _table(self, block: Table) -> None:
        self._caption("table", block["caption"])
        made = self.made.add_table(rows=1, cols=len(block["columns"]), style="Table Grid")
        made.alignment = WD_TABLE_ALIGNMENT.LEFT
        head = made.rows[0]
        _set(head, "w:cantSplit")
        _set(head, "w:tblHeader")  # repeated on each page
        widths = column_widths(block)
        for place, name in enumerate(block["columns"]):
            self._cell(head.cells[place], {"text": name}, number=place in block["numbers"], bold=True)
        for row in block["rows"]:
            added = made.add_row()
            _set(added, "w:cantSplit")
            cells = added.cells  # once a row: python-docx looks for all cells anew each time
            for place, cell in enumerate(row):
                self._cell(cells[place], cell, number=place in block["numbers"])
        for place, width in enumerate(widths):
            made.columns[place].width = Cm(width * TEXT_WIDTH_CM * (FEW if len(widths) < 4 else 1))
        self.made.add_paragraph().paragraph_format.space_after = Pt(2)

    def _cell(self, place: Any, cell: Cell, *, number: bool, bold: bool = False) -> None:
        paragraph = place.paragraphs[0]
        paragraph.paragraph_format.space_after = Pt(0)
        if number:
            paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        if "anchor" in cell:
            self._mark(paragraph, cell["anchor"], cell["text"])
        elif cell["text"]:
            paragraph.add_run(cell["text"])
        if cell.get("links"):
            self._links(paragraph, cell["links"], " " if cell["text"] else "")
        for run in paragraph.runs:
            run.font.size, run.font.bold = Pt(8.5), bold
        for wrapped in paragraph.hyperlinks:
            for run in wrapped.runs:
                run.font.size = Pt(8.5)

    def _figure(self, block: Figure) -> None:
        pixels = block["png"] or as_png(block["svg"])
        if pixels:
            shape = self.made.add_picture(io.BytesIO(pixels))
            if shape.width > Cm(TEXT_WIDTH_CM) or shape.height > Cm(HEIGHT_CM):
                scale = min(Cm(TEXT_WIDTH_CM) / shape.width, Cm(HEIGHT_CM) / shape.height)
                shape.width, shape.height = round(shape.width * scale), round(shape.height * scale)
            shape._inline.docPr.set("descr", block["alt"])
            self.made.paragraphs[-1].paragraph_format.keep_with_next = True
        else:
            words = (
                'The picture needs the optional part for PDF: pip install "eyeshot[pdf]".',
                '그림 표시에 필요한 선택 구성 요소: pip install "eyeshot[pdf]".',
            )
            self._paragraph_of(f"[{block['alt']}] {words[self.korean]}", colour=WARN)
        self._caption("figure", block["caption"])


def _set(row: Any, name: str) -> None:
    """Switch on a property of a table's row."""
    switch = OxmlElement(name)
    switch.set(qn("w:val"), "true")
    row._tr.get_or_add_trPr().append(switch)


def _embed(made: Any, font: bytes) -> None:
    """Put a font into the file (ECMA-376, part 1, section 17.8.1: its first 32 bytes are mixed with a key)."""
    key = uuid5(NAMESPACE_OID, xxhash.xxh3_128_hexdigest(font))
    turned = key.bytes[::-1]
    mixed = bytes(value ^ turned[place % 16] for place, value in enumerate(font[:32])) + font[32:]
    table = made.part.part_related_by(RELATIONSHIP_TYPE.FONT_TABLE)
    part = Part(PackURI("/word/fonts/font1.odttf"), OBFUSCATED, mixed, made.part.package)
    root = parse_xml(table.blob)
    entry = OxmlElement("w:font")
    entry.set(qn("w:name"), FAMILY)
    embedded = OxmlElement("w:embedRegular")
    embedded.set(qn("r:id"), table.relate_to(part, RELATIONSHIP_TYPE.FONT))
    embedded.set(qn("w:fontKey"), f"{{{str(key).upper()}}}")
    entry.append(embedded)
    root.append(entry)
    table._blob = serialize_part_xml(root)
    made.settings.element.find(qn("w:zoom")).addnext(OxmlElement("w:embedTrueTypeFonts"))  # its place in the schema
