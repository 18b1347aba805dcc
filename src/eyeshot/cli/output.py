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

from eyeshot.core import ProgressDisplay

if TYPE_CHECKING:
    from rich.table import Table

    from eyeshot.auditing import AuditReport, Finding

MOST_BROKEN = 5  # files that a command names


GAP = 2
"""Blanks between the columns of a table."""
SHORTEST = 8
"""Columns of names are not made narrower."""


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


def print_fitting(table: Table, *, names: tuple[str, ...]) -> None:
    """Print a table as wide as the terminal at most, without breaking a word.

    Cells wrap at blanks; those of the columns with the headings `names` (ids, files) also after "-", "_", "+" and "/".
    Only names whose parts are longer than the room that is left are broken within.
    """
    from rich.cells import cell_len
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    columns = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    broken = [str(column.header) in names for column in table.columns]
    widest = [max(map(cell_len, cells)) for cells in columns]
    widths = [
        max(cell_len(part) for cell in cells for word in cell.split() for part in (_parts(word) if at else [word]))
        for cells, at in zip(columns, broken, strict=True)
    ]
    room = console.width - GAP * (len(columns) - 1)
    if sum(widest) <= room:
        console.print(table)
        return
    while sum(widths) > room and (
        long := [place for place, at in enumerate(broken) if at and widths[place] > SHORTEST]
    ):
        widths[max(long, key=widths.__getitem__)] -= 1
    while sum(widths) < room:  # to the column that needs the most lines
        widths[max(range(len(widths)), key=lambda place: widest[place] / widths[place])] += 1
    fitting = plain_table(*(cells[0] for cells in columns), overflow="fold")
    for column, old, width in zip(fitting.columns, table.columns, widths, strict=True):
        column.justify, column.min_width, column.width = old.justify, None, width
    for row in zip(*(cells[1:] for cells in columns), strict=True):
        fitting.add_row(*(
            _wrapped(cell, width) if at else cell for cell, width, at in zip(row, widths, broken, strict=True)
        ))  # fmt: skip
    console.print(fitting, width=max(console.width, sum(widths) + GAP * (len(columns) - 1)))


def _parts(word: str) -> list[str]:
    return re.findall(r"[^-_+/]*[-_+/]|[^-_+/]+$", word) or [word]


def _wrapped(cell: str, width: int) -> str:
    """Lines of whole parts, as many as fit on each."""
    lines = [""]
    for word in re.split(r"(?<= )", cell):
        for part in _parts(word):
            if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
                lines.append("")
            lines[-1] += part
            while len(lines[-1].rstrip()) > width:
                lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return "\n".join(line.rstrip() for line in lines)


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
