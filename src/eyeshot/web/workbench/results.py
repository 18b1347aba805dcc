"""What the commands of a project have left behind: their reports and pages, as the tabs of the workbench show them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from eyeshot.core import NOTHING, EyeshotError

JsonObject = dict[str, Any]
RESULTS: dict[str, dict[str, str]] = {
    "audit": {
        "tab": "data", "title": "Findings of the audit", "command": "eyeshot audit",
        "what": "It finds broken files, duplicates, leaks, one picture under two labels, and labels that look wrong.",
    },
    "models": {
        "tab": "models", "title": "Ranking of models", "command": "eyeshot rank models",
        "what": "It compares the pretrained models that are on this machine, raw, on your images.",
    },
    "optimizers": {
        "tab": "models", "title": "Ranking of optimizers", "command": "eyeshot rank optimizers",
        "what": "It tries the optimizers that fit this model and these images.",
    },
    "augmentations": {
        "tab": "augmentation", "title": "Ranking of augmentations", "command": "eyeshot rank augmentations",
        "what": "It shows which augmentation brings the training images to the test images, with a map of both.",
    },
    "errors": {
        "tab": "errors", "title": "Errors of the best run", "command": "eyeshot errors",
        "what": "It shows where the latest run is wrong, what its errors have in common, and what to do about them.",
    },
}  # fmt: skip
"""Reports by the folder that holds them; `NAME/NAME.json` beside `NAME/NAME.html`."""
MAPPED = "augmentations"
"""The result whose map comes first on its tab."""
MOST_RANKED = 10
SENTENCES = ("headline", "answer", "next_step", "trust")
"""Keys of a report that hold what it says in short, in this order."""


def results_of(root: Path, tab: str) -> list[JsonObject]:
    """The results that a tab shows, made or not; augmentations may be there for several models.

    Each has `name`, `part` (a folder inside that of the result; empty for the first), `title`, `made` (UTC, null where
    nothing is there), `sentences`, `page` (whether there is one), `command` and `what` (it does), `old` (why it no
    longer fits), and `wrong` (why it cannot be read); augmentations `map` (whether there is a picture) and `ranking`,
    a table of its first candidates (`head`, `rows`, `all`: how many there are).
    """
    return [
        _result(root, name, part)
        for name, about in RESULTS.items()
        if about["tab"] == tab
        for part in ["", *_parts(root / name, f"{name}.json")]
    ]


def page_file(root: Path, name: str, part: str) -> Path | None:
    """The exported page of a result; None where there is none."""
    if name not in RESULTS or part not in ["", *_parts(root / name, f"{name}.html")]:
        return None
    file = root / name / part / f"{name}.html"
    return file if file.is_file() and not file.is_symlink() else None


def map_file(root: Path, part: str) -> Path | None:
    """The picture of a ranking of augmentations, for a map that has no page; None where there is none."""
    if part not in ["", *_parts(root / MAPPED, f"{MAPPED}.json")]:
        return None
    file = root / MAPPED / part / f"{MAPPED}.svg"
    return file if file.is_file() and not file.is_symlink() else None


def report_of(root: Path, name: str, part: str = "") -> JsonObject | None:
    """A report as it was stored; None where there is none.

    Raises:
        EyeshotError: it cannot be read.
    """
    return read_json(root / name / part / f"{name}.json")


def read_json(file: Path) -> JsonObject | None:
    """The object in a file, read again only when the file has changed; None where there is none.

    Raises:
        EyeshotError: it cannot be read.
    """
    try:
        status = file.stat()
    except OSError:
        return None
    report: JsonObject = _read(str(file), status.st_mtime_ns, status.st_size)
    return report


def time_of(file: Path) -> str | None:
    """When a file was written last, in UTC; None where there is none."""
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except OSError:
        return None


@lru_cache(maxsize=16)
def _read(file: str, changed: int, size: int) -> Any:
    """The JSON of a file in the state that its time and size name."""
    try:
        report = json.loads(Path(file).read_text(encoding="utf-8"))
        if not isinstance(report, dict):
            raise ValueError("it holds no object")
    except (OSError, ValueError) as error:
        raise EyeshotError(f"{file!r} cannot be read: {error}. Run its command again.") from error
    return report


def _parts(folder: Path, file: str) -> list[str]:
    """Folders inside that of a result which hold results of their own."""
    if not folder.is_dir():
        return []
    return sorted(found.parent.name for found in folder.glob(f"*/{file}") if not found.parent.is_symlink())


def _result(root: Path, name: str, part: str) -> JsonObject:
    about, file = RESULTS[name], root / name / part / f"{name}.json"
    told: JsonObject = {
        **about, "name": name, "part": part, "made": time_of(file), "sentences": [], "wrong": "", "ranking": None,
        "page": page_file(root, name, part) is not None, "old": _outdated(root, file),
        "map": name == MAPPED and map_file(root, part) is not None,
    }  # fmt: skip
    try:
        report = report_of(root, name, part)
    except EyeshotError as error:
        return told | {"wrong": str(error)}
    if report is None:
        return told
    models = [model.get("name", "") for model in report.get("models", []) if isinstance(model, dict)]
    if name == "augmentations" and models:
        told["title"] = f"Ranking of augmentations for {models[0]}"
    if name == MAPPED:
        told["ranking"] = _ranking(report)
    return told | {"sentences": _sentences(report), "command": report.get("command") or about["command"]}


def _ranking(report: JsonObject) -> JsonObject:
    """The first candidates of a ranking of augmentations, as a table: rank, name, score with its interval, group.

    Read as plain JSON: the model of the report would load torch into the server.
    """
    candidates = [
        one
        for one in report.get("candidates", [])
        if isinstance(one, dict) and one.get("role") == "ranked" and one.get("rank") is not None
    ]
    if any(one.get("combined") is not None for one in candidates):
        column, key, factor, digits = "combined score, MAD units", "combined", 1.0, 2
    elif report.get("ranked_by") == "nearest_distance":
        column, key, factor, digits = "nearer by, radii", "score", 1.0, 2
    else:
        column, key, factor, digits = "coverage gain, points", "score", 100.0, 1
    interval = "combined_interval" if key == "combined" else "interval"

    def signed(value: float | None) -> str:
        return NOTHING if value is None else f"{factor * value:+.{digits}f}".replace("-", "\u2212")

    first = sorted(candidates, key=lambda one: one["rank"])[:MOST_RANKED]
    rows = [
        [str(one["rank"]), str(one.get("name", "")), signed(one.get(key)),
         " to ".join(signed(end) for end in one.get(interval) or ()) or NOTHING, str(one.get("group") or NOTHING)]
        for one in first
    ]  # fmt: skip
    return {"head": ["rank", "candidate", column, "interval", "group"], "rows": rows, "all": len(candidates)}


def _sentences(report: JsonObject) -> list[str]:
    """What a report says in short."""
    said: list[str] = []
    for key in SENTENCES:
        value = report.get(key)
        said += [value] if isinstance(value, str) else [text for text in value or () if isinstance(text, str)]
    return [text for text in dict.fromkeys(said) if text]


def _outdated(root: Path, file: Path) -> str:
    """Why a result may no longer fit: decisions or the split were changed after it; empty if not."""
    if not file.is_file() or file.parent.name == "audit":  # the audit looks at all images, whatever was decided
        return ""
    made = file.stat().st_mtime
    later = [
        words
        for words, name in (("a decision about the data", "decisions.jsonl"), ("the split", "split.json"))
        if (root.parent / name).is_file() and (root.parent / name).stat().st_mtime > made
    ]
    return f"This is older than {' and '.join(later)}." if later else ""
