"""`eyeshot runs`: the table of experiments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from eyeshot.cli.ledger.cells import gain_cell, got_cell, printable, share_of
from eyeshot.cli.options import DATA, OUTPUT, Json, option
from eyeshot.cli.output import KEPT_BLANK, plain_table, print_fitting, print_json, say_next

MOST_SHOWN = 40
"""Rows in a terminal without --limit."""
LONGEST_WORDS = 120
"""Characters of a reason or a difference in the table."""
LEFT_OUT = ("rung", "expected", "why", "difference", "gain")
"""Columns that a narrow terminal has no room for, the least important first; an id begins with its reason."""


def run(
    where: Annotated[
        str | None,
        option(
            panel=DATA,
            metavar="SQL",
            text="A condition on the columns of --csv: \"value > 0.9 and verdict = 'better'\".",
        ),
    ] = None,
    tag: Annotated[list[str] | None, option("--tag", panel=DATA, text="Only with this tag; again for several.")] = None,
    sort: Annotated[
        str | None,
        option(panel=DATA, metavar="COLUMN", text='A column; with "-" before it the largest first. Default: by age.'),
    ] = None,
    limit: Annotated[
        int | None, option(panel=DATA, text=f"At most so many. Default: {MOST_SHOWN}; all with --csv and --json.")
    ] = None,
    calibration: Annotated[
        bool, option("--calibration", panel=OUTPUT, text="How often expectations came, by author and month.")
    ] = False,
    csv: Annotated[Path | None, option(panel=OUTPUT, metavar="FILE", text="Write the table as CSV.")] = None,
    json: Json = False,
) -> None:
    """Experiments: why, the difference to the parent, expected, got with interval, verdict, rung; the latest last."""
    if calibration:
        _show_calibration(json=json)
        return
    rows: dict[str, Any] = {"where": where, "tag": tag or (), "sort": sort}
    if csv is not None:
        _write_csv(csv, limit, rows)
    if json:
        from eyeshot.ledger import find_experiments

        records = find_experiments(**rows, limit=limit)
        print_json({"version": 1, "experiments": [record.model_dump(mode="json") for record in records]})
        return
    if csv is not None:
        typer.echo(f"Table: {csv}")
        return
    from eyeshot.ledger import open_ledger, table_rows

    with open_ledger() as ledger:  # without the frame of `eyeshot.experiments`, which takes longer to load than this
        table = table_rows(ledger, **rows, limit=MOST_SHOWN if limit is None else limit)
    if not table and (where is not None or tag):
        typer.echo("No experiment fits.")
        return
    if not table:
        typer.echo("There are no experiments yet.")
        say_next("try", "WHY", "--expect", "up accuracy")
        return
    _print(table)
    if limit is None and len(table) == MOST_SHOWN:
        typer.echo(f"These are the {'first' if sort else 'latest'} {MOST_SHOWN}. More: --limit 200, or --csv FILE.")
    say_next("show", str(table[0 if sort else -1]["id"]))


def _write_csv(file: Path, limit: int | None, rows: dict[str, Any]) -> None:
    import polars as pl

    import eyeshot
    from eyeshot.core import check_output, replacing

    check_output(file, suffixes=(".csv",), mark=b"id,created,state,why")
    table = eyeshot.experiments(**rows, limit=limit)
    with replacing(file) as temporary:
        table.with_columns(pl.col("tags").list.join(" ")).write_csv(temporary)


def _print(rows: Sequence[dict[str, Any]]) -> None:
    from eyeshot.core import NOTHING, listing, plural, shortened

    rungs = ("rung",) if any(row["rung"] for row in rows) else ()  # of sweeps alone: a column of nothing takes room
    table = plain_table(
        "id", "state", "why", "difference", "expected", "got", "gain", "verdict", *rungs,
        left=("id", "state", "why", "difference", "expected", "verdict", "rung"), overflow="fold",
    )  # fmt: skip
    for row in rows:
        said = (row["id"], row["state"], row["why"], row["difference"], row["expected"])
        numbers = (_in_two_lines(cell) for cell in (got_cell(row), gain_cell(row)))
        ends = (row["verdict"] or row["gain"], *(row[name] for name in rungs))
        words = [shortened(printable(cell), LONGEST_WORDS) for cell in said]
        table.add_row(*(cell or NOTHING for cell in (*words, *numbers, *map(printable, ends))))
    missing = print_fitting(table, names=("why", "difference"), whole=("id",), optional=LEFT_OUT)
    if missing:
        columns = f"{plural(len(missing), 'the column', 'the columns')} {listing(missing)}"
        typer.echo(f"No room for {columns}: widen the terminal, or see eyeshot show ID.")


def _in_two_lines(cell: str) -> str:
    """A value with its interval, which may break between the two and nowhere else."""
    return cell.replace(" ", KEPT_BLANK).replace(f"{KEPT_BLANK}(", " (")


def _show_calibration(*, json: bool) -> None:
    import eyeshot

    tables = {by: eyeshot.expectations(by=by) for by in ("author", "month")}
    if json:
        print_json({"version": 1, **{f"by_{by}": table.to_dicts() for by, table in tables.items()}})
        return
    if tables["author"].is_empty():
        typer.echo("No expectation has been compared with a result yet.")
        say_next("try", "WHY", "--expect", "up accuracy")
        return
    for by, rows in tables.items():
        table = plain_table(by, "stated", "direction came", "not distinguishable", "size in interval", left=(by,))
        for row in rows.to_dicts():
            sizes = f"{row['sizes_came']} of {row['sized']}" if row["sized"] else ""
            table.add_row(row["group"], str(row["stated"]), share_of(row), str(row["undecided"]), sizes)
        print_fitting(table, names=())
    typer.echo("Expectations that were stated before the first run. A difference within the noise has not come.")
