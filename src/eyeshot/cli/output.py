"""What commands print: results on standard output, progress and warnings on standard error, the next step last."""

from __future__ import annotations

import json as json_module
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from eyeshot.core import NOTHING, ProgressDisplay

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from eyeshot.auditing import AuditReport, Finding

MOST_BROKEN = 5  # files that a command names


GAP = 2
"""Blanks between the columns of a table."""
SHORTEST = 8
"""Columns of names are not made narrower."""
READABLE = 16
"""Columns of names are not made narrower where the others can be left out, or stand below."""
KEPT_BLANK = "\N{NO-BREAK SPACE}"
"""A blank at which `print_fitting` never breaks a line; it prints a common one."""


def progress_shown() -> ProgressDisplay:
    """A display on standard error, so that results can be piped; use it in a `with` statement."""
    return ProgressDisplay(sys.stderr)


def typed_command() -> str:
    """The command line as typed, for reports."""
    return shlex.join(["eyeshot", *sys.argv[1:]])


def as_typed(train: Path | None, **options: object) -> list[str]:
    """The words that name the same images in the next command; empty if the project file names them."""
    words = [] if train is None else [str(train)]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def left_out(**switches: bool) -> list[str]:
    """The options that leave the project's decisions or split out of the next command, if this command did so."""
    return [f"--no-{name}" for name, applied in switches.items() if not applied]


def print_json(value: object) -> None:
    """Print a value as JSON on standard output: plain data, or a report, which has its own JSON."""
    dump = getattr(value, "model_dump_json", None)
    typer.echo(json_module.dumps(value, indent=2, ensure_ascii=False) if dump is None else dump(indent=2))


def say(lines: Iterable[str], *, warning: bool = False) -> None:
    """Print notes, a line each; warnings go to standard error."""
    for line in lines:
        typer.echo(f"- {line}", err=warning)


def say_next(*words: str) -> None:
    """Print the next step, as a command that can be run unchanged."""
    typer.echo(f"Next: {shlex.join(['eyeshot', *words])}")


def say_broken(report: AuditReport, findings: Sequence[Finding]) -> None:
    """Print the command that settles the broken files among findings, if they are few."""
    files = [
        str(Path(report.train if image.split == "train" else report.test or "", image.id))
        for finding in findings
        if finding.kind == "unreadable"
        for image in finding.images
        if image.content
    ]
    if 0 < len(files) <= MOST_BROKEN:
        typer.echo(f"Broken files: {shlex.join(['eyeshot', 'decisions', 'add', 'drop', *files])}")


