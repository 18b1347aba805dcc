"""The JSON answer for an experiment: all that was said about it, its settings, and the files of its runs."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from eyeshot.core import InputError, megabytes, points
from eyeshot.ledger import Experiment, Ledger, differing_settings, flat_settings, last_author, value_words
from eyeshot.web.workbench.answers import JsonObject, expected_answer, got_answer

MOST_FILES = 60
"""Files of a run that the page lists."""
TEXT_ENDINGS = (".json", ".jsonl", ".txt", ".csv", ".toml", ".yaml", ".yml", ".py", ".md", ".log")
MOST_TEXT_BYTES = 2_000_000
GROUPS = ("settings", "data", "code")
IMAGE_COUNTS = {"n_train": "training images", "n_val": "validation images"}


def experiment_answer(ledger: Ledger, record: Experiment) -> JsonObject:
    """An experiment with all that was said about it."""
    told = record.model_dump(mode="json")
    got = told["got"]
    return {
        **told,
        "difference": _differences(ledger, record),
        "expected": expected_answer(told["expected"]),
        "got": got_answer(got),
        "remarks": _remarks(got) if got else [],
        "disagreement": _disagreement(got) if got else "",
        "children": [row["id"] for row in ledger.rows("id", where="parent = ?", values=(record.id,), limit=12)],
        "last_authors": {field: last_author(ledger, record.id, field) for field in ("learned", "why_different")},
        "config": [[name, value_words(value)] for name, value in flat_settings(told["config"]).items()],
        "files": [{"run": run, "files": _files(ledger.root, run)} for run in record.runs],
        "runs_folder": str(ledger.root / "runs"),
    }


def run_file(ledger: Ledger, record: Experiment, run: str, name: str) -> str:
    """The text of a file of one of an experiment's runs.

    Raises:
        InputError: the experiment has no such run or the run no such file, or it is no text that can be shown.
    """
    listed = {file["name"]: file for file in _files(ledger.root, run)} if run in record.runs else {}
    if name not in listed:
        raise InputError(f"The experiment {record.id!r} has no file {name!r} in a run {run!r}. Open it again.")
    if not listed[name]["text"]:
        raise InputError(
            f"Only texts of up to {megabytes(MOST_TEXT_BYTES)} are shown here, got {name!r}. Open it in its folder."
        )
    return (ledger.root / "runs" / run / name).read_text(encoding="utf-8", errors="replace")


def _files(root: Path, run: str) -> list[JsonObject]:
    """Name and size of the files of a run, by name; links are left out, since they may lead anywhere."""
    # An event of another machine may name any path; only folders beside each other are looked into.
    if run in ("", ".", "..") or Path(run).name != run or not (root / "runs" / run).is_dir():
        return []
    with os.scandir(root / "runs" / run) as entries:
        files = [(entry.name, entry.stat().st_size) for entry in entries if entry.is_file(follow_symlinks=False)]
    return [
        {"name": name, "bytes": size, "text": name.lower().endswith(TEXT_ENDINGS) and size <= MOST_TEXT_BYTES}
        for name, size in sorted(files)[:MOST_FILES]
    ]


def _differences(ledger: Ledger, record: Experiment) -> list[list[str]]:
    """What differs from the parent: what it is of (settings, data or code), name, value of the parent, own value."""
    pairs = {**_computed(ledger, record), **record.difference}
    rows = [[_group(name), name, value_words(before), value_words(after)] for name, (before, after) in pairs.items()]
    return sorted(rows, key=lambda row: (GROUPS.index(row[0]), row[1]))


def _group(name: str) -> str:
    if name.startswith("code."):
        return "code"
    return "data" if name.startswith("data.") or name in IMAGE_COUNTS.values() else "settings"


def _computed(ledger: Ledger, record: Experiment) -> dict[str, tuple[Any, Any]]:
    """Settings, code and numbers of images in which both differ; empty where the parent is no experiment."""
    found = ledger.experiments("id = ?", (record.parent,)) if record.parent else []
    if not found or not found[0].config or not record.config:
        return {}
    parent = found[0]
    # The seeds are compared in pairs, and the whole text of a code difference is shown by itself.
    left_out = ("seeds", "code.difference")
    pairs: dict[str, tuple[Any, Any]] = {
        name: (before, after)
        for name, before, after in differing_settings(parent, record)
        if name not in left_out and (before or after)
    }
    counts = [_image_counts(ledger.root, one) for one in (parent, record)]
    for name in counts[0].keys() & counts[1].keys():
        if counts[0][name] != counts[1][name]:
            pairs[name] = (counts[0][name], counts[1][name])
    return pairs


def _image_counts(root: Path, record: Experiment) -> dict[str, int]:
    """Images of the first run with a result: decisions about the data show in them."""
    for run in record.runs:
        with suppress(OSError, ValueError, AttributeError):
            # Read as plain JSON: the model of a result would load torch into the server.
            result = json.loads((root / "runs" / run / "result.json").read_text(encoding="utf-8"))
            return {words: int(result[name]) for name, words in IMAGE_COUNTS.items() if result.get(name) is not None}
    return {}


def _remarks(got: JsonObject) -> list[str]:
    """What stands beside a gain: the noise of this data and model, and what chance alone would give."""
    remarks = []
    if got["noise"] is not None:
        remarks.append(f"Noise: seeds of one recipe differ by {points(got['noise'])} here (standard deviation).")
    if got["comparisons"] is not None:
        count = got["comparisons"]
        remarks.append(
            f"Comparison {count} with this parent: without allowance, chance alone would give {0.05 * count:.2g} "
            f"differences among {count}."
        )
    if got["estimate"] is not None:
        change = "" if got["estimate_difference"] is None else f", {points(got['estimate_difference'])} from the parent"
        remarks.append(f"Estimated on the test images, without their labels: {100 * got['estimate']:.1f} %{change}.")
    return remarks


def _disagreement(got: JsonObject) -> str:
    if not got["estimate_disagrees"]:
        return ""
    return (
        "Validation and the estimate on the test images disagree about this difference. The test images are shifted; "
        "validation alone does not settle it."
    )
