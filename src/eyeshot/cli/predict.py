"""`eyeshot predict`: probabilities of runs on the test images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.options import DATA, MODEL, ClassShares, Device, Json, existing_folder, option
from eyeshot.cli.output import print_json, progress_shown, say, say_next

SUBMISSION = "Submission"

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
    class_shares: ClassShares = None,
    submission: Annotated[
        Path | None,
        option(
            panel=SUBMISSION, metavar="CSV",
            text="Sample submission, whose form is kept. Default, where --out is given: the project's.",
        ),
    ] = None,
    out: Annotated[Path | None, option(panel=SUBMISSION, text="The submission to write.")] = None,
    labels: Annotated[
        Path | None,
        option(panel=SUBMISSION, text="CSV with names and numbers of the classes. Default: the project's labels."),
    ] = None,
    form_only: Annotated[
        bool | None,
        option(
            "--form-only/--sample-rows", panel=SUBMISSION,
            text="A sample that names a part of the test images: write all images in its form, or only its rows.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, option("--force", panel=SUBMISSION, text="Write over --out if it is there.")] = False,
    logits: Annotated[
        bool, option("--logits", panel=SUBMISSION, text="Predictions of your own hold scores before softmax.")
    ] = False,
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
    """Write the probabilities of finished runs on the test images, once for each run and set of images.

    With --submission and --out also a submission of one run, of an ensemble, or of your own predictions (.csv, .npz).
    """
    import eyeshot
    from eyeshot.core import find_project, percent, points

    with progress_shown() as progress:
        predicted = eyeshot.predict(
            runs, data=data, tta=views_of(tta), class_shares=class_shares, submission=submission, out=out,
            labels=labels, form_only=form_only, force=force, logits=logits, own=own or (),
            device=device, progress=progress,
        )  # fmt: skip
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
        if each.estimate is not None:
            typer.echo(f"- Accuracy on these images, without labels: {each.estimate.words}.")
            say(each.estimate.warnings)
        say(each.notes)
        typer.echo(f"  {each.file}")
    if out is not None:
        say_next("submit", str(out))
    else:
        sample = [] if "file" in find_project().submission else ["--submission", "SAMPLE.csv"]
        estimates = [each.estimate.value for each in predicted if each.estimate is not None]
        best = estimates.index(max(estimates)) if len(estimates) == len(runs) else 0
        say_next("predict", runs[best], *sample, "--out", "submission.csv")
