"""The rankings of `eyeshot cover` as tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyeshot.rankings import Candidate, ModelRow, RankingReport

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SHOWN = 12
NARROW = 100


def print_ranking(report: RankingReport) -> None:
    """The ranking as a table; regularisers and label-breaking candidates below it."""
    from rich.console import Console

    console = Console()
    narrow = console.width < NARROW
    of_all = report.order is not None
    headings = ("score", "95 % interval", "gain", "post-training", "val.", "group") if of_all else BY_COVERAGE
    table = _table("", "candidate", *headings)
    if not narrow:
        table.add_column("reason")
    ranked = report.of("ranked")
    for candidate in ranked[:SHOWN]:
        cells = _row_of_all(candidate) if of_all else _row(candidate)
        table.add_row(*cells, *([] if narrow else candidate.reasons[:1]))
    console.print(table)
    if len(ranked) > SHOWN:
        console.print(f"… and {len(ranked) - SHOWN} more on the page", highlight=False)
    _legend(console, report)
    for candidate in report.of("label-breaking"):
        console.print(
            f"label-breaking: {candidate.name}: {'; '.join(candidate.reasons)}{_mixed(candidate)}",
            highlight=False,
            markup=False,
        )
    _regularisers(console, report)


def print_confirmed(report: RankingReport) -> None:
    """What training to the end brought."""
    from rich.console import Console

    if not report.full_training:
        return
    table = _table("trained to the end", "accuracy", "gain over clean", "95 % interval")
    for one in report.full_training:
        low, high = one.gain_interval or (0.0, 0.0)
        gain = ["", ""] if one.gain is None else [f"{100 * one.gain:+.1f}", f"{100 * low:+.1f} … {100 * high:+.1f}"]
        table.add_row(one.name, f"{100 * one.accuracy:.1f} %", *gain)
    Console().print(table)


def print_models(report: RankingReport) -> None:
    """How alike the models rank."""
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


BY_COVERAGE = ("gain", "95 % interval", "covers", "retention", "group")


def _table(*headings: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        left = heading in ("candidate", "trained to the end")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    return table


def _legend(console: Console, report: RankingReport) -> None:
    what = (
        "points of the target covered with consistent labels"
        if report.ranked_by == "coverage_gain"
        else "neighbour radii nearer to the target"
    )
    if report.order is None:
        words = f"gain: {what}, over the identity control. retention: change of clean accuracy."
    else:
        words = (
            f"score: weighted sum in MAD units (no augmentation = 0). gain: {what}. post-training: coverage gained "
            "after a short run, points. val.: points of probability for the right class."
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


def _row(candidate: Candidate) -> list[str]:
    scores = candidate.scores
    return [
        str(candidate.rank or "–"),
        candidate.name,
        _signed(None if candidate.score is None else 100 * candidate.score, 1),
        _interval(candidate.interval, 100, 1),
        "–" if scores.consistent_coverage is None else f"{100 * scores.consistent_coverage:.0f} %",
        _signed(None if scores.retention is None else 100 * scores.retention, 1),
        str(candidate.group or ""),
    ]


def _row_of_all(candidate: Candidate) -> list[str]:
    after = _part(candidate, "post_training_coverage")
    return [
        str(candidate.rank or "–"),
        candidate.name,
        _signed(candidate.combined, 1),
        _interval(candidate.combined_interval, 1, 1),
        _signed(None if candidate.score is None else 100 * candidate.score, 1),
        _signed(None if after is None else 100 * after, 1),
        _signed(_validation(candidate), 1),
        str(candidate.group or ""),
    ]


def _validation(candidate: Candidate) -> float | None:
    """In points: of the head or of the network, as the ranking takes it."""
    known = [value for name in ("probe_validation", "validation") if (value := _part(candidate, name)) is not None]
    return 100 * max(known) if known else None


def _part(candidate: Candidate, name: str) -> float | None:
    return candidate.parts[name].value if name in candidate.parts else None


def _signed(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:+.{digits}f}"


def _interval(ends: tuple[float, float] | None, factor: float, digits: int) -> str:
    return "–" if ends is None else " … ".join(f"{factor * end:+.{digits}f}" for end in ends)
