"""What `eyeshot audit` prints: the answer, findings by kind, train against test, where results lie, the next step."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import typer

from eyeshot.auditing import NAMES, OF_CLASSES, AuditReport, advice

SHOWN_PAIRS = 5
SHOWN_PROPERTIES = 3
MOST_COLUMNS = 80  # of a table, on however wide a terminal


def print_audit(report: AuditReport, folder: Path, *, again: list[str]) -> None:
    """Print a report as a person reads it; `again` names the same training images in the next command."""
    for number, sentence in enumerate(report.answer):
        typer.echo(f"{number}. {sentence}" if number else sentence)
    sides = f"{report.n_train:,} training" + (f" and {report.n_test:,} test" if report.test else "")
    typer.echo(f"\nChecked {sides} images; {report.read:,} were decoded now.")
    for note in report.notes:
        typer.echo(f"- {note}")
    if report.counts:
        typer.echo("")
        _print_findings(report)
    if report.conflicts:
        pairs = [f"{pair.first} and {pair.second} ({pair.pictures:,})" for pair in report.conflicts]
        typer.echo(f"Same picture, different labels: {_listed(pairs)}.")
    _print_train_against_test(report)
    _print_labels(report)
    if report.cut_off is not None and report.cut_off.pairs:
        cut = report.cut_off
        precision = "" if cut.precision is None else f"estimated precision {100 * cut.precision:.1f} %: "
        basis = f"precision {cut.basis}" if cut.precision is None else cut.basis
        typer.echo(f"\nNear-duplicates have a score of at least {cut.score:.2f}; {precision}{basis}.")
    typer.echo("")
    for name, file in (("Page", "audit.html"), ("Data", "audit.json"), ("Findings", "findings.csv")):
        typer.echo(f"{name + ':':<9} {folder / file}")
    review = shlex.join(["eyeshot", "review", *again, "--audit", str(folder)])
    if report.classes:
        split = shlex.join(["eyeshot", "split", *again, "--audit", str(folder / "audit.json")])
        typer.echo(f"Next: {review}\nThen: {split}" if report.findings else f"Next: {split}")
    else:
        labels = shlex.join(["eyeshot", "audit", *again, "--labels", "FILE.csv"])
        typer.echo(f"Next: {review}\nor, with labels: {labels}")


def _print_findings(report: AuditReport) -> None:
    """One line for each kind; single findings are in findings.csv."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("finding", overflow="fold")
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("images", justify="right", no_wrap=True)
    table.add_column("what to do", overflow="fold")
    to_do: dict[str, str] = {}
    for finding in report.findings:
        to_do.setdefault(finding.kind, advice(finding))
    for kind, words in to_do.items():
        images = "" if kind in OF_CLASSES else f"{report.images_by_kind[kind]:,}"
        table.add_row(NAMES[kind], f"{report.counts[kind]:,}", images, words)
    console.print(table, width=min(console.width, MOST_COLUMNS))


def _print_train_against_test(report: AuditReport) -> None:
    if not report.distributions:
        return
    apart = [distribution for distribution in report.distributions[:SHOWN_PROPERTIES] if distribution.apart]
    typer.echo(
        "\nTraining and test images differ most in:"
        if apart
        else "\nTraining and test images differ in no measured property."
    )
    for distribution in apart:
        typer.echo(f"- {distribution.words}")
    for told in (report.adversarial, report.adversarial_features):
        if told is not None and told.words not in report.answer:
            typer.echo(told.words)


def _print_labels(report: AuditReport) -> None:
    if report.label_issues is None:
        if len(report.classes) > 1:
            typer.echo("\nLabel issues and outliers were not looked for: add --model TAG or --probabilities FILE.")
        return
    if report.label_issues.words not in report.answer:
        typer.echo(f"\n{report.label_issues.words}")
    confused = [
        f"{pair.first} and {pair.second} ({pair.first_as_second + pair.second_as_first:,})"
        for pair in report.label_issues.pairs
        if pair.confusable
    ]
    if confused:
        typer.echo(f"\nClasses that are confused with each other: {_listed(confused)}.")


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - SHOWN_PAIRS} more" if len(texts) > SHOWN_PAIRS else ""
    return ", ".join(texts[:SHOWN_PAIRS]) + more
