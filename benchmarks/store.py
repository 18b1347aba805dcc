"""Reading decoded images from the store against decoding them again, images of about 224 px."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.common import keep, shared
from eyeshot.data import Geometry, PixelStore, decode, read_images

RUNS = 5

if __name__ == "__main__":
    table = read_images(shared() / "data" / "pacs" / "photo")
    geometry = Geometry(size=224)
    ratios, decoding, reading = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        store = PixelStore(Path(folder), geometry)
        store.load(table, np.arange(len(table)))
        for _ in range(RUNS):
            begin = time.perf_counter()
            for path in table.paths:
                decode(Path(path), geometry)
            middle = time.perf_counter()
            again = PixelStore(Path(folder), geometry)
            checksum = int(np.asarray(again.load(table, np.arange(len(table))).images).sum(dtype=np.int64))
            end = time.perf_counter()
            decoding.append(len(table) / (middle - begin))
            reading.append(len(table) / (end - middle))
            ratios.append((middle - begin) / (end - middle))
    keep(
        "store",
        {
            "images": len(table),
            "n": RUNS,
            "decode_images_per_s_one_thread": statistics.median(decoding),
            "store_images_per_s": statistics.median(reading),
            "ratio_median": statistics.median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "checksum": checksum,
        },
    )
