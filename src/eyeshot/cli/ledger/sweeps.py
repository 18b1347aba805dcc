"""`eyeshot sweep`, `queue` and `pace`: a search within a budget, its queue, and what a deadline holds."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from eyeshot.cli.options import (
    MODEL,
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
    Mean,
    PathColumn,
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
from eyeshot.cli.output import plain_table, print_fitting, print_json, progress_shown, say, typed_command

SEARCH = "Search"
Jobs = Annotated[
    int | None,
    option(panel=SEARCH, text="Trainings at a time. Default: one for each GPU, one on a CPU; pace: the last sweep's."),
]
Why = Annotated[
    str, typer.Argument(metavar="WHY", help="The reason for the sweep, in a few words.", show_default=False)
]


def run(
    why: Why,
    train: Train = None,
    budget: Annotated[
        str, option(panel=SEARCH, text="Time for all of it, over all sittings: 30s, 8h, 2d. Never exceeded.")
    ] = "1h",
    space: Annotated[
        list[str] | None,
        option(
            panel=SEARCH, metavar="NAME=VALUES",
            text="What may be chosen: model=A,B; training.learning_rate=1e-5..1e-3; augmentation=none,mixup; "
            "probe.penalty=1..1000. Repeatable. In the place of what is known by that name.",
        ),
    ] = None,
    simple: Annotated[
        bool, option("--simple", panel=SEARCH, text="The best after the first rung go right to the end.")
    ] = False,
    most_trials: Annotated[int, option(panel=SEARCH, text="Most trials of a round.")] = 500,
    jobs: Jobs = None,
    ray: Annotated[
        str | None,
        option(panel=SEARCH, metavar="ADDRESS", text='Compute on a Ray cluster: its address, or "auto".'),
    ] = None,
    wait: Annotated[
        bool, option("--wait", panel=SEARCH, text="Wait for another sweep of this project to end.")
    ] = False,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    val: Val = None,
    val_share: ValShare = 0.2,
    decisions: UseDecisions = True,
    split: UseSplit = True,
    fold: Fold = None,
    models: Annotated[
        list[str] | None,
        option("--model", panel=MODEL, text="A model to choose from. Repeatable. Default: those of rank models."),
    ] = None,
    weights: Weights = None,
    from_scratch: FromScratch = False,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    interpolation: Interpolation = None,
    fit: Fit = "crop",
    device: Device = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    more: Settings = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Search models and settings within a budget; the same command continues. Each trial is an experiment."""
    begun = time.monotonic()  # loading libraries takes seconds, which count
    import eyeshot
    from eyeshot.core import seconds_of
    from eyeshot.sweep import report_lines
    from eyeshot.training import read_settings

    settings = read_settings(more or ())
    with progress_shown() as progress:
        report = eyeshot.start_sweep(
            why, train, budget_s=seconds_of(budget, "--budget"), space=space or (), models=models or (),
            weights=weights, from_scratch=from_scratch, **preparation(size, mean, std, interpolation, fit),
            labels=labels, path_column=path_column, label_column=label_column, image_root=image_root, val=val,
            val_share=val_share, decisions=decisions, split=split, fold=fold, settings=settings, epochs=epochs,
            most_trials=most_trials, simple=simple, seed=seed, device=device, jobs=jobs,
            executor=None if ray is None else eyeshot.ray_executor(ray, workers=jobs), wait=wait, dry_run=dry_run,
            progress=progress, command=typed_command(), begun=begun,
        )  # fmt: skip
    if json:
        print_json(report)
        return
    typer.echo(report.answer)
    table = plain_table("rung", "planned", "trials", "seconds", "a trial", left=("rung",))
    for level in report.levels:
        each = level["seconds_each"]
        table.add_row(
            level["name"], str(level["planned"]), str(level["trials"]), f"{level['seconds']:.0f}",
            "" if each is None else f"{each:.1f} s",
        )  # fmt: skip
    print_fitting(table, names=("rung",))
    if report.state != "planned":
        say(report_lines(report))
    say(report.notes)
    typer.echo(f"Next: {report.next_command}")


queue = typer.Typer(invoke_without_command=True, help="What a sweep has waiting: shown, and changed while it runs.")
Sweep = Annotated[str | None, option("--sweep", panel=SEARCH, text="Id of the sweep. Default: the latest.")]
Trial = Annotated[str, typer.Argument(metavar="TRIAL", help="Id of the experiment, or its beginning.")]


