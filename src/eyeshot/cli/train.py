"""`eyeshot train`: a training with chosen augmentations."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eyeshot.cli.options import (
    OUTPUT,
    TRAINING,
    Augment,
    BatchSize,
    Device,
    DryRun,
    Epochs,
    Fit,
    Fold,
    FromScratch,
    ImageRoot,
    Interpolation,
    Json,
    LabelColumn,
    Labels,
    LearningRate,
    Mean,
    Model,
    PathColumn,
    Schedule,
    Seed,
    Settings,
    Size,
    Std,
    Train,
    UseDecisions,
    UseSplit,
    Val,
    ValShare,
    Weights,
    option,
    preparation,
)
from eyeshot.cli.output import as_typed, left_out, print_json, progress_shown, say, say_next, typed_command

if TYPE_CHECKING:
    from eyeshot.core import ProgressDisplay
    from eyeshot.training import TrainPlan

VAL_SHARE = 0.2


def known_optimizer(name: str | None) -> str | None:
    """Refuse an optimizer that is not in the catalogue, naming the nearest."""
    from eyeshot.training import check_optimizer

    return None if name is None else check_optimizer(name).name


def run(
    train: Train = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    val: Val = None,
    val_share: ValShare = VAL_SHARE,
    decisions: UseDecisions = True,
    split: UseSplit = True,
    fold: Fold = None,
    model: Model = None,
    weights: Weights = None,
    from_scratch: FromScratch = False,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    interpolation: Interpolation = None,
    fit: Fit = "crop",
    device: Device = None,
    augment: Augment = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    optimizer: Annotated[
        str | None,
        option(panel=TRAINING, text="See `eyeshot list optimizers`. Default: adamw.", callback=known_optimizer),
    ] = None,
    schedule: Schedule = None,
    more: Settings = None,
    seed: Seed = 0,
    overfit_one_batch: Annotated[
        bool,
        option(
            "--overfit-one-batch",
            panel=TRAINING,
            text="Only fit one batch of clean images, to see whether anything can be learned.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        option(panel=OUTPUT, text="Folder of the run. Default: eyeshot-out/runs/DATE-MODEL-AUGMENT-SEED."),
    ] = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Train a model with chosen augmentations; the same command continues an interrupted run."""
    import eyeshot
    from eyeshot.core import InputError, find_project, find_workspace, plural
    from eyeshot.ledger import chosen_augmentations
    from eyeshot.training import check_config, check_folder, project_settings, read_settings

    # Checked before the libraries that train are loaded, which takes seconds.
    settings = read_settings(more or ())
    given = {
        "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed,
        "optimizer": optimizer, "schedule": schedule,
    }  # fmt: skip
    known = {name: value for name, value in given.items() if value is not None}
    for name in known.keys() & settings.keys() - {"seed"}:  # the seed has a default, which --set may change
        if known[name] != settings[name]:
            raise InputError(
                f"A setting is given once, got --{name.replace('_', '-')} {known[name]} and --set "
                f"training.{name}={settings[name]}. Leave one of them out."
            )
    known |= settings
    project = find_project()
    check_config(**(project_settings(project) | known))
    names, _ = chosen_augmentations(augment or (), project=project, runs=find_workspace().results("runs"), out=out)
    if out is not None:
        check_folder(out, model=None, augmentations=names, settings=known)
    plans: list[TrainPlan] = []
    shown: list[str] = []
    written: list[int | None] = []
    with ExitStack() as stack:
        progress = stack.enter_context(progress_shown())

        def planned(plan: TrainPlan) -> None:
            plans.append(plan)
            written.append(_written(plan.folder))
            shown.extend(plan.notes)
            if dry_run:
                _print_estimate(plan, progress, json=json)
                raise typer.Exit
            if overfit_one_batch:
                raise typer.Exit(0 if _fits_one_batch(plan, progress, json=json) else 1)
            with progress.paused():
                say(plan.notes, warning=json)

        result = eyeshot.train(
            train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root, val=val,
            val_share=val_share, decisions=decisions, split=split, fold=fold, model=model, weights=weights,
            from_scratch=from_scratch, **preparation(size, mean, std, interpolation, fit), device=device,
            augment=augment or (), epochs=epochs, batch_size=batch_size, learning_rate=learning_rate,
            optimizer=optimizer, schedule=schedule, settings=settings, seed=seed, out=out,
            cache=_passing_cache(stack) if dry_run or overfit_one_batch else None, progress=progress,
            planned=planned, command=typed_command(),
        )  # fmt: skip
    if json:
        print_json(result)
        return
    (plan,) = plans
    accuracy = result.accuracy
    if written[0] is not None and written[0] == _written(plan.folder):
        typer.echo("Already trained; nothing done.")
    if accuracy.value is not None:
        typer.echo(
            f"Validation accuracy {accuracy.value:.3f} (95 % interval {accuracy.low:.3f} to {accuracy.high:.3f}, "
            f"n = {accuracy.n}) after {result.epochs} {plural(result.epochs, 'epoch')}, {result.seconds:.0f} s."
        )
    for alarm in result.alarms:
        typer.echo(f"alarm: {alarm.words}")
    for note in result.notes:
        typer.echo(note)
    if result.failed_samples:
        words = plural(result.failed_samples, "image, which was", "images, which were")
        typer.echo(f"An augmentation failed on {result.failed_samples} {words} used without it.")
    for note in plan.notes[len(shown) :]:
        typer.echo(note)
    typer.echo(
        f"Run: {plan.folder} (result.json, validation.npz with per-image probabilities, weights.safetensors, "
        "curves.svg, metrics.jsonl, log.txt)"
    )
    other = _comparable(plan.folder)
    if other is not None:
        typer.echo(f"Compare: {shlex.join(['eyeshot', 'compare', plan.folder.name, other])}")
    elif result.augmentations:
        typer.echo("Compare: the same command without --augment, or with another.")
    project_test = project.value("test", None)
    ranked = (find_workspace().results("augmentations") / "augmentations.json").is_file()
    if ranked or result.augmentations:  # the ranking was followed, or is not wanted
        name = plan.folder.name if out is None else str(plan.folder)
        if project_test is not None:
            say_next("predict", name)
        else:
            typer.echo(f"Next: eyeshot predict {shlex.quote(name)} --data TEST")
        return
    columns = {"labels": labels, "path_column": path_column, "label_column": label_column, "image_root": image_root}
    again = as_typed(train, **columns, val=val, val_share=None if val_share == VAL_SHARE else val_share, fold=fold)
    again += left_out(decisions=decisions, split=split)
    again += as_typed(None, model=model, weights=weights, size=size, mean=mean, std=std, interpolation=interpolation)
    again += ["--from-scratch"] if from_scratch else []
    # A typed training folder is not combined with the project's test images unless they are typed too.
    test = None if train is None else project_test
    if train is None or test is not None:
        say_next("rank", "augmentations", *again, *as_typed(None, test=test))
    else:
        typer.echo(f"Next: eyeshot rank augmentations {shlex.join(again)} --test TEST")


