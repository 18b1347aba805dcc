"""`eyeshot runs`: the table of experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.options import DATA, OUTPUT, Json, option
from eyeshot.cli.output import plain_table, print_fitting, print_json, say_next

MOST_SHOWN = 40
"""Rows in a terminal without --limit."""


def run(
    where: Annotated[
        str | None,
        option(
            panel=DATA, metavar="SQL",
            text="A condition on the columns of --csv, as SQL: \"value > 0.9 and verdict = 'better'\".",
        ),
    ] = None,
    tag: Annotated[list[str], option("--tag", panel=DATA, text="Only with this tag; again for several.")] = [],  # noqa: B006
    sort: Annotated[
        str | None,
        option(panel=DATA, metavar="COLUMN", text='A column, "-" before it for the largest first. Default: by age.'),
    ] = None,
    limit: Annotated[
        int | None, option(panel=DATA, text=f"At most so many. Default: {MOST_SHOWN} in a terminal, else all.")
    ] = None,
    calibration: Annotated[
        bool, option("--calibration", panel=OUTPUT, text="How often expectations came, by author and month, instead.")
    ] = False,
    csv: Annotated[Path | None, option(panel=OUTPUT, metavar="FILE", text="Write the table as CSV too.")] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Experiments: why, what differs from the parent, expected, got with interval, verdict, rung; the latest last.

    With --json the keys of each experiment are those of eyeshot show.
    """
    import eyeshot

    if calibration:
        _show_calibration(json=json)
        return
    if csv is not None:
        _write_csv(csv, where, tag, sort, limit)
    if json:
        from eyeshot.ledger import find_experiments

        records = find_experiments(where=where, tag=tag, sort=sort, limit=limit)
        print_json({"version": 1, "experiments": [record.model_dump(mode="json") for record in records]})
        return
    shown = limit if limit is not None else MOST_SHOWN
    found = eyeshot.experiments(where=where, tag=tag, sort=sort, limit=shown)
    _print(found.to_dicts())
    if found.is_empty():
        typer.echo("No experiment." if where is None and not tag else "No experiment fits.")
        if where is None and not tag:
            say_next("try", "WHY", "--expect", "up accuracy")
        return
    if limit is None and len(found) == MOST_SHOWN:
        typer.echo(f"The latest {MOST_SHOWN} are shown. All: eyeshot runs --limit 100000, or --csv FILE.")
    if csv is not None:
        typer.echo(f"Table: {csv}")
    say_next("show", str(found["id"][-1 if sort is None else 0]))


def _write_csv(file: Path, where: str | None, tag: list[str], sort: str | None, limit: int | None) -> None:
    import eyeshot
    from eyeshot.core import check_output, replacing

    check_output(file, suffixes=(".csv",), mark=b"id,created,state,why")
    found = eyeshot.experiments(where=where, tag=tag, sort=sort, limit=limit)
    rows = [row | {"tags": " ".join(row["tags"])} for row in found.to_dicts()]
    with replacing(file) as temporary:
        _frame(rows, list(found.columns)).write_csv(temporary)


def _frame(rows, columns):  # type: ignore[no-untyped-def]
    import polars as pl

    return pl.DataFrame(rows, schema=columns) if not rows else pl.DataFrame(rows).select(columns)


def _print(rows: list[dict[str, object]]) -> None:
    from eyeshot.core import NOTHING

    left = ("id", "state", "why", "difference", "expected", "verdict", "rung")
    table = plain_table(
        "id", "state", "why", "difference", "expected", "got", "gain", "verdict", "rung", left=left, overflow="fold"
    )
    for row in rows:
        table.add_row(
            str(row["id"]), str(row["state"]), str(row["why"]), str(row["difference"] or NOTHING),
            str(row["expected"] or NOTHING), share_with_interval(row), gain_with_interval(row),
            str(row["verdict"] or row["gain"] or NOTHING), str(row["rung"] or NOTHING),
        )  # fmt: skip
    if rows:
        print_fitting(table, names=("id", "why", "difference"))
