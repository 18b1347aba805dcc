"""`export_workbench()`: the workbench as pages in a folder, to hand in; they open without a server."""

from __future__ import annotations

import json
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import xxhash
from jinja2 import Environment, FunctionLoader, StrictUndefined

from eyeshot.core import (
    NOTHING,
    InputError,
    Progress,
    StorageError,
    duration,
    find_workspace,
    megabytes,
    percent,
    plural,
    shortened,
    shown_path,
    shown_progress,
)
from eyeshot.ledger import Ledger, experiment_curves, open_ledger
from eyeshot.reports import asset, report
from eyeshot.web.live_page import page_styles, text_of
from eyeshot.web.workbench.answers import table_page
from eyeshot.web.workbench.expectations import expectations_answer
from eyeshot.web.workbench.experiment_answer import experiment_answer
from eyeshot.web.workbench.overview import overview_answer
from eyeshot.web.workbench.results import JsonObject, map_file, page_file, time_of
from eyeshot.web.workbench.tabs import TABS, picture_file, tab_answer

MARKER = "eyeshot-export.json"
"""In every folder that was exported: which files eyeshot wrote, with a hash of each."""
ROWS = 500
"""Experiments on a page of the list."""
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}\Z")
TITLES = {
    "overview": "Overview", "data": "Data", "models": "Models", "augmentation": "Augmentation",
    "experiments": "Experiments", "errors": "Errors", "submissions": "Submissions", "report": "Report",
}  # fmt: skip
FILES = {name: "index.html" if name == "overview" else f"{name}.html" for name in TITLES}
STATES = {
    "done": ("good", "✓", "done"), "open": ("open", "!", "open"), "none": ("none", "○", "not yet"),
    "wrong": ("bad", "✕", "cannot be read"),
}  # fmt: skip
NAMES = {
    "audit": "Audit of the data", "split": "Split", "models": "Models", "augmentations": "Augmentations",
    "optimizers": "Optimizers", "experiments": "Experiments", "errors": "Errors", "submissions": "Submissions",
}  # fmt: skip
VERDICTS = {"as expected": "good", "better": "good", "worse": "bad", "not distinguishable": "none"}


def export_workbench(export: str | Path, *, progress: Progress | bool | None = None) -> dict[str, Any]:
    """Write the whole workbench as static pages: every tab, a page for each experiment, exported pages, the report.

    The pages are written beside the folder and take its place once they are whole.

    Args:
        export: the folder; it must be new, empty, or an export that nobody has changed.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.

    Returns:
        `answer` and `next_step` in sentences; `folder`, `index` (the page to begin with), `files` (how many), `bytes`,
        `experiments`; `left_out`: what is not in it, in sentences; `seconds`.

    Raises:
        InputError: the folder holds files that eyeshot did not write, or that were changed since.
        StorageError: a file cannot be written.
    """
    began = time.monotonic()
    folder = Path(export).absolute()
    _check(folder)
    root = find_workspace().root
    beside = folder.parent / f"{folder.name}.part-{uuid.uuid4().hex[:8]}"
    try:
        beside.mkdir(parents=True)
        with open_ledger(root) as ledger, shown_progress(progress) as shown:
            count, left_out = _Export(ledger, beside).write(shown)
        files = {file.relative_to(beside).as_posix(): file for file in sorted(beside.rglob("*")) if file.is_file()}
        size = sum(file.stat().st_size for file in files.values())
        hashes = {name: _hash(file) for name, file in files.items()}
        _write(beside / MARKER, json.dumps({"version": 1, "files": hashes}, indent=1, ensure_ascii=False))
        _check(folder)  # once more: the report takes a while
        _replace(folder, beside)
    except OSError as error:
        raise StorageError(f"Cannot write the pages to {str(folder)!r}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    answer = (
        f"The workbench is in {shown_path(folder)}: {len(files):,} files, {megabytes(size)}, with {count:,} "
        f"{plural(count, 'experiment')}."
    )
    return {
        "version": 1, "answer": answer, "next_step": f"Open {shown_path(folder / 'index.html')} in a browser.",
        "folder": str(folder), "index": str(folder / "index.html"), "files": len(files), "bytes": size,
        "experiments": count, "left_out": left_out, "seconds": round(time.monotonic() - began, 2),
    }  # fmt: skip


