"""`eyeshot audit`: look at the data first."""

from __future__ import annotations

import shlex
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
    plain_table,
    print_json,
    progress_shown,
    say,
    say_next,
    typed_command,
)

if TYPE_CHECKING:
    from eyeshot.auditing import AuditReport

SHOWN_PAIRS = 5
WIDE = 100  # columns of the terminal


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
    """What is in the data? Broken files, duplicates, one picture under two labels, leaks, train against test.

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
    """Print a report as a person reads it; `again` names the same training images in the next command."""
    from rich.console import Console

    from eyeshot.auditing import NAMES

    say(report.notes)
    sides = f"{report.n_train:,} training" + (f" and {report.n_test:,} test" if report.test else "")
    typer.echo(f"\n{sides} images, {report.read:,} read now, the rest known already. First:")
    for number, said in enumerate(report.answer, 1):
        typer.echo(f"{number}. {said}")
    if report.counts:
        console = Console(highlight=False, markup=False)
        table = plain_table("kind", "findings", "images", left=("kind",), no_wrap=True)
        table.columns[0].min_width = max(len(NAMES[kind]) for kind in report.counts)
        wide = console.width >= WIDE
        if wide:
            table.add_column("for instance", no_wrap=True, overflow="ellipsis")
        for kind, count in report.counts.items():
            first = next(finding for finding in report.findings if finding.kind == kind)
            cells = [NAMES[kind], f"{count:,}", f"{report.images_by_kind[kind]:,}"]
            table.add_row(*cells, *([first.words] if wide else []))
        typer.echo("")
        console.print(table)
    for pair in report.conflicts[:SHOWN_PAIRS]:
        typer.echo(f"same picture, different labels: {pair.first} and {pair.second}, {pair.pictures} pictures")
    if report.distributions:
        apart = [distribution for distribution in report.distributions[:3] if distribution.apart]
        typer.echo(
            "\nTrain and test differ most in:" if apart else "\nTrain and test differ in no property that was measured."
        )
        say(distribution.words for distribution in apart)
        if report.adversarial is not None:
            typer.echo(report.adversarial.words)
        if report.adversarial_features is not None:
            typer.echo(report.adversarial_features.words)
    if report.label_issues is not None:
        typer.echo(f"\n{report.label_issues.words}")
        for classes in [pair for pair in report.label_issues.pairs if pair.confusable][:SHOWN_PAIRS]:
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
    split = ["split", *again, "--audit", str(folder)]
    if report.classes and not report.findings:
        say_next(*split)
        return
    say_next("review", *again, "--audit", str(folder))
    if report.classes:
        typer.echo(f"Then: {shlex.join(['eyeshot', *split])}")
    else:
        typer.echo(f"or, with labels: {shlex.join(['eyeshot', 'audit', *again, '--labels', 'FILE.csv'])}")
