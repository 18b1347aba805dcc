"""`eyeshot review`: look at what the audit found, and decide by key presses, on a local page."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.options import (
    DATA,
    OUTPUT,
    AuditFile,
    Author,
    DecisionsFile,
    ImageRoot,
    Json,
    LabelColumn,
    Labels,
    PathColumn,
    Test,
    Train,
    option,
)
from eyeshot.cli.output import as_typed, open_address, print_json, progress_shown, say_broken, say_next


def run(
    train: Train = None,
    test: Test = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    audit: AuditFile = None,
    errors: Annotated[
        Path | None,
        option(
            panel=DATA,
            metavar="DIR|FILE",
            text="Folder of eyeshot errors: go through the labels that all runs contradict, instead of the audit's "
            "findings.",
        ),
    ] = None,
    decisions_file: DecisionsFile = None,
    author: Author = None,
    port: Annotated[int, option(panel=OUTPUT, text="Port on this machine; 0 takes any free port.")] = 0,
    open_: Annotated[bool, option("--open/--no-open", panel=OUTPUT, text="Open the page in a browser.")] = True,
    json: Json = False,
) -> None:
    """Look at the findings, the most important first, and decide by key: keep, drop, relabel, not duplicates.

    Every key press is stored in decisions.jsonl at once; image files are never changed. Only this machine can open the
    page.
    """
    import eyeshot
    from eyeshot.auditing import open_findings, read_report, settling_policies
    from eyeshot.core import audit_file, find_project, plural
    from eyeshot.data import find_log

    reading = ExitStack()

    def served(address: str, sentences: list[str]) -> None:
        reading.close()
        if json:
            print_json({"page": address, "notes": sentences, "decisions": str(find_log(decisions_file).file)})
        else:
            typer.echo("\n".join(sentences))
            typer.echo(f"Page: {address}   (this machine only; Ctrl+C ends it)")
        if open_:
            open_address(address, quiet=json)

    columns = {"labels": labels, "path_column": path_column, "label_column": label_column, "image_root": image_root}
    with reading:
        progress = reading.enter_context(progress_shown())
        stored, still_open = eyeshot.review(
            train, test, audit=audit, errors=errors, labels=labels, path_column=path_column, label_column=label_column,
            image_root=image_root, author=author, decisions_file=decisions_file, port=port, progress=progress,
            served=served,
        )  # fmt: skip
    if errors is not None and not json:
        typer.echo(
            f"\n{stored:,} {plural(stored, 'decision was', 'decisions were')} stored; {still_open:,} "
            f"{plural(still_open, 'label is', 'labels are')} open."
        )
        say_next("train", *as_typed(train, **columns))
    file = None if errors is not None else audit_file(audit)
    if json or file is None:
        return
    report, log = read_report(file), find_log(decisions_file)
    typer.echo(
        f"\n{stored:,} {plural(stored, 'decision was', 'decisions were')} stored in {log.file}; {still_open:,} "
        f"{plural(still_open, 'finding is', 'findings are')} open."
    )
    # Arguments that only audit.json knows must be typed in the next command.
    again = as_typed(train if train is not None or "train" in find_project().data else Path(report.train), **columns)
    if not report.classes:
        say_next("manifest", "export", *again, "--csv", "labelled.csv")
        return
    split = ["split", *again, "--audit", str(file.parent)]
    findings = open_findings(report, log.read()) if still_open else []
    say_broken(report, findings)
    policies = settling_policies(findings)
    if not policies:
        say_next(*split)
        return
    for number, policy in enumerate(policies):
        words = ["decisions", "apply", *again, "--audit", str(file.parent), "--policy", policy]
        typer.echo(f"{'Then' if number else 'Next'}: {shlex.join(['eyeshot', *words])}")
    typer.echo(f"Then: {shlex.join(['eyeshot', *split])}")
