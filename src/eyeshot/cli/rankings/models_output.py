"""What `eyeshot rank models` prints: the plan, each model as it is done, the table, the answer and the next step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from eyeshot.cli.output import plain_table, print_fitting, print_json, say
from eyeshot.core import NOTHING, duration, listing, megabytes, plural
from eyeshot.predictions import Accuracy
from eyeshot.rankings import LeftOut, ModelEstimate, ModelPlan, ModelsReport, RankedModel

MOST_MISSING = 5


def print_plan(
    plan: ModelPlan, estimates: Sequence[ModelEstimate], failed: Sequence[LeftOut], folder: Path, *, json: bool
) -> None:
    """Print what would run, with time and memory for each model."""
    seconds = sum(estimate.seconds for estimate in estimates)
    if json:
        print_json({
            "models": [estimate._asdict() for estimate in estimates],
            "left_out": [left.model_dump() for left in failed],
            "not_at_hand": [left.model_dump() for left in plan.not_at_hand],
            "n_images": len(plan.data.images),
            "n_judged": len(plan.data.judged),
            "n_test": 0 if plan.data.test is None else len(plan.data.test),
            "estimated_seconds": round(seconds),
            "estimated_memory_bytes": max((estimate.memory_bytes for estimate in estimates), default=0),
            "budget_s": plan.settings.budget_s or None,
            "out": str(folder),
            "cache": str(plan.cache),
            "notes": plan.notes,
        })  # fmt: skip
        return
    say(plan.notes)
    table = plain_table("model", "line", "images", "time", "memory", "weights", left=("model", "line"))
    for estimate in estimates:
        table.add_row(
            estimate.name, estimate.line, f"{estimate.images:,}", duration(estimate.seconds, 0),
            megabytes(estimate.memory_bytes), megabytes(estimate.weights_bytes),
        )  # fmt: skip
    print_fitting(table, names=("model",))
    _print_left_out(failed, plan.not_at_hand)
    limit = plan.settings.budget_s
    room = f"; the budget is {duration(limit, 0)}" if limit else ""
    typer.echo(f"Rung 1 of all would take about {duration(seconds, 0)}{room}. Results: {folder}")
    typer.echo("Next: the same command without --dry-run.")


def print_rung(model: RankedModel) -> None:
    """Print a model as soon as a rung of it is done: of rung 3 its learning curve, and then its sizes."""
    tuned, scaled = model.fine_tuning, model.resolution or model.model_or_data
    if scaled is not None:
        typer.echo(f"{model.name}: {scaled.words}")
    elif tuned is None:
        accuracy, cost = model.probe.accuracy, model.cost.seconds_per_1000
        typer.echo(f"{model.name}: probe {_accuracy(accuracy)} %, {cost:.1f} s per 1,000 images")
    else:
        typer.echo(
            f"{model.name}: fine-tuned {_accuracy(tuned.accuracy)} % after {tuned.steps} steps, "
            f"{100 * tuned.difference:+.1f} points against its probe"
        )


def print_models(report: ModelsReport, folder: Path, cache: Path, kept: Sequence[str]) -> None:
    """Print the answer, the ranking, what was left out, and the next command; `kept`: whose recipes were kept."""
    typer.echo("")
    typer.echo(report.headline)
    typer.echo(f"Advised: {report.advised.name}, {report.advised.reason}")
    typer.echo(f"Cheap: {report.cheap.name}, {report.cheap.reason}")
    typer.echo(report.trust)
    typer.echo("")
    has_test = any(model.probe.test for model in report.models)
    has_tuned = any(model.fine_tuning for model in report.models)
    headings = [
        "",
        "model",
        "probe",
        "to best",
        *(["tuned"] if has_tuned else []),
        "s/1000",
        "MB",
        *(["test"] if has_test else []),
    ]
    table = plain_table(*headings, left=("model", "state"))
    for model in report.models:
        cells = [
            f"{model.rank}{'*' if model.probe.with_best else ''}",
            model.name,
            _accuracy(model.probe.accuracy),
            _difference(model),
            *([NOTHING if model.fine_tuning is None else _accuracy(model.fine_tuning.accuracy)] if has_tuned else []),
            f"{model.cost.seconds_per_1000:.1f}",
            f"{model.cost.weights_bytes / 1e6:.0f}",
        ]
        if has_test:
            estimate = None if model.probe.test is None else model.probe.test.estimate
            cells.append(NOTHING if estimate is None else f"~{100 * estimate.value:.0f}")
        table.add_row(*cells)
    print_fitting(table, names=("model",))
    typer.echo(
        "* cannot be told apart from the best. probe: accuracy of a linear probe in %, 95 % interval. s/1000: seconds "
        "of the forward pass for 1,000 images."
        + (" test: accuracy on the test images, an estimate without labels." if has_test else "")
        + (" tuned: fine-tuned for a short time, judged on the first fold." if has_tuned else "")
    )
    for state in ("recipe untested", "probe only"):
        names = [model.name for model in report.models if model.state == state]
        if names:
            typer.echo(f"{state}: {listing(names, most=3)}")
    advised = next(model for model in report.models if model.name == report.advised.name)
    for answer in (advised.model_or_data, advised.resolution):
        if answer is not None:
            typer.echo(answer.words)
    say(report.notes)
    _print_left_out(report.left_out, report.not_at_hand)
    if kept:
        typer.echo(f"Recipes kept for eyeshot train, in recipes.json: {listing(kept, most=3)}.")
    typer.echo(f"Page: {folder / 'models.html'}   data: {folder / 'models.json'}   cache: {cache}")
    typer.echo(f"Next: {report.next_command}")


def _print_left_out(left_out: Sequence[LeftOut], not_at_hand: Sequence[LeftOut]) -> None:
    for left in left_out:
        typer.echo(" ".join([f"Left out: {left.name}: {left.why}", *left.ways]))
    if not_at_hand:
        count = len(not_at_hand)
        names = ", ".join(left.name for left in not_at_hand[:MOST_MISSING])
        more = f" and {count - MOST_MISSING} more" if count > MOST_MISSING else ""
        typer.echo(f"{count} {plural(count, 'model')} without weights on this machine: {names}{more}.")
        for way in not_at_hand[0].ways:
            typer.echo(f"  {way}")


def _accuracy(accuracy: Accuracy) -> str:
    if accuracy.value is None or accuracy.low is None or accuracy.high is None:
        return NOTHING
    return f"{100 * accuracy.value:.1f} ({100 * accuracy.low:.0f}-{100 * accuracy.high:.0f})"


def _difference(model: RankedModel) -> str:
    if model.probe.difference is None or model.probe.difference_interval is None:
        return NOTHING
    low, high = model.probe.difference_interval
    return f"{100 * model.probe.difference:+.1f} ±{50 * (high - low):.1f}"
