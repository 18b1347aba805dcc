"""A ledger of 10,000 experiments, each with a run of 100 epochs × 10 metrics: time to read it; 32 writers at once.

`python -m benchmarks.ledger_load`; `--experiments N`, `--writers N`, `--each N` (experiments that each writer adds; it
also notes and tags a shared one), `--trials N` (of a sweep of simulated trainings that runs meanwhile, and must come to
what it comes to alone). Times are the median of five; the command's includes starting Python, whose own time is given,
and since others may use the machine, what both take of a processor.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import ROOT, keep
from benchmarks.sweep_kills import begin, ledger_of
from eyeshot.ledger import Event, open_ledger, table_rows
from eyeshot.ledger.store.schema import refold, store_events

EPOCHS, METRICS, IMAGES = 100, 10, 3000
TIMES = 5
WRITER = """
import sys
from eyeshot.ledger import open_ledger
root, name, first, each = sys.argv[1:]
with open_ledger(root, write=True) as ledger:
    for number in range(int(each)):
        ledger.add(f"{name} {number}")
        ledger.append(first, "note", text=f"{name} {number}")
        ledger.append(first, "tag", add=[f"{name}-{number}"])
"""


def fill(project: Path, count: int) -> list[str]:
    """Write the experiments and their run folders; returns two ids that can be compared."""
    root, time_ = project / "eyeshot-out", "2026-11-30T12:00:00.000+00:00"
    events: list[Event] = []
    draw = np.random.default_rng(0)
    lines = "".join(
        json.dumps(
            {"epoch": epoch, "train_loss": 1 / epoch, **{f"metric_{number}": 0.5 for number in range(METRICS - 1)}}
        )
        + "\n"
        for epoch in range(1, EPOCHS + 1)
    )
    for number in range(count):
        run, name = f"run-{number:05d}", f"20261130-1200-why-{number:05d}"
        folder = root / "runs" / run
        folder.mkdir(parents=True)
        (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")
        value = round(float(draw.uniform(0.5, 0.95)), 4)
        got = {"value": value, "low": value - 0.02, "high": value + 0.02, "n": IMAGES, "difference": 0.01, "p": 0.3}
        said: list[tuple[str, dict[str, Any]]] = [
            ("stated", {"why": f"why {number}: the rate is high and RAdam warms up", "parent": name if number else None,
                        "difference": {"training.optimizer": ["adamw", "radam"], "augmentation": ["none", "invert"]},
                        "expected": {"direction": "up", "size": 0.01, "words": "+1.0 accuracy"},
                        "tags": ["optimizer"], "config": {f"setting_{place}": place for place in range(40)}}),
            ("run", {"run": run, "seed": 0}), ("rung", {"rung": "full", "value": value, "n": IMAGES, "seconds": 60}),
            ("got", {"got": got}), ("verdict", {"verdict": "not distinguishable", "gain": "not distinguishable"}),
            ("learned", {"text": "needs more images than there are"}), ("state", {"state": "done"}),
        ]  # fmt: skip
        events += [
            Event(len(events) + place, f"{number}-{place}", name, time_, "Ana", kind, data)
            for place, (kind, data) in enumerate(said, 1)
        ]

    def job(connection: sqlite3.Connection) -> None:
        store_events(connection, events)
        connection.execute("UPDATE events SET mirrored = 1")
        refold(connection)

    with open_ledger(root, write=True) as ledger:
        ledger.change(job)
    sys.path.insert(0, str(ROOT / "tests"))
    store_run = importlib.import_module("stored_runs").store_run
    compared = []
    for seed in (0, 1):
        run = store_run(project, draw.random(IMAGES) < 0.8, seed=seed)
        with open_ledger(root, write=True) as ledger:
            experiment = ledger.add(f"compared {seed}")
            ledger.append(experiment.id, "run", run=run, seed=seed)
            compared.append(experiment.id)
    return compared


def median_s(job: Callable[[], object]) -> float:
    """Median of `TIMES` calls, after one that is not counted."""
    job()
    seconds = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - begun)
    return round(statistics.median(seconds), 3)


def processor_s(command: list[str], environment: dict[str, str]) -> float:
    """Median of the seconds of a processor that a command takes, of `TIMES` calls after one that is not counted."""
    seconds = []
    for _ in range(TIMES + 1):
        begun = os.times()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        ended = os.times()
        seconds.append(ended.children_user + ended.children_system - begun.children_user - begun.children_system)
    return round(statistics.median(seconds[1:]), 3)


def write_at_once(root: Path, writers: int, each: int, trials: int) -> dict[str, object]:
    """Many processes add, note and tag while a sweep runs; returns what is lost, and the time."""
    sweep = begin(root, trials)
    with open_ledger(root) as ledger:
        while not ledger.rows("id", where="sweep IS NOT NULL", limit=1) and sweep.is_alive():
            time.sleep(0.05)
    with open_ledger(root, write=True) as ledger:
        first, before = ledger.add("shared").id, len(ledger.rows("id", where="sweep IS NULL"))
        place = ledger.last_seq()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    begun = time.perf_counter()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root), f"w{number}", first, str(each)],
            env=environment, stderr=subprocess.PIPE, text=True,
        )
        for number in range(writers)
    ]  # fmt: skip
    errors = [words for process in processes if (words := process.communicate()[1])]
    seconds = time.perf_counter() - begun
    outlasts = sweep.is_alive()
    with open_ledger(root) as ledger:
        shared, after = ledger.experiment(first), len(ledger.rows("id", where="sweep IS NULL"))
        of_sweep = ledger.last_seq() - place - 3 * writers * each
    sweep.join()
    with tempfile.TemporaryDirectory() as folder:
        begin(Path(folder) / "alone", trials).join()
        alone = ledger_of(Path(folder) / "alone")
    return {
        "writers": writers, "events": 3 * writers * each, "errors": len(errors),
        "first_error": (errors or [""])[0][-500:],
        "experiments_lost": before + writers * each - after, "notes_lost": writers * each - len(shared.notes),
        "tags_lost": writers * each - len(shared.tags), "seconds_with_start": round(seconds, 1),
        "sweep": {"trials": trials, "exit_code": sweep.exitcode, "events_meanwhile": of_sweep,
                  "ran_until_the_last_writer_ended": outlasts, "as_alone": ledger_of(root) == alone},
    }  # fmt: skip


def main() -> None:
    """Fill, read, write."""
    import eyeshot

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=10_000)
    parser.add_argument("--writers", type=int, default=32)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--trials", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        root = project / "eyeshot-out"
        compared = fill(project, options.experiments)
        os.chdir(project)

        def rows() -> object:
            with open_ledger(root) as ledger:
                return table_rows(ledger)

        def page() -> object:
            with open_ledger(root) as ledger:
                return ledger.rows(sort="-value", limit=100)

        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-c", "from eyeshot.cli import main; main()", "runs"]

        result = {
            "experiments": options.experiments,
            "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "all_rows_s": median_s(rows),
            "sorted_page_of_100_s": median_s(page),
            "compare_s": median_s(lambda: eyeshot.compare(compared, progress=False)),
            "command_runs_s": median_s(
                lambda: subprocess.run(command, env=environment, check=True, capture_output=True)
            ),
            "command_runs_processor_s": processor_s(command, environment),
            "python_start_processor_s": processor_s([sys.executable, "-c", "pass"], environment),
            "database_mb": round((root / "ledger.sqlite").stat().st_size / 1e6, 1),
            "at_once": write_at_once(root, options.writers, options.each, options.trials),
        }
        os.chdir(Path(folder).anchor)  # Windows deletes no folder that is current
    keep("ledger_load", result)


if __name__ == "__main__":
    main()
