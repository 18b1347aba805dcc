"""The time of `eyeshot --help` as a whole process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.common import keep

RUNS = 11

if __name__ == "__main__":
    seconds = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "eyeshot", "--help"], stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - begin)
    keep("startup", {"n": RUNS, "median_s": statistics.median(seconds), "min_s": min(seconds), "max_s": max(seconds)})
