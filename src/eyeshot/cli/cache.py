"""`eyeshot cache`: show the folder and size of the cache, or empty it."""

from __future__ import annotations

import typer

from eyeshot.cli.options import Json
from eyeshot.cli.output import print_json

app = typer.Typer(no_args_is_help=True, help="Show or empty the cache of decoded pixels, features and baselines.")


@app.command("show")
def show(json: Json = False) -> None:
    """Print the folder and size of the cache."""
    import eyeshot
    from eyeshot.core import find_workspace, megabytes

    place, size = find_workspace().cache, eyeshot.cache_size()
    if json:
        print_json({"cache": str(place), "bytes": size})
    else:
        typer.echo(f"{place}: {megabytes(size)}. Empty it with: eyeshot cache clear")


@app.command("clear")
def clear(json: Json = False) -> None:
    """Delete the cache; the next run computes it again. Results are kept."""
    import eyeshot
    from eyeshot.core import find_workspace, megabytes

    place, freed = find_workspace().cache, eyeshot.clear_cache()
    if json:
        print_json({"cache": str(place), "freed_bytes": freed})
    else:
        typer.echo(f"Emptied {place}: freed {megabytes(freed)}.")
