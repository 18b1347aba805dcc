"""What `eyeshot cover` prints: the plan, the ranking, the lines to paste, the next step."""

from __future__ import annotations

import json as json_module
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from eyeshot.cli.cover_tables import print_confirmed, print_models, print_ranking
from eyeshot.core import folder_bytes, megabytes
from eyeshot.rankings import TRAIN_OPTIONS, AugmentationRanking, Plan, RankingReport, RankingSettings, estimate


def print_plans(plans: Sequence[tuple[Plan, Path]], *, json: bool) -> None:
    """Say what would run and where its results go; as JSON one plan as it is, several as an array."""
    if json:
        facts = [_facts(plan, folder) for plan, folder in plans]
        typer.echo(json_module.dumps(facts if len(facts) > 1 else facts[0], indent=2))
        return
    for plan, folder in plans:
        _print_plan(plan, folder)
    typer.echo("Next: the same command without --dry-run.")


def _facts(plan: Plan, folder: Path) -> dict[str, object]:
    """What would run, with estimated time, memory and disk."""
    cost = estimate(plan)
    tables = plan.tables
    return {
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


def _print_plan(plan: Plan, folder: Path) -> None:
    cost = estimate(plan)
    tables = plan.tables
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


def print_by_cover(report: RankingReport) -> None:
    """The ranking by coverage, before the budget is spent."""
    typer.echo("\nBy coverage, before short runs:")
    _print_answer(report)
    typer.echo("")


def print_cover(
    result: AugmentationRanking, folder: Path, cache: Path, *, train: Path, settings: RankingSettings
) -> None:
    """Print the ranking, the winner's lines, where things lie, and the next command."""
    report = result.report
    typer.echo("")
    _print_answer(report)
    if report.order is not None and report.budget is not None:
        typer.echo(f"\n{report.order.weight_words} {report.order.words}")
    if report.budget is not None:
        typer.echo(report.budget.words)
    print_confirmed(report)
    if report.skipped:
        typer.echo(
            f"Skipped {len(report.skipped)} files, for instance {report.skipped[0].path}: {report.skipped[0].reason}."
        )
    print_models(report)
    if report.advice != "clean":
        typer.echo(f"\nLines for your pipeline ({report.advice}):")
        for line in report.recipe:
            typer.echo(f"    {line}")
    typer.echo(
        f"Page: {folder / 'augmentations.html'}   data: {folder / 'augmentations.json'}   "
        f"not covered: {folder / 'uncovered.csv'}"
    )
    typer.echo(f"Cache: {cache}, {megabytes(folder_bytes(cache))}; empty it with: eyeshot cache clear")
    if report.advice != "generated":
        command = ["eyeshot", "train", str(train), "--model", report.models[0].name, *_typed_again(settings)]
        before = ["--augment", settings.baseline_aug] if settings.baseline_aug else []
        advised = [] if report.advice == "clean" else ["--augment", report.advice]
        typer.echo(f"Next: {shlex.join([*command, *before, *advised])}")


def print_json(results: Sequence[AugmentationRanking]) -> None:
    """One report as it is, several as an array."""
    if len(results) == 1:
        sys.stdout.write(results[0].report.model_dump_json(indent=2) + "\n")
        return
    reports = ",\n".join(result.report.model_dump_json(indent=2) for result in results)
    sys.stdout.write(f"[{reports}]\n")


def _print_answer(report: RankingReport) -> None:
    for sentence in (report.headline, report.next_step, report.trust, *report.answer):
        typer.echo(sentence)
    typer.echo("")
    print_ranking(report)


def _typed_again(settings: RankingSettings) -> list[str]:
    """The options of `eyeshot cover` that `eyeshot train` must be given too, where they were given."""
    words = []
    for name in TRAIN_OPTIONS:
        value = getattr(settings, name)
        if value == RankingSettings.model_fields[name].default:
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
    return words
