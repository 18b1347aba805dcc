"""How much copies on both sides of a split flatter a model: one reader, two splits, the same images."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from eyeshot.auditing.split import Leakage
from eyeshot.core import SILENT, Progress, cluster_mean
from eyeshot.images import ImageTable, content_hashes, make_folds
from eyeshot.models import fit_head

MOST_IMAGES = 4000
MOST_FOLDS = 5
TOLERANCE = 1e-3  # of the head: accuracy does not need more


def measure_leakage(
    table: ImageTable,
    features: NDArray[np.generic],
    groups: NDArray[np.int64],
    *,
    folds: int,
    seed: int,
    reader: str,
    progress: Progress = SILENT,
) -> Leakage:
    """Accuracy of a linear head by cross-validation, once in folds that ignore copies and once with groups whole.

    Every image is judged once in either, so the gap is paired; its interval is that of a mean over copy groups
    (linearisation of a ratio, Cochran 1977, section 2.11), since copies are no independent images.

    Args:
        table: N labelled images.
        features: (N, D).
        groups: int64 (N,), equal for copies.
        folds: 2 to 5 are used as they are; more are taken as 5, fewer as 2, which costs less and says the same.
        seed: of both splits.
        reader: what the features are, in words.
        progress: called with (heads fitted, heads in all).

    Raises:
        InputError: the folds are impossible.
    """
    groups = np.unique(groups, return_inverse=True)[1]
    rows = _some(table, groups, seed)
    table, features, groups = table.take(rows), features[rows], groups[rows]
    folds = min(max(folds, 2), MOST_FOLDS)
    alone = np.arange(len(table), dtype=np.int64)
    plain = make_folds(_all_different(table), alone, folds=folds, seed=seed, small=True)
    splits = (plain, make_folds(table, groups, folds=folds, seed=seed, small=True))
    judged = np.logical_and.reduce([split >= 0 for split in splits])
    right = np.zeros((2, len(table)), dtype=bool)
    done = 0
    for which, split in enumerate(splits):
        for fold in range(folds):
            held = split == fold
            if held.any() and not held.all():
                head = fit_head(
                    features[~held], table.labels[~held], class_count=len(table.classes), tolerance=TOLERANCE
                )
                right[which, held] = head.predict(features[held]) == table.labels[held]
            done += 1
            progress(done, 2 * folds)
    gap = right[0].astype(float) - right[1]
    mean, half = cluster_mean(gap[judged], groups[judged])
    sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return Leakage(
        reader=reader,
        images=int(judged.sum()),
        copies=int((sizes[2][sizes[1]][judged] > 1).sum()),
        straddling=int(_straddling(splits[0], groups)[judged].sum()),
        plain=float(right[0][judged].mean()),
        grouped=float(right[1][judged].mean()),
        gap_points=100 * mean,
        gap_low=100 * (mean - half),
        gap_high=100 * (mean + half),
    )


def _all_different(table: ImageTable) -> ImageTable:
    """The table with another key for each repeated content: equal ones would be dealt out in turn, not by chance."""
    seen: Counter[str] = Counter()
    keys = []
    for content in table.contents:
        again = seen[content]
        keys.append(xxhash.xxh3_128_hexdigest(f"{content} {again}".encode("ascii")) if again else content)
        seen[content] += 1
    return replace(table, frame=table.frame.with_columns(pl.Series("content", keys, dtype=pl.String)))


def _some(table: ImageTable, groups: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """All rows, or whole groups by the hash of their content until there are `MOST_IMAGES`."""
    if len(table) <= MOST_IMAGES:
        return np.arange(len(table), dtype=np.int64)
    order = np.array(content_hashes(table.contents, seed), dtype=np.uint64)
    least = np.full(len(table), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(least, groups, order)
    chosen = np.lexsort((order, least[groups]))[:MOST_IMAGES]
    cut = groups[chosen[-1]]  # the last group may be cut in two: it is left out
    whole = chosen[groups[chosen] != cut]
    return np.sort(whole if (groups == cut).sum() > (groups[chosen] == cut).sum() else chosen)


def _straddling(split: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which images have a copy in another fold, so that it trains while they validate."""
    pairs = np.unique(np.column_stack([groups, split]), axis=0)
    torn, counts = np.unique(pairs[:, 0], return_counts=True)
    return np.isin(groups, torn[counts > 1])
