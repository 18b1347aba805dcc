"""`eyeshot audit`: look at the data first."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eyeshot.cli.options import (
    AUDIT,
    OUTPUT,
    Device,
    Fit,
    ImageRoot,
    Images,
    Interpolation,
    Json,
    LabelColumn,
    Labels,
    Mean,
    Model,
    Open,
    PathColumn,
    Size,
    Std,
    Test,
    Train,
    Weights,
    Workers,
    option,
    preparation,
)
from eyeshot.cli.output import (
    as_typed,
    open_page,
    print_json,
    progress_shown,
    say,
    say_broken,
    say_next,
    typed_command,
)

if TYPE_CHECKING:
    from eyeshot.auditing import AuditReport

SHOWN_PAIRS = 5
SHOWN_PROPERTIES = 3
MOST_COLUMNS = 80  # of a table, however wide the terminal is


def run(
    train: Train = None,
    test: Test = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    model: Model = None,
    weights: Weights = None,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    interpolation: Interpolation = None,
    fit: Fit = "crop",
    device: Device = None,
    small_class: Annotated[int, option(panel=AUDIT, text="Classes with fewer images are named.")] = 20,
    thorough: Annotated[
        bool | None,
        option(
            "--thorough/--quick",
            panel=AUDIT,
            text="Search for crops and small turns too. Default: up to 2,000 pictures.",
        ),
    ] = None,
    probabilities: Annotated[
        Path | None,
        option(panel=AUDIT, text="CSV with your own out-of-fold probabilities: a path, then a column for each class."),
    ] = None,
    workers: Workers = None,
    out: Annotated[
        Path | None, option(panel=OUTPUT, text="Folder for the results. Default: eyeshot-out/audit.")
    ] = None,
    images: Images = True,
    open_: Open = False,
    json: Json = False,
) -> None:
    """What is in the data? Broken files, duplicates, pictures with two labels, leaks, train against test.

    With --model or --probabilities also label issues and outliers. Writes audit.html, audit.json and findings.csv;
    files are only read. Further runs read only what changed.
    """
    import eyeshot
    from eyeshot.core import find_workspace, keep_freed_memory, make_folder

    again = as_typed(train, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root)
    folder = make_folder(out or find_workspace().results("audit"))
    keep_freed_memory()
    with progress_shown() as progress:
        result = eyeshot.audit(
            train, test, labels=labels, path_column=path_column, label_column=label_column, image_root=image_root,
            model=model, weights=weights, **preparation(size, mean, std, interpolation, fit), device=device,
            small_class=small_class, thorough=thorough, probabilities=probabilities, workers=workers,
            progress=progress, command=typed_command(),
        )  # fmt: skip
        progress(0, 0, "writing the page")
        result.save(folder)
        eyeshot.write_audit_page(result, folder / "audit.html", images=images)
    if json:
        print_json(result.report)
    else:
        _print_audit(result.report, folder, again=again)
    if open_:
        open_page(folder / "audit.html", quiet=json)


def _print_audit(report: AuditReport, folder: Path, *, again: list[str]) -> None:
    """Print a report; `again` names the same training images in the next command."""
    from eyeshot.auditing import settling_policies
    from eyeshot.core import plural

    for number, sentence in enumerate(report.answer):
        typer.echo(f"{number}. {sentence}" if number else sentence)
    sides = f"{report.n_train:,} training" + (f" and {report.n_test:,} test" if report.test else "")
    images = plural(report.n_test if report.test else report.n_train, "image")
    typer.echo(f"\nChecked {sides} {images}; {report.read:,} {plural(report.read, 'was', 'were')} decoded now.")
    say(report.notes)
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
    split = ["split", *again, "--audit", str(folder)]
    if report.classes and not report.findings:
        say_next(*split)
        return
    say_next("review", *again, "--audit", str(folder))
    for policy in settling_policies(report.findings) if report.classes else ():
        words = ["decisions", "apply", *again, "--audit", str(folder), "--policy", policy]
        typer.echo(f"Or all at once: {shlex.join(['eyeshot', *words])}")
    say_broken(report, report.findings)
    if report.classes:
        typer.echo(f"Then: {shlex.join(['eyeshot', *split])}")
    else:
        typer.echo(f"Or, with labels: {shlex.join(['eyeshot', 'audit', *again, '--labels', 'FILE.csv'])}")


def _print_findings(report: AuditReport) -> None:
    """A line for each kind; the single findings are in findings.csv."""
    from rich.console import Console
    from rich.table import Table

    from eyeshot.auditing import NAMES, OF_CLASSES, advice

    console = Console(highlight=False, markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("finding", overflow="fold")
    table.add_column("found", justify="right", no_wrap=True)
    table.add_column("images", justify="right", no_wrap=True)
    table.add_column("what to do", overflow="fold")
    to_do: dict[str, str] = {}
    for finding in report.findings:
        to_do.setdefault(finding.kind, advice(finding))
    for kind, words in to_do.items():
        images = "" if kind in OF_CLASSES else f"{report.images_by_kind[kind]:,}"
        table.add_row(NAMES[kind], f"{report.counts[kind]:,}", images, words)
    console.print(table, width=min(console.width, MOST_COLUMNS))
    if any(report.images_by_kind[kind] > report.counts[kind] for kind in to_do if kind not in OF_CLASSES):
        typer.echo("found: pictures, files, or groups of pictures that are alike; images: the files in them.")


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
    for classifier in (report.adversarial, report.adversarial_features):
        if classifier is not None and classifier.words not in report.answer:
            typer.echo(classifier.words)


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
