"""`eyeshot demo`: the ranking on digits with a known shift."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eyeshot.cli.options import OUTPUT, RANKING, Json, Seed, option
from eyeshot.cli.output import print_json, progress_shown, typed_command

if TYPE_CHECKING:
    from eyeshot.rankings import RankingReport

FIRST = 5


def run(
    seed: Seed = 0,
    budget: Annotated[
        str, option(panel=RANKING, text="Time for short trainings after the ranking by coverage, as 2m; 0 for none.")
    ] = "0",
    out: Annotated[
        Path | None, option(panel=OUTPUT, text="Folder for data and results. Default: eyeshot-out/demo.")
    ] = None,
    json: Json = False,
) -> None:
    """Try it: rank augmentations on handwritten digits with a known shift; about a minute, no download."""
    import eyeshot
    from eyeshot.core import find_workspace, seconds_of
    from eyeshot.reports import write_ranking_picture

    folder = out or find_workspace().results("demo")
    budget_s = seconds_of(budget, "--budget")
    if not json:
        typer.echo(
            "Handwritten digits with labels to train on; others without labels as target, which were changed:\n"
            "a third inverted, a third with thicker strokes, a third turned. The ranking does not know that."
        )
    with progress_shown() as progress:
        result = eyeshot.demo(out=folder, seed=seed, budget_s=budget_s, progress=progress, command=typed_command())
        progress(0, 0, "writing the page")
        result.save(folder)
        eyeshot.write_ranking_page(result, folder / "augmentations.html")
        write_ranking_picture(result, folder / "augmentations.svg")
    if json:
        print_json(result.report)
    else:
        _print_demo(result.report, folder)


def _print_demo(report: RankingReport, folder: Path) -> None:
    """The first candidates, the ranks of the planted changes, the page, and the command for the user's own images."""
    from eyeshot.rankings import planted_lines

    ranked = report.of("ranked")
    names = ", ".join(f"{number}. {candidate.name}" for number, candidate in enumerate(ranked[:FIRST], 1))
    typer.echo(f"\n{report.headline}")
    typer.echo(report.next_step)
    typer.echo(f"\nOf {len(ranked)} augmentations, these let the training images cover most of the target:\n  {names}")
    typer.echo("What was changed, and the rank of the augmentation that does the same:")
    for line in planted_lines(report):
        typer.echo(f"  {line}")
    typer.echo(f"\nPage: {folder / 'augmentations.html'}   data: {folder / 'augmentations.json'}")
    typer.echo("Next, with your own images: eyeshot rank augmentations TRAIN --test TEST")
