"""`eyeshot predict`: probabilities of runs on the test images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.options import DATA, MODEL, Device, Json, existing_folder, option
from eyeshot.cli.output import print_json, progress_shown, say, say_next

Runs = Annotated[
    list[str],
    typer.Argument(metavar="RUNS", help="Ids of runs, the beginnings of ids, or their folders.", show_default=False),
]


def views_of(text: str | None) -> tuple[str, ...]:
    """The views in "hflip,scale"."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def run(
    runs: Runs,
    data: Annotated[
        Path | None,
        option(
            panel=DATA, text="Folder of images to predict. Default: the project's test images.",
            callback=existing_folder("--data"),
        ),
    ] = None,
    tta: Annotated[
        str | None,
        option(
            panel=MODEL, metavar="VIEWS",
            text="Views to average over: hflip, vflip, rot90, rot180, rot270, scale. Tried on validation images first.",
        ),
    ] = None,
    own: Annotated[
        list[str] | None,
        option(
            "--own", panel=DATA, metavar="NAME=FILE",
            text="Predictions of these images for a member of an ensemble that is a file of your own. Repeat for more.",
        ),
    ] = None,
    device: Device = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Write the probabilities of finished runs on the test images, once for each run and set of images."""
    import eyeshot
    from eyeshot.core import percent, points

    with progress_shown() as progress:
        predicted = eyeshot.predict(runs, data=data, tta=views_of(tta), own=own or (), device=device, progress=progress)
    if json:
        print_json([each.model_dump(mode="json") for each in predicted])
        return
    for each in predicted:
        typer.echo(each.words)
        for effect in each.views:
            if effect.used:
                typer.echo(
                    f"- {effect.view}: {points(effect.difference)} on validation images ({points(effect.low)} to "
                    f"{points(effect.high)})."
                )
        if each.cost > 1:
            how = "With test-time augmentation" if each.views else "As an ensemble"
            typer.echo(
                f"- {how} {percent(each.validation.value, 1)} on validation images, at "
                f"{each.cost} times the forward passes."
            )
        say(each.notes)
        typer.echo(f"  {each.file}")
    say_next("predict", *runs[:1], "--submission", "SAMPLE.csv", "--out", "submission.csv")
