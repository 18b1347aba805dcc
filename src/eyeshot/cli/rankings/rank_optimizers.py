"""`eyeshot rank optimizers`: which optimizers suit the situation, tried against AdamW."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eyeshot.cli.options import (
    OUTPUT,
    RANKING,
    Augment,
    BatchSize,
    Device,
    DryRun,
    Epochs,
    Fit,
    Fold,
    FromScratch,
    ImageRoot,
    Images,
    Interpolation,
    Json,
    LabelColumn,
    Labels,
    LearningRate,
    Mean,
    Model,
    Open,
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
from eyeshot.cli.output import open_page, plain_table, print_fitting, print_json, progress_shown, say, typed_command

if TYPE_CHECKING:
    from rich.table import Table

    from eyeshot.core import ProgressDisplay
    from eyeshot.rankings import OptimizersPlan, OptimizersReport

SHOWN_FILES = 4


def run(
    train: Train = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    val: Val = None,
    val_share: ValShare = 0.2,
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
    schedule: Schedule = None,
    more: Settings = None,
    optimizer: Annotated[
        list[str] | None,
        option(panel=RANKING, text="Try this one against AdamW; repeat. Default: the three that are advised."),
    ] = None,
    budget: Annotated[
        str, option(panel=RANKING, text="Time for the trials: 90s, 20m, 2h; 0 advises without trials.")
    ] = "20m",
    seeds: Annotated[int, option(panel=RANKING, text="Trainings of each optimizer that are compared.")] = 3,
    rates: Annotated[int, option(panel=RANKING, text="Learning rates that each optimizer is tried with first.")] = 3,
    seed: Seed = 0,
    out: Annotated[
        Path | None, option(panel=OUTPUT, text="Folder for the results. Default: eyeshot-out/optimizers.")
    ] = None,
    images: Images = True,
    open_: Open = False,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Which optimizer suits this model on these images, and does it beat AdamW?

    Measures the situation (network, recipe, data, how much random batches differ in the first steps), advises three
    optimizers with reasons, and trains them against AdamW on the same seeds and batches, each at its best of a few
    learning rates. Writes optimizers.html and optimizers.json. The same command continues an interrupted run.
    """
    from eyeshot.core import find_project, seconds_of
    from eyeshot.rankings import check_options
    from eyeshot.training import check_config, project_settings, read_settings

    # Checked before the libraries that train are loaded, which takes seconds.
    budget_s = seconds_of(budget, "--budget")
    settings = read_settings(more or ())
    check_options(optimizer or (), schedule=schedule, settings=settings, budget_s=budget_s, seeds=seeds, rates=rates)
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    known = {name: value for name, value in given.items() if value is not None}
    check_config("rank optimizers", **(project_settings(find_project()) | known | settings))
    prepared = preparation(size, mean, std, interpolation, fit)

    import eyeshot
    from eyeshot.core import find_workspace, make_folder

    said: list[str] = []
    folder = out or find_workspace().results("optimizers")
    with ExitStack() as stack:
        progress = stack.enter_context(progress_shown())

        def planned(plan: OptimizersPlan) -> None:
            if dry_run:
                _print_plan(plan, progress, json=json)
                raise typer.Exit
            said.extend(plan.notes)
            make_folder(folder)  # before the long work
            with progress.paused():
                say(_plan_notes(plan), warning=json)

        result = eyeshot.rank_optimizers(
            train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root, val=val,
            val_share=val_share, decisions=decisions, split=split, fold=fold, model=model, weights=weights,
            from_scratch=from_scratch, **prepared, device=device, augment=augment or (), epochs=epochs,
            batch_size=batch_size, learning_rate=learning_rate, schedule=schedule, settings=settings,
            optimizer=optimizer or (), budget_s=budget_s, seeds=seeds, rates=rates, seed=seed,
            cache=_passing_cache(stack) if dry_run else None, progress=progress, planned=planned,
            command=typed_command(),
        )  # fmt: skip
        progress(0, 0, "writing the page")
        make_folder(folder)
        result.report.save(folder)
        eyeshot.write_optimizers_page(result, folder / "optimizers.html", images=images)
    if json:
        print_json(result.report)
    else:
        _print_report(result.report, folder, said)
    if open_:
        open_page(folder / "optimizers.html", quiet=json)


def _passing_cache(stack: ExitStack) -> Path:
    """A temporary folder: a dry run writes nothing permanent."""
    from tempfile import TemporaryDirectory

    return Path(stack.enter_context(TemporaryDirectory(prefix="eyeshot-")))


def _plan_notes(plan: OptimizersPlan) -> list[str]:
    return [*plan.notes, *([] if plan.trials is None else [f"trials: {plan.trials.words}"])]


