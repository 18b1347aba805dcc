"""What `eyeshot audit` prints: what to do first, findings by kind, where things lie, the next step."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer

from eyeshot.auditing import NAMES, AuditReport

SHOWN_PAIRS = 5
WIDE = 100  # columns of the terminal


def print_audit(report: AuditReport, folder: Path, *, again: list[str]) -> None:
    """Print a report as a person reads it; `again` names the same training images in the next command."""
    from rich.console import Console
    from rich.table import Table

    for note in report.notes:
        typer.echo(f"- {note}")
    sides = f"{report.n_train:,} training" + (f" and {report.n_test:,} test" if report.test else "")
    typer.echo(f"\n{sides} images, {report.read:,} read now, the rest known already. First:")
    for number, said in enumerate(report.answer, 1):
        typer.echo(f"{number}. {said}")
    if report.counts:
        console = Console(highlight=False, markup=False)
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("kind", no_wrap=True)
        table.add_column("findings", justify="right")
        table.add_column("images", justify="right")
        wide = console.width >= WIDE
        if wide:
            table.add_column("for instance", no_wrap=True, overflow="ellipsis")
        for kind, count in report.counts.items():
            first = next(one for one in report.findings if one.kind == kind)
            cells = [NAMES[kind], f"{count:,}", f"{report.images_by_kind[kind]:,}"]
            table.add_row(*cells, *([first.words] if wide else []))
        typer.echo("")
        console.print(table)
    for pair in report.conflicts[:SHOWN_PAIRS]:
        typer.echo(f"same picture, different labels: {pair.first} and {pair.second}, {pair.pictures} pictures")
    if report.distributions:
        apart = [one for one in report.distributions[:3] if one.apart]
        typer.echo(
            "\nTrain and test differ most in:" if apart else "\nTrain and test differ in no property that was measured."
        )
        for one in apart:
            typer.echo(f"- {one.words}")
        if report.adversarial is not None:
            typer.echo(report.adversarial.words)
        if report.adversarial_features is not None:
            typer.echo(report.adversarial_features.words)
    if report.label_issues is not None:
        typer.echo(f"\n{report.label_issues.words}")
        for classes in [one for one in report.label_issues.pairs if one.confusable][:SHOWN_PAIRS]:
            both = classes.first_as_second + classes.second_as_first
            typer.echo(f"taken for each other: {classes.first} and {classes.second}, {both} images")
    elif len(report.classes) > 1:
        typer.echo("\nLabel issues and outliers: not looked for. They need --model TAG, or --probabilities FILE.")
    if report.cut_off is not None and report.cut_off.pairs:
        cut = report.cut_off
        how = "not estimated" if cut.precision is None else f"{100 * cut.precision:.1f} %"
        basis = cut.basis.removeprefix("not estimated: ")
        typer.echo(f"\nNear copies from a score of {cut.score:.2f} on; precision {how}: {basis}.")
    typer.echo(f"\nPage: {folder / 'audit.html'}   data: {folder / 'audit.json'}   findings: {folder / 'findings.csv'}")
    review = shlex.join(["eyeshot", "review", *again, "--audit", str(folder)])
    if report.classes:
        split = shlex.join(["eyeshot", "split", *again, "--audit", str(folder / "audit.json")])
        typer.echo(f"Next: {review}\nThen: {split}" if report.findings else f"Next: {split}")
    else:
        labels = shlex.join(["eyeshot", "audit", *again, "--labels", "FILE.csv"])
        typer.echo(f"Next: {review}\nor, with labels: {labels}")
