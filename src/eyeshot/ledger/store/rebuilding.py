"""`eyeshot ledger rebuild`: the ledger anew from the files of events, and run folders that no experiment has."""

from __future__ import annotations

import json
import sqlite3
import uuid
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from eyeshot.core import StorageError
from eyeshot.data import default_author
from eyeshot.ledger.runs import RunRecord, list_runs
from eyeshot.ledger.store.database import open_ledger
from eyeshot.ledger.store.event_files import all_events
from eyeshot.ledger.store.events import Event
from eyeshot.ledger.store.folding import plain
from eyeshot.ledger.store.records import Got
from eyeshot.ledger.store.schema import NO_REASON, refold, unite
from eyeshot.training import read_result

RUNS_FOLDER = "runs"
TRAINED = ("train", "logged")
"""Kinds of runs that are experiments; an ensemble is made of such runs."""
ADOPTED = uuid.UUID("6a0f5b0e-3a0d-4f0c-9d0c-5d3f6f1f2b11")
"""Space of the ids of events of adopted runs: the same run gives the same events, so that it is adopted once."""


class LedgerChange(BaseModel):
    """What rebuilding or merging did.

    Attributes:
        experiments: in the ledger now.
        added: events that were not in it before.
        adopted: run folders that became experiments.
        renamed: experiments of another ledger whose id was taken here: old id → new id.
        conflicts: fields that both sides had set since they parted: `experiment`, `field`, `here`, `there`, `kept`
            ("here" or "there") and `reason`.
        notes: what could not be taken over, in sentences.
    """

    model_config = ConfigDict(frozen=True)

    experiments: int
    added: int
    adopted: tuple[str, ...] = ()
    renamed: dict[str, str] = {}
    conflicts: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


def rebuild_ledger(*, root: str | Path | None = None, adopt: bool = True) -> LedgerChange:
    """Make the table of experiments anew from the events of the ledger and of `experiments/*/events.jsonl`.

    Nothing that the ledger holds is lost: events that are only in files are added, and files that lack events get them.
    A ledger that is damaged or missing is made from the files. Others may read and write meanwhile.

    Args:
        root: the folder that holds everything eyeshot writes; None: that of the project around the current folder.
        adopt: make experiments without a stated reason of run folders that no experiment has.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    with open_ledger(root, write=True) as ledger:

        def rebuilt(connection: sqlite3.Connection) -> LedgerChange:
            before = len(ledger_ids(connection))
            events, notes = all_events(ledger.root)
            unite(connection, events)
            known = ledger_ids(connection)
            written = {event.id for event in events}
            connection.executemany(
                "UPDATE events SET mirrored = ? WHERE id = ?",
                [(int(event_id in written), event_id) for event_id in known],
            )
            notes += refold(connection)
            adopted: list[str] = []
            if adopt:
                adopted, more, unread = _adopted(connection, ledger.root / RUNS_FOLDER)
                unite(connection, more)
                notes += unread + (refold(connection) if more else [])
            count = connection.execute("SELECT count(*) FROM experiments").fetchone()[0]
            return LedgerChange(
                experiments=count,
                added=len(ledger_ids(connection)) - before,
                adopted=tuple(adopted),
                notes=tuple(notes),
            )

        return ledger.change(rebuilt)


def ledger_ids(connection: sqlite3.Connection) -> set[str]:
    """Ids of all events."""
    return {row[0] for row in connection.execute("SELECT id FROM events")}


def _adopted(connection: sqlite3.Connection, runs: Path) -> tuple[list[str], list[Event], list[str]]:
    """Run folders that no experiment has: their ids, the events that state them, and what cannot be read."""
    owners = connection.execute("SELECT data, experiment FROM events WHERE kind = 'run'").fetchall()
    owned = {(str(json.loads(data).get("run")), experiment) for data, experiment in owners}
    adopted, events, notes = [], [], []
    for record in list_runs(runs):
        others = any(run == record.id and experiment != record.id for run, experiment in owned)
        if record.kind not in TRAINED or others:
            continue
        try:
            events += _said_of(record, runs / record.id)
        except StorageError as error:
            notes.append(str(error))
            continue
        if (record.id, record.id) not in owned:
            adopted.append(record.id)
    return adopted, events, notes


def _said_of(record: RunRecord, folder: Path) -> list[Event]:
    """Events of a run without an experiment, whose id is that of the run. One that has ended since says more."""
    result = read_result(folder)
    what = ", ".join((record.model.partition(".")[0], "+".join(record.augmentations) or "clean"))
    said: list[tuple[str, dict[str, Any]]] = [
        ("stated", {"why": f"{NO_REASON}: {what}", "config": record.config}),
        ("run", {"run": record.id, "role": "own"}),
    ]
    if result is None:
        said.append(("state", {"state": "stopped", "words": "The run has no result yet."}))
    else:
        seed, accuracy = result.settings.seed, result.accuracy
        said[1][1]["seed"] = seed
        if accuracy.value is not None:
            got = Got(
                value=accuracy.value, low=accuracy.low, high=accuracy.high, n=accuracy.n, seeds=(seed,),
                seconds=result.seconds,
            )  # fmt: skip
            said.append(("got", {"got": got}))
        said.append(("state", {"state": "done", "words": result.ended_early or ""}))
    time = record.created.isoformat(timespec="milliseconds")
    return [
        Event(0, uuid.uuid5(ADOPTED, f"{record.id} {time} {kind} {data.get('state', '')}").hex, record.id, time,
              default_author(), kind, plain(data))
        for kind, data in said
    ]  # fmt: skip
