"""The search for copies among 10⁴, 10⁵ and 10⁶ synthetic descriptors: seconds, memory, recall against exact.

`python -m benchmarks.audit_growth`: each size in a separate process. Descriptors are random directions in as many
dimensions as those of pictures have; 1 in 20 is planted again, turned and mirrored, with noise such that the cosine
with its original is a cosine of planted copies of photographs and drawings (0.42 to 1; the smallest belong to
watermarked drawings). Such directions have no clusters, which makes it hard for cells to find copies.

Recall: the share of the planted pairs found by comparing all pairs that the search finds too. Up to 10⁵ the search
compares all pairs itself; the cells are run in addition. At 10⁶ all pairs of `QUERIES` pictures are compared, half of
them planted. `recall_all` also counts chance pairs, in which no picture is a copy.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import keep
from eyeshot.auditing.copies.descriptors import Descriptors, fit_whitening
from eyeshot.auditing.copies.near import LEAST_COSINE
from eyeshot.auditing.copies.search import EXACT_UP_TO, Pairs, neighbours, search, search_cells

SIZES = (10_000, 100_000, 1_000_000)
FITTED = 1000  # pictures of noise from which the turning of descriptors is fitted
PLANTED = 20  # 1 of this many is planted
QUERIES = 2000
# Of 11 kinds of planted copies, 150 each of PACS photographs and drawings; watermarks are the lower half of the first.
COSINES = ((0.42, 0.9, 0.05), (0.9, 0.99, 0.15), (0.99, 1.0, 0.8))  # from, to, share
PairSet = set[tuple[int, int]]


def made(count: int, seed: int = 0) -> tuple[Descriptors, np.ndarray, np.ndarray, np.ndarray]:
    """Descriptors, and the original, the copy and the cosine of each planted pair."""
    random = np.random.default_rng(seed)
    turns = fit_whitening(random.standard_normal((FITTED, 16, 16), dtype=np.float32)).turns
    values = random.standard_normal((count, turns.shape[1]), dtype=np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    planted = count // PLANTED
    order = random.permutation(count)[: 2 * planted]
    originals, copies = order[:planted], order[planted:]
    band = random.choice(len(COSINES), planted, p=[share for *_, share in COSINES])
    low, high = np.array(COSINES)[band, :2].T
    cosine = random.uniform(low, high).astype(np.float32)
    # The noise is orthogonal to the original, so that the cosine is the drawn cosine.
    own, noise = values[originals], values[copies]
    noise -= (noise * own).sum(axis=1, keepdims=True) * own
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    near = cosine[:, None] * own + np.sqrt(1 - cosine[:, None] ** 2) * noise
    for orientation in range(8):
        rows = np.arange(planted) % 8 == orientation
        values[copies[rows]] = Descriptors(near[rows], turns).turned(orientation).values
    return Descriptors(values, turns), originals, copies, cosine


def pairs_of(found: Pairs) -> PairSet:
    low, high = np.minimum(found.first, found.second), np.maximum(found.first, found.second)
    return set(zip(low.tolist(), high.tolist(), strict=True))


def exact_pairs(pictures: Descriptors, queries: np.ndarray) -> PairSet:
    """All pairs of some pictures, one orientation after another: a different method than that of the search."""
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for orientation in range(8):
        asked = pictures[queries].turned(orientation).values
        for begin in range(0, len(pictures), 4096):
            products = asked @ pictures.values[begin : begin + 4096].T
            rows, columns = np.nonzero(products >= LEAST_COSINE)
            found.append((queries[rows], columns + begin, products[rows, columns]))
    first, second, cosine = (np.concatenate(parts) for parts in zip(*found, strict=True))
    apart = first != second
    best: dict[int, dict[int, float]] = {}
    for a, b, value in zip(first[apart].tolist(), second[apart].tolist(), cosine[apart].tolist(), strict=True):
        own = best.setdefault(a, {})
        own[b] = max(own.get(b, -1.0), value)
    # As many pairs of a picture as the search always keeps.
    return {
        (min(a, b), max(a, b))
        for a, own in best.items()
        for b in sorted(own, key=lambda other: -own[other])[: neighbours(len(pictures))]
    }


def timed(work: Callable[[], Pairs]) -> tuple[Pairs, dict[str, Any]]:
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, {
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "seconds": round(time.perf_counter() - wall, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def recalls(got: PairSet, truth: PairSet, planted: dict[tuple[int, int], float]) -> dict[str, Any]:
    sure = {pair: cosine for pair, cosine in planted.items() if pair in truth}
    bands = {
        f"planted_{low:.2f}_to_{high:.2f}": [
            sum(pair in got for pair, cosine in sure.items() if low <= cosine < high),
            sum(low <= cosine < high for cosine in sure.values()),
        ]
        for low, high in ((0.42, 0.6), (0.6, 0.75), (0.75, 0.9), (0.9, 1.01))
    }
    return {
        "recall": round(sum(pair in got for pair in sure) / len(sure), 4),
        "planted": len(sure),
        **bands,
        "recall_all": round(len(truth & got) / len(truth), 4),
        "pairs": len(truth),
    }


def one_size(count: int) -> dict[str, Any]:
    pictures, originals, copies, cosine = made(count)
    found, result = timed(lambda: search(pictures, least=LEAST_COSINE))
    result["how"] = "all pairs" if count <= EXACT_UP_TO else "cells"
    result["candidates"] = len(found)
    pairs = zip(np.minimum(originals, copies).tolist(), np.maximum(originals, copies).tolist(), strict=True)
    planted = dict(zip(pairs, cosine.tolist(), strict=True))
    queries = np.concatenate([originals[: QUERIES // 2], np.arange(QUERIES // 2)])
    truth = exact_pairs(pictures, np.unique(queries))
    asked = set(queries.tolist())
    result |= recalls(pairs_of(found), truth, {pair: value for pair, value in planted.items() if asked & set(pair)})
    if count <= EXACT_UP_TO:
        cells, took = timed(lambda: search_cells(pictures, least=LEAST_COSINE))
        result["cells"] = took | {"candidates": len(cells)} | recalls(pairs_of(cells), pairs_of(found), planted)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, help="one size alone, in this process; nothing is kept")
    options = parser.parse_args()
    if options.size:
        print(json.dumps(one_size(options.size)))
        return
    results = {}
    for size in SIZES:
        command = [sys.executable, "-m", "benchmarks.audit_growth", "--size", str(size)]
        results[f"{size:,}"] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        print(size, results[f"{size:,}"], flush=True)
    keep("audit_growth", {"least_cosine": LEAST_COSINE, "sizes": results})


if __name__ == "__main__":
    main()
