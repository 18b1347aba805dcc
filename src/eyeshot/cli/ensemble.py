"""`eyeshot ensemble`: combines runs and says whether that is worth it."""

from __future__ import annotations

from typing import Annotated

import typer

from eyeshot.cli.options import MODEL, Device, Json, Seed, option
from eyeshot.cli.output import plain_table, print_json, progress_shown, say, typed_command

Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUNS",
        help="Ids of runs, the beginnings of ids, folders, or .csv and .npz files with your own predictions of the "
        "validation images.",
        show_default=False,
    ),
]
MOST_MEMBERS = 20


def run(
    runs: Runs,
    method: Annotated[
        str | None,
        option(
            panel=MODEL,
            text="soft, hard, geometric, rank, per-class, greedy or stacking. Default: the cheapest of the best.",
        ),
    ] = None,
    soup: Annotated[
        bool,
        option("--soup", panel=MODEL, text="Try mean weights of runs of one model too: two forward passes a run."),
    ] = False,
    device: Device = None,
    logits: Annotated[
        bool, option("--logits", panel=MODEL, text="Predictions of your own hold scores before softmax.")
    ] = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Combine runs, and say whether that is worth more than the best single run.

    The ensemble is stored as a run if it is advised, or asked for with --method or --soup. `advised` is then a name for
    what is advised: eyeshot predict advised.
    """
    from rich.console import Console

    import eyeshot
    from eyeshot.core import find_workspace, percent, points, shortened
    from eyeshot.reports import write_ensemble_picture

    with progress_shown() as progress:
        report = eyeshot.ensemble(
            runs,
            method=method,
            soup=soup,
            device=device,
            logits=logits,
            seed=seed,
            progress=progress,
            command=typed_command(),
        )
    picture = None
    if report.run:
        picture = write_ensemble_picture(report, find_workspace().results("runs") / report.run / "ensemble.svg")
    if json:
        print_json(report)
        return
    typer.echo(report.answer)
    table = plain_table("method", "accuracy", "against the best run", "members", left=("method",))
    for row in report.methods:
        interval = f"{points(row.gain.difference)} ({points(row.gain.low)} to {points(row.gain.high)})"
        table.add_row(row.method, percent(row.accuracy.value, 1), interval, str(row.members))
    console = Console(soft_wrap=True)
    console.print(table)
    members = plain_table("member", "accuracy", "weight", left=("member",))
    for member in sorted(report.members, key=lambda member: -member.weight)[:MOST_MEMBERS]:
        members.add_row(shortened(member.name, 50), percent(member.accuracy.value, 1), percent(member.weight))
    console.print(members)
    for name, estimate in report.estimates.items():
        typer.echo(f"Accuracy of {name} on the test images, without labels: {estimate.words}.")
    say(report.notes)
    stored = f"Stored as {report.run}. Correlation of errors and gain by class: {picture}"
    typer.echo(stored if report.run else "No ensemble is stored. --method METHOD stores that of more than one run.")
    typer.echo(f"Advised: {report.run if report.advised == 'ensemble' else report.best_run}")
    typer.echo(f"Next: {report.next_step}")
