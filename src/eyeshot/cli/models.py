"""`eyeshot models …`: the weights of models."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eyeshot.cli.options import OUTPUT, DryRun, Json, option
from eyeshot.cli.output import plain_table, print_fitting, print_json, progress_shown, say_next

if TYPE_CHECKING:
    from eyeshot.models import Download

app = typer.Typer(no_args_is_help=True, help="Get the weights of models.")


@app.command("fetch")
def fetch(
    tags: Annotated[list[str], typer.Argument(metavar="TAG", help="timm tags (architecture.weights).")],
    yes: Annotated[bool, option("--yes", panel=OUTPUT, text="Download without asking.")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Download weights into the hub's cache; size, licence and destination are shown first.

    An interrupted download continues when the same command is given again.
    """
    from eyeshot.core import InputError, megabytes
    from eyeshot.models import check_fetchable

    asks = not (yes or dry_run)
    check_fetchable(tags)
    if asks and (json or not sys.stdin.isatty()):
        raise InputError("A download must be confirmed, and nobody can be asked here. Add --yes, or --dry-run to look.")
    from eyeshot.models import download, plan_downloads

    plans = plan_downloads(tags)
    missing = [plan for plan in plans if plan.file is None]
    total = sum(plan.bytes for plan in missing)
    if not json:
        _print_plans(plans)
        typer.echo(f"To download: {len(missing)} of {len(plans)} files, {total:,} bytes ({megabytes(total)}).")
    if missing and not dry_run:
        if asks and not typer.confirm("Download?"):
            typer.echo("Nothing was downloaded.")
            raise typer.Exit(1)
        with progress_shown() as progress:
            plans = download(plans, progress=progress)
    if json:
        print_json([_as_json(plan, new=plan.tag in {other.tag for other in missing}) for plan in plans])
    elif not dry_run:
        for plan in plans:
            typer.echo(f"{plan.tag}: {plan.file}")
        say_next("audit", "TRAIN", "--model", plans[0].tag)


def _print_plans(plans: list[Download]) -> None:
    from eyeshot.core import megabytes

    words = ("tag", "licence", "to")
    table = plain_table("tag", "size", "licence", "to", left=words)
    for plan in plans:
        size = "at hand" if plan.file is not None else megabytes(plan.bytes)
        table.add_row(plan.tag, size, plan.licence or "not named", str(plan.destination))
    print_fitting(table, names=("tag", "licence", "to"))


def _as_json(plan: Download, *, new: bool) -> dict[str, Any]:
    file = None if plan.file is None else str(plan.file)
    return {
        **plan._asdict(),
        "destination": str(plan.destination),
        "file": file,
        "downloaded": new and file is not None,
    }
