"""`eyeshot try`: state a change and its reason, train it beside its parent, and print the verdict."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from eyeshot.cli.options import DATA, TRAINING, Device, DryRun, Json, existing_folder, option
from eyeshot.cli.output import print_json, progress_shown, say

if TYPE_CHECKING:
    from pathlib import Path

    from eyeshot.ledger import Experiment, TryPlan

EXPERIMENT = "Experiment"
BUDGET_ENDED = 6
"""Exit code of an experiment that its budget ended: the same command continues it."""

Expect = Annotated[
    str | None,
    option(
        panel=EXPERIMENT,
        metavar="WORDS",
        text='Expected difference: "+1.0 accuracy" (points), "up accuracy", "down ...", "same ...".',
    ),
]
OwnWork = Annotated[str | None, option(panel=EXPERIMENT, text="Which parts are your own work.")]
OffTheShelf = Annotated[str | None, option(panel=EXPERIMENT, text="Which parts were taken, and from where.")]
Tag = Annotated[list[str] | None, option("--tag", panel=EXPERIMENT, text="A tag; repeat.")]
Author = Annotated[
    str | None, option(panel=EXPERIMENT, text="Who tries. Default: EYESHOT_AUTHOR, git's user.name or the login name.")
]
Agent = Annotated[
    str | None, option(panel=EXPERIMENT, text="Name of the coding agent that tries. Default: EYESHOT_AGENT.")
]
Parent = Annotated[
    str | None,
    option(
        panel=EXPERIMENT,
        metavar="ID|RUN",
        text="What to go on from; none begins anew. Default: the last that is better than its parent.",
    ),
]


def run(
    why: Annotated[
        str, typer.Argument(metavar="WHY", help="The reason, in a sentence, in quotes.", show_default=False)
    ],
    more: Annotated[
        list[str] | None,
        option(
            "--set",
            panel=TRAINING,
            metavar="NAME=VALUE",
            text="What changes: training.epochs=20, augmentation=invert, model=TAG, size=224; repeat.",
        ),
    ] = None,
    parent: Parent = None,
    expect: Expect = None,
    seeds: Annotated[int, option(panel=TRAINING, text="Trainings of each recipe that are compared.")] = 1,
    until_clear: Annotated[
        str,
        option(
            panel=TRAINING, text="Add seeds and folds to both until the difference is clear, for at most 30m or 2h."
        ),
    ] = "0",
    budget: Annotated[
        str,
        option(panel=TRAINING, text="End after 30m or 8h, whatever is reached; the same command continues."),
    ] = "0",
    measure_noise: Annotated[
        bool,
        option(
            "--measure-noise/--no-measure-noise",
            panel=TRAINING,
            text="Train the parent with a second seed where no recipe has one yet.",
        ),
    ] = True,
    tags: Tag = None,
    own_work: OwnWork = None,
    off_the_shelf: OffTheShelf = None,
    author: Author = None,
    agent: Agent = None,
    train: Annotated[
        str | None,
        option("--train", panel=DATA, text="Training images for the first experiment. Default: from eyeshot.toml."),
    ] = None,
    device: Device = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """State a change, train it beside its parent on the same images and seeds, and judge it.

    The verdict allows for the noise between seeds and for how many changes were tried on the same parent. The same
    command continues an experiment that was cut off.
    """
    from pathlib import Path

    from eyeshot.core import seconds_of
    from eyeshot.ledger import parse_expectation

    # Checked before the libraries that train are loaded, which takes seconds.
    until_clear_s, budget_s = seconds_of(until_clear, "--until-clear"), seconds_of(budget, "--budget")
    if expect is not None:
        parse_expectation(expect)
    if train is not None:
        existing_folder("--train")(Path(train))

    import eyeshot

    plans: list[TryPlan] = []
    with ExitStack() as stack:
        progress = stack.enter_context(progress_shown())

        def planned(plan: TryPlan) -> None:
            plans.append(plan)
            with progress.paused():
                if dry_run:
                    _print_plan(plan, json=json)
                    raise typer.Exit
                say(plan.notes, warning=json)
                if not json:
                    typer.echo(_todo(plan))

        experiment = eyeshot.try_experiment(
            why, settings=more or (), parent=parent, expect=expect, seeds=seeds, until_clear_s=until_clear_s,
            budget_s=budget_s, measure_noise=measure_noise, tags=tags or (), own_work=own_work,
            off_the_shelf=off_the_shelf, author=author, agent=agent, train=train, device=device,
            cache=_passing_cache(stack) if dry_run else None, progress=progress, planned=planned,
        )  # fmt: skip
    if not plans and not json:
        typer.echo("Already tried; nothing done.")
    print_experiment(experiment, json=json)
    if experiment.state == "stopped":
        raise typer.Exit(BUDGET_ENDED)


def print_experiment(experiment: Experiment, *, json: bool) -> None:
    """Print what came of an experiment and the next step, or all of it as JSON."""
    from eyeshot.core import percent
    from eyeshot.ledger import got_words, next_step

    step = next_step(experiment)
    if json:
        print_json(experiment.model_dump(mode="json") | {"next_step": step})
        return
    got = experiment.got
    typer.echo(f"{experiment.id}: {experiment.state}{f' ({experiment.words})' if experiment.words else ''}")
    for name, (before, after) in experiment.difference.items():
        typer.echo(f"  {name}: {_said(before)} -> {_said(after)}")
    if experiment.expected is not None:
        late = " (stated after the first run: counts for nothing)" if experiment.expected.late else ""
        typer.echo(f"Expected: {experiment.expected.words}{late}")
    if got is not None:
        typer.echo(
            f"Got: accuracy {percent(got.value, 1)} ({percent(got.low, 1)[:-2]} to {percent(got.high, 1)[:-2]}) on "
            f"{got.n} images, {_seeds(got.seeds)}"
        )
    if experiment.verdict is not None:
        typer.echo(f"Verdict: {experiment.verdict}. {experiment.verdict_words}")
    if got is not None:
        say(got_words(got))
    say([note["text"] for note in experiment.notes])
    typer.echo(f"Next: {step}")


def _said(value: object) -> str:
    if isinstance(value, list | tuple):
        return "+".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _seeds(seeds: tuple[int, ...]) -> str:
    if not seeds:
        return "seed unknown"
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"mean of seeds {', '.join(map(str, seeds))}"


def _todo(plan: TryPlan) -> str:
    from eyeshot.core import duration, plural

    own = sum(training[0] == "own" for training in plan.trainings)
    theirs = len(plan.trainings) - own
    also = f" and {theirs} of the parent {plan.parent}" if theirs else ""
    upto = "Up to " if len(plan.looks) > 1 else ""
    each = f" ({duration(plan.run_s)} each)" if len(plan.trainings) > 1 else ""
    begun = f"{plan.experiment} is continued; what was trained is kept. " if plan.experiment else ""
    return (
        f"{begun}{upto}{own} {plural(own, 'training')}{also}, about {duration(plan.seconds)}{each}"
        f"{' in all' if begun else ''}, {'on from ' + plan.parent if plan.parent else 'without a parent'}."
    )


def _print_plan(plan: TryPlan, *, json: bool) -> None:
    from dataclasses import asdict

    if json:
        print_json(asdict(plan))
        return
    say(plan.notes)
    for name, (before, after) in plan.difference.items():
        typer.echo(f"  {name}: {_said(before)} -> {_said(after)}")
    typer.echo(_todo(plan))
    if len(plan.looks) > 1:
        typer.echo(f"The difference is looked at after {', '.join(map(str, plan.looks))} trainings of each.")
    typer.echo("Nothing was written. Next: the same command without --dry-run.")


def _passing_cache(stack: ExitStack) -> Path:
    """A temporary folder for what a dry run must keep for a while; a dry run writes nothing permanent."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    return Path(stack.enter_context(TemporaryDirectory(prefix="eyeshot-")))
