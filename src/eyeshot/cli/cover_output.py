"""What `eyeshot cover` prints: the plan, the ranking, the lines to paste, the next step."""

from __future__ import annotations

import json as json_module
import shlex
import sys
from pathlib import Path

import typer

from eyeshot.cli.console import megabytes
from eyeshot.coverage import Candidate, Cover, Plan, estimate
from eyeshot.settings import CoverSettings
from eyeshot.workspace import folder_bytes

SHOWN = 12
FOR_TRAINING = (
    "weights",
    "from_scratch",
    "size",
    "mean",
    "std",
    "interpolation",
    "fit",
    "labels",
    "path_column",
    "label_column",
    "image_root",
    "val",
    "val_share",
    "seed",
    "device",
)


def print_plan(plan: Plan, folder: Path, *, json: bool) -> None:
    """Say what would run, with estimated time, memory and disk."""
    cost = estimate(plan)
    tables = plan.tables
    facts: dict[str, object] = {
        "n_train": tables.n_train,
        "n_val": tables.n_val,
        "n_target": tables.n_target,
        "sources": len(tables.sources),
        "candidates": [one.name for one in plan.candidates],
        "views": plan.views,
        "estimated_seconds": round(cost.seconds),
        "estimated_memory_bytes": cost.memory_bytes,
        "estimated_disk_bytes": cost.disk_bytes,
        "out": str(folder),
        "cache": str(plan.cache),
        "notes": plan.notes,
    }
    if json:
        typer.echo(json_module.dumps(facts, indent=2))
        return
    for note in plan.notes:
        typer.echo(f"- {note}")
    typer.echo(
        f"{tables.n_train} training, {tables.n_val} held-out and {tables.n_target} target images, of which "
        f"{len(tables.sources)} sources, {len(tables.val)} held-out and {len(tables.target)} target images are used."
    )
    typer.echo(f"{len(plan.candidates)} candidates, {plan.views:,} views through the model on {plan.device}.")
    typer.echo(
        f"Estimate: {cost.seconds / 60:.1f} minutes ({cost.words}), {megabytes(cost.memory_bytes)} of memory, "
        f"{megabytes(cost.disk_bytes)} of cache in {plan.cache}, results in {folder}."
    )
    typer.echo("Next: the same command without --dry-run.")


def print_cover(result: Cover, folder: Path, cache: Path, *, train: Path, settings: CoverSettings, json: bool) -> None:
    """Print the ranking, the winner's lines, where things lie, and the next command."""
    report = result.report
    if json:
        sys.stdout.write(report.model_dump_json(indent=2) + "\n")
        return
    typer.echo("")
    for sentence in report.answer:
        typer.echo(sentence)
    typer.echo("")
    print_ranking(result)
    if report.skipped:
        typer.echo(
            f"Skipped {len(report.skipped)} files, for instance {report.skipped[0].path}: {report.skipped[0].reason}."
        )
    typer.echo(f"\nLines for your pipeline ({report.advice}):")
    for line in report.recipe:
        typer.echo(f"    {line}")
    typer.echo(f"\n{report.trust}")
    typer.echo(
        f"Page: {folder / 'cover.html'}   data: {folder / 'cover.json'}   not reached: {folder / 'uncovered.csv'}"
    )
    typer.echo(f"Cache: {cache}, {megabytes(folder_bytes(cache))}; empty it with: eyeshot cache clear")
    if report.advice != "generated":
        command = ["eyeshot", "train", str(train), "--model", report.models[0].name, *_typed_again(settings)]
        typer.echo(f"Next: {shlex.join([*command, '--augment', report.advice])}")


def _typed_again(settings: CoverSettings) -> list[str]:
    """The options of `eyeshot cover` that `eyeshot train` must be given too, where they were given."""
    words = []
    for name in FOR_TRAINING:
        value = getattr(settings, name)
        if value == CoverSettings.model_fields[name].default:
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
    return words


def print_ranking(result: Cover) -> None:
    """The ranking as a table; harder candidates, label destroyers and controls below it."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    report = result.report
    narrow = console.width < 100
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (
        ("", "right"),
        ("candidate", "left"),
        ("gain", "right"),
        ("95 % interval", "right"),
        ("covers", "right"),
        ("kept", "right"),
        ("tie", "right"),
        ("worth", "right"),
    ):
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    if not narrow:
        table.add_column("reason")
    ranked = report.of("ranked")
    for candidate in ranked[:SHOWN]:
        table.add_row(*_row(candidate, narrow))
    console.print(table)
    if len(ranked) > SHOWN:
        console.print(f"… and {len(ranked) - SHOWN} more on the page", highlight=False)
    what = (
        "points of the target reached by neighbours that agree"
        if report.ranked_by == "reach"
        else "neighbour radii nearer to the target"
    )
    console.print(
        f"gain: {what}, over a no-op with as many draws. kept: change of clean accuracy.",
        style="dim",
        highlight=False,
    )
    for candidate in report.of("destroyer"):
        console.print(
            f"label destroyer: {candidate.name}: {'; '.join(candidate.reasons)}{_mixed(candidate)}",
            highlight=False,
            markup=False,
        )
    harder = ", ".join(candidate.name for candidate in report.of("harder"))
    if harder:
        console.print(f"harder, not wider (cover cannot rank them): {harder}", highlight=False)


def _mixed(candidate: Candidate) -> str:
    pairs = ", ".join(f"{pair.true} with {pair.taken_for}" for pair in candidate.mixes)
    return f"; mixes {pairs}" if pairs else ""


def _row(candidate: Candidate, narrow: bool) -> list[str]:
    scores = candidate.scores
    low, high = candidate.interval or (0.0, 0.0)
    worth = "beyond data" if scores.worth_beyond_data else f"{scores.worth_images or ''}"
    cells = [
        str(candidate.rank),
        candidate.name,
        "–" if candidate.score is None else f"{100 * candidate.score:+.1f}",
        f"{100 * low:+.1f} … {100 * high:+.1f}",
        "–" if scores.label_consistent_coverage is None else f"{100 * scores.label_consistent_coverage:.0f} %",
        "–" if scores.retention is None else f"{100 * scores.retention:+.1f}",
        str(candidate.tie_group or ""),
        worth,
    ]
    return cells if narrow else [*cells, candidate.reasons[0] if candidate.reasons else ""]
