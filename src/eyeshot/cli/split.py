"""`eyeshot split`: folds and a validation set whose accuracy duplicates do not inflate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.options import (
    OUTPUT,
    SPLIT,
    AuditFile,
    DecisionsFile,
    Device,
    Fit,
    ImageRoot,
    Interpolation,
    Json,
    LabelColumn,
    Labels,
    Mean,
    Model,
    PathColumn,
    Seed,
    Size,
    Std,
    Train,
    UseDecisions,
    Weights,
    existing_folder,
    option,
    preparation,
    share_or_none,
)
from eyeshot.cli.output import as_typed, left_out, print_json, progress_shown, say, say_next, typed_command


def run(
    train: Train = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    decisions: UseDecisions = True,
    decisions_file: DecisionsFile = None,
    audit: AuditFile = None,
    folds: Annotated[
        int | None, option(panel=SPLIT, text="Folds; 0 for none. Default: 5, or none if --val-share is given alone.")
    ] = None,
    val_share: Annotated[
        float,
        option(panel=SPLIT, text="Share of the training images to hold out for validation.", callback=share_or_none),
    ] = 0.0,
    match_test: Annotated[
        Path | None,
        option(
            panel=SPLIT,
            text="Hold out images that resemble the test images of this folder.",
            callback=existing_folder("--match-test"),
        ),
    ] = None,
    small_classes: Annotated[
        str,
        option(panel=SPLIT, text="Classes with fewer duplicate groups than folds: refuse, or train in every fold."),
    ] = "refuse",
    leakage: Annotated[
        bool,
        option(
            "--leakage/--no-leakage", panel=SPLIT, text="Measure what duplicates would add under a plain random split."
        ),
    ] = True,
    model: Model = None,
    weights: Weights = None,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    interpolation: Interpolation = None,
    fit: Fit = "crop",
    device: Device = None,
    seed: Seed = 0,
    out: Annotated[Path | None, option(panel=OUTPUT, text="File to write. Default: split.json of the project.")] = None,
    json: Json = False,
) -> None:
    """Divide the images: each class evenly, and duplicates never apart. The whole team uses the file.

    Leakage is measured on the features of --model, or on thumbnails.
    """
    from eyeshot.data import check_shares

    check_shares(folds, val_share)  # before the imports below, which take seconds
    import eyeshot
    from eyeshot.core import audit_file, find_project, find_workspace, plural
    from eyeshot.data import SPLIT_FILE

    with progress_shown() as progress:
        split = eyeshot.split(
            train, folds=folds, val_share=val_share, match_test=match_test,
            small_classes=small_classes,  # type: ignore[arg-type]  # checked there
            leakage=leakage, audit=audit, labels=labels, path_column=path_column, label_column=label_column,
            image_root=image_root, decisions=decisions_file or decisions, model=model, weights=weights,
            **preparation(size, mean, std, interpolation, fit), device=device, seed=seed, progress=progress,
            command=typed_command(),
        )  # fmt: skip
    file = out or find_workspace().project / SPLIT_FILE
    split.write(file)
    if json:
        print_json(split)
        return
    say(split.notes)
    typer.echo(f"Duplicates stay together by {split.basis}.")
    if audit_file(audit) is None:
        typer.echo(
            "Near-duplicates (crops, small rotations) are not included: run eyeshot audit first to include them."
        )
    total = sum(split.counts.values())
    parts = [f"{_part(name, split.folds)}: {count} {plural(count, 'image')}" for name, count in split.counts.items()]
    classes = f"{split.n_classes} {plural(split.n_classes, 'class', 'classes')}"
    typer.echo(f"{total} {plural(total, 'image')} in {classes}: {', '.join(parts)}.")
    if split.like_test is not None:
        typer.echo(split.like_test.words())
        typer.echo(find_project().rules())
    if split.leakage is not None:
        typer.echo(split.leakage.words())
    typer.echo(f"Wrote {file}; the same images and seed give the same parts.")
    if out is None:
        columns = {"labels": labels, "path_column": path_column, "label_column": label_column}
        again = as_typed(train, **columns, image_root=image_root)
        say_next("rank", "augmentations", *again, *left_out(decisions=decisions))


def _part(name: str, folds: int) -> str:
    """A part of a split in words."""
    if name.isdigit():
        return f"fold {name}"
    held_out, training = ("held out of all folds", "training in every fold") if folds else ("held out", "training")
    return {"val": held_out, "train": training}.get(name, name)