def _comparable(folder: Path) -> str | None:
    """Id of the latest other training of the project that validated on the same images; None without one."""
    from eyeshot.core import EyeshotError, find_workspace
    from eyeshot.ledger import list_runs
    from eyeshot.training import read_result, read_validation

    runs = find_workspace().results("runs")
    if folder.resolve().parent != runs.resolve():  # a folder of --out is no run of the project
        return None
    own, key = set(read_validation(folder).ids), getattr(read_result(folder), "key", None)
    for record in reversed(list_runs(runs)):
        place = runs / record.id
        if record.kind != "train" or place.resolve() == folder.resolve():
            continue
        try:
            result = read_result(place)
            if result is not None and result.key != key and set(read_validation(place).ids) == own:
                return record.id
        except EyeshotError:  # not finished, or damaged
            continue
    return None


def _written(folder: Path) -> int | None:
    """The time at which the result of a run was written, in nanoseconds; None without a result."""
    from eyeshot.training import RESULT_FILE

    file = folder / RESULT_FILE
    return file.stat().st_mtime_ns if file.is_file() else None


def _passing_cache(stack: ExitStack) -> Path:
    """A temporary folder for what a dry run must keep for a while; a dry run writes nothing permanent."""
    from tempfile import TemporaryDirectory

    return Path(stack.enter_context(TemporaryDirectory(prefix="eyeshot-")))


def _fits_one_batch(plan: TrainPlan, progress: ProgressDisplay, *, json: bool) -> bool:
    """Fit one batch and print what came of it; no run is written."""
    from dataclasses import asdict

    from eyeshot.training import overfit_one_batch

    with progress.paused():
        say(plan.notes, warning=json)
    result = overfit_one_batch(plan, progress=progress)
    with progress.paused():
        if json:
            print_json(asdict(result))
        else:
            typer.echo(result.words)
            if result.fitted:
                typer.echo("Next: the same command without --overfit-one-batch.")
    return result.fitted


def _print_estimate(plan: TrainPlan, progress: ProgressDisplay, *, json: bool) -> None:
    """What would be trained, with time, memory and disk, or why it would fail."""
    from dataclasses import asdict

    from eyeshot.core import ModelError, plural
    from eyeshot.training import estimate_training

    names = [augmentation.name for augmentation in plan.augmentations]
    train, val = len(plan.dataset.train_rows), len(plan.dataset.val_rows)
    try:
        cost = estimate_training(plan, progress=progress)
        estimate, words = asdict(cost), cost.words
    except ModelError as error:
        estimate, words = {}, f"It would fail: {error}"
    with progress.paused():
        if json:
            print_json(
                {
                    "model": plan.backbone.name, "augmentations": names, "n_train": train, "n_val": val,
                    "settings": plan.settings.model_dump(), "estimate": estimate, "words": words,
                    "out": str(plan.folder), "notes": plan.notes,
                }
            )  # fmt: skip
            return
        say(plan.notes)
        typer.echo(
            f"Would train {plan.backbone.name} on {train} {plural(train, 'image')}, {val} "
            f"{plural(val, 'validates', 'validate')}, with "
            f"{', '.join(names) or 'clean images'}."
        )
        typer.echo(words)
        typer.echo(f"Results would go to {plan.folder}. Next: the same command without --dry-run.")
