"""`eyeshot errors`: where runs are wrong, how sure that is, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eyeshot.cli.options import (
    MODEL,
    OUTPUT,
    AuditFile,
    DecisionsFile,
    Device,
    Images,
    Json,
    Open,
    Workers,
    option,
)
from eyeshot.cli.output import open_page, plain_table, print_json, progress_shown, say, typed_command

if TYPE_CHECKING:
    from rich.table import Table

    from eyeshot.auditing import ErrorReport

SHOWN_CLASSES, SHOWN_PAIRS, SHOWN_SLICES = 5, 5, 5


def run(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUNS",
            help="Ids of runs, the beginnings of ids, folders, or .csv, .tsv or .npz files with labels. Default: all "
            "trainings that validated on the same images as the latest.",
            show_default=False,
        ),
    ] = None,
    audit: AuditFile = None,
    decisions_file: DecisionsFile = None,
    logits: Annotated[
        bool, option("--logits", panel=MODEL, text="Predictions of your own hold scores before softmax.")
    ] = False,
    network: Annotated[
        bool,
        option(
            "--network/--no-network", panel=MODEL,
            text="Ask the run's network for nearest training images, distances and saliency.",
        ),
    ] = True,
    device: Device = None,
    workers: Workers = None,
    out: Annotated[
        Path | None, option(panel=OUTPUT, text="Folder for the results. Default: eyeshot-out/errors.")
    ] = None,
    images: Images = True,
    open_: Open = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Where is a run wrong? Worst classes, confused pairs, slices, confidence, labels that all runs contradict.

    Every finding has an interval or the chance of it, and something to do; what nobody acted on is listed in each
    further report. Writes errors.html and errors.json.
    """
    import eyeshot
    from eyeshot.core import find_workspace, make_folder

    with progress_shown() as progress:
        result = eyeshot.find_errors(
            runs or (), out=out, audit=audit, decisions_file=decisions_file, logits=logits, network=network,
            device=device, workers=workers, progress=progress, command=typed_command(),
        )  # fmt: skip
        progress(0, 0, "writing the page")
        folder = make_folder(out or find_workspace().results("errors"))
        result.report.save(folder)
        eyeshot.write_errors_page(result, folder / "errors.html", images=images)
    if json:
        print_json(result.report)
    else:
        _print_errors(result.report, folder)
    if open_:
        open_page(folder / "errors.html", quiet=json)


def _print_errors(report: ErrorReport, folder: Path) -> None:
    from rich.console import Console

    from eyeshot.auditing import all_runs
    from eyeshot.core import plural

    typer.echo(report.answer)
    say(report.notes)
    console = Console(highlight=False, markup=False)
    for title, table in (
        ("Lowest recall", _class_table(report)), ("Most confused", _pair_table(report)),
        ("Slices with more errors than elsewhere, beyond chance", _slice_table(report)),
    ):  # fmt: skip
        if table.row_count:
            typer.echo(f"\n{title}:")
            console.print(table, width=min(console.width, 100))
    if report.worst_with_two_labels:
        typer.echo(report.worst_with_two_labels)
    if report.slices and not any(part.found for part in report.slices):
        typer.echo(f"\nNone of {len(report.slices)} slices has more errors than chance would give.")
    typer.echo(f"\n{report.calibration_words}")
    if report.shared is not None:
        typer.echo(
            f"{all_runs(report.counted).capitalize()} are wrong on {report.shared} "
            f"{plural(report.shared, 'image')}; "
            f"{report.shared_expected:.1f} would be if their errors had nothing to do with each other. "
            f"Wrong in one run alone: {', '.join(f'{run.run} {run.alone}' for run in report.runs if run.counted)}."
        )
    still_open = [entry for entry in report.to_do if entry.state == "open"]
    if still_open:
        typer.echo("\nOpen:")
        for entry in still_open:
            typer.echo(f"- {entry.words} {entry.action}")
            for line in entry.commands:
                typer.echo(f"    {line}")
    typer.echo("")
    for name, file in (("Page", "errors.html"), ("Data", "errors.json")):
        typer.echo(f"{name + ':':<6} {folder / file}")
    typer.echo(f"Next: {report.next_step}")


def _class_table(report: ErrorReport) -> Table:
    from eyeshot.core import percent

    table = plain_table("class", "images", "recall", "interval", "taken for", left=("class", "taken for"))
    for row in [row for row in report.classes if row.taken_for][:SHOWN_CLASSES]:
        table.add_row(
            row.label, str(row.recall.n), percent(row.recall.value, 1),
            f"{percent(row.recall.low)} to {percent(row.recall.high)}", f"{row.taken_for} ({row.taken_for_count})",
        )  # fmt: skip
    return table


def _pair_table(report: ErrorReport) -> Table:
    from eyeshot.core import NOTHING

    table = plain_table("one class", "other class", "errors", "two labels", left=("one class", "other class"))
    for pair in report.pairs[:SHOWN_PAIRS]:
        known = pair.same_picture is not None and pair.near_duplicates is not None
        two_labels = str((pair.same_picture or 0) + (pair.near_duplicates or 0)) if known else NOTHING
        table.add_row(pair.first, pair.second, f"{pair.first_as_second} + {pair.second_as_first}", two_labels)
    return table


def _slice_table(report: ErrorReport) -> Table:
    from eyeshot.auditing import slice_name
    from eyeshot.core import percent

    table = plain_table("slice", "images", "wrong", "others", "chance", left=("slice",))
    for part in [part for part in report.slices if part.found][:SHOWN_SLICES]:
        table.add_row(
            slice_name(part.property, part.side, part.limit), str(part.n), percent(part.rate.value, 1),
            percent(part.rest.value, 1), f"{part.chance:.2g}",
        )  # fmt: skip
    return table
