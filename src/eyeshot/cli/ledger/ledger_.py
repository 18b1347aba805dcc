"""`eyeshot ledger`: rebuild it from its files, merge those of other machines, export it to other trackers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from eyeshot.cli.options import DATA, OUTPUT, Json, option
from eyeshot.cli.output import print_json, progress_shown, say, say_next

if TYPE_CHECKING:
    from eyeshot.ledger import LedgerChange

app = typer.Typer(no_args_is_help=True, help="Rebuild, merge and export the ledger of experiments.")


@app.command("rebuild")
def rebuild(
    adopt: Annotated[
        bool,
        option("--adopt/--no-adopt", panel=DATA, text="Make experiments of run folders that no experiment has."),
    ] = True,
    json: Json = False,
) -> None:
    """Make the table of experiments anew from its events and their files; nothing that is in the ledger is lost."""
    import eyeshot

    change = eyeshot.rebuild_ledger(adopt=adopt)
    if json:
        print_json(change)
        return
    _say_change(change)
    for run in change.adopted:
        typer.echo(f"Adopted: {run}")
    if change.adopted:
        say_next("learned", change.adopted[-1], "WHAT WAS LEARNED")
    else:
        say_next("runs")


@app.command("merge")
def merge(
    others: Annotated[
        list[Path],
        typer.Argument(
            metavar="OTHERS",
            help="Other projects: their folders, their eyeshot-out, or ledger.sqlite in it. They are only read.",
            show_default=False,
        ),
    ],
    dry_run: Annotated[bool, option("--dry-run", panel=OUTPUT, text="Say what would be merged and stop.")] = False,
    json: Json = False,
) -> None:
    """Add the experiments of other ledgers to this one. Of a field that both set, the later value wins.

    Of two expectations of one experiment the one that a run froze first is kept; the other becomes a note.
    """
    import eyeshot

    change = eyeshot.merge_ledgers(others, dry_run=dry_run)
    if json:
        print_json(change)
        return
    for conflict in change.conflicts:
        here, there = (_value_words(conflict["field"], conflict[side]) for side in ("here", "there"))
        typer.echo(
            f"Both set {conflict['field']} of {conflict['experiment']}: here {here}, there {there}. "
            f"Kept: the one {conflict['kept']}, because {conflict['reason']}."
        )
    for old, new in change.renamed.items():
        typer.echo(f"{old} is another experiment here; theirs is now {new}")
    _say_change(change)
    typer.echo("Run folders are not copied: copy those of the other eyeshot-out/runs to compare with them.")
    say_next(*(("ledger", "merge", *map(str, others)) if dry_run else ("runs",)))


@app.command("export")
def export(
    to: Annotated[
        Literal["csv", "mlflow", "wandb"],
        typer.Argument(metavar="TO", help="csv, mlflow or wandb.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        option(panel=OUTPUT, text="The CSV file, or the folder for the files of W&B. Default: in eyeshot-out."),
    ] = None,
    server: Annotated[
        str | None,
        option(panel=OUTPUT, metavar="URL", text="Address of an MLflow server. Default: MLFLOW_TRACKING_URI."),
    ] = None,
    name: Annotated[
        str | None,
        option(panel=OUTPUT, text="Of the experiment in MLflow or the project in W&B. Default: the project folder's."),
    ] = None,
    where: Annotated[
        str | None,
        option(
            panel=DATA,
            metavar="SQL",
            text="A condition on the columns of --csv: \"value > 0.9 and verdict = 'better'\".",
        ),
    ] = None,
    tag: Annotated[list[str] | None, option("--tag", panel=DATA, text="Only with this tag; again for several.")] = None,
    json: Json = False,
) -> None:
    """Export experiments to a CSV file, an MLflow server or W&B (offline, unless WANDB_MODE says online)."""
    import eyeshot
    from eyeshot.core import find_workspace, plural

    with progress_shown() as progress:
        there = eyeshot.export_experiments(
            to,
            out=out,
            server=server,
            name=name,
            where=where,
            tag=tag or (),
            progress=progress,
        )
    if json:
        print_json({"version": 1, "to": to, "experiments": there})
        return
    typer.echo(f"Exported {len(there)} {plural(len(there), 'experiment')} to {to}.")
    results = find_workspace().results
    if to == "csv":
        typer.echo(f"Table: {out or results('experiments.csv')}")
    elif to == "wandb":
        typer.echo(f"To send them: wandb sync --sync-all {Path(out or results('wandb')) / 'wandb'}")


def _value_words(field: str, value: Any) -> str:
    from eyeshot.ledger import expected_words

    return expected_words(value) if field == "expected" else repr(value)


def _say_change(change: LedgerChange) -> None:
    from eyeshot.core import plural

    say(change.notes, warning=True)
    typer.echo(
        f"{change.experiments} {plural(change.experiments, 'experiment')}; {change.added} "
        f"{plural(change.added, 'event')} added."
    )
