"""`eyeshot demo`: the main job on digits whose right answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from eyeshot.rankings import Candidate, RankingReport

MODEL = "test_resnet.r160_in1k"
VAL_SHARE = 0.3
SCRATCH_TIME_S = 75.0


def run(
    out: Annotated[Path | None, typer.Option(help="Folder for data and results. Default: eyeshot-out/demo.")] = None,
    seed: Annotated[int, typer.Option(help="Which digits are training, and all other random choices.")] = 0,
    budget: Annotated[
        str, typer.Option(help="Time for short runs after the ranking by cover, for instance 2m; 0 for none.")
    ] = "0",
    json_: Annotated[
        bool, typer.Option("--json", help="Print augmentations.json on standard output, nothing else.")
    ] = False,
) -> None:
    """Run the main job on handwritten digits; ends by saying whether the ranking found the known answer."""
    from eyeshot.cli.console import progress_shown
    from eyeshot.cli.cover_output import print_cover, print_json
    from eyeshot.cli.numbers import duration
    from eyeshot.core import find_workspace, make_folder
    from eyeshot.data import write_digits
    from eyeshot.rankings import check_settings, rank_augmentations
    from eyeshot.reports import write_ranking_page

    budget_s = duration(budget, "--budget")
    workspace = find_workspace()
    folder = make_folder(out or workspace.results("demo"))
    train, test = write_digits(folder / f"digits-{seed}", seed=seed)
    if not json_:
        typer.echo(
            f"Training: handwritten digits in {train}. Target, without labels: other digits in {test},\n"
            "a third turned by up to 30°, a third inverted, a third with thicker strokes.\n"
            f"Model: {MODEL.partition('.')[0]}, trained from scratch on half of the training images."
        )
    with progress_shown() as progress:
        result = rank_augmentations(
            train,
            cache=workspace.cache,
            progress=progress,
            command=f"eyeshot demo --seed {seed}" + (f" --budget {budget}" if budget_s else ""),
            **demo_settings(test, seed, budget_s=budget_s),
        )
        progress(0, 0, "writing the page")
        result.save(folder)
        write_ranking_page(result, folder / "augmentations.html")
    settings = check_settings(**demo_settings(test, seed, budget_s=budget_s))
    if json_:
        print_json([result])
    else:
        print_cover(result, folder, workspace.cache, train=train, settings=settings)
        checks = check_answer(result.report)
        typer.echo("\nThe known answer:")
        for statement, held in checks:
            typer.echo(f"  {'yes' if held else 'NO '}  {statement}")
        typer.echo("FOUND" if all(held for _, held in checks) else "NOT FOUND")


def demo_settings(test: Path, seed: int, *, budget_s: float = 0.0) -> dict[str, Any]:
    """Settings of the demo, fields of `RankingSettings`."""
    return {
        "test": test,
        "model": MODEL,
        "from_scratch": True,
        "size": 32,
        "val_share": VAL_SHARE,
        "seed": seed,
        "scratch_time_s": SCRATCH_TIME_S,
        "budget_s": budget_s,
    }


def check_answer(report: RankingReport) -> list[tuple[str, bool]]:
    """Statements that must hold on the digits, and whether each does; noise is allowed for as in the ranking."""
    score = {candidate.name: candidate.score or 0.0 for candidate in report.candidates}
    small = report.candidate("rotate-15")
    half = report.candidate("half-turns")
    mirror = report.candidate("mirror")
    dilation = report.candidate("dilation")
    ahead = {one.name for one in report.of("ranked") if (one.group or 0) < (dilation.group or 0)}
    mixed = {frozenset((pair.true, pair.taken_for)) for pair in half.mixes}
    return [
        (
            "invert is first, and nothing else is clearly ahead of dilation",
            report.advice == "invert" and ahead <= {"invert"},
        ),
        ("small turns (rotate-15) are above the no-op", small.interval is not None and small.interval[0] > 0),
        ("half turns are below small turns and not above the no-op", _below(half, score["rotate-15"])),
        ("mirror is below small turns and not above the no-op", _below(mirror, score["rotate-15"])),
        (
            "half turns are flagged as mixing 6 with 9",
            half.role == "label-breaking" and frozenset(("6", "9")) in mixed,
        ),
    ]


def _below(candidate: Candidate, small_turns: float) -> bool:
    """Less than small turns, and no gain over the no-op beyond noise."""
    low = candidate.interval[0] if candidate.interval else 0.0
    return (candidate.score or 0.0) < small_turns and low <= 0