def _check(folder: Path) -> None:
    """Refuse a folder that holds anything that eyeshot did not write."""
    if not folder.exists():
        return
    rule = "--export must name a new or empty folder, or one that was exported before"
    if not folder.is_dir():
        raise InputError(f"{rule}, got the file {str(folder)!r}. Name another one.")
    there = [file for file in folder.rglob("*") if not file.is_dir() or file.is_symlink()]
    try:
        known: dict[str, str] = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    for file in there:
        name = file.relative_to(folder).as_posix()
        if name == MARKER and known:
            continue
        if file.is_symlink() or name not in known:
            raise InputError(
                f"{rule}, got {str(folder)!r}, which holds {name!r}. Name another folder, or move it away."
            )
        if _hash(file) != known[name]:
            raise InputError(f"{rule}, got {str(folder)!r}, where {name!r} was changed since. Move it away first.")


def _hash(file: Path) -> str:
    return xxhash.xxh3_128_hexdigest(file.read_bytes())


def _replace(folder: Path, beside: Path) -> None:
    """Put a folder that is whole in the place of another one."""
    if not folder.exists():
        beside.rename(folder)
        return
    old = folder.parent / f"{beside.name}-old"
    folder.rename(old)
    try:
        beside.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode("utf-8", "replace"))  # lone surrogates of file names cannot be encoded


