"""`review()`: look at what an audit found and decide by key presses, in a page that only this machine can open."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from eyeshot.auditing import read_audit_images, read_report
from eyeshot.core import InputError, Progress, audit_file, find_project, find_workspace, shown_progress
from eyeshot.data import bad_lines, find_log
from eyeshot.web.app import make_app
from eyeshot.web.queue import UNLABELLED
from eyeshot.web.review import Review
from eyeshot.web.serving import open_socket, serve


def review(
    train: str | Path | None = None,
    test: str | Path | None = None,
    *,
    audit: str | Path | None = None,
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    author: str | None = None,
    decisions_file: str | Path | None = None,
    port: int = 0,
    progress: Progress | bool | None = None,
    served: Callable[[str, list[str]], object] | None = None,
) -> tuple[int, int]:
    """Serve the review page of an audit until Ctrl+C. Every press is stored at once; files are never touched.

    Args:
        train: the folder that was audited; None: what eyeshot.toml or audit.json says.
        test: its test folder; likewise.
        audit: folder of the audit, or its audit.json; None: that of the project.
        labels: CSV with paths and labels.
        path_column, label_column, image_root: how to read it; guessed where not given.
        author: who decides; EYESHOT_AUTHOR or the name of the login where not given.
        decisions_file: where presses are stored; decisions.jsonl of the project where not given.
        port: on this machine; 0 takes any free one.
        progress: told how far it is; None: shown in a terminal and a notebook; False: nobody.
        served: called with the page's address and sentences about it when it can be opened; None prints them.

    Returns:
        how many decisions were stored, and how many findings are still open.

    Raises:
        InputError: no audit, images that cannot be read, a port that cannot be opened, or what the rules for test
            images do not allow.
    """
    workspace, project = find_workspace(), find_project()
    file = audit_file(audit)
    if file is None:
        missing = workspace.results("audit") / "audit.json"
        raise InputError(f"A review needs the findings of an audit, got no {str(missing)!r}. Run first: eyeshot audit.")
    report = read_report(file)
    sources = project.sources(
        train if train is not None or "train" in project.data else report.train, test,
        labels=labels, path_column=path_column, label_column=label_column, image_root=image_root,
    )  # fmt: skip
    if sources["test"] is None and report.test is not None:
        sources["test"] = Path(report.test)
    if sources["test"] is not None:
        project.check_use("features", "eyeshot review with test images")
    log = find_log(decisions_file)
    notes = bad_lines(log.read())
    socket = open_socket(port)
    with shown_progress(progress) as shown:
        images = read_audit_images(**sources, cache=workspace.cache, workers=None, progress=shown)
        shown(0, 0, "sorting the findings")
        page = Review(report, images, log.file, project=project, author=author)
    token, number = secrets.token_urlsafe(24), socket.getsockname()[1]
    (served or _print)(f"http://127.0.0.1:{number}/{token}/", [*notes, *_sentences(page)])
    serve(make_app(page, token=token, port=number), socket)
    return page.made, page.open_findings


def _sentences(page: Review) -> list[str]:
    """What is open."""
    unlabelled = page.queue.counts("kind").get(UNLABELLED, 0)
    sentences = []
    if page.missing:
        sentences.append(
            f"{page.missing} findings are about images that are not here any more. Look again: eyeshot audit."
        )
    sentences.append(f"{page.open_findings:,} of {len(page.queue) - unlabelled:,} findings are open.")
    if unlabelled:
        sentences.append(f"{unlabelled:,} images have no label yet; they come last.")
    return sentences


def _print(address: str, sentences: list[str]) -> None:
    print(*sentences, f"Page: {address}   (this machine only; Ctrl+C ends it)", sep="\n", flush=True)
