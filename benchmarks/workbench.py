"""10,000 experiments: `eyeshot runs`, the functions that read them, and the live page in Chromium.

`python -m benchmarks.workbench`: experiments with expectation, result and verdict, eight of them with the metrics of
100 epochs, and an audit of 100,000 images with 10,000 findings; the server of the page is a process of its own.
`--folder` names the folder of the ledger; otherwise it is temporary. `--count` is the number of experiments, `--times`
how often the page is opened and a command is run.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import json
import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.common import keep
from benchmarks.decisions import milliseconds
from benchmarks.first_paint import paints
from eyeshot.auditing import AuditReport, Finding, ImageRef
from eyeshot.core import make_folder
from eyeshot.ledger import Event, find_experiments
from eyeshot.ledger.store.folding import fold
from eyeshot.ledger.store.opening import LEDGER_FILE, open_writer
from eyeshot.ledger.store.schema import row_of, store_events, store_row, transaction
from eyeshot.web import Edits, make_workbench, open_socket, serve

TOKEN = "made-for-the-benchmark"
ROWS_SHOWN = "document.querySelectorAll('#rows tr').length >= 50"
STEPS_SHOWN = "document.querySelectorAll('#steps tr').length === 8"
FINDINGS_SHOWN = "document.querySelectorAll('#data .part tbody tr').length > 0"
REPORT_BEGUN = "document.querySelector('#report-state')?.textContent"
"""The report of so many experiments takes about a minute; the tab shows how far it is."""
FINDINGS, IMAGES = 10_000, 100_000
TIMES = 30
EPOCHS, WITH_METRICS = 100, 8
VERDICTS = ("better", "worse", "not distinguishable")


def fill(root: Path, count: int) -> list[str]:
    """A ledger of so many experiments; returns the ids of those with metrics.

    The events are put into the tables at once: said one by one they would wait for the disk 60,000 times.
    """
    dice = random.Random(0)
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    names = [f"20261101-{number:05d}-trial-of-the-night" for number in range(count)]
    seq = 0

    def put(connection: sqlite3.Connection) -> None:
        nonlocal seq
        for number, name in enumerate(names):
            time = (moment + timedelta(seconds=60 * number)).isoformat(timespec="milliseconds")
            events = []
            for kind, data in said(number, names[0], dice):
                seq += 1
                events.append(Event(seq, uuid.uuid4().hex, name, time, "sweep", kind, data))
            store_events(connection, events)
            store_row(connection, row_of(fold(events), first_seq=events[0].seq, last_seq=seq))

    make_folder(root)
    connection = open_writer(root / LEDGER_FILE, root)
    with transaction(connection):
        put(connection)
    connection.close()
    for number in range(max(0, count - WITH_METRICS), count):
        write_metrics(root / "runs" / f"run-{number}")
    return names[-WITH_METRICS:]


def said(number: int, first: str, dice: random.Random) -> list[tuple[str, dict[str, Any]]]:
    """Kind and data of all events of an experiment."""
    change = dice.gauss(0, 0.02)
    gain = VERDICTS[2] if abs(change) < 0.02 else VERDICTS[change < 0]
    numbers = {
        "value": 0.8 + change, "low": 0.78 + change, "high": 0.82 + change, "n": 3004, "seeds": [0],
        "difference": change, "difference_low": change - 0.02, "difference_high": change + 0.02,
        "p": dice.random(), "noise": 0.004,
    }  # fmt: skip
    stated = {
        "why": f"Trial {number} of the night: a rate of {dice.random():.4f}", "author_kind": "sweep",
        "parent": first if number else None, "tags": [f"block-{number % 20}"], "sweep": "night",
        "difference": {"training.learning_rate": [0.001, dice.random()]},
        "expected": {"direction": "up", "size": 0.01, "words": "+1.0 accuracy"},
        "config": {f"training.setting_{place}": place for place in range(30)},
    }  # fmt: skip
    return [
        ("stated", stated),
        ("run", {"run": f"run-{number}", "seed": 0}),
        ("rung", {"rung": ("probe", "last stage", "full")[number % 3], "value": 0.8, "n": 3004}),
        ("got", {"got": numbers}),
        ("verdict", {"verdict": gain, "gain": gain}),
        ("state", {"state": "done"}),
    ]


def write_audit(root: Path) -> None:
    """An audit of 100,000 images with 10,000 findings about two images each."""
    findings = [
        Finding(
            id=f"near-copy-{number:016x}", kind="near-copy", confidence=0.9, confidence_basis="estimated",
            words=f"Images {number} and {number + 1} are near-duplicates.", suggestion="keep-one", evidence={},
            images=[
                ImageRef(split="train", id=f"class-{number % 500}/{number + side}.jpg", label=f"class-{number % 500}",
                         content=f"{2 * number + side:032x}")
                for side in (0, 1)
            ],
        )
        for number in range(FINDINGS)
    ]  # fmt: skip
    report = AuditReport(
        train="train", test=None, n_train=IMAGES, n_test=0, n_files=IMAGES, findings=findings,
        counts={"near-copy": FINDINGS}, answer=[f"Look at {FINDINGS:,} near-duplicates."],
    )  # fmt: skip
    make_folder(root / "audit")
    (root / "audit" / "audit.json").write_text(report.model_dump_json(indent=2), encoding="utf-8")


def write_metrics(folder: Path) -> None:
    """100 epochs of 10 steps each."""
    folder.mkdir(parents=True)
    lines = []
    for epoch in range(1, EPOCHS + 1):
        for step in range(10):
            lines.append({"step": epoch * 10 + step, "epoch": epoch, "learning_rate": 1e-3, "loss": 1 / epoch,
                          "accuracy": 0.5, "grad_norm": 1.0, "images_per_s": 900.0, "wait_s": 0.0})  # fmt: skip
        lines.append({"epoch": epoch, "step": epoch * 10, "train_loss": 1 / epoch, "train_accuracy": 0.7,
                      "val_accuracy": 1 - 0.5 / epoch, "seconds": 3.0})  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def answer(root: Path, told: Any) -> None:
    """The server; reports its port."""
    own = open_socket()
    port = own.getsockname()[1]
    told.put(port)
    serve(make_workbench(root, Edits(root, "benchmark"), token=TOKEN, port=port), own)


@contextmanager
def answered(root: Path) -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=answer, args=(root, told), daemon=True)
    process.start()
    yield told.get(timeout=600)
    process.terminate()
    process.join()


def asked(port: int, path: str, times: int = TIMES) -> dict[str, float]:
    """How long an answer takes, over one connection as a browser does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        connection.request("GET", f"/{TOKEN}/api/{path}")
        answered = connection.getresponse()
        text = answered.read()
        took.append(time.perf_counter() - begin)
        if answered.status != 200:
            raise RuntimeError(text)
    return {"n": times, **milliseconds(took)}


