"""What `eyeshot rank augmentations` prints: the plan, the ranking as tables, the lines to paste, the next step."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from eyeshot.cli.output import plain_table, print_json, say, say_next
from eyeshot.core import NOTHING, folder_bytes, listing, megabytes, percent, plural
from eyeshot.rankings import (
    POLICY_FILE,
    POLICY_SCRIPT,
    TRAIN_OPTIONS,
    AugmentationRanking,
    Candidate,
    Cost,
    ModelRow,
    Plan,
    RankingReport,
    RankingSettings,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SHOWN = 12
NARROW = 100
DATA_TYPED = ("labels", "path_column", "label_column", "image_root", "val", "val_share", "fold")
"""Data options that a training on the same images needs too, in addition to the folder."""


def print_plans(plans: Sequence[tuple[Plan, Cost, Path]], *, json: bool) -> None:
    """Print what would run, its cost and where its results go; as JSON an object, or an array of several."""
    if json:
        facts = [_facts(plan, cost, folder) for plan, cost, folder in plans]
        print_json(facts if len(facts) > 1 else facts[0])
        return
    for plan, cost, folder in plans:
        _print_plan(plan, cost, folder)
    typer.echo("Next: the same command without --dry-run.")


def _facts(plan: Plan, cost: Cost, folder: Path) -> dict[str, object]:
    """What would run, with estimated time, memory and disk."""
    tables = plan.tables
    return {
        "n_train": tables.n_train,
        "n_val": tables.n_val,
        "n_target": tables.n_target,
        "sources": len(tables.sources),
        "candidates": [candidate.name for candidate in plan.candidates],
        "samples": plan.n_samples,
        "estimated_seconds": round(cost.seconds),
        "estimated_memory_bytes": cost.memory_bytes,
        "estimated_disk_bytes": cost.disk_bytes,
        "out": str(folder),
        "cache": str(plan.cache),
        "notes": plan.notes,
    }


def _print_plan(plan: Plan, cost: Cost, folder: Path) -> None:
    tables = plan.tables
    say(plan.notes)
    typer.echo(
        f"{tables.n_train} training, {tables.n_val} held-out and {tables.n_target} target images, of which "
        f"{len(tables.sources)} sources, {len(tables.val)} held-out and {len(tables.target)} target images are used."
    )
    typer.echo(f"{len(plan.candidates)} candidates, {plan.n_samples:,} samples through the model on {plan.device}.")
    typer.echo(
        f"Estimate: {cost.seconds / 60:.1f} minutes ({cost.words}), {megabytes(cost.memory_bytes)} of memory, "
        f"{megabytes(cost.disk_bytes)} of cache in {plan.cache}, results in {folder}."
    )


def print_by_coverage(report: RankingReport) -> None:
    """Print the ranking by coverage, before the budget is spent; the answer comes after it."""
    typer.echo("\nBy coverage, before short trainings:")
    _print_ranking(report)


def print_result(
    result: AugmentationRanking,
    folder: Path,
    cache: Path,
    *,
    train: Path,
    settings: RankingSettings,
    switches: Sequence[str] = (),
    said: Sequence[str] = (),
) -> None:
    """Print the answer, the ranking, the winner's lines, the paths of the results, and the next command.

    Args:
        result: result of a model.
        folder: folder of its files.
        cache: the folder of all caches.
        train: the folder of the training images, for the next command.
        settings: settings of the ranking; the next command repeats those that select the images and the model.
        switches: the typed options that leave decisions or the split out, which the settings no longer contain.
        said: notes that were printed before the work began.
    """
    report = result.report
    typer.echo("")
    _print_answer(report)
    if report.order is not None:
        typer.echo(f"\n{report.order.weight_words} {report.order.words}")
    bought = "" if report.budget is None else report.budget.words
    if bought:
        typer.echo(bought)
    say(note for note in report.notes if note not in {*said, *report.answer, bought})
    _print_confirmed(report)
    if report.skipped:
        such = "" if len(report.skipped) == 1 else "for instance "
        typer.echo(
            f"Skipped {len(report.skipped)} {plural(len(report.skipped), 'file')}, {such}"
            f"{report.skipped[0].path}: {report.skipped[0].reason}."
        )
    _print_models(report)
    if report.recipe:
        typer.echo(f"\nLines for your pipeline ({report.advice}):")
        for line in report.recipe:
            typer.echo(f"    {line}")
    _print_policy(report, folder)
    typer.echo(
        f"Page: {folder / 'augmentations.html'}   data: {folder / 'augmentations.json'}   "
        f"not covered: {folder / 'uncovered.csv'}"
    )
    typer.echo(f"Cache: {cache}, {megabytes(folder_bytes(cache))}; empty it with: eyeshot cache clear")
    if report.longer_baseline_s is not None and report.command:
        typed = re.sub(r" --scratch-time(=| )\S+", "", report.command)
        say_next(*shlex.split(typed)[1:], "--scratch-time", f"{report.longer_baseline_s // 60}m")
    elif report.advice != "generated":
        command = ["train", str(train), "--model", report.models[0].name, *_typed_again(settings), *switches]
        chosen = str(folder / POLICY_FILE) if report.policy is not None and report.policy.composed else report.advice
        steps = [name for name in (settings.baseline_aug, chosen) if name and name != "clean"]
        say_next(*command, *(word for name in steps for word in ("--augment", name)))


def print_ranking_json(results: Sequence[AugmentationRanking]) -> None:
    """Print a report as an object, several reports as an array."""
    if len(results) == 1:
        print_json(results[0].report)
        return
    typer.echo("[" + ",\n".join(result.report.model_dump_json(indent=2) for result in results) + "]")


def _print_answer(report: RankingReport) -> None:
    """The answer first, what to do now and how far to trust it; then the ranking and further sentences."""
    typer.echo(report.headline)
    typer.echo(report.next_step)
    typer.echo(report.trust)
    # Short runs without a result leave the ranking by coverage unchanged, which was printed before them.
    if report.order is not None or report.budget is None:
        typer.echo("")
        _print_ranking(report)
    say(report.answer)


def _typed_again(settings: RankingSettings) -> list[str]:
    """The given options of the ranking that `eyeshot train` needs too."""
    words = []
    for name in (*TRAIN_OPTIONS, *DATA_TYPED):
        value = getattr(settings, name)
        if value == RankingSettings.model_fields[name].default:
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
    return words


def _print_ranking(report: RankingReport) -> None:
    """The ranking as a table; label-breaking candidates and regularisers below it."""
    from rich.console import Console

    console = Console()
    narrow = console.width < NARROW
    of_all, by_distance = report.order is not None, report.ranked_by == "nearest_distance"
    headings = ("score", "95 % interval", "est. acc.", "gain", "val.", "group") if of_all else BY_COVERAGE
    table = _table("", "candidate", *headings)
    if not narrow:
        table.add_column("reason")
    ranked = report.of("ranked")
    shown = [*ranked[:SHOWN], *(candidate for candidate in ranked[SHOWN:] if candidate.name == report.advice)]
    for candidate in shown:
        cells = _row_of_all(candidate, by_distance) if of_all else _row(candidate, by_distance)
        table.add_row(*cells, *([] if narrow else candidate.reasons[:1]))
    console.print(table)
    if len(ranked) > len(shown):
        console.print(f"… and {len(ranked) - len(shown)} more on the page", highlight=False)
    _legend(console, report)
    for candidate in report.of("label-breaking"):
        console.print(
            f"label-breaking: {candidate.name}: {'; '.join(candidate.reasons)}{_mixed(candidate)}",
            highlight=False,
            markup=False,
        )
    _regularisers(console, report)


def _print_policy(report: RankingReport, folder: Path) -> None:
    """Print the policy: what it covers, its operations in order, and its files."""
    policy = report.policy
    if policy is None:
        return
    typer.echo(f"\n{policy.words}")
    for number, own in enumerate(policy.operations, 1):
        typer.echo(f"{number}. {own.name}, strength {own.strength:g}, probability {own.probability:g}: {own.why}.")
    if policy.stages:
        parts = [f"{level} from {percent(start)} to {percent(end)}" for level, start, end in policy.stages]
        typer.echo(f"Of the epochs: {listing(parts)}; none otherwise.")
    typer.echo(f"Policy: {folder / POLICY_FILE}   for torchvision: {folder / POLICY_SCRIPT}")


def _print_confirmed(report: RankingReport) -> None:
    """Print the results of the full trainings."""
    from rich.console import Console

    if not report.full_training:
        return
    table = _table("trained to the end", "accuracy", "gain over clean", "95 % interval", "estimate on target")
    for trained in report.full_training:
        low, high = trained.gain_interval or (0.0, 0.0)
        gain = ["", ""]
        if trained.gain is not None:
            gain = [f"{100 * trained.gain:+.1f}", f"{100 * low:+.1f} … {100 * high:+.1f}"]
        estimate = NOTHING if trained.estimate is None else percent(trained.estimate.value, 1)
        table.add_row(trained.name, f"{100 * trained.accuracy:.1f} %", *gain, estimate)
    Console().print(table)
    if report.choice is not None:
        typer.echo(report.choice.reason)


def _print_models(report: RankingReport) -> None:
    """Print how similarly the models rank."""
    from rich.console import Console

    compared = report.model_table
    if compared is None:
        return
    console = Console()
    table = _table("candidate", *compared.models)
    for row in [row for row in compared.rows if "ranked" in row.roles.values()][:SHOWN]:
        table.add_row(row.name, *(_place(row, model) for model in compared.models))
    console.print(table)
    for pair in compared.pairs:
        if pair.spearman is None or pair.interval is None:
            continue
        low, high = pair.interval
        console.print(
            f"{pair.first} and {pair.second}: Spearman {pair.spearman:+.2f} ({low:+.2f} … {high:+.2f}, n {pair.n})",
            highlight=False,
        )
    console.print(compared.words, highlight=False)


POINTS, RADII = (100.0, 1), (1.0, 2)
"""Factor and digits of a gain: points of coverage, or neighbour radii if distances rank."""
BY_COVERAGE = ("gain", "95 % interval", "covers", "retention", "group")


def _table(*headings: str) -> Table:
    return plain_table(*headings, left=("candidate", "trained to the end"), no_wrap=True)


def _legend(console: Console, report: RankingReport) -> None:
    what = (
        "points of the target covered with consistent labels"
        if report.ranked_by == "coverage_gain"
        else "how much nearer samples are to the target, in its neighbour radii (1 is the distance of a neighbour)"
    )
    if report.order is None:
        words = (
            f"gain: {what}, over the identity control. covers: share of the target with consistent labels. retention: "
            "change of clean accuracy, points."
        )
    else:
        words = (
            "score: weighted sum in MAD units (no augmentation = 0). est. acc.: gain in estimated accuracy on the "
            f"target after a short run, points. gain: {what}. val.: points of probability for the right class."
        )
    console.print(words, style="dim", highlight=False)


def _regularisers(console: Console, report: RankingReport) -> None:
    regularisers = report.of("regulariser")
    if not regularisers:
        return
    if report.order is None:
        names = ", ".join(candidate.name for candidate in regularisers)
        console.print(f"regularisers (masking/mixing; coverage cannot rank them): {names}", highlight=False)
        return
    table = _table("", "candidate", "score", "95 % interval", "val.", "half-masked", "group")
    for candidate in regularisers:
        ends = candidate.combined_interval
        run = candidate.run
        hidden = None if run is None else run.half_masked_gain
        table.add_row(
            str(candidate.rank or ""),
            candidate.name,
            _signed(candidate.combined, 1),
            "–" if ends is None else f"{ends[0]:+.1f} … {ends[1]:+.1f}",
            _signed(_validation(candidate), 1),
            _signed(None if hidden is None else 100 * hidden, 1),
            str(candidate.group or ""),
        )
    console.print("regularisers (masking/mixing): ranked by validation and by half-masked accuracy", highlight=False)
    console.print(table)


def _place(row: ModelRow, model: str) -> str:
    role = row.roles.get(model, "–")
    return str(row.ranks[model]) if role == "ranked" else role


def _mixed(candidate: Candidate) -> str:
    pairs = ", ".join(f"{pair.true} with {pair.taken_for}" for pair in candidate.mixes)
    return f"; mixes {pairs}" if pairs else ""


def _row(candidate: Candidate, by_distance: bool) -> list[str]:
    scores = candidate.scores
    return [
        str(candidate.rank or "–"),
        candidate.name,
        _gain(candidate, by_distance),
        _interval(candidate.interval, *(RADII if by_distance else POINTS)),
        "–" if scores.consistent_coverage is None else f"{100 * scores.consistent_coverage:.0f} %",
        _signed(None if scores.retention is None else 100 * scores.retention, 1),
        str(candidate.group or ""),
    ]


def _row_of_all(candidate: Candidate, by_distance: bool) -> list[str]:
    estimated = _part(candidate, "target_accuracy")
    return [
        str(candidate.rank or "–"),
        candidate.name,
        _signed(candidate.combined, 1),
        _interval(candidate.combined_interval, 1, 1),
        _signed(None if estimated is None else 100 * estimated, 1),
        _gain(candidate, by_distance),
        _signed(_validation(candidate), 1),
        str(candidate.group or ""),
    ]


def _validation(candidate: Candidate) -> float | None:
    """In points, of the head or of the network, whichever the ranking uses."""
    known = [value for name in ("probe_validation", "validation") if (value := _part(candidate, name)) is not None]
    return 100 * max(known) if known else None


def _part(candidate: Candidate, name: str) -> float | None:
    return candidate.parts[name].value if name in candidate.parts else None


def _gain(candidate: Candidate, by_distance: bool) -> str:
    factor, digits = RADII if by_distance else POINTS
    return _signed(None if candidate.score is None else factor * candidate.score, digits)


def _signed(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:+.{digits}f}"


def _interval(ends: tuple[float, float] | None, factor: float, digits: int) -> str:
    return "–" if ends is None else " … ".join(f"{factor * end:+.{digits}f}" for end in ends)
