"""`eyeshot report` and `eyeshot write`: the wrap-up report, and what only people can write in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.options import OUTPUT, Json, option
from eyeshot.cli.output import print_json, say

REPORT = "Report"
NOT_INSTALLED = 5
MOST_MISSING = 12


def run(
    lang: Annotated[str, option(panel=REPORT, text="Language: en or ko.")] = "en",
    format: Annotated[
        str, option(panel=REPORT, text="html, docx and pdf, one or several with commas.")
    ] = "html",
    author: Annotated[
        str | None, option(panel=REPORT, text="Only this person's page, for a portfolio. Default: the whole report.")
    ] = None,
    out: Annotated[
        Path | None, option(panel=OUTPUT, text="Folder for the files. Default: eyeshot-out/report.")
    ] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """The wrap-up report, from what is in the project: why, what, expected, got, learned; who did what.

    Lists what only people can write, with the command that stores each text.
    """
    import eyeshot
    from eyeshot.cli.output import progress_shown

    with progress_shown() as progress:
        result = eyeshot.report(lang=lang, format=format, author=author, out=out, progress=progress)
    if json:
        print_json(result)
    else:
        typer.echo(result["answer"])
        say(result["notes"])
        for kind, file in result["files"].items():
            typer.echo(f"{kind.upper() + ':':<6} {file}")
        for missing in result["missing"][:MOST_MISSING]:
            about = f" ({missing['person']})" if missing["person"] else ""
            typer.echo(f"- {missing['question']}{about}\n  {missing['command']}")
        if (more := len(result["missing"]) - MOST_MISSING) > 0:
            typer.echo(f"- {more} more are marked in the report, and in the JSON (--json).")
        typer.echo(f"Next: {result['next_step']}")
    for kind, reason in result["not_written"].items():
        typer.echo(f"{kind.upper()} was not written: {reason}", err=True)
    if result["not_written"]:
        raise typer.Exit(NOT_INSTALLED)


def write(
    field: Annotated[
        str,
        typer.Argument(
            metavar="FIELD",
            help="title, goal, data, model, augmentation, optimizer, ensemble, leaderboard, own_work, off_the_shelf, "
            "lessons or next; of a person: role, contribution or reflection.",
        ),
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The words; line breaks make paragraphs.")],
    person: Annotated[
        str | None, option(panel=REPORT, text="Whom role, contribution and reflection are about. Default: the author.")
    ] = None,
    author: Annotated[
        str | None, option(panel=REPORT, text="Who writes. Default: EYESHOT_AUTHOR, git's user.name or the login name.")
    ] = None,
    json: Json = False,
) -> None:
    """Write what only a person can write in the report: the goal, roles, why, lessons, next steps.

    Nothing is overwritten: the last words count, and earlier ones stay in report.jsonl.
    """
    import eyeshot
    from eyeshot.core import find_workspace
    from eyeshot.reports import read_report_texts

    earlier, _ = read_report_texts(find_workspace().project)
    written = eyeshot.write_report_text(field, text, person=person, author=author)
    if json:
        print_json({**written, "time": written["time"].isoformat()})
        return
    about = f" of {written['person']}" if written["person"] else ""
    typer.echo(f"The report has the words of {written['author']} for {written['field']}{about}.")
    before = earlier.get((written["field"], written["person"]))
    if before is not None and before["text"] != written["text"]:
        typer.echo(f"It replaces the words of {before['author']}: {before['text']}")
    typer.echo("Next: eyeshot report")
