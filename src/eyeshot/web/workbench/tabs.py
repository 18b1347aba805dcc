"""The JSON answers of the tabs beside experiments: sentences, tables, and results with their pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eyeshot.auditing import NAMES
from eyeshot.core import NOTHING, EyeshotError, percent, plural, shortened
from eyeshot.data import DECISIONS_FILE, SPLIT_FILE, DecisionLog, bad_lines
from eyeshot.ledger import Ledger
from eyeshot.predictions import SUBMISSIONS_FILE, Accuracy, read_submissions
from eyeshot.web.workbench.overview import findings_by_kind
from eyeshot.web.workbench.results import JsonObject, read_json, results_of

LATEST = 10
"""Rows of a table that only shows the latest."""
MOST_ASKED = 30
PARTS = {"val": "held out", "train": "always in training"}
LONGEST_CELL = 160


def tab_answer(ledger: Ledger, tab: str) -> JsonObject:
    """What a tab shows.

    Returns:
        `sections`: `title`, `words` (sentences), `head` and `rows` of a table (a cell is a text, or a text with the
        `open` of an experiment), `cut`: which rows it has and where the others are, a sentence, empty where it has all;
        `command` and `what` (it does) where nothing is there or more can be done, `wrong`;
        `results`: see `results_of`.
    """
    sections = [_safe(title, make, ledger) for title, make in _SECTIONS.get(tab, ())]
    return {"sections": sections, "results": results_of(ledger.root, tab)}


def _section(
    words: Sequence[str] = (), head: Sequence[str] = (), rows: Sequence[Sequence[Any]] = (), **more: Any
) -> JsonObject:
    return {
        "words": [*words],
        "head": [*head],
        "rows": [[*row] for row in rows],
        "cut": "",
        "command": "",
        "what": "",
        "wrong": "",
    } | more


def _cut(shown: int, all_of_them: int, names: str, place: str, *, which: str = "latest") -> str:
    """Which rows a table has and where the others are; empty where it has all."""
    if shown == all_of_them:
        return ""
    return f"The {which} {shown:,} of {all_of_them:,} {names} are shown; all are {place}."


def _safe(title: str, make: Callable[[Ledger], JsonObject], ledger: Ledger) -> JsonObject:
    """A section; a file that cannot be read is said in its place, and the others are shown all the same."""
    try:
        return {"title": title, **make(ledger)}
    except EyeshotError as error:
        return {"title": title, **_section(wrong=str(error))}


def _findings(ledger: Ledger) -> JsonObject:
    counted = findings_by_kind(ledger.root)
    if counted is None:
        return _section(command="eyeshot audit", what="No audit has looked at the images yet. This one does:")
    found, still_open = counted
    if not found:
        return _section(["The audit found nothing."])
    rows = [[NAMES[kind], f"{found[kind]:,}", f"{still_open[kind]:,}"] for kind in NAMES if found[kind]]
    count = sum(still_open.values())
    words = f"{count:,} of {sum(found.values()):,} findings {plural(count, 'waits', 'wait')} for a decision."
    return _section(
        [words],
        ["kind", "findings", "open"],
        rows,
        command="eyeshot review" if count else "",
        what="This opens them, to decide about each with one key:",
    )


def _decisions(ledger: Ledger) -> JsonObject:
    known = DecisionLog(ledger.root.parent / DECISIONS_FILE).read()
    if not known.stored:
        return _section(
            command="eyeshot review",
            what="No decision about the images is stored yet. This opens the findings to decide about:",
        )
    undone = len(known.undone)
    words = f"{len(known.active):,} {plural(len(known.active), 'decision is', 'decisions are')} in effect"
    words += f", {undone:,} {plural(undone, 'was', 'were')} undone." if undone else "."
    rows = [
        [
            decision.time.isoformat(timespec="seconds"), decision.policy or decision.author, decision.kind,
            shortened(decision.words(), LONGEST_CELL),
        ]
        for decision in known.stored[-LATEST:][::-1]
    ]  # fmt: skip
    cut = _cut(len(rows), len(known.stored), "decisions", f"in {DECISIONS_FILE}")
    return _section([words, *bad_lines(known, most=3)], ["when", "by", "kind", "about"], rows, cut=cut)


def _split(ledger: Ledger) -> JsonObject:
    split = read_json(ledger.root.parent / SPLIT_FILE)
    if split is None:
        return _section(
            command="eyeshot split",
            what=f"There is no {SPLIT_FILE} yet, so each training holds out images of its own. This makes one:",
        )
    counts = split.get("counts") or {}
    rows = [
        [f"fold {name}" if name.isdigit() else PARTS.get(name, name), f"{count:,}"] for name, count in counts.items()
    ]
    words = [f"Seed {split.get('seed', NOTHING)}. Duplicates stay on one side: {split.get('basis') or 'equal bytes'}."]
    return _section([*words, *(split.get("notes") or [])[:3]], ["part", "images"], rows)


def _submissions(ledger: Ledger) -> JsonObject:
    sent, bad = read_submissions(ledger.root.parent / SUBMISSIONS_FILE)
    if not sent:
        return _section(
            bad,
            command="eyeshot submit FILE",
            what="No submission is noted yet. This notes one, and later its score:",
        )
    rows = [
        [
            one.time.isoformat(timespec="seconds"), one.name, one.run or NOTHING, _accuracy(one.validation),
            NOTHING if one.score is None else f"{one.score:.{one.digits or 4}f}", f"{one.n:,}",
            shortened(one.note, LONGEST_CELL),
        ]
        for one in sent[::-1]
    ]  # fmt: skip
    picture = (ledger.root / "submissions" / "submissions.svg").is_file()
    head = ["when", "file", "run", "validation, 95 %", "score", "rows", "note"]
    return _section(bad, head, rows, picture="submissions.svg" if picture else "")


def _accuracy(accuracy: Accuracy | None) -> str:
    if accuracy is None or accuracy.value is None:
        return NOTHING
    interval = (
        ""
        if accuracy.low is None or accuracy.high is None
        else f" ({100 * accuracy.low:.1f} to {100 * accuracy.high:.1f})"
    )
    return f"{percent(accuracy.value, 1)}{interval}, n {accuracy.n:,}"


def _ensembles(ledger: Ledger) -> JsonObject:
    rows, wrong = [], []
    files = sorted((ledger.root / "runs").glob("*/ensemble.json"), reverse=True)
    for file in files[:LATEST]:
        try:
            report = read_json(file) or {}
        except EyeshotError as error:
            wrong.append(str(error))
            continue
        rows.append([file.parent.name, report.get("answer", ""), report.get("advised", "")])
    if not rows and not wrong:
        return _section(
            command="eyeshot ensemble latest previous",
            what="No ensemble was made yet. This says whether runs together are better than the best one:",
        )
    cut = _cut(len(files[:LATEST]), len(files), "ensembles", "in the report")
    return _section(wrong, ["run", "answer", "advised"], rows, cut=cut)


def _unwritten(ledger: Ledger) -> JsonObject:
    where = "gain IS NOT NULL AND learned = '' AND author_kind <> 'sweep'"
    rows = ledger.rows("id", "why", "gain", "verdict", where=where, sort="-first_seq")
    if not rows:
        return _section(["Nothing is missing: every experiment with a verdict says what was learned."])
    experiments, it = plural(len(rows), "experiment has", "experiments have"), plural(len(rows), "it", "they")
    words = f"{len(rows):,} {experiments} a verdict, and nobody has written what {it} taught. Open one to write it."
    shown = [
        [{"text": shortened(row["why"], LONGEST_CELL), "open": row["id"]}, row["verdict"] or row["gain"]]
        for row in rows[:MOST_ASKED]
    ]
    cut = _cut(len(shown), len(rows), "experiments", "in the table of experiments")
    return _section([words], ["experiment", "verdict"], shown, cut=cut)


def _insights(ledger: Ledger) -> JsonObject:
    records = ledger.experiments("open_insights > 0", sort="-first_seq", limit=MOST_ASKED)
    rows = [
        [{"text": shortened(insight.text, LONGEST_CELL), "open": record.id}, insight.author]
        for record in records
        for insight in record.insights
        if insight.open
    ][:MOST_ASKED]
    if not rows:
        return _section(["No insight is open."])
    count = sum(row["open_insights"] for row in ledger.rows("open_insights", where="open_insights > 0"))
    cut = _cut(len(rows), count, "insights", "in the report")
    return _section(["Nothing was done about these yet."], ["insight", "by"], rows, cut=cut)


_SECTIONS: dict[str, tuple[tuple[str, Callable[[Ledger], JsonObject]], ...]] = {
    "data": (("Findings by kind", _findings), ("Decisions", _decisions), ("Split", _split)),
    "submissions": (("Submissions", _submissions), ("Ensembles", _ensembles)),
    "report": (("What was learned", _unwritten), ("Open insights", _insights)),
}
TABS = ("data", "models", "augmentation", "errors", "submissions", "report")


def picture_file(root: Path) -> Path | None:
    """The picture of all submissions; None where there is none."""
    file = root / "submissions" / "submissions.svg"
    return file if file.is_file() and not file.is_symlink() else None
