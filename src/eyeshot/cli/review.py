"""`eyeshot review`: look at what the audit found, and decide by key presses, in a local page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyeshot.cli.decision_sets import Author
from eyeshot.cli.project_data import DecisionsFile, ImageRoot, LabelColumn, Labels, PathColumn


def run(
    train: Annotated[
        Path | None,
        typer.Argument(
            help="The folder that was audited. Default: what eyeshot.toml or audit.json says.", show_default=False
        ),
    ] = None,
    test: Annotated[Path | None, typer.Option(help="Its test folder. Default: likewise.")] = None,
    audit: Annotated[
        Path | None, typer.Option(help="Folder with audit.json. Default: eyeshot-out/audit.", metavar="DIR")
    ] = None,
    port: Annotated[int, typer.Option(help="Port on this machine; 0 takes any free one.")] = 0,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    author: Author = None,
    labels: Labels = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    image_root: ImageRoot = None,
    decisions: DecisionsFile = None,
) -> None:
    """Look at the findings by worth and decide: keep, drop, relabel, not duplicates; by keyboard, in your browser.

    Every press is stored in decisions.jsonl at once; files are never touched. Only this machine can open the page.
    """
    import secrets
    import shlex

    from eyeshot.auditing import read_audit_images, read_report
    from eyeshot.cli.console import progress_shown
    from eyeshot.cli.project_data import as_typed, find_log, read_decisions
    from eyeshot.core import InputError, find_project, find_workspace
    from eyeshot.web import UNLABELLED, Review, make_app, open_socket, serve

    workspace, project = find_workspace(), find_project()
    file = (audit or workspace.results("audit")) / "audit.json"
    if not file.is_file():
        raise InputError(f"A review needs the findings of an audit, got no {str(file)!r}. Run first: eyeshot audit.")
    report = read_report(file)
    # A folder of another kind than the project's must not be read with the project's CSV, nor beside its test images.
    own = project if train is None else type(project)()
    folder = Path(own.value("train", train) or report.train)
    test = own.value("test", test)
    if test is None and report.test is not None:
        test = Path(report.test)
    if test is not None:
        project.check_use("features", "eyeshot review with test images")
    given = {"labels": labels, "path_column": path_column, "label_column": label_column, "image_root": image_root}
    log = find_log(decisions)
    read_decisions(log)
    socket = open_socket(port)
    with progress_shown() as progress:
        images = read_audit_images(
            folder, test, **{name: own.value(name, value) for name, value in given.items()},
            cache=workspace.cache, workers=None, progress=progress,
        )  # fmt: skip
        progress(0, 0, "sorting the findings")
        review = Review(report, images, log.file, project=project, author=author)
    if review.missing:
        typer.echo(
            f"- {review.missing} findings are about images that are not here any more. Look again: eyeshot audit."
        )
    token, number = secrets.token_urlsafe(24), socket.getsockname()[1]
    address = f"http://127.0.0.1:{number}/{token}/"
    app = make_app(review, token=token, port=number)
    unlabelled = review.queue.counts("kind").get(UNLABELLED, 0)
    typer.echo(f"{review.open_findings:,} of {len(review.queue) - unlabelled:,} findings are open.")
    if unlabelled:
        typer.echo(f"{unlabelled:,} images have no label yet; they come last.")
    typer.echo(f"Page: {address}   (this machine only; Ctrl+C ends it)")
    if open_ and not _opened(address):
        typer.echo("No browser was found to open it: copy the address.")
    serve(app, socket)
    typer.echo(f"\n{review.made:,} decisions were stored in {log.file}; {review.open_findings:,} findings are open.")
    # What audit.json alone knows must be typed for the next command.
    again = as_typed(train if "train" in project.data else folder, **given)
    if report.classes:
        typer.echo(f"Next: {shlex.join(['eyeshot', 'split', *again, '--audit', str(file)])}")
    else:
        words = ["eyeshot", "manifest", "export", *again, "--csv", "labelled.csv"]
        typer.echo(f"Next: {shlex.join(words)}")


def _opened(address: str) -> bool:
    """Show it in a browser with a window; one in the terminal would wait for a server that waits for it."""
    import webbrowser

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if getattr(browser, "name", "") in ("www-browser", "links", "elinks", "lynx", "w3m"):
        return False
    return browser.open(address)
