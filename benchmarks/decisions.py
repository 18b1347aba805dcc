"""Storing a decision where there are 100,000 already, and the cost of reading and applying so many.

`python -m benchmarks.decisions`; the file is in the folder that `--folder` names, or in a temporary folder.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import polars as pl

from benchmarks.common import keep
from eyeshot.data import DecisionLog, ImageTable, compute_manifest, decide

STORED = 100_000
TIMES = 200


def key(number: int) -> str:
    return f"{number:032x}"


def table_of(count: int) -> ImageTable:
    """A table of images that do not exist; decisions only need contents and labels."""
    rows = range(count)
    frame = pl.DataFrame({
        "id": [f"class{row % 500}/{row}.jpg" for row in rows],
        "path": [f"/images/class{row % 500}/{row}.jpg" for row in rows],
        "label": [f"class{row % 500}" for row in rows],
        "content": [key(row) for row in rows],
    })  # fmt: skip
    return ImageTable(frame, tuple(sorted(set(frame["label"]))))


def milliseconds(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median_ms": 1000 * statistics.median(ordered),
        "p95_ms": 1000 * ordered[int(0.95 * len(ordered))],
        "max_ms": 1000 * ordered[-1],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--stored", type=int, default=STORED)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        log = DecisionLog(Path(folder) / "decisions.jsonl")
        made = [
            decide("relabel", [key(number)], label=f"class{number % 500}", author="benchmark", names=[f"{number}.jpg"])
            for number in range(arguments.stored)
        ]
        begin = time.perf_counter()
        log.append(made)
        filled = time.perf_counter() - begin
        alone, seen = [], []
        for number in range(TIMES):
            decision = decide("drop", [key(number)], author="benchmark", names=[f"{number}.jpg"])
            begin = time.perf_counter()
            DecisionLog(log.file).append([decision])
            alone.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        decisions = log.read()
        first = time.perf_counter() - begin
        log.news()
        for number in range(TIMES // 10):
            decision = decide("keep", [key(number)], author="benchmark")
            begin = time.perf_counter()
            log.append([decision])
            log.news()
            seen.append(time.perf_counter() - begin)
        table = table_of(arguments.stored)
        begin = time.perf_counter()
        manifest = compute_manifest(table, decisions)
        applied = time.perf_counter() - begin
        keep(
            "decisions",
            {
                "stored": arguments.stored,
                "n": TIMES,
                "file_bytes": log.file.stat().st_size,
                "store_one": milliseconds(alone),
                "store_one_and_read_it": milliseconds(seen),
                "fill_s": filled,
                "read_all_s": first,
                "manifest_s": applied,
                "images_left": len(manifest.table),
            },
        )