def took(job: Callable[[], object], times: int) -> dict[str, float]:
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - begin)
    return {"n": times, **milliseconds(seconds)}


def command(*words: str) -> None:
    """A command as a process of its own, from its start to its end."""
    subprocess.run([sys.executable, "-m", "eyeshot", *words], check=True, stdout=subprocess.DEVNULL)


def within(*words: str) -> None:
    """The same in this process, without the start of Python."""
    from eyeshot.cli import app

    with contextlib.redirect_stdout(io.StringIO()):
        app(list(words), standalone_mode=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=10)
    arguments = parser.parse_args()
    times = arguments.times
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, contextlib.chdir(folder):
        root = Path(folder) / "eyeshot-out"
        begin = time.perf_counter()
        chosen = fill(root, arguments.count)
        write_audit(root)
        filled = time.perf_counter() - begin
        import eyeshot

        eyeshot.experiments(limit=1)  # polars is loaded once
        with answered(root) as port:
            address = f"http://127.0.0.1:{port}/{TOKEN}/"
            result: dict[str, Any] = {
                "experiments": arguments.count,
                "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
                "filled_s": filled,
                "ledger_mb": (root / "ledger.sqlite").stat().st_size / 1e6,
                "runs_command": took(lambda: command("runs"), times),
                "version_command": took(lambda: command("--version"), times),
                "runs_without_start": took(lambda: within("runs"), times),
                "runs_where_without_start": took(
                    lambda: within("runs", "--where", "value > 0.83", "--sort", "-value"), times
                ),
                "experiments_all": took(eyeshot.experiments, times),
                "records_all": took(find_experiments, times),
                "audit_mb": (root / "audit" / "audit.json").stat().st_size / 1e6,
                "overview_first": asked(port, "overview", 1),
                "overview": asked(port, "overview"),
                "tab_data": asked(port, "tab?name=data"),
                "page_overview": paints(address, whole=STEPS_SHOWN, name="steps", times=times),
                "page_data": paints(f"{address}?tab=data", whole=FINDINGS_SHOWN, name="findings", times=times),
                "page_report": paints(f"{address}?tab=report", whole=REPORT_BEGUN, name="progress", times=times),
                "page": paints(f"{address}?tab=experiments", whole=ROWS_SHOWN, name="first_rows", times=times),
                "rows": asked(port, "experiments?limit=50"),
                "rows_search": asked(port, "experiments?limit=50&q=night%20rate&verdict=better"),
                "rows_far": asked(port, f"experiments?limit=50&offset={arguments.count - 50}"),
                "experiment": asked(port, f"experiment?id={chosen[0]}"),
                "curves_of_8": asked(port, f"curves?ids={','.join(chosen)}"),
                "timeline": asked(port, "timeline"),
            }
    keep("workbench", result)
