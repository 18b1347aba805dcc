"""Run folders: `runs/<id>/` with `run.json`, which says what is in it, beside what the run itself writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eyeshot.core import InputError, StorageError, listing, make_folder, replacing

RECORD_FILE = "run.json"
ENSEMBLE_FILE = "ensemble.json"
BY_AGE = ("latest", "previous")
"""Names of the run that was begun last and of the run before it."""
ADVISED = "advised"
"""Name of what the last `eyeshot ensemble` advised, and of the file beside the runs that holds its id or folder."""
LOGGED = "logged"
"""Kind of a run whose predictions came from a program of the user's own."""
LONGEST_ID = 100


class RunRecord(BaseModel):
    """Contents of `run.json`.

    Attributes:
        id: name of the folder; ids sort by time.
        created: when, in UTC.
        kind: what was done: "train", "ensemble" or "logged".
        key: of all that decides the numbers of the run; the same key is the same run.
        model: name of the network.
        augmentations: names, in the order in which they are applied.
        config: settings of the run.
        command: what was typed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    created: datetime
    kind: str
    key: str
    model: str
    augmentations: tuple[str, ...] = ()
    config: dict[str, Any] = Field(default_factory=dict)
    command: str = ""


def new_run_id(model: str, augmentations: Sequence[str], seed: int, *, runs: Path, now: datetime | None = None) -> str:
    """An id that sorts by time, can be read, and is free: "20261129-1432-resnet18-clean-s0".

    Args:
        model: name of the network; its tag after the first dot is left out.
        augmentations: names; none is "clean".
        seed: of the run.
        runs: folder of all runs.
        now: None: this moment. The time in the id is local.
    """
    # Of a policy's operations the name is enough here: strengths, probabilities and stages are in the record.
    names = [name.partition("@")[0].partition("=")[0] for name in augmentations]
    words = [model.partition(".")[0], "+".join(names) or "clean", f"s{seed}"]
    text = "-".join(re.sub(r"[^A-Za-z0-9+_]+", "-", word).strip("-") for word in words)
    stem = f"{(now or datetime.now()).strftime('%Y%m%d-%H%M')}-{text}"[:LONGEST_ID].rstrip("-+")
    number, run_id = 1, stem
    while (runs / run_id).exists():
        number += 1
        run_id = f"{stem}-{number}"
    return run_id


def create_run(
    runs: Path,
    *,
    kind: str,
    key: str,
    model: str,
    augmentations: Sequence[str],
    seed: int,
    config: dict[str, Any],
    command: str = "",
    run_id: str | None = None,
    now: datetime | None = None,
) -> Path:
    """Make the folder of a new run, with its record; see `RunRecord` for the arguments.

    Args:
        run_id: name of a folder that does not exist yet; None: a new id.

    Raises:
        StorageError: the folder cannot be written.
    """
    moment = now or datetime.now(UTC)
    run_id = run_id or new_run_id(model, augmentations, seed, runs=runs, now=moment.astimezone())
    record = RunRecord(
        id=run_id, created=moment.astimezone(UTC), kind=kind, key=key, model=model,
        augmentations=tuple(augmentations), config=config, command=command,
    )  # fmt: skip
    folder = make_folder(runs / run_id)
    with replacing(folder / RECORD_FILE) as temporary:
        temporary.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return folder


def list_runs(runs: Path) -> list[RunRecord]:
    """Records of all runs in a folder, the latest last; folders without a record that can be read are left out."""
    records = []
    for file in sorted(runs.glob(f"*/{RECORD_FILE}")):
        try:
            record = RunRecord.model_validate_json(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, ValidationError):  # being written, damaged, or of another version
            continue
        # A folder may have been renamed: where it lies is what counts.
        records.append(record.model_copy(update={"id": file.parent.name}))
    return sorted(records, key=lambda record: (record.created, record.id))


def find_run(runs: Path, text: str | Path) -> Path:
    """The folder of a run, by its id, the beginning of its id, or its path.

    "latest" and "previous" go by time, and "advised" is what the last `eyeshot ensemble` advised.

    Raises:
        InputError: there is none, or several begin so.
    """
    if (runs / text / RECORD_FILE).is_file():
        return runs / text
    if (Path(text) / RECORD_FILE).is_file():
        return Path(text)
    if text == ADVISED:
        return _advised(runs)
    records = list_runs(runs)
    ids = [record.id for record in records]
    if text in BY_AGE:
        # An ensemble that was interrupted has nothing yet that a command could read; a training has its checkpoint.
        begun = [
            record.id for record in records if record.kind == "train" or (runs / record.id / ENSEMBLE_FILE).is_file()
        ]
        if len(begun) > BY_AGE.index(str(text)):
            return runs / begun[-1 - BY_AGE.index(str(text))]
    fitting = [run_id for run_id in ids if run_id.startswith(str(text))]
    if len(fitting) == 1:
        return runs / fitting[0]
    if fitting:
        raise InputError(f"Several runs begin with {str(text)!r}: {listing(fitting)}. Give more of the id.")
    known = f"The latest: {listing(ids[::-1])}." if ids else "There are no runs yet."
    raise InputError(f"No run in {str(runs)!r} is called {str(text)!r}. {known}")


def advise(runs: Path, run: str | None) -> None:
    """Let "advised" be this run, by its id or folder; None: it is no run.

    Raises:
        StorageError: the folder cannot be written.
    """
    if run is None:
        (runs / ADVISED).unlink(missing_ok=True)
        return
    place = run if (runs / run / RECORD_FILE).is_file() else str(Path(run).resolve())
    with replacing(make_folder(runs) / ADVISED) as temporary:
        temporary.write_text(place + "\n", encoding="utf-8")


def _advised(runs: Path) -> Path:
    file = runs / ADVISED
    name = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    if name and (runs / name / RECORD_FILE).is_file():
        return runs / name
    why = f"{name!r}, which was, is gone" if name else "none has been"
    raise InputError(
        f"'{ADVISED}' must be a run that eyeshot ensemble advised, but {why}. Name a run, or ask again: eyeshot "
        "ensemble RUN RUN"
    )


def record_of(folder: Path) -> RunRecord:
    """The record of a run.

    Raises:
        StorageError: it is damaged.
    """
    file = folder / RECORD_FILE
    try:
        return RunRecord.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{str(file)!r} is no record of a run: it is damaged or missing. Restore it from a backup, or remove the "
            "folder and train the run again."
        ) from error


def logged_recipe(folder: Path) -> tuple[str | None, int | None]:
    """Recipe and seed of a run that a program of the user's own made; None where eyeshot made it.

    Runs with equal recipes are seeds of one.
    """
    record = record_of(folder)
    if record.kind != LOGGED:
        return None, None
    return str(record.config.get("recipe", record.id)), record.config.get("seed")


def find_run_by_key(runs: Path, key: str) -> Path | None:
    """The folder of the latest run with this key, finished or not, or None."""
    fitting = [record.id for record in list_runs(runs) if record.key == key]
    return runs / fitting[-1] if fitting else None
