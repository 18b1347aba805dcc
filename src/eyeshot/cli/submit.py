"""`eyeshot submit`: what was sent and what came back, and what is known of a submission before it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eyeshot.cli.options import Json, option
from eyeshot.cli.output import plain_table, print_fitting, print_json, say

if TYPE_CHECKING:
    from rich.table import Table

    from eyeshot.ledger import SubmissionReport

SUBMISSION = "Submission"
MOST_SHOWN = 10


def run(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The submission. Default: list all.", show_default=False)
    ] = None,
    score: Annotated[
        str | None,
        option(panel=SUBMISSION, text="Accuracy on the leaderboard, with all its decimals, such as 0.9130."),
    ] = None,
    public_share: Annotated[
        float | None,
        option(panel=SUBMISSION, text="Share of the test images that it is computed on. Default: as before, or all."),
    ] = None,
    run: Annotated[
        str | None, option(panel=SUBMISSION, text="Run that made it. Default: as eyeshot predict knows.")
    ] = None,
    note: Annotated[str, option(panel=SUBMISSION, text="Free text.")] = "",
    json: Json = False,
) -> None:  # fmt: skip
    """Record a submission and its score; before it is sent, compare it with earlier ones.

    Without FILE all submissions are listed, validation beside the leaderboard.
    """
    import eyeshot
    from eyeshot.core import find_workspace

    report = eyeshot.submit(file, score=score, public_share=public_share, run=run, note=note)
    picture = None
    if file is None and report.gap is not None:
        place = find_workspace().results("submissions") / "submissions.svg"
        picture = eyeshot.write_submissions_picture(report, place)
    if json:
        print_json(report)
        return
    say(report.warnings, warning=True)
    typer.echo(report.answer)
    if file is None and report.submissions:
        print_fitting(_all(report), names=("run", "submission"))
    elif report.comparisons:
        print_fitting(_others(report), names=("submission",))
    if report.comparisons:
        rest = len(report.comparisons) - MOST_SHOWN
        say([report.assumption, *([f"{rest} more are in the JSON (--json)."] if rest > 0 else [])])
    say(report.notes)
    if picture is not None:
        typer.echo(f"Picture: {picture}")
    typer.echo(f"Next: {report.next_step}")


def _others(report: SubmissionReport) -> Table:
    from eyeshot.core import NOTHING, percent

    scored = any(each.score is not None for each in report.comparisons)
    words = ("submission", "equal answers", *(("score", "bounds", "difference", "noise") if scored else ()))
    table = plain_table(*words, left=words[:1], overflow="fold")
    for each in report.comparisons[:MOST_SHOWN]:
        cells = [each.name, percent(each.agreement, 2)]
        if scored:
            bounds = NOTHING if each.low is None or each.high is None else f"{each.low:.4f} to {each.high:.4f}"
            cells += [
                NOTHING if each.score is None else f"{each.score:g}",
                bounds,
                NOTHING if each.difference is None else f"{each.difference:+.4f}",
                f"{each.noise:.4f}",
            ]
        table.add_row(*cells)
    return table


def _all(report: SubmissionReport) -> Table:
    from eyeshot.core import NOTHING

    words = ("time (UTC)", "submission", "run", "validation", "score", "difference", "note")
    table = plain_table(*words, left=("time (UTC)", "submission", "run", "note"), overflow="fold")
    for each in report.submissions:
        validation = None if each.validation is None else each.validation.value
        difference = NOTHING if each.score is None or validation is None else f"{each.score - validation:+.4f}"
        table.add_row(
            f"{each.time:%Y-%m-%d %H:%M}",
            each.name,
            each.run or NOTHING,
            NOTHING if validation is None else f"{validation:.4f}",
            NOTHING if each.score is None else f"{each.score:g}",
            difference,
            each.note,
        )
    return table
