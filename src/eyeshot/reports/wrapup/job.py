"""The wrap-up report: from the project to a document, and from the document to files."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from eyeshot.core import (
    SILENT,
    InputError,
    MissingExtraError,
    Progress,
    find_workspace,
    listing,
    make_folder,
    plural,
    shown_path,
    shown_progress,
)
from eyeshot.reports.document import Block, Document, Language, file_name, heading, led_to, paragraph
from eyeshot.reports.formats.page import write_html
from eyeshot.reports.wrapup import choices, experiments, opening, people, results
from eyeshot.reports.wrapup.facts import Facts
from eyeshot.reports.wrapup.words import sayer

FORMATS = ("html", "docx", "pdf")
SECTIONS: tuple[Callable[[Facts], list[Block]], ...] = (
    opening.overview, opening.data, opening.team, opening.timeline, choices.models, choices.augmentations,
    choices.optimizers, experiments.experiment_tables, experiments.as_expected, experiments.failures, results.errors,
    results.ensembles, results.submissions, results.own_work, results.insights, results.lessons, people.people,
    results.listings,
)  # fmt: skip


def report(
    *,
    lang: str = "en",
    format: str | Sequence[str] = "html",
    author: str | None = None,
    out: str | Path | None = None,
    progress: Progress | bool | None = None,
) -> dict[str, Any]:
    """Write the wrap-up report of the project: what was done, why, what was expected, what came, what was learned.

    Every number comes from the project's files, with n and interval; a section without results says so. What only a
    person can write is listed in `missing`, with the command that stores it.

    Args:
        lang: "en" or "ko".
        format: "html", "docx" and "pdf", one or several; as text with commas between. PDF needs `eyeshot[pdf]`.
        author: only this person's page, for a portfolio; None: the whole report.
        out: folder to write into; None: `eyeshot-out/report`.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.

    Returns:
        `answer` and `next_step` in sentences; `files`: path by format; `not_written`: reason by format, where an
        optional part is not installed; `missing`: `field`, `person`, `question` and `command` of each text that only a
        person can write; `notes`; `seconds`.

    Raises:
        InputError: an option cannot be used, nothing was done in the project yet, or it has no such author.
        StorageError: a file cannot be written.
    """
    began = time.monotonic()
    language = check_language(lang)
    formats = check_formats(format)
    files: dict[str, str] = {}
    not_written: dict[str, str] = {}
    with shown_progress(progress) as shown:
        document, facts = make_document(language, author=author, progress=shown)
        folder = make_folder(find_workspace().results("report") if out is None else Path(out))
        for kind in formats:
            shown(0, 0, f"writing {kind}")
            try:
                files[kind] = str(
                    _write(kind, document, folder / file_name(language, kind, author=author), facts.notes)
                )
            except MissingExtraError as error:
                not_written[kind] = str(error)
    count = len(facts.missing)
    answer = (
        f"The report covers {len(facts.experiments):,} {plural(len(facts.experiments), 'experiment')} and "
        f"{len(facts.runs):,} {plural(len(facts.runs), 'run')}; "
        + (
            f"{count:,} {plural(count, 'text is', 'texts are')} still to be written."
            if count
            else "no text is missing."
        )
    )
    step = (
        facts.missing[0]["command"] if facts.missing else f"Read it: {shown_path(Path(next(iter(files.values()), '')))}"
    )
    return {
        "version": 1, "answer": answer, "next_step": step, "files": files, "not_written": not_written,
        "missing": facts.missing, "notes": facts.notes, "seconds": round(time.monotonic() - began, 2),
    }  # fmt: skip


def make_document(
    language: Language, *, author: str | None = None, progress: Progress = SILENT
) -> tuple[Document, Facts]:
    """The report as data, and what it was written from.

    Raises:
        InputError: nothing was done in the project yet, or it has no such author.
    """
    say = sayer(language)
    progress(0, 0, "reading the project")
    facts = Facts(say)
    if facts.empty:
        raise InputError(
            f"A report needs something to tell: an audit, runs, experiments or submissions, got none in "
            f"{str(facts.workspace.project)!r}. Begin with: eyeshot audit TRAIN"
        )
    if author is not None and author not in facts.authors:
        raise InputError(f"--author must be one of {listing(facts.authors, most=20) or 'nobody yet'}, got {author!r}.")
    blocks: list[Block] = []
    if author is None:
        for number, section in enumerate(SECTIONS):
            progress(number, len(SECTIONS), "writing the sections")
            blocks += section(facts)
        progress(len(SECTIONS), len(SECTIONS), "writing the sections")
        written = facts.texts.get(("title", ""))
        title = written["text"] if written else say("Wrap-up report", "프로젝트 랩업 리포트")
    else:
        blocks += people.page_of(facts, author, "person", level=1)
        blocks += led_to(blocks, results.listings(facts))
        title = say(f"What {author} did", f"{author} 활동 보고")
    subtitle = say(
        f"Written by eyeshot from the project {facts.workspace.project.name} on "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC. "
        "Intervals are 95 %.",
        f"eyeshot이 프로젝트 {facts.workspace.project.name}의 기록으로 작성함({datetime.now(UTC):%Y-%m-%d %H:%M} UTC). "
        "신뢰구간은 모두 95 %.",
    )
    top = heading(0, title, "title")
    return {
        "title": top["text"], "subtitle": heading(0, subtitle, "")["text"], "language": language, "blocks": blocks,
    }, facts  # fmt: skip


def check_language(lang: str) -> Language:
    """Refuse a language that the report does not have."""
    for known in get_args(Language):
        if lang == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"--lang must be {' or '.join(get_args(Language))}, got {lang!r}.")


def check_formats(given: str | Sequence[str]) -> list[str]:
    """The formats, each once; refuse one that does not exist."""
    words = given.split(",") if isinstance(given, str) else list(given)
    names = list(dict.fromkeys(word.strip().lower() for word in words if word.strip()))
    if not names or set(names) - set(FORMATS):
        raise InputError(f"--format takes {', '.join(FORMATS)}, one or several with commas, got {given!r}.")
    return names


def _write(kind: str, document: Document, path: Path, notes: list[str]) -> Path:
    if kind == "html":
        return write_html(document, path)
    if kind == "docx":
        from eyeshot.reports.formats.word import write_docx

        return write_docx(document, path)
    from eyeshot.reports.formats.typeset import missing_words, write_pdf

    if words := missing_words(document):
        notes.append(words)
        document = {**document, "blocks": [*document["blocks"], paragraph(words, "note")]}
    return write_pdf(document, path)
