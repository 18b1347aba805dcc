"""`eyeshot split`: folds and a validation set that copies do not flatter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.project_data import DecisionsFile, ImageRoot, LabelColumn, Labels, PathColumn, Train


def run(
    train: Train = None,
    folds: Annotated[
        int | None, typer.Option(help="Folds; 0 for none. Default: 5, or none where --val is given alone.")
    ] = None,
    val: Annotated[float, typer.Option(help="Share held out of all folds, for validation alone.")] = 0.0,
    like_test: Annotated[
        Path | None, typer.Option(help="Hold out images that resemble the test images of this folder.")
    ] = None,
    small: Annotated[
        str, typer.Option(help="Classes with fewer copy groups than folds: refuse, or train (in every fold).")
    ] = "refuse",
    model: Annotated[
        str | None, typer.Option(help="Read leakage on features of this timm tag. Default: on thumbnails.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Local weights of the model.")] = None,
    leakage: Annotated[bool, typer.Option("--leakage/--no-leakage", help="Measure a plain split beside it.")] = True,
    audit: Annotated[
        Path | None, typer.Option(help="audit.json whose near copies stay together. Default: that of the project.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another split.")] = 0,
    out: Annotated[Path | None, typer.Option(help="File to write. Default: split.json of the project.")] = None,
    device: Annotated[str | None, typer.Option(help="cuda, mps or cpu. Default: found.")] = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    decisions: DecisionsFile = None,
) -> None:
    """Divide the images, each class evenly and copies never apart; the file is the team's."""
    import shlex
    import sys

    from eyeshot.auditing import COPIES, SplitRequest, check_request, make_split, read_groups
    from eyeshot.cli.console import progress_shown
    from eyeshot.cli.project_data import data_config
    from eyeshot.core import InputError, find_project, find_workspace
    from eyeshot.data import SPLIT_FILE, check_data, count_parts, load_dataset
    from eyeshot.models import choose_device, load_backbone

    if small not in ("refuse", "train"):
        raise InputError(f"--small must be refuse or train, got {small!r}.")
    request = SplitRequest(
        folds=folds if folds is not None else (0 if val else 5), val=val, seed=seed, small=small == "train",
        leakage=leakage,
    )  # fmt: skip
    check_request(request, like_test=like_test is not None)
    project, workspace = find_project(), find_workspace()
    if like_test is not None:
        project.check_use("features", "--like-test")
    data = data_config(
        train, like_test, decisions=decisions, split=False, val_share=None, seed=seed, labels=labels,
        path_column=path_column, label_column=label_column, image_root=image_root,
    )  # fmt: skip
    check_data(data)
    own_audit = workspace.results("audit") / "audit.json"
    if audit is None and own_audit.is_file():
        audit = own_audit
    near = read_groups(audit) if audit is not None else []
    basis = COPIES if audit is None else f"{COPIES}, near copies of {audit.name} ({len(near)} groups)"
    backbone = None if model is None else load_backbone(model, weights=weights)
    with progress_shown() as progress:
        dataset = load_dataset(data, cache=workspace.cache, progress=progress, near_duplicates=near)
        split = make_split(
            dataset, request, cache=workspace.cache, basis=basis, backbone=backbone,
            device=str(choose_device(device)[0]), progress=progress, command=shlex.join(["eyeshot", *sys.argv[1:]]),
        )  # fmt: skip
    file = out or workspace.project / SPLIT_FILE
    split.write(file)
    for note in dataset.notes:
        typer.echo(f"- {note}")
    typer.echo(f"Copies stay together by {split.basis}.")
    if audit is None:
        typer.echo(
            "Near copies (crops, small rotations) are not among them: run eyeshot audit first to keep these too."
        )
    counts = ", ".join(
        f"{name}: {count}" for name, count in count_parts(dataset.images, split.of(dataset.images)).items()
    )
    typer.echo(f"{len(dataset.images)} images in {len(dataset.classes)} classes: {counts}.")
    if split.like_test is not None:
        typer.echo(split.like_test.words())
        typer.echo(project.rules())
    if split.leakage is not None:
        typer.echo(split.leakage.words())
    typer.echo(f"Wrote {file}; the same images and seed give the same parts.")
