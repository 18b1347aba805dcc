"""Comparing a submission with 100 earlier ones of 10,000 rows and 500 classes: agreement, bounds and noise.

`python -m benchmarks.submissions`
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import eyeshot
from benchmarks.common import keep

EARLIER, ROWS, CLASSES, RUNS = 100, 10_000, 500, 5


def write_answers(file: Path, random: np.random.Generator, truth: np.ndarray) -> None:
    answers = np.where(random.random(ROWS) < 0.1, random.integers(0, CLASSES, ROWS), truth)
    file.write_text("id,label\n" + "".join(f"{row:05}.jpg,{label}\n" for row, label in enumerate(answers)), "utf-8")


if __name__ == "__main__":
    random = np.random.default_rng(0)
    truth = random.integers(0, CLASSES, ROWS)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("eyeshot.toml").touch()
        for number in range(EARLIER):
            write_answers(Path(f"{number}.csv"), random, truth)
            eyeshot.submit(f"{number}.csv", score="0.9000", public_share=0.5)
        seconds = []
        for number in range(RUNS):
            write_answers(Path(f"new{number}.csv"), random, truth)
            begin = time.perf_counter()
            report = eyeshot.submit(f"new{number}.csv")
            seconds.append(time.perf_counter() - begin)
        assert len(report.comparisons) >= EARLIER
        os.chdir(Path(__file__).parent)
    keep(
        "submissions",
        {
            "earlier": EARLIER, "rows": ROWS, "classes": CLASSES, "n": RUNS,
            "seconds_median": statistics.median(seconds), "seconds_most": max(seconds),
        },
    )  # fmt: skip
