"""`eyeshot compare`: which run is better on the same images, and whether it is more than noise."""

from __future__ import annotations

from typing import Annotated

import typer

from eyeshot.cli.options import DATA, ClassShares, Json, option
from eyeshot.cli.output import plain_table, print_fitting, print_json, progress_shown, say

Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUNS",
        help="At least two: ids of runs or experiments, beginnings of ids, folders, or .csv and .npz files.",
        show_default=False,
    ),
]


def run(
    runs: Runs,
    split: Annotated[
        str, option(panel=DATA, text="Which predictions: validation, or a labelled folder that was predicted.")
    ] = "validation",
    against: Annotated[
        str | None,
        option(panel=DATA, metavar="RUN", text="The run to compare the others with. Default: the most accurate."),
    ] = None,
    class_shares: ClassShares = None,
    logits: Annotated[
        bool, option("--logits", panel=DATA, text="Predictions of your own hold scores before softmax.")
    ] = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Compare runs on the same images: differences with intervals, verdicts, and an estimate on the test images."""
    import eyeshot
    from eyeshot.core import NOTHING, percent, points

    with progress_shown() as progress:
        compared = eyeshot.compare(
            runs, split=split, against=against, class_shares=class_shares, logits=logits, progress=progress
        )
    if json:
        print_json(compared)
        return
    table = plain_table(
        "run", "accuracy", "95 %", "difference", "95 %", "p", "verdict", "estimate on test", left=("run", "verdict"),
        overflow="fold",
    )  # fmt: skip
    for member in compared.members:
        accuracy, difference, estimate = member.accuracy, member.difference, member.estimate
        cells = ["", "", "", "the reference"]
        if difference is not None:
            cells = [
                points(difference.value),
                f"{points(difference.low)[:-7]} to {points(difference.high)[:-7]}",
                "< 0.001" if difference.p_adjusted < 0.001 else f"{difference.p_adjusted:.3f}",
                difference.verdict,
            ]
        table.add_row(
            member.words,
            percent(accuracy.value, 1),
            f"{percent(accuracy.low, 1)[:-2]} to {percent(accuracy.high, 1)[:-2]}",
            *cells,
            NOTHING
            if estimate is None
            else f"{percent(estimate.value, 1)} ({percent(estimate.low, 1)[:-2]} to {percent(estimate.high, 1)[:-2]})",
        )
    print_fitting(table, names=("run",))
    typer.echo(compared.answer)
    say(compared.notes)
    typer.echo(f"Next: {compared.next_step}")