@queue.callback()
def show(context: typer.Context, sweep: Sweep = None, json: Json = False) -> None:
    """Show what a sweep has under way and waiting."""
    if context.invoked_subcommand is not None:
        if sweep is not None:
            from eyeshot.core import InputError

            name = context.invoked_subcommand
            raise InputError(f"--sweep stands behind the command, got it before: eyeshot queue {name} --sweep {sweep}")
        return
    import eyeshot

    waiting = eyeshot.list_queue(sweep)
    if json:
        print_json(waiting)
        return
    table = plain_table("trial", "state", "rung", "changes", left=("trial", "state", "rung", "changes"))
    for trial in waiting["trials"]:
        changes = ", ".join(f"{name} {after}" for name, (_, after) in trial["difference"].items())
        table.add_row(trial["id"], trial["state"], trial["rung"] or "", changes)
    print_fitting(table, names=("changes",), whole=("trial",), optional=("rung",))
    typer.echo(waiting["words"])
    goes_on = waiting["trials"] and waiting["command"] and not waiting["running"]
    typer.echo(f"Next: {waiting['command'] if goes_on else 'eyeshot runs'}")


@queue.command("add")
def add(
    settings: Annotated[
        list[str], option("--set", panel=SEARCH, metavar="NAME=VALUE", text="What the trial changes. Repeatable.")
    ],
    why: Annotated[str, option(panel=SEARCH, text="The reason, in a sentence, in quotes.")] = "",
    sweep: Sweep = None,
    json: Json = False,
) -> None:
    """Add a trial of your own: --set training.learning_rate=1e-4 --set model=resnet18.a1_in1k."""
    import eyeshot
    from eyeshot.core import InputError

    pairs = [text.partition("=") for text in settings]
    wrong = next((text for text, pair in zip(settings, pairs, strict=True) if not pair[2]), None)
    if wrong is not None:
        raise InputError(f"--set takes NAME=VALUE, got {wrong!r}.")
    changes = {name.strip(): value for name, _, value in pairs}
    _tell(eyeshot.change_queue("add", settings=changes, why=why, sweep=sweep), json=json)


@queue.command("drop")
def drop(trial: Trial, sweep: Sweep = None, json: Json = False) -> None:
    """Drop a trial that waits."""
    import eyeshot

    _tell(eyeshot.change_queue("drop", trial, sweep=sweep), json=json)


@queue.command("first")
def first(trial: Trial, sweep: Sweep = None, json: Json = False) -> None:
    """Let a trial come next at its rung."""
    import eyeshot

    _tell(eyeshot.change_queue("first", trial, sweep=sweep), json=json)


@queue.command("pause")
def pause(sweep: Sweep = None, json: Json = False) -> None:
    """Begin nothing more until `eyeshot queue resume`; the pause costs no budget."""
    import eyeshot

    _tell(eyeshot.change_queue("pause", sweep=sweep), json=json)


@queue.command("resume")
def resume(sweep: Sweep = None, json: Json = False) -> None:
    """Go on after a pause."""
    import eyeshot

    _tell(eyeshot.change_queue("resume", sweep=sweep), json=json)


def _tell(words: str, *, json: bool) -> None:
    """What was done to the queue."""
    if json:
        print_json({"words": words})
    else:
        typer.echo(words)


def run_pace(
    deadline: Annotated[
        str, option(panel=SEARCH, metavar="DATE", text="When all must be done: 2026-12-18 or 2026-12-18T18:00.")
    ],
    wanted: Annotated[int, option(panel=SEARCH, text="Experiments wanted until then.")] = 500,
    jobs: Jobs = None,
    json: Json = False,
) -> None:  # fmt: skip
    """What is done and to come per rung, machine hours left idle, and what 500 experiments would take."""
    import eyeshot

    pace = eyeshot.pace(deadline, wanted=wanted, jobs=jobs)
    if json:
        print_json(pace)
        return
    table = plain_table("rung", "done", "to come", "hours", "a trial", left=("rung",))
    for rung in pace["rungs"]:
        each = rung["seconds_each"]
        table.add_row(
            rung["name"], str(rung["done"]), str(rung["to_come"]), f"{rung['hours']:.2f}",
            "" if each is None else f"{each:.1f} s",
        )  # fmt: skip
    print_fitting(table, names=("rung",))
    for line in pace["words"]:
        typer.echo(line)
    typer.echo(f"Next: {pace['next_command']}")
