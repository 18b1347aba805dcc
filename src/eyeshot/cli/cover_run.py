"""One `eyeshot cover` for each model: plans first, then the runs, then the pages with all models beside each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from eyeshot.cli.console import progress_shown
from eyeshot.cli.cover_output import print_by_cover, print_plans
from eyeshot.cli.scratch import workspace_for
from eyeshot.core import InputError, Workspace, make_folder
from eyeshot.rankings import AugmentationRanking, RankingSettings, compare_models, prepare, rank_augmentations
from eyeshot.reports import write_ranking_page, write_ranking_picture

if TYPE_CHECKING:
    from eyeshot.rankings import RankingReport


def cover_models(
    train: Path,
    several: Sequence[RankingSettings],
    *,
    folder: Path,
    workspace: Workspace,
    command: str,
    dry_run: bool,
    json: bool,
) -> list[tuple[Path, AugmentationRanking]]:
    """Run each model and write its page; the first one's lies in `folder`, the others' in folders of it.

    Raises:
        InputError: an argument cannot be used; nothing was computed yet.
        ModelError: a model cannot be had; nothing was computed yet.
    """
    with progress_shown() as progress, workspace_for(dry_run=dry_run) as kept:
        plans = [prepare(train, settings, cache=kept.cache, progress=progress) for settings in several]
    names = [plan.backbone.name for plan in plans]
    if len(set(names)) < len(names):
        raise InputError(f"--model must name each model once, got {', '.join(names)}.")
    folders = [folder if not number else folder / slug(plan.backbone.name) for number, plan in enumerate(plans)]
    if dry_run:
        shown = [replace(plan, cache=workspace.cache) for plan in plans]
        print_plans(list(zip(shown, folders, strict=True)), json=json)
        return []
    results = []
    for plan, place in zip(plans, folders, strict=True):
        make_folder(place)
        if not json:
            for note in plan.notes:
                typer.echo(f"- {note}")
        with progress_shown() as progress:

            def show(report: RankingReport) -> None:
                with progress.paused():
                    print_by_cover(report)

            result = rank_augmentations(
                train, plan=plan, cache=workspace.cache, progress=progress,
                ranked_by_coverage=None if json else show, command=command,
            )  # fmt: skip
            progress(0, 0, "writing the page")
            _write(result, place, images=plan.settings.images)
        results.append((place, result))
    if len(results) > 1:
        _compare(results, images=several[0].images)
    return results


def slug(name: str) -> str:
    """A model's name as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


def _compare(results: Sequence[tuple[Path, AugmentationRanking]], *, images: bool) -> None:
    first = results[0][0]
    reports = {result.report.models[0].name: result.report for _, result in results}
    for place, result in results:
        up = "" if place == first else "../"
        pages = {
            name: f"{up}{'' if other == first else f'{other.name}/'}augmentations.html"
            for name, (other, _) in zip(reports, results, strict=True)
        }
        result.report.model_table = compare_models(reports, pages)
        _write(result, place, images=images)


def _write(result: AugmentationRanking, folder: Path, *, images: bool) -> None:
    result.save(folder)
    write_ranking_page(result, folder / "augmentations.html", images=images)
    write_ranking_picture(result, folder / "augmentations.svg")
