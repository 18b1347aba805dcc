"""Greedy selection among many runs, made up; probabilities lie on the disk and are mapped.

With `--judge`, six methods on nested folds too; with `--quick`, a tenth of the runs and images. `--folder DIR` keeps
the files there (2 GB), and takes those that are there already.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.common import keep, option
from eyeshot.predictions import EnsembleJudge, Predictions, load_predictions
from eyeshot.predictions.greedy_selection import GreedySelection

RUNS, IMAGES, CLASSES = 200, 10_000, 500
FAMILIES = 10


def write_runs(folder: Path, runs: int, images: int) -> list[Path]:
    """Runs of ten families that share half of their errors; accuracy from about 60 to 90 %."""
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, images)
    ids = tuple(f"{number:05d}.jpg" for number in range(images))
    classes = tuple(f"class {number}" for number in range(CLASSES))
    hard = random.normal(size=(images, 1)).astype(np.float32)
    shared = [random.standard_normal((images, CLASSES), np.float32) for _ in range(FAMILIES)]
    files = []
    for number in range(runs):
        if (folder / f"{number}.npz").is_file():
            files.append(folder / f"{number}.npz")
            continue
        scores = shared[number % FAMILIES] + random.standard_normal((images, CLASSES), np.float32)
        scores[np.arange(images), labels] += (6.0 + 1.5 * number / runs) - 2 * hard[:, 0]
        values = np.exp(2 * (scores - scores.max(1, keepdims=True)))
        table = Predictions(ids, values / values.sum(1, keepdims=True), classes, labels, run=f"run{number}")
        files.append(folder / f"{number}.npz")
        table.save(files[-1])
    return files


def resident(kind: str) -> float:
    """MiB that the process holds now: RssAnon (its own) or RssFile (mapped from the disk)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024


class Peak(threading.Thread):
    """Largest own memory, looked at 20 times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.own = self.mapped = self.both = 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.05):
            own, mapped = resident("RssAnon"), resident("RssFile")
            self.own, self.mapped, self.both = (
                max(self.own, own),
                max(self.mapped, mapped),
                max(self.both, own + mapped),
            )


if __name__ == "__main__":
    part = 10 if "--quick" in sys.argv else 1
    runs, images = RUNS // part, IMAGES // part
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(option("--folder", temporary))
        folder.mkdir(parents=True, exist_ok=True)
        files = write_runs(folder, runs, images)
        peak = Peak()
        peak.start()
        begin, cpu = time.perf_counter(), time.process_time()
        tables = [load_predictions(file) for file in files]
        members = [np.asarray(table.probabilities) for table in tables]
        labels = tables[0].labels
        assert labels is not None
        opened = time.perf_counter()
        selection = GreedySelection(members, labels)
        prepared = time.perf_counter()
        right = np.array([table.right.mean() for table in tables])
        order = np.argsort(-right, kind="stable")
        counts, accuracies = selection.select(np.ones(images, bool), order)
        selected = time.perf_counter()
        result = {
            "runs": runs,
            "images": images,
            "classes": CLASSES,
            "n": 1,
            "accuracy_of_runs": [round(float(right.min()), 4), round(float(right.max()), 4)],
            "accuracy_selected": round(max(accuracies), 4),
            "members_selected": int((counts > 0).sum()),
            "rounds": len(accuracies),
            "open_files_s": round(opened - begin, 2),
            "prepare_s": round(prepared - opened, 2),
            "select_s": round(selected - prepared, 2),
            "greedy_selection_s": round(selected - begin, 2),
            "greedy_selection_cpu_s": round(time.process_time() - cpu, 2),
            "own_memory_peak_mib": round(peak.own),
            "mapped_peak_mib": round(peak.mapped),
            "peak_mib": round(peak.both),
            "pairs_kept": selection._lead.shape[1],
            "pairs": images * CLASSES,
        }
        print(result, flush=True)
        del selection
        if "--judge" in sys.argv:
            begin, cpu = time.perf_counter(), time.process_time()
            EnsembleJudge(members, labels, ["soft", "hard", "geometric", "rank", "per-class", "greedy"])
            result["six_methods_nested_s"] = round(time.perf_counter() - begin, 1)
            result["six_methods_nested_cpu_s"] = round(time.process_time() - cpu, 1)
            result["nested_peak_mib"] = round(peak.both)
        peak.ended.set()
        peak.join()
        result["max_rss_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    keep("ensembles-quick" if part > 1 else "ensembles", result)