def _print_plan(plan: OptimizersPlan, progress: ProgressDisplay, *, json: bool) -> None:
    """What would be tried, with the time it takes."""
    trials, dataset = plan.trials, plan.training.dataset
    names = list(plan.optimizers)
    with progress.paused():
        if json:
            print_json(
                {
                    "model": plan.training.backbone.name, "optimizers": names, "n_train": len(dataset.train_rows),
                    "n_val": len(dataset.val_rows), "n_inner_train": len(plan.inner_rows),
                    "n_inner_val": len(plan.inner_val_rows), "settings": plan.training.settings.model_dump(),
                    "epochs": None if trials is None else trials.epochs,
                    "seeds": None if trials is None else trials.seeds,
                    "estimated_seconds": None if trials is None else round(trials.seconds), "notes": plan.notes,
                }
            )  # fmt: skip
            return
        say(plan.notes)
        what = ", ".join(names) or "three optimizers, advised once the situation is measured,"
        typer.echo(
            f"Would try {what} against adamw on {len(dataset.train_rows)} training and {len(dataset.val_rows)} "
            f"validation images; {len(plan.inner_val_rows)} of the training images choose learning rates."
            if trials is not None
            else "Would measure the situation and advise three optimizers, without trials."
        )
        if trials is not None:
            typer.echo(f"Estimate: {trials.words}, if a step costs what AdamW's does ({trials.step_s['adamw']:.3f} s).")
        typer.echo("Next: the same command without --dry-run.")


def _print_report(report: OptimizersReport, folder: Path, said: Sequence[str]) -> None:
    """The answer first; notes that were `said` before the work are left out."""
    typer.echo(report.answer)
    if report.tried:
        typer.echo("")
        print_fitting(_tried_table(report), names=("optimizer",))
        typer.echo(
            f"accuracy: of {report.n_val} validation images, the mean of {report.seeds} "
            f"{'seed' if report.seeds == 1 else 'seeds'}. difference: points from adamw, on the same images and seeds; "
            "p with allowance for all comparisons (Holm)."
        )
    typer.echo("\nTried, with why:" if report.tried else "\nAdvised:")
    say(f"{each.optimizer}: {each.reason} Evidence: {each.evidence} Against it: {each.against}"
        for each in report.advised)  # fmt: skip
    say(f"not installed: {words}" for words in report.left_out)
    here = report.situation
    typer.echo(
        f"\nSituation: {here.model}, {here.kind}, {'pretrained' if here.pretrained else 'untrained'}; {here.n_train} "
        f"images in {here.classes} classes, batches of {here.batch_size}, {here.steps} steps."
    )
    typer.echo(here.spread_words)
    for batch in here.odd_batches:
        files = ", ".join(f"{image.id} ({image.label})" for image in batch.images[:SHOWN_FILES])
        typer.echo(
            f"Batch {batch.number} stands out after {batch.step} steps: {batch.norm_ratio:.1f} times the gradient, "
            f"{batch.loss_ratio:.1f} times the loss. Highest losses: {files}"
        )
    if here.noise_scale is not None:
        typer.echo(f"Gradient noise scale: {here.noise_scale:,.0f} images, against batches of {here.batch_size}.")
    typer.echo(f"Schedule: {report.schedule}. {report.schedule_reason}")
    say(note for note in report.notes if note not in said)
    for name, file in (("Page", "optimizers.html"), ("Data", "optimizers.json")):
        typer.echo(f"{name + ':':<6} {folder / file}")
    typer.echo(f"Next: {report.next_step}")


def _tried_table(report: OptimizersReport) -> Table:
    from eyeshot.core import NOTHING, duration, percent

    table = plain_table("optimizer", "rate", "accuracy", "difference", "p", "time", "verdict",
                        left=("optimizer", "verdict"))  # fmt: skip
    for each in report.tried:
        from_adamw = each.difference
        difference, chance, verdict = NOTHING, NOTHING, "the one to beat"
        if from_adamw is not None:
            value, low, high = (100 * share + 0.0 for share in (from_adamw.value, from_adamw.low, from_adamw.high))
            difference = f"{value:+.1f} ({low:+.1f} to {high:+.1f})"
            chance = "< 0.001" if from_adamw.p_adjusted < 0.0005 else f"{from_adamw.p_adjusted:.3f}"
            verdict = from_adamw.verdict
        table.add_row(
            each.optimizer, f"{each.learning_rate:g}", percent(each.accuracy.value, 1), difference, chance,
            duration(each.seconds, 0), verdict,
        )  # fmt: skip
    return table
