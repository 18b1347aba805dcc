"""The queue of a sweep that runs: what other processes ask of it, line by line in a file of the sweep's folder."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, get_args

import filelock

from eyeshot.core import InputError, StorageError, append_lines, find_workspace, listing
from eyeshot.ledger import open_ledger
from eyeshot.models import weights_at_hand
from eyeshot.sweep.search.space import MODEL, read_space
from eyeshot.sweep.store import DecisionFile

QUEUE_FILE = "queue.jsonl"
SWEEPS_FOLDER = "sweeps"
SWEEP_FILE = "sweep.json"
LOCK_FILE = "sweep.lock"
Action = Literal["add", "drop", "pause", "resume", "first"]


def change_queue(
    action: Action, trial: str | None = None, *, settings: Mapping[str, Any] | None = None, why: str = "",
    sweep: str | None = None, root: str | Path | None = None,
) -> str:  # fmt: skip
    """Ask something of a sweep: it does so within a second while it runs, or when it is continued.

    Args:
        action: "add" a trial; "drop" one that waits; "pause" all that has not begun, "resume" it; let one be "first".
        trial: id of the experiment, or its beginning; for "drop" and "first".
        settings: of "add": what it changes, such as {"training.learning_rate": 1e-4, "model": "resnet18.a1_in1k"}.
        why: of "add": the hypothesis.
        sweep: id of the sweep, or its beginning; None: the latest.
        root: the folder that holds everything eyeshot writes; None: the project's.

    Returns:
        what was asked, in a sentence.

    Raises:
        InputError: there is no such sweep or trial, or the trial has ended.
        ModelError: of "add": timm has no such model.
        StorageError: the file cannot be written.
    """
    if action not in get_args(Action):
        raise InputError(f"A queue takes {listing(list(get_args(Action)))}, got {action!r}.")
    place = find_workspace().root if root is None else Path(root)
    folder = find_sweep(place, sweep)
    asked: dict[str, Any] = {"id": uuid.uuid4().hex, "action": action}
    words = {"pause": "What has not begun waits until: eyeshot queue resume.", "resume": "The queue goes on."}
    if action in ("drop", "first"):
        if not trial:
            raise InputError(f"eyeshot queue {action} needs the id of a trial. See: eyeshot queue.")
        with open_ledger(place) as ledger:
            experiment = ledger.experiment(trial)
        if experiment.sweep != folder.name:
            raise InputError(f"{experiment.id} is no trial of the sweep {folder.name!r}. See: eyeshot queue.")
        if experiment.state in ("done", "failed", "stopped", "dropped"):
            raise InputError(f"{experiment.id} has ended ({experiment.state}); only a trial that waits can be changed.")
        asked["trial"] = experiment.id
        words |= {"drop": f"{experiment.id} is dropped.", "first": f"{experiment.id} comes next."}
    elif action == "add":
        if not settings:
            raise InputError("eyeshot queue add needs what the trial changes: --set training.learning_rate=1e-4.")
        # Checked as a space of single values is.
        choices = read_space(f"{name}={value}" for name, value in settings.items())
        for choice in choices:
            if choice.name == MODEL:
                weights_at_hand([str(choice.values[0])])  # refuses a name that timm does not have
        asked |= {"config": {choice.name: choice.values[0] for choice in choices}, "why": why}
        words["add"] = "The trial joins the sweep in the round that is open, or in the next."
    try:
        with filelock.FileLock(folder / f"{QUEUE_FILE}.lock", timeout=60):
            append_lines(folder / QUEUE_FILE, [json.dumps(asked)])
    except OSError as error:
        raise StorageError(f"Cannot write {str(folder / QUEUE_FILE)!r}: {error.strerror or error}.") from error
    return words[action]


def find_sweep(root: Path, text: str | None) -> Path:
    """The folder of a sweep, by its id or the beginning of its id; None: the latest.

    Raises:
        InputError: there is none, or several begin so.
    """
    folders = sorted(
        (file.parent for file in (root / SWEEPS_FOLDER).glob(f"*/{SWEEP_FILE}")),
        key=lambda folder: (folder / SWEEP_FILE).stat().st_mtime,
    )
    fitting = [folder for folder in folders if text is None or folder.name.startswith(text)]
    if text is None and fitting:
        return fitting[-1]
    if len(fitting) == 1:
        return fitting[0]
    known = f"Known: {listing([folder.name for folder in folders])}." if folders else "There are none yet."
    raise InputError(
        f"No single sweep is called {text!r}. {known}" if text else "There is no sweep yet. See: eyeshot sweep."
    )


def read_queue(folder: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """What was asked after a place in the file, and the new place; a line that is still being written waits."""
    file = folder / QUEUE_FILE
    try:
        if not file.is_file() or file.stat().st_size <= offset:
            return [], offset
        with file.open("rb") as opened:
            opened.seek(offset)
            content = opened.read()
    except OSError:
        return [], offset
    whole = content[: content.rfind(b"\n") + 1]
    asked = []
    for line in whole.splitlines():
        with suppress(ValueError):
            asked.append(json.loads(line))
    return asked, offset + len(whole)


def list_queue(sweep: str | None = None, *, root: str | Path | None = None) -> dict[str, Any]:
    """What a sweep has under way and waiting.

    Args:
        sweep: id of the sweep, or its beginning; None: the latest.
        root: the folder that holds everything eyeshot writes; None: the project's.

    Returns:
        `sweep`; `trials`: `id`, `state`, `rung`, `difference` of each, the earliest first, where "interrupted" stands
        for "running" if no sweep runs; `paused`; `running`, whether any sweep of the project is; `command`, which began
        it; `words`.

    Raises:
        InputError: there is no such sweep.
    """
    place = find_workspace().root if root is None else Path(root)
    folder = find_sweep(place, sweep)
    with open_ledger(place) as ledger:
        waiting = ledger.rows(
            "id", "state", "rung", "difference", where="sweep = ? and state in ('stated', 'waiting', 'running')",
            values=(folder.name,),
        )  # fmt: skip
    asked, _ = read_queue(folder, 0)
    switches = [entry["action"] for entry in asked if entry.get("action") in ("pause", "resume")]
    paused = bool(switches) and switches[-1] == "pause"
    running = _is_running(place)
    verbs = "is under way or waits" if len(waiting) == 1 else "are under way or wait"
    words = f"{len(waiting)} of {folder.name} {verbs}"
    words += "; paused: eyeshot queue resume." if paused else "."
    if waiting and not running:
        words += " No sweep is running now: the command that began it goes on."
        for trial in waiting:  # a kill leaves no time to say so in the ledger
            trial["state"] = "interrupted" if trial["state"] == "running" else trial["state"]
    return {
        "sweep": folder.name, "trials": waiting, "paused": paused, "running": running, "words": words,
        "command": str(DecisionFile(folder / SWEEP_FILE).get("command") or ""),
    }  # fmt: skip


def _is_running(root: Path) -> bool:
    """Whether a sweep of the project holds its lock, which a kill frees."""
    lock = filelock.FileLock(root / SWEEPS_FOLDER / LOCK_FILE, timeout=0)
    try:
        with lock:
            return False
    except filelock.Timeout:
        return True
    except OSError:  # of a folder that can only be read
        return False
