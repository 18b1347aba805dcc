"""`eyeshot cache`: where the cache lies, how large it is, and emptying it."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Show or empty the cache of decoded pixels, features and baselines.")


@app.command("show")
def show() -> None:
    """Print the place and size of the cache."""
    from eyeshot.core import find_workspace, folder_bytes, megabytes

    cache = find_workspace().cache
    typer.echo(f"{cache}: {megabytes(folder_bytes(cache))}. Empty it with: eyeshot cache clear")


@app.command("clear")
def clear() -> None:
    """Delete the cache; the next run computes anew. Results are kept."""
    from eyeshot.core import clear_folder, find_workspace, megabytes

    cache = find_workspace().cache
    typer.echo(f"Emptied {cache}: freed {megabytes(clear_folder(cache))}.")
