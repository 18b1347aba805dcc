"""`review()`: go through the findings of an audit and decide by key press on a local page."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eyeshot.auditing import AuditReport, errors_file, read_audit_images, read_errors, read_report
from eyeshot.core import InputError, Progress, audit_file, find_project, find_workspace, plural, shown_progress
from eyeshot.data import DECISIONS_FILE, DecisionLog, bad_lines, find_log
from eyeshot.web.app import make_app
from eyeshot.web.queue import UNLABELLED
from eyeshot.web.review import Review
from eyeshot.web.serving import open_socket, serve


def review(
    train: str | Path | None = None,
    test: str | Path | None = None,
    *,
    audit: str | Path | None = None,
    errors: str | Path | None = None,
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
    """Serve the review page of an audit until Ctrl+C. Every key press is stored at once; image files are never changed.

    Args:
        train: the folder that was audited; None: the folder in eyeshot.toml or audit.json.
        test: the test folder; None: the test folder in eyeshot.toml or audit.json.
        audit: folder of the audit, or its audit.json; None: the audit of the project.
        errors: folder of `eyeshot errors`, or its errors.json: the labels that all runs contradict are gone through, in
            the place of the audit's findings, and no audit is needed.
        labels: CSV with paths and labels.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        author: the person who decides; None: EYESHOT_AUTHOR, git's user.name or the login name.
        decisions_file: the file for decisions; None: decisions.jsonl of the project.
        port: port on this machine; 0 takes any free port.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.
        served: called with the page's address and notes once the page can be opened; None prints them.

    Returns:
        the number of decisions that were stored, and the number of findings that are still open.

    Raises:
        InputError: there is no audit, images cannot be read, the port cannot be opened, or the rules for test images
            do not allow the review.
    """
    socket = open_socket(port)
    try:
        with shown_progress(progress) as shown:
            page = read_review(
                train, test, audit=audit, errors=errors, labels=labels, path_column=path_column,
                label_column=label_column, image_root=image_root, author=author, decisions_file=decisions_file,
                progress=shown,
            )  # fmt: skip
    except BaseException:
        socket.close()
        raise
    notes = bad_lines(find_log(decisions_file).read())
    token, number = secrets.token_urlsafe(24), socket.getsockname()[1]
    (served or _print)(f"http://127.0.0.1:{number}/{token}/", [*notes, *_sentences(page)])
    serve(make_app(page, token=token, port=number), socket)
    return page.stored_count, page.open_findings


def read_review(
    train: str | Path | None = None,
    test: str | Path | None = None,
    *,
    audit: str | Path | None = None,
    errors: str | Path | None = None,
    author: str | None = None,
    decisions_file: str | Path | None = None,
    start: Path | None = None,
    progress: Progress,
    **columns: Any,
) -> Review:
    """The review that `review` serves.

    Args:
        train, test, audit, errors, author, decisions_file: as there.
        start: a folder of the project; None: the current one.
        progress: called with the progress.
        columns: `labels`, `path_column`, `label_column` and `image_root` as there.

    Raises:
        InputError: there is no audit, images cannot be read, or the rules for test images do not allow the review.
    """
    workspace, project = find_workspace(start), find_project(start)
    report = _report(workspace.results("audit") if audit is None and start is not None else audit, errors)
    if train is None and "train" not in project.data:
        train = report.train
    sources = project.sources(train, test, **columns)
    if sources["test"] is None and report.test is not None:
        sources["test"] = Path(report.test)
    if sources["test"] is not None:
        project.check_use("features", "eyeshot review with test images")
    decisions = workspace.project / DECISIONS_FILE if decisions_file is None else Path(decisions_file)
    DecisionLog(decisions).read()  # what is wrong with the file is said before the images are read
    images = read_audit_images(**sources, cache=workspace.cache, workers=None, progress=progress)
    progress(0, 0, "sorting the findings")
    return Review(report, images, decisions, project=project, author=author)


def _report(audit: str | Path | None, errors: str | Path | None) -> AuditReport:
    """The report whose findings are gone through."""
    if errors is not None:
        found = read_errors(errors_file(errors))
        if not found.train:
            raise InputError(
                f"A review needs the images, but {str(errors)!r} does not know where they are. Find the errors of a "
                "run of eyeshot train."
            )
        count = len(found.findings)
        return AuditReport(
            train=found.train, test=None, n_train=found.n, n_test=0, n_files=found.n, findings=found.findings,
            counts={"label-issue": count},
        )  # fmt: skip
    file = audit_file(audit)
    if file is None:
        missing = find_workspace().results("audit") / "audit.json"
        raise InputError(f"A review needs the report of an audit, got no {str(missing)!r}. Run first: eyeshot audit.")
    return read_report(file)


def _sentences(page: Review) -> list[str]:
    """Notes about missing images and open findings."""
    unlabelled = page.queue.counts("kind").get(UNLABELLED, 0)
    sentences = []
    if page.missing:
        sentences.append(
            f"{page.missing} {plural(page.missing, 'finding is', 'findings are')} about images that no longer "
            "exist. Run the audit again: eyeshot audit."
        )
    sentences.append(
        f"{page.open_findings:,} of {len(page.queue) - unlabelled:,} findings "
        f"{plural(page.open_findings, 'is', 'are')} open."
    )
    if unlabelled:
        sentences.append(
            f"{unlabelled:,} {plural(unlabelled, 'image has', 'images have')} no label yet; "
            f"{plural(unlabelled, 'it comes', 'they come')} last."
        )
    return sentences


def _print(address: str, sentences: list[str]) -> None:
    print(*sentences, f"Page: {address}   (this machine only; Ctrl+C ends it)", sep="\n", flush=True)
