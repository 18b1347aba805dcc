"""`eyeshot learned`, `insight`, `insights`, `act`, `tag` and `note`: what people write about experiments."""

from __future__ import annotations

from typing import Annotated

import typer

from eyeshot.cli.ledger.cells import printable
from eyeshot.cli.ledger.show import ExperimentId
from eyeshot.cli.options import DATA, Json, option
from eyeshot.cli.output import plain_table, print_fitting, print_json, say_next

Writer = Annotated[
    str | None,
    option("--author", panel=DATA, text="Who writes. Default: EYESHOT_AUTHOR, git's user.name or the login name."),
]


def learned(
    id: ExperimentId,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="What was learned.", show_default=False)] = None,
    why_different: Annotated[
        str | None, option(panel=DATA, metavar="TEXT", text="Why it came as expected, or why different.")
    ] = None,
    author: Writer = None,
    json: Json = False,
) -> None:
    """Say what an experiment taught. Words that stood there before are kept among its events."""
    import eyeshot

    before = eyeshot.experiment(id)
    record = eyeshot.write_learned(id, text, why_different=why_different, author=author)
    if json:
        print_json(record)
        return
    typer.echo(f"Stored for {record.id}.")
    for name, old, new in (
        ("learned", before.learned, record.learned), ("why different", before.why_different, record.why_different),
    ):  # fmt: skip
        if old and old != new:
            typer.echo(f"It replaces what was {name}: {old}")
    say_next("insight", record.id, "WHAT ASKS FOR AN ACTION")


def insight(
    id: ExperimentId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What was understood.", show_default=False)],
    author: Writer = None,
    json: Json = False,
) -> None:
    """Note something that asks for an action; it stays open until eyeshot act says what was done."""
    import eyeshot

    record = eyeshot.add_insight(id, text, author=author)
    if json:
        print_json(record)
        return
    typer.echo(f"Insight {record.insights[-1].id} of {record.id} is open.")
    say_next("act", record.insights[-1].id, "WHAT WAS DONE")


def insights(
    open_insights: Annotated[
        bool, option("--open", panel=DATA, text="Only those that nothing was done about.")
    ] = False,
    json: Json = False,
) -> None:
    """What was understood, and what was done about it."""
    import eyeshot

    table = eyeshot.insights(open_insights=open_insights)
    if json:
        print_json({"version": 1, "insights": table.to_dicts()})
        return
    if table.is_empty():
        typer.echo("No insight is open." if open_insights else "There are no insights yet.")
        return
    headings = ("id", "insight", "done", "experiment", "author")
    shown = plain_table(*headings, left=headings, overflow="fold")
    for row in table.to_dicts():
        cells = (row["id"], row["text"], "; ".join(row["actions"]) or "open", row["experiment"], row["author"])
        shown.add_row(*map(printable, cells))
    print_fitting(shown, names=("insight", "done"), whole=("experiment",), optional=("author",))
    still_open = [row["id"] for row in table.to_dicts() if row["open"]]
    if still_open:
        say_next("act", still_open[0], "WHAT WAS DONE")


def act(
    insight: Annotated[
        str, typer.Argument(metavar="INSIGHT", help="Its id, or the beginning of it.", show_default=False)
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What was done.", show_default=False)],
    author: Writer = None,
    json: Json = False,
) -> None:
    """Say what was done about an insight, which closes it."""
    import eyeshot

    record = eyeshot.act_on_insight(insight, text, author=author)
    if json:
        print_json(record)
        return
    typer.echo(f"Stored for {record.id}.")
    say_next("insights", "--open")


def tag(
    id: ExperimentId,
    tags: Annotated[
        list[str] | None, typer.Argument(metavar="TAG", help="To add; several are allowed.", show_default=False)
    ] = None,
    remove: Annotated[
        list[str] | None, option(panel=DATA, metavar="TAG", text="To take off; again for several.")
    ] = None,
    author: Writer = None,
    json: Json = False,
) -> None:
    """Give an experiment tags, or take some off."""
    import eyeshot

    record = eyeshot.tag_experiment(id, tuple(tags or ()), remove=remove or (), author=author)
    if json:
        print_json(record)
        return
    typer.echo(f"{record.id} has the tags {', '.join(record.tags)}." if record.tags else f"{record.id} has no tag.")


def note(
    id: ExperimentId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What should be known about it.", show_default=False)],
    author: Writer = None,
    json: Json = False,
) -> None:
    """Leave a free note on an experiment; earlier notes stay."""
    import eyeshot
    from eyeshot.core import plural

    record = eyeshot.add_note(id, text, author=author)
    if json:
        print_json(record)
        return
    count = len(record.notes)
    typer.echo(f"Stored: {record.id} has {count} {plural(count, 'note')}.")
    say_next("show", record.id)
