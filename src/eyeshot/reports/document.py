"""A document as data: headings, paragraphs, tables and figures, the same for HTML, DOCX and PDF.

Texts are plain: no format reads them as markup. `clean` is applied to all of them here, so that no renderer meets a
control character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal, NotRequired, TypedDict

from eyeshot.core import key_of

Language = Literal["en", "ko"]
Role = Literal["text", "claim", "item", "quote", "missing", "note"]
"""claim: rests on runs or results, which `links` names; quote: a person's own words; missing: only a person can write
it."""
SPACES = dict.fromkeys((0x09, 0x0A, 0x0D, 0x2028, 0x2029), " ")
CONTROLS = [code for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in SPACES]
TURNING = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Signs that turn the direction of all that follows them on the line."""
WRITTEN_OUT = SPACES | {code: f"⟨U+{code:04X}⟩" for code in (*CONTROLS, *TURNING)}
NOT_IN_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")


class Link(TypedDict):
    """Leads to the anchor of a heading or of a row in this document."""

    text: str
    anchor: str


class Heading(TypedDict):
    """A heading of level 1 (a section) to 3."""

    kind: Literal["heading"]
    level: int
    text: str
    anchor: str


class Paragraph(TypedDict):
    """A paragraph; `command` is what can be typed to fill what is missing.

    `field` and `person` name the text of a person that stands here, or that is missing; `experiment` and
    `insight` say that it is stored at that experiment, or is what was done about that insight of it.
    """

    kind: Literal["paragraph"]
    role: Role
    text: str
    links: list[Link]
    command: str
    field: NotRequired[str]
    person: NotRequired[str]
    experiment: NotRequired[str]
    insight: NotRequired[str]


class Cell(TypedDict):
    """A cell of a table: text, then links. `anchor` makes its row a place that links lead to."""

    text: str
    links: NotRequired[list[Link]]
    anchor: NotRequired[str]


class Table(TypedDict):
    """A table; `numbers` are the columns (from 0) that are set flush right."""

    kind: Literal["table"]
    caption: str
    columns: list[str]
    numbers: list[int]
    rows: list[list[Cell]]


class Figure(TypedDict):
    """A picture: `svg` where there is one, and `png` for formats that need pixels; empty where it is not there."""

    kind: Literal["figure"]
    caption: str
    alt: str
    svg: str
    png: bytes


Block = Heading | Paragraph | Table | Figure


class Document(TypedDict):
    """A whole document; `subtitle` says what it was written from and when."""

    title: str
    subtitle: str
    language: Language
    blocks: list[Block]


def clean(text: object) -> str:
    """`text` on one line without characters that a format cannot hold, or that would change what stands around it."""
    return NOT_IN_XML.sub("\ufffd", str(text)).translate(WRITTEN_OUT)


def anchor_of(*parts: str) -> str:
    """An anchor from a name: letters that every format takes, and different for different names."""
    text = "-".join(parts)
    plain = re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-")
    return plain if plain == text else f"{plain}-{key_of(text)[:12]}"


def file_name(language: str, kind: str, *, author: str | None = None) -> str:
    """Name of a report's file of a kind ("html", "docx", "pdf")."""
    return "report" + (f"-{anchor_of(author)}" if author else "") + ("-ko" if language == "ko" else "") + f".{kind}"


def heading(level: int, text: str, anchor: str) -> Heading:
    """A heading."""
    return {"kind": "heading", "level": level, "text": clean(text), "anchor": anchor}


def paragraph(text: str, role: Role = "text", *, links: Iterable[Link] = (), command: str = "") -> Paragraph:
    """A paragraph."""
    named: list[Link] = [{"text": clean(link["text"]), "anchor": link["anchor"]} for link in links]
    return {"kind": "paragraph", "role": role, "text": clean(text), "links": named, "command": clean(command)}


def quoted(text: str) -> list[Paragraph]:
    """A person's own words, a paragraph for each of their lines."""
    return [paragraph(line, "quote") for line in re.split(r"[\r\n\u2028\u2029]+", text) if line.strip()]


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, numbers: Sequence[int] = ()
) -> Table:
    """A table; a plain text is a cell without links."""
    cells: list[list[Cell]] = []
    for row in rows:
        made: list[Cell] = []
        for given in row:
            cell: Cell = {"text": clean(given)} if isinstance(given, str) else {**given, "text": clean(given["text"])}
            made.append(cell)
        cells.append(made)
    return {
        "kind": "table", "caption": clean(caption), "columns": [clean(name) for name in columns],
        "numbers": list(numbers), "rows": cells,
    }  # fmt: skip


def figure(caption: str, alt: str, *, svg: str = "", png: bytes = b"") -> Figure:
    """A figure."""
    return {"kind": "figure", "caption": clean(caption), "alt": clean(alt), "svg": svg, "png": png}


def led_to(page: Iterable[Block], lists: Iterable[Block]) -> list[Block]:
    """The lists with those rows alone that the page, or a row before, leads to; a list without one is left out."""
    asked = {link["anchor"] for block in page for link in links_of(block)}
    kept: list[Block] = []
    for block in lists:
        if block["kind"] == "table":
            rows = [row for row in block["rows"] if any(cell.get("anchor") in asked for cell in row)]
            if not rows:
                kept.pop()  # its heading
                continue
            block = {**block, "rows": rows}
            asked |= {link["anchor"] for link in links_of(block)}
        kept.append(block)
    return kept


def links_of(block: Block) -> list[Link]:
    """All links in a block."""
    if block["kind"] == "paragraph":
        return block["links"]
    return (
        [link for row in block["rows"] for cell in row for link in cell.get("links", [])]
        if block["kind"] == "table"
        else []
    )


LONGEST_WORD = 16
CELLS_OF_A_PAGE = 135
"""Signs beside each other, in the small letters of a table."""


def column_widths(block: Table) -> list[float]:
    """Shares of the page's width that fit what the columns hold: the root of the text's length, within bounds.

    A column is as wide as its longest word, so that none is parted, unless it is a long name.
    """
    lengths, words = [], []
    for place, name in enumerate(block["columns"]):
        cells = [row[place] for row in block["rows"][:100]]
        held = [_cells(cell["text"]) + sum(len(link["text"]) + 2 for link in cell.get("links", [])) for cell in cells]
        lengths.append(min(90, max(_cells(name) + 2, 6, *held)) ** 0.6)
        texts = (name, *(cell["text"] for cell in cells))
        words.append(min(LONGEST_WORD, max(_cells(word) for text in texts for word in (text.split() or [""]))))
    total = sum(lengths)
    shares = [max(length / total, (word + 4) / CELLS_OF_A_PAGE) for length, word in zip(lengths, words, strict=True)]
    return [share / sum(shares) for share in shares]


def _cells(text: str) -> int:
    """How wide a text is: letters of Korean, Chinese and Japanese take two cells."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def texts_of(document: Document) -> Iterable[str]:
    """All texts that a reader sees."""
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
