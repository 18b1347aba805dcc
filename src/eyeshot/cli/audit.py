"""`eyeshot audit`: look at the data first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.project_data import ImageRoot, LabelColumn, Labels, PathColumn


def run(
    train: Annotated[
        Path | None,
        typer.Argument(
            help="Folder with one folder of images per class (or the root of --labels, or just images). "
            "Default: what eyeshot.toml says.",
            show_default=False,
        ),
    ] = None,
    test: Annotated[Path | None, typer.Option(help="Unlabelled test folder, flat or nested.")] = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    small_class: Annotated[int, typer.Option(help="Classes with fewer images are named.")] = 20,
    thorough: Annotated[
        bool | None,
        typer.Option("--thorough/--quick", help="Search for crops and small turns too. Default: up to 2,000 pictures."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="timm tag, or package.module:factory: label issues, outliers, and train against test by its features."
        ),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Local weights of the model.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of its images in pixels. Default: the model's own.")] = None,
    mean: Annotated[str | None, typer.Option(help="Mean per channel, 0.485,0.456,0.406 (own models).")] = None,
    std: Annotated[str | None, typer.Option(help="Standard deviation per channel (own models).")] = None,
    interpolation: Annotated[str | None, typer.Option(help="bilinear, bicubic, nearest or lanczos.")] = None,
    device: Annotated[str | None, typer.Option(help="cuda, mps or cpu. Default: found.")] = None,
    probabilities: Annotated[
        Path | None,
        typer.Option(help="CSV with your own out-of-fold probabilities: a path, then a column for each class."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that read. Default: the cores.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results. Default: eyeshot-out/audit.")] = None,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Small pictures on the page.")] = True,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser at the end.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print audit.json, nothing else.")] = False,
) -> None:
    """What is in the data? Broken files, duplicates, pictures with two labels, leaks, train against test.

    Writes audit.html, audit.json and findings.csv; files are only read. Further runs read only what changed.
    """
    import shlex
    import sys

    from eyeshot.auditing import audit
    from eyeshot.cli.audit_output import print_audit
    from eyeshot.cli.browser import open_page
    from eyeshot.cli.console import progress_shown
    from eyeshot.cli.numbers import triple
    from eyeshot.cli.project_data import as_typed
    from eyeshot.core import InputError, find_project, find_workspace, keep_freed_memory, make_folder
    from eyeshot.reports import write_audit_page

    if workers is not None and workers < 1:
        raise InputError(f"--workers must be at least 1, got {workers}. Leave it out for one per core.")
    if small_class < 0:
        raise InputError(f"--small-class must be 0 or more, got {small_class}. 0 names no class.")
    own_settings = {
        "--weights": weights,
        "--size": size,
        "--mean": mean,
        "--std": std,
        "--interpolation": interpolation,
    }
    for option, value in own_settings.items():
        if value is not None and model is None:
            raise InputError(f"{option} belongs to a model, got {str(value)!r} without one. Add --model TAG.")
    workspace, project = find_workspace(), find_project()
    again = as_typed(train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root)
    # A folder of another kind than the project's must not be read with the project's CSV, nor beside its test images.
    own = project if train is None else type(project)()
    train = project.value("train", train, needed="TRAIN must be a folder of images")
    test = own.value("test", test)
    if test is not None:
        project.check_use("features", "eyeshot audit with test images")
    columns = {"path_column": path_column, "label_column": label_column, "image_root": image_root}
    folder = make_folder(out or workspace.results("audit"))
    backbone, place = None, "cpu"
    if model is not None:
        from eyeshot.models import choose_device, load_backbone

        place = str(choose_device(device)[0])
        backbone = load_backbone(
            model, weights=weights, size=size, mean=triple(mean, "--mean"), std=triple(std, "--std"),
            interpolation=interpolation,
        )  # fmt: skip
    keep_freed_memory()
    with progress_shown() as progress:
        result = audit(
            train, test, labels=own.value("labels", labels),
            **{name: own.value(name, given) for name, given in columns.items()},
            small_class=small_class, thorough=thorough, backbone=backbone, probabilities=probabilities,
            device=place, cache=workspace.cache, workers=workers, progress=progress,
            command=shlex.join(["eyeshot", *sys.argv[1:]]),
        )  # fmt: skip
        progress(0, 0, "writing the page")
        result.save(folder)
        write_audit_page(result, folder / "audit.html", images=images)
    if json_:
        sys.stdout.write(result.report.model_dump_json(indent=2) + "\n")
    else:
        print_audit(result.report, folder, again=again)
    if open_:
        open_page(folder / "audit.html", quiet=json_)