class _Export:
    """Writes the pages into a folder."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self._ledger, self._folder, self._root = ledger, folder, ledger.root
        rows = ledger.rows("id", sort="-first_seq")
        self._pages = {
            row["id"]: f"experiments/{row['id'] if PLAIN_NAME.match(row['id']) else f'experiment-{number}'}.html"
            for number, row in enumerate(rows, 1)
        }
        self._about = {
            "project": self._root.resolve().parent.name, "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "tabs": [(FILES[name], title) for name, title in TITLES.items()], "pages": self._pages, "files": FILES,
            "states": STATES, "names": NAMES, "verdicts": VERDICTS,
        }  # fmt: skip
        self._left_out: list[str] = []

    def write(self, progress: Progress) -> tuple[int, list[str]]:
        """Write everything; returns how many experiments there are, and what is not in the folder."""
        reports = self._report(progress)
        progress(0, 0, "writing the pages")
        _write(self._folder / "style.css", page_styles("workbench"))
        _write(self._folder / "page.js", asset("page.js"))
        _write(self._folder / "icon.svg", text_of("icon.svg"))
        answers = {tab: self._tab(tab) for tab in TABS}
        self._experiment_lists()
        for number, name in enumerate(self._pages):
            progress(number, len(self._pages), "writing the experiments")
            self._experiment(name)
        for tab, answer in answers.items():
            self._page(FILES[tab], "tab.html.j2", tab, **answer, report_files=reports if tab == "report" else [])
        self._page(
            FILES["overview"], "tab.html.j2", "overview", overview=overview_answer(self._ledger),
            left_out=self._left_out,
        )  # fmt: skip
        return len(self._pages), self._left_out

    def _report(self, progress: Progress) -> list[str]:
        """The report as it stands now, and the files of it that were written before; their addresses."""
        names = []
        try:
            report(out=self._folder / "report", progress=progress.sub("report"))
            names.append("report/report.html")
        except InputError as error:
            self._left_out.append(f"There is no report: {error}")
        for file in sorted((self._root / "report").glob("report*")):
            if file.suffix in (".html", ".docx", ".pdf") and file.name != "report.html" and not file.is_symlink():
                self._copy(file, f"report/{file.name}")
                names.append(f"report/{file.name}")
                written = _moment(time_of(file) or NOTHING)
                self._left_out.append(f"{file.name} is as it was written {written}, not made anew.")
        return names

    def _tab(self, tab: str) -> JsonObject:
        """What a tab shows, with the pages and pictures that it leads to beside it."""
        answer = tab_answer(self._ledger, tab)
        for section in answer["sections"]:
            if section["cut"]:
                self._left_out.append(f"{section['title']}: {section['cut']}")
            picture = picture_file(self._root) if section.get("picture") else None
            section["picture"] = self._copy(picture, "submissions.svg") if picture else ""
        taken: list[str] = []
        for result in answer["results"]:
            name, part = result["name"], result["part"]
            taken.append(name)
            stem = f"pages/{name}" + (f"-{taken.count(name)}" if taken.count(name) > 1 else "")
            page, picture = page_file(self._root, name, part), map_file(self._root, part) if result["map"] else None
            result["file"] = self._copy(page, f"{stem}.html") if page else ""
            result["picture"] = self._copy(picture, f"{stem}.svg") if picture and not page else ""
            if result["made"] and not page:
                self._left_out.append(f"The page of {result['title']} is gone. Make it again: {result['command']}")
        return answer

    def _copy(self, file: Path, name: str) -> str:
        """Copy a file into the folder; its address there."""
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        return name

    def _experiment_lists(self) -> None:
        count = max(1, -(-len(self._pages) // ROWS))
        files = [FILES["experiments"], *(f"experiments-{number}.html" for number in range(2, count + 1))]
        expected = expectations_answer(self._ledger)
        for number, file in enumerate(files):
            rows = table_page(self._ledger, {}, offset=number * ROWS, limit=ROWS)["rows"]
            self._page(
                file, "tab.html.j2", "experiments", rows=rows, lists=files, current_list=file,
                notes=expected["words"] if not number else [],
            )  # fmt: skip

    def _experiment(self, name: str) -> None:
        one = experiment_answer(self._ledger, self._ledger.experiment(name))
        curve = _curve(experiment_curves(self._ledger, [name])["series"])
        self._page(
            self._pages[name], "experiment.html.j2", "experiments", title=one["why"] or name, up="../", one=one,
            curve=curve,
        )  # fmt: skip

    def _page(self, file: str, template: str, tab: str, **more: Any) -> None:
        given = {
            "title": TITLES[tab], "up": "", "current": FILES[tab], "overview": None, "left_out": [], "notes": [],
            "report_files": [], "lists": [], "current_list": "", "sections": [], "results": [], **self._about, **more,
        }  # fmt: skip
        _write(self._folder / file, _environment().get_template(f"export/{template}").render(**given))


def _curve(series: Iterable[Mapping[str, Any]]) -> JsonObject | None:
    """Validation accuracy by epoch as lines of a drawing of 640 by 180; None without two epochs of a run."""
    runs = [
        points
        for one in series
        if len(points := [(x, y) for x, y in zip(one["x"], one["y"], strict=True) if y is not None]) > 1
    ]
    if not runs:
        return None
    epochs = max(x for points in runs for x, _ in points)
    values = [y for points in runs for _, y in points]
    low, high = min(values), max(values)
    middle = max(high - low, 0.01)

    def place(x: float, y: float) -> str:
        return f"{56 + 574 * x / epochs:.1f},{150 - 130 * (y - low) / middle:.1f}"

    return {
        "lines": [" ".join(place(x, y) for x, y in points) for points in runs], "epochs": epochs,
        "first": runs[0][0][1], "last": runs[0][-1][1],
        "ticks": [(150, percent(low, 1)), (20, percent(low + middle, 1))],
    }  # fmt: skip


def _moment(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return text


def _gain(change: float | None) -> str:
    return NOTHING if change is None else f"{100 * change:+.1f}".replace("-", "\u2212")


FILTERS: dict[str, Callable[..., str]] = {
    "moment": _moment, "gain": _gain, "percent": lambda share: percent(share, 1), "shortened": shortened,
    "seconds": lambda seconds: NOTHING if seconds is None else duration(seconds),
}  # fmt: skip


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(text_of), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(FILTERS)
    return environment