def plain_table(
    *headings: str,
    left: tuple[str, ...] = (),
    no_wrap: bool = False,
    overflow: Literal["fold", "crop", "ellipsis", "ignore"] = "ellipsis",
) -> Table:
    """A table without lines, whose headings are never cut; `left` are the headings of columns of words."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        justify: Literal["left", "right"] = "left" if heading in left else "right"
        table.add_column(heading, justify=justify, min_width=len(heading), no_wrap=no_wrap, overflow=overflow)
    return table


def print_fitting(
    table: Table, *, names: tuple[str, ...], whole: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> list[str]:
    """Print a table as wide as the terminal at most, without breaking a word.

    Cells wrap at blanks; those of the columns with the headings `names` (files, settings) also after "-", "_", "+" and
    "/". Only names whose parts are longer than the room that is left are broken within. A `KEPT_BLANK` never breaks.

    Args:
        table: of `plain_table`.
        names: see above.
        whole: headings of columns whose cells never wrap, because people copy them. Where they leave too little room
            for the other columns, each row is a paragraph that begins with them.
        optional: headings of columns that are left out, in this order, until the rest fits.

    Returns:
        headings that were left out.
    """
    from rich.cells import cell_len
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    shortest = READABLE if whole else SHORTEST

    def least(cells: list[str], *, longest: int = shortest) -> int:
        """Width at which nothing breaks; parts of names may where they are longer than `longest`."""
        if cells[0] in whole:
            return max(map(cell_len, cells))
        words = [word for cell in cells for word in re.split("[ \n]", cell)]
        if cells[0] not in names:
            return max(map(cell_len, words))
        return min(longest, max(cell_len(part) for word in words for part in _parts(word)))

    def room() -> int:
        return console.width - GAP * (len(shown) - 1)

    shown = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    sides = {str(column.header): column.justify for column in table.columns}
    missing: list[str] = []
    for heading in optional:
        if sum(map(least, shown)) > room() and heading in sides:
            shown = [cells for cells in shown if cells[0] != heading]
            missing.append(heading)
    if whole and sum(map(least, shown)) > room():
        _print_paragraphs(console, table, whole)
        return []
    widest = [max(map(cell_len, cells)) for cells in shown]
    widths = [least(cells, longest=room()) for cells in shown] if sum(widest) > room() else widest
    while sum(widths) > room() and (
        long := [place for place, cells in enumerate(shown) if cells[0] in names and widths[place] > shortest]
    ):
        widths[max(long, key=widths.__getitem__)] -= 1
    while sum(widths) < min(room(), sum(widest)):  # to the column that needs the most lines
        widths[max(range(len(widths)), key=lambda place: widest[place] / widths[place])] += 1
    fitting = plain_table(*(cells[0] for cells in shown), overflow="fold")
    for column, cells, width in zip(fitting.columns, shown, widths, strict=True):
        column.justify, column.min_width, column.width = sides[cells[0]], None, width
    broken = [[_wrapped(cell, width, parts=cells[0] in names) for cell in cells[1:]]
              for cells, width in zip(shown, widths, strict=True)]  # fmt: skip
    for row in zip(*broken, strict=True):
        fitting.add_row(*row)
    console.print(fitting, width=max(console.width, sum(widths) + GAP * (len(shown) - 1)))
    return missing


def _print_paragraphs(console: Console, table: Table, whole: tuple[str, ...]) -> None:
    """Each row as its `whole` cells on a line, which the terminal itself may wrap, and the other cells below."""
    from rich.padding import Padding

    headings = [str(column.header) for column in table.columns]
    for row in zip(*(map(str, column.cells) for column in table.columns), strict=True):
        cells = [(heading, cell.replace(KEPT_BLANK, " ")) for heading, cell in zip(headings, row, strict=True)]
        console.print((" " * GAP).join(cell for heading, cell in cells if heading in whole), soft_wrap=True)
        others = "; ".join(f"{name}: {cell}" for name, cell in cells if name not in whole and cell not in ("", NOTHING))
        console.print(Padding(others, (0, 0, 0, GAP)))


def _parts(word: str) -> list[str]:
    return re.findall(r"[^-_+/]*[-_+/]|[^-_+/]+$", word) or [word]


def _wrapped(cell: str, width: int, *, parts: bool) -> str:
    """Lines of whole words, or of whole parts of words, as many as fit on each."""
    from rich.cells import cell_len, chop_cells

    lines: list[str] = []
    for line in cell.split("\n"):
        lines.append("")
        for word in re.split(r"(?<= )", line):
            for part in _parts(word) if parts else [word]:
                if lines[-1] and cell_len(lines[-1]) + cell_len(part.rstrip(" ")) > width:
                    lines.append("")
                lines[-1:] = (
                    chop_cells(lines[-1] + part, width) if cell_len(part.rstrip(" ")) > width else [lines[-1] + part]
                )
    return "\n".join(line.rstrip(" ").replace(KEPT_BLANK, " ") for line in lines)


def open_page(page: Path, *, quiet: bool) -> None:
    """Show a page in the user's browser, or print its path if there is none."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()) and not quiet:
        typer.echo(f"No browser was found. Open {page}")


def open_address(address: str, *, quiet: bool) -> None:
    """Show a page of a local server in a graphical browser, or say that there is none."""
    if not _opened(address) and not quiet:
        typer.echo("No browser was found. Copy the address.")


def _opened(address: str) -> bool:
    """Show the page in a graphical browser; a browser in the terminal would block the server that it waits for."""
    import webbrowser

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if getattr(browser, "name", "") in ("www-browser", "links", "elinks", "lynx", "w3m"):
        return False
    return browser.open(address)
