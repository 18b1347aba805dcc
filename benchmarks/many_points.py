"""Cover of 20,000 target points by 20,000 views in 64 dimensions: seconds and peak memory of the process."""

from __future__ import annotations

import resource
import time

import numpy as np

from benchmarks.common import keep
from eyeshot.rankings.augmentations.coverage import make_target, measure_coverage

POINTS = 20_000

if __name__ == "__main__":
    random = np.random.default_rng(0)
    target, views = random.normal(size=(2, POINTS, 64)).astype(np.float32)
    labels = random.integers(0, 10, POINTS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    begin = time.perf_counter()
    cover = measure_coverage(make_target(target), views[:, None], labels)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    keep(
        "many_points",
        {"n": 1, "seconds": seconds, "peak_bytes": peak, "bytes_before": before, "coverage": cover.coverage},
    )
