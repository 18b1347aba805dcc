"""`eyeshot cover`: rank augmentations for a model on the user's own folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    train: Annotated[
        Path | None,
        typer.Argument(help="Folder with one folder of images per class (or the root of --labels); or eyeshot.toml's."),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(help="Unlabelled folder to be covered, flat or nested. Without it: the validation images."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="timm tag (architecture.weights), or package.module:factory; repeat to compare models."),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Local weights: safetensors or a state dict.")] = None,
    from_scratch: Annotated[
        bool,
        typer.Option("--from-scratch", help="Train a baseline of the architecture in place, on clean images."),
    ] = False,
    mean: Annotated[
        str | None, typer.Option(help="Mean per channel, for instance 0.485,0.456,0.406 (own models).")
    ] = None,
    std: Annotated[str | None, typer.Option(help="Standard deviation per channel (own models).")] = None,
    interpolation: Annotated[str | None, typer.Option(help="bilinear, bicubic, nearest or lanczos.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the images in pixels. Default: the model's own.")] = None,
    fit: Annotated[str, typer.Option(help="crop or pad to the square; the ratio is always kept.")] = "crop",
    labels: Annotated[
        Path | None, typer.Option(help="CSV with paths and labels, in the place of class folders.")
    ] = None,
    path_column: Annotated[str | None, typer.Option(help="Column with paths or ids. Default: guessed.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column with labels. Default: guessed.")] = None,
    image_root: Annotated[Path | None, typer.Option(help="Folder that the paths start from. Default: guessed.")] = None,
    val: Annotated[Path | None, typer.Option(help="Class folders of held-out images of your own.")] = None,
    val_share: Annotated[
        float, typer.Option(help="Share of the training images held out, where there is no --val.")
    ] = 0.2,
    generated: Annotated[
        Path | None, typer.Option(help="Class folders of generated images: one more candidate.")
    ] = None,
    candidates: Annotated[
        list[str] | None, typer.Option(help="Names, wildcards or families; repeat. Default: all.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="What you train with already, a candidate or module:compose: gains are on top of it."),
    ] = None,
    budget: Annotated[
        str, typer.Option(help="Time for short runs after the ranking by cover: 90s, 10m, 1h; 0 for none.")
    ] = "10m",
    confirm: Annotated[
        int, typer.Option(help="Train so many of the first to the end, and clean and trivial-augment.")
    ] = 0,
    map_: Annotated[
        list[str] | None, typer.Option("--map", help="Candidates on the map beside the winner; repeat.")
    ] = None,
    sample: Annotated[int, typer.Option(help="Images of each kind (source, held-out, target) at most.")] = 600,
    draws: Annotated[int, typer.Option(help="Views of each source image per candidate.")] = 3,
    batch_size: Annotated[int, typer.Option(help="Images at once in the model.")] = 64,
    workers: Annotated[int | None, typer.Option(help="Threads that decode. Default: the cores.")] = None,
    baseline_cap: Annotated[float, typer.Option(help="Seconds after which no epoch of the baseline begins.")] = 120.0,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    device: Annotated[str | None, typer.Option(help="cuda, mps or cpu. Default: found.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results. Default: eyeshot-out/augmentations.")
    ] = None,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Small pictures on the page.")] = True,
    manifest: Annotated[bool, typer.Option(help="Use the project's decisions.jsonl where there is one.")] = True,
    split: Annotated[bool, typer.Option(help="Use the project's split.json where there is one and no --val.")] = True,
    fold: Annotated[int | None, typer.Option(help="The fold of the split that validates.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser at the end.")] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="Print augmentations.json (an array for several models), nothing else.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, with time, memory and disk.")] = False,
) -> None:
    """Which augmentation lets the training images cover the test images, for this model?

    Writes augmentations.html, .svg, .json and uncovered.csv. The same command continues a run that was cut off.
    """
    import shlex
    import sys

    from eyeshot.cli.browser import open_page
    from eyeshot.cli.cover_output import print_cover, print_json
    from eyeshot.cli.cover_run import cover_models
    from eyeshot.cli.numbers import duration, triple
    from eyeshot.cli.project_data import data_config
    from eyeshot.core import InputError, find_workspace
    from eyeshot.rankings import check_settings

    models = tuple(model or ())
    if weights is not None and len(models) > 1:
        raise InputError(f"--weights belongs to one --model, got {len(models)} models. Run them one by one.")
    data = data_config(
        train, test, use_test=True, manifest=manifest, split=split, fold=fold, val=val, val_share=val_share, seed=seed,
        labels=labels, path_column=path_column, label_column=label_column, image_root=image_root,
    )  # fmt: skip
    folder_of_train = data.train
    settings = check_settings(
        **data.model_dump(exclude={"train"}),
        model=models[0] if models else None,
        weights=weights,
        from_scratch=from_scratch,
        mean=triple(mean, "--mean"),
        std=triple(std, "--std"),
        interpolation=interpolation,
        size=size,
        fit=fit,
        generated=generated,
        candidates=tuple(candidates or ()),
        map=tuple(map_ or ()),
        sample=sample,
        draws=draws,
        batch_size=batch_size,
        workers=workers,
        baseline_cap_s=baseline_cap,
        base=base,
        budget_s=duration(budget, "--budget") / max(1, len(models)),
        confirm=confirm,
        device=device,
        images=images,
    )
    workspace = find_workspace()
    folder = out or workspace.results("augmentations")
    several = [settings.model_copy(update={"model": one}) for one in models] or [settings]
    command = shlex.join(["eyeshot", *sys.argv[1:]])
    results = cover_models(
        folder_of_train, several, folder=folder, workspace=workspace, command=command, dry_run=dry_run, json=json_
    )
    if dry_run:
        return
    if json_:
        print_json([result for _, result in results])
    else:
        for (place, result), each in zip(results, several, strict=True):
            print_cover(result, place, workspace.cache, train=folder_of_train, settings=each)
    if open_:
        open_page(results[0][0] / "augmentations.html", quiet=json_)
