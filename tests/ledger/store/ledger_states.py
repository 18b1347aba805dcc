"""What a ledger holds, in forms that can be compared."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from eyeshot.ledger import Experiment, Ledger, open_ledger

UP = {"metric": "accuracy", "direction": "up", "size": 0.01, "words": "+1.0 accuracy"}


def contents(root: Path) -> tuple[list[Experiment], list[str]]:
    """Experiments, and ids of events in their order."""
    with open_ledger(root) as ledger:
        return ledger.experiments(), [event.id for event in ledger.events_since(0)]


def lines(root: Path) -> list[dict[str, Any]]:
    """All lines of all files of events; each must be whole JSON."""
    files = sorted((root / "experiments").glob("*/events.jsonl"))
    return [json.loads(line) for file in files for line in file.read_bytes().decode("utf-8").split("\n") if line]


def filled(root: Path, count: int = 3) -> Ledger:
    """An open ledger with experiments of five events each."""
    ledger = open_ledger(root, write=True)
    for number in range(count):
        experiment = ledger.add(f"why {number}", expected=UP, tags=[f"t{number}"])
        ledger.append(experiment.id, "run", run=f"r{number}")
        ledger.append(experiment.id, "got", got={"value": 0.5 + number / 10, "n": 10})
        ledger.append(experiment.id, "learned", text=f"learned {number}")
        ledger.append(experiment.id, "insight", text="more images")
    return ledger


def damage(file: Path, *, begin: int, length: int) -> None:
    """Overwrite a part of a database whose log has been written into it."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with file.open("r+b") as opened:
        opened.seek(begin)
        opened.write(b"\x5a" * length)
