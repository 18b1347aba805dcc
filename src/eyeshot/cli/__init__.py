"""The command line: parse, call the public functions, print. Heavy imports wait until a command runs."""

from __future__ import annotations

import json
import os
import sys

import typer
from typer.core import TyperGroup

from eyeshot.cli import (
    audit,
    augmentations,
    cache,
    cover,
    decisions,
    demo,
    init,
    manifest,
    preview,
    review,
    split,
    train,
)
from eyeshot.core import EyeshotError


class Commands(TyperGroup):
    """All commands; typer would end an interrupted one without a word."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("interrupted; the same command continues where it stopped", file=sys.stderr)
            sys.exit(130)


app = typer.Typer(
    name="eyeshot",
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Which augmentation fits this model on this data? "
    "Does the augmented training cloud cover the test cloud?\n\n"
    "Exit codes: 0 done; 1 other error; 2 unusable input or option; 3 the model or its weights cannot be had; "
    "4 a file cannot be written; 5 an optional part is not installed; 130 interrupted (the same command continues).",
)
app.command("audit")(audit.run)
app.command("review")(review.run)
app.command("cover")(cover.run)
app.command("demo")(demo.run)
app.command("train")(train.run)
app.command("init")(init.run)
app.command("split")(split.run)
app.command("augmentations")(augmentations.run)
app.command("preview")(preview.run)
app.add_typer(decisions.app, name="decisions")
app.add_typer(manifest.app, name="manifest")
app.add_typer(cache.app, name="cache")


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
    """Run the command line; errors meant for the user become one message and an exit code."""
    # Threads that spin while they wait make torch 20 times slower on a busy machine (measured: 2 cores, load 6).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except EyeshotError as error:
        if "--json" in sys.argv:
            print(json.dumps({"error": str(error), "kind": type(error).__name__, "exit_code": error.exit_code}))
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
