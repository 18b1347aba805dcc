"""The command line: parse, call the public functions, print. Heavy imports wait until a command runs."""

from __future__ import annotations

import copy
import inspect
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from eyeshot.cli import (
    audit,
    cache,
    catalogues,
    compare,
    decisions,
    demo,
    ensemble,
    errors,
    init,
    manifest,
    models,
    predict,
    preview,
    report,
    review,
    script,
    split,
    submit,
    train,
)
from eyeshot.cli.ledger import ledger_, log, notes, open_, runs, show, sweeps, try_
from eyeshot.cli.rankings import rank_augmentations, rank_models, rank_optimizers
from eyeshot.core import EyeshotError

INTERRUPTED = 130
EXIT_CODES = (
    "Exit codes: 0 done; 1 other error; 2 unusable input or option; 3 the model or its weights are not available; "
    "4 a file cannot be written; 5 an optional part is not installed; 6 the budget ended first; 130 interrupted (both: "
    "the same command continues). With --json an error is also printed as a JSON object on standard output: error, "
    "kind, exit_code."
)


class Commands(TyperGroup):
    """All commands; every error becomes a message, an exit code and, with --json, a JSON object."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Run a command; without this method typer would end an interrupted command silently."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _end("interrupted; the same command continues where it stopped", "Interrupted", INTERRUPTED)

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run; with --json, arguments that cannot be parsed give a JSON object too."""
        if "--json" not in sys.argv:
            return super().main(*arguments, **options)
        try:
            code = super().main(*arguments, **(options | {"standalone_mode": False}))
        except TyperException as error:
            _end(
                f"error: {error.format_message()}",
                type(error).__name__,
                error.exit_code,
                message=error.format_message(),
            )
        except typer.Abort:
            _end("aborted", "Abort", 1)
        sys.exit(code if isinstance(code, int) else 0)


app = typer.Typer(
    name="eyeshot",
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Which augmentation fits this model on this data? A workbench for image classification: look at the data, "
    f"decide, split, rank, train, predict.\n\n{EXIT_CODES}",
)
START, DATA, MODELS, RESULTS, MORE = "Start here", "Data", "Rank and train", "Results", "More"
EXPERIMENTS = "Experiments"
app.command("demo", rich_help_panel=START)(demo.run)
app.command("init", rich_help_panel=START)(init.run)
app.command("audit", rich_help_panel=DATA)(audit.run)
app.command("review", rich_help_panel=DATA)(review.run)
app.add_typer(decisions.app, name="decisions", rich_help_panel=DATA)
app.command("split", rich_help_panel=DATA)(split.run)
app.add_typer(manifest.app, name="manifest", rich_help_panel=DATA)
rank = typer.Typer(no_args_is_help=True, help="Rank models, augmentations and optimizers on your images.")
rank.command("models")(rank_models.run)
rank.command("augmentations")(rank_augmentations.run)
rank.command("optimizers")(rank_optimizers.run)
app.add_typer(rank, name="rank", rich_help_panel=MODELS)
app.command("train", rich_help_panel=MODELS)(train.run)
app.command("try", rich_help_panel=EXPERIMENTS)(try_.run)
app.command("log", rich_help_panel=EXPERIMENTS)(log.run)
app.command("sweep", rich_help_panel=EXPERIMENTS)(sweeps.run)
app.add_typer(sweeps.queue, name="queue", rich_help_panel=EXPERIMENTS)
app.command("pace", rich_help_panel=EXPERIMENTS)(sweeps.run_pace)
app.command("open", rich_help_panel=EXPERIMENTS)(open_.run)
app.command("runs", rich_help_panel=EXPERIMENTS)(runs.run)
app.command("show", rich_help_panel=EXPERIMENTS)(show.show)
app.command("diff", rich_help_panel=EXPERIMENTS)(show.diff)
app.command("learned", rich_help_panel=EXPERIMENTS)(notes.learned)
app.command("insight", rich_help_panel=EXPERIMENTS)(notes.insight)
app.command("insights", rich_help_panel=EXPERIMENTS)(notes.insights)
app.command("act", rich_help_panel=EXPERIMENTS)(notes.act)
app.command("tag", rich_help_panel=EXPERIMENTS)(notes.tag)
app.command("note", rich_help_panel=EXPERIMENTS)(notes.note)
app.add_typer(ledger_.app, name="ledger", rich_help_panel=EXPERIMENTS)
app.command("compare", rich_help_panel=RESULTS)(compare.run)
app.command("errors", rich_help_panel=RESULTS)(errors.run)
app.command("ensemble", rich_help_panel=RESULTS)(ensemble.run)
app.command("predict", rich_help_panel=RESULTS)(predict.run)
app.command("script", rich_help_panel=RESULTS)(script.run)
app.command("submit", rich_help_panel=RESULTS)(submit.run)
app.command("report", rich_help_panel=RESULTS)(report.run)
app.command("write", rich_help_panel=RESULTS)(report.write)
catalogue = typer.Typer(no_args_is_help=True, help="List augmentations, models, optimizers and schedules.")
catalogue.command("augmentations")(catalogues.list_augmentations)
catalogue.command("models")(catalogues.list_models)
catalogue.command("optimizers")(catalogues.list_optimizers)
catalogue.command("schedules")(catalogues.list_schedules)
app.add_typer(catalogue, name="list", rich_help_panel=MORE)
app.add_typer(models.app, name="models", rich_help_panel=MORE)
app.command("preview", rich_help_panel=MORE)(preview.run)
app.add_typer(cache.app, name="cache", rich_help_panel=MORE)


def _unwrap(group: typer.Typer) -> None:
    """Paragraphs of docstrings become lines, which the help wraps to the terminal's width."""
    for command in group.registered_commands:
        paragraphs = inspect.getdoc(command.callback) or ""
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs.split("\n\n"))
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            _unwrap(inner.typer_instance)


_unwrap(app)


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context, show: bool = typer.Option(False, "--version", help="Print the version and stop.")
) -> None:
    """Print the version when asked for it."""
    if show:
        from eyeshot import __version__

        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line; errors meant for the user become a message and an exit code."""
    # Threads that spin while they wait make torch 20 times slower on a busy machine (measured: 2 cores, load 6).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        _called(sys.argv[1:])()
    except EyeshotError as error:
        _end(f"error: {error}", type(error).__name__, error.exit_code, message=str(error))


def _called(words: Sequence[str]) -> typer.Typer:
    """The command line with the one command that is called: to build all of them takes a quarter of `eyeshot runs`."""
    part = copy.copy(app)
    part.registered_commands = [command for command in app.registered_commands if command.name in words[:1]]
    part.registered_groups = [group for group in app.registered_groups if group.name in words[:1]]
    return part if part.registered_commands or part.registered_groups else app


def _end(line: str, kind: str, code: int, *, message: str = "") -> NoReturn:
    _print_error(message or line, kind, code)
    print(line, file=sys.stderr)
    sys.exit(code)


def _print_error(message: str, kind: str, code: int) -> None:
    if "--json" in sys.argv:
        print(json.dumps({"error": message, "kind": kind, "exit_code": code}, ensure_ascii=False))
