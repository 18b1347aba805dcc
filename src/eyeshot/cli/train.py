"""`eyeshot train`: one training with chosen augmentations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    train: Annotated[
        Path | None,
        typer.Argument(help="Folder with one folder of images per class (or the root of --labels); or eyeshot.toml's."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="timm tag (architecture.weights), or package.module:factory.")
    ] = None,
    augment: Annotated[
        list[str] | None,
        typer.Option(help="A candidate's name, or your own as module:attribute; repeat: applied in order."),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Local weights: safetensors or a state dict.")] = None,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Start from untrained weights.")] = False,
    size: Annotated[int | None, typer.Option(help="Side of the images in pixels. Default: the model's own.")] = None,
    mean: Annotated[str | None, typer.Option(help="Mean per channel (own models).")] = None,
    std: Annotated[str | None, typer.Option(help="Standard deviation per channel (own models).")] = None,
    interpolation: Annotated[str | None, typer.Option(help="bilinear, bicubic, nearest or lanczos.")] = None,
    fit: Annotated[str, typer.Option(help="crop or pad to the square; the ratio is always kept.")] = "crop",
    val: Annotated[Path | None, typer.Option(help="Class folders of held-out images of your own.")] = None,
    val_share: Annotated[
        float, typer.Option(help="Share of the training images held out, where there is no --val.")
    ] = 0.2,
    labels: Annotated[
        Path | None, typer.Option(help="CSV with paths and labels, in the place of class folders.")
    ] = None,
    path_column: Annotated[str | None, typer.Option(help="Column with paths or ids. Default: guessed.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column with labels. Default: guessed.")] = None,
    image_root: Annotated[Path | None, typer.Option(help="Folder that the paths start from. Default: guessed.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training images. Default: by model and data.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule.")] = None,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    device: Annotated[str | None, typer.Option(help="cuda, mps or cpu. Default: found.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run. Default: one in eyeshot-out/runs, named by time and model.")
    ] = None,
    manifest: Annotated[bool, typer.Option(help="Use the project's decisions.jsonl where there is one.")] = True,
    split: Annotated[bool, typer.Option(help="Use the project's split.json where there is one and no --val.")] = True,
    fold: Annotated[int | None, typer.Option(help="The fold of the split that validates.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print result.json on standard output, nothing else.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and time, memory and disk.")] = False,
) -> None:
    """Train a model with chosen augmentations; the same command continues a run that was cut off."""
    import shlex
    import sys

    from eyeshot.cli.console import progress_shown
    from eyeshot.cli.numbers import triple, values_checked
    from eyeshot.cli.project_data import data_config
    from eyeshot.cli.scratch import workspace_for
    from eyeshot.core import ModelError
    from eyeshot.ledger import place_training
    from eyeshot.training import estimate_training, plan_training, train_folder

    command = shlex.join(["eyeshot", *sys.argv[1:]])
    with progress_shown() as progress, values_checked("train"), workspace_for(dry_run=dry_run) as workspace:
        data = data_config(
            train, manifest=manifest, split=split, fold=fold, val=val, val_share=val_share, seed=seed,
            labels=labels, path_column=path_column, label_column=label_column, image_root=image_root,
        )  # fmt: skip
        plan = plan_training(
            data,
            model=model,
            weights=weights,
            from_scratch=from_scratch,
            size=size,
            mean=triple(mean, "--mean"),
            std=triple(std, "--std"),
            interpolation=interpolation,  # type: ignore[arg-type]
            fit=fit,  # type: ignore[arg-type]
            augment=tuple(augment or ()),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            device=device,
            out=out,
            workspace=workspace,
            progress=progress,
        )
        if out is None:
            plan = place_training(plan, workspace.results("runs"), command=command, dry_run=dry_run)
    if not json_ or dry_run:
        for note in plan.notes:
            typer.echo(f"- {note}", err=json_)
    if dry_run:
        names = ", ".join(one.name for one in plan.augmentations) or "clean images"
        data_words = f"{len(plan.dataset.train_rows)} images, {len(plan.dataset.val_rows)} validate"
        typer.echo(f"Would train {plan.backbone.name} on {data_words}, with {names}: {plan.settings.words}.")
        try:
            with progress_shown() as progress:
                typer.echo(estimate_training(plan, progress=progress).words)
        except ModelError as error:
            typer.echo(f"It would fail: {error}")
        typer.echo(f"Results would go to {plan.folder}. Next: the same command without --dry-run.")
        return
    with progress_shown() as progress:
        result, skipped = train_folder(plan, command=command, progress=progress)
    if json_:
        sys.stdout.write(result.model_dump_json(indent=2) + "\n")
        return
    accuracy = result.accuracy
    if accuracy.value is not None:
        typer.echo(
            f"Accuracy {accuracy.value:.3f} (95 % interval {accuracy.low:.3f} to {accuracy.high:.3f}, "
            f"n = {accuracy.n}) after {result.epochs} epochs, {result.seconds:.0f} s."
        )
    for alarm in result.alarms:
        typer.echo(f"alarm: {alarm}")
    if result.failed_samples:
        typer.echo(f"An augmentation failed on {result.failed_samples} images, which were used without it.")
    if skipped:
        typer.echo(f"Skipped {len(skipped)} files, for instance {skipped[0].path}: {skipped[0].reason}.")
    typer.echo(f"Run: {plan.folder} (result.json, validation.npz with per-image probabilities, weights.safetensors)")
    others = " ".join(f"--augment {one.name}" for one in plan.augmentations)
    typer.echo(
        "Next: the same command with another --augment, to compare."
        if others
        else f"Next: eyeshot rank augmentations {shlex.quote(str(data.train))} --test TEST, to find an augmentation."
    )
