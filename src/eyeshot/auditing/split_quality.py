"""Paired cross-validation: how much duplicates across a split add to the accuracy, and whether decisions help.

A linear probe is fitted in two ways with a single difference, and each image is judged once by each, so the comparison
is paired; its interval is that of a mean over duplicate groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from eyeshot.core import NORMAL_95, SILENT, InputError, Progress, plural
from eyeshot.data import (
    ALWAYS_TRAIN,
    Decisions,
    ImageTable,
    Leakage,
    compute_manifest,
    content_hashes,
    make_folds,
    ordered,
)
from eyeshot.models import COARSE, fit_head

MOST_IMAGES = 4000
MOST_FOLDS = 5
FEWEST_JUDGED = 20


def measure_leakage(
    table: ImageTable,
    features: NDArray[np.generic],
    groups: NDArray[np.int64],
    *,
    folds: int,
    seed: int,
    reader: str,
    progress: Progress = SILENT,
) -> Leakage | None:
    """Accuracy of a linear head by cross-validation, once in folds that ignore duplicates and once with groups whole.

    Every image is judged once by each, so the gap is paired; its interval is that of a mean over duplicate groups
    (linearisation of a ratio, Cochran 1977, section 2.11), because duplicates are not independent images.

    Args:
        table: N labelled images.
        features: (N, D).
        groups: int64 (N,), equal for duplicates.
        folds: 2 to 5 folds are used as they are; more become 5 and fewer become 2, with the same meaning at less cost.
        seed: seed of both splits.
        reader: the source of the features, in words.
        progress: called with (heads fitted, heads in all).

    Raises:
        InputError: the images cannot be divided into these folds.
    """
    groups = np.unique(groups, return_inverse=True)[1]
    rows = _sampled_rows(table, groups, seed)
    table, features, groups = table.take(rows), features[rows], groups[rows]
    folds = min(max(folds, 2), MOST_FOLDS)
    alone = np.arange(len(table), dtype=np.int64)
    plain = make_folds(_all_different(table), alone, folds=folds, seed=seed, small=True)
    splits = (plain, make_folds(table, groups, folds=folds, seed=seed, small=True))
    judged = np.logical_and.reduce([split >= 0 for split in splits])
    if not judged.any():  # every class has too few different images, and trains in every fold
        return None
    right = np.zeros((2, len(table)), dtype=bool)
    fits_done = 0
    for side, split in enumerate(splits):
        for fold in range(folds):
            held_out = split == fold
            if held_out.any() and not held_out.all():
                head = fit_head(
                    features[~held_out], table.labels[~held_out], class_count=len(table.classes), tolerance=COARSE
                )
                right[side, held_out] = head.predict(features[held_out]) == table.labels[held_out]
            fits_done += 1
            progress(fits_done, 2 * folds)
    gap = right[0].astype(float) - right[1]
    mean, half = mean_over_groups(gap[judged], groups[judged])
    sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return Leakage(
        reader=reader,
        images=int(judged.sum()),
        copies=int((sizes[2][sizes[1]][judged] > 1).sum()),
        straddling=int(_straddles(splits[0], groups)[judged].sum()),
        chance=float(np.bincount(table.labels[judged], minlength=1).max() / max(1, judged.sum())),
        plain=float(right[0][judged].mean()),
        grouped=float(right[1][judged].mean()),
        gap_points=100 * mean,
        gap_low=100 * (mean - half),
        gap_high=100 * (mean + half),
    )


def _all_different(table: ImageTable) -> ImageTable:
    """The table with different keys for equal contents: equal keys would be dealt out in turn, not by chance."""
    counts: Counter[str] = Counter()
    keys = []
    for content in table.contents:
        again = counts[content]
        keys.append(xxhash.xxh3_128_hexdigest(f"{content} {again}".encode("ascii")) if again else content)
        counts[content] += 1
    return replace(table, frame=table.frame.with_columns(pl.Series("content", keys, dtype=pl.String)))


def _sampled_rows(table: ImageTable, groups: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """All rows, or whole groups by the hash of their content up to `MOST_IMAGES`."""
    if len(table) <= MOST_IMAGES:
        return np.arange(len(table), dtype=np.int64)
    order = np.array(content_hashes(table.contents, seed), dtype=np.uint64)
    least = np.full(len(table), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(least, groups, order)
    sample = np.lexsort((order, least[groups]))[:MOST_IMAGES]
    cut = groups[sample[-1]]  # the last group may be incomplete, so it is left out
    whole = sample[groups[sample] != cut]
    return np.sort(whole if (groups == cut).sum() > (groups[sample] == cut).sum() else sample)


def _straddles(split: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Images with a duplicate in another fold, which trains while they validate."""
    pairs = np.unique(np.column_stack([groups, split]), axis=0)
    torn, counts = np.unique(pairs[:, 0], return_counts=True)
    return np.isin(groups, torn[counts > 1])


def mean_over_groups(values: NDArray[np.floating], groups: NDArray[np.int64]) -> tuple[float, float]:
    """Mean of values, and half its 95 % interval if the values of a group are dependent."""
    mean = float(values.mean())
    _, group_index = np.unique(groups, return_inverse=True)
    sums = np.bincount(group_index, weights=values - mean)
    count = len(sums)
    if count < 2:
        return mean, float("inf")
    return mean, float(NORMAL_95 * np.sqrt(np.square(sums).sum() * count / (count - 1)) / len(values))


@dataclass(frozen=True)
class Comparison:
    """A linear head before and after decisions.

    Attributes:
        decisions: number of compared decisions.
        judged: number of images that both heads were judged on: images that the decisions do not change.
        before, after: share of right answers.
        gain_points: after minus before, in percentage points, with its 95 % interval.
        reader: the source of the features, in words.
    """

    decisions: int
    judged: int
    before: float
    after: float
    gain_points: float
    gain_low: float
    gain_high: float
    reader: str

    @property
    def verdict(self) -> str:
        """Whether decisions help, hurt, or make no measurable difference."""
        if self.gain_low > 0:
            return "helps"
        return "hurts" if self.gain_high < 0 else "not distinguishable"

    def words(self) -> str:
        """The figures in a sentence."""
        return (
            f"{self.decisions} {plural(self.decisions, 'decision')}: {self.verdict}. Right answers before "
            f"{100 * self.before:.1f} %, after {100 * self.after:.1f} %: {self.gain_points:+.1f} points (95 % interval "
            f"{self.gain_low:+.1f} to {self.gain_high:+.1f}), on the {self.judged} images that they do not change. "
            f"Read by {self.reader}."
        )


def compare_on_features(
    table: ImageTable,
    features: NDArray[np.generic],
    groups: NDArray[np.int64],
    decisions: Decisions,
    chosen: Iterable[str],
    *,
    folds: int,
    seed: int,
    reader: str,
    progress: Progress = SILENT,
) -> Comparison:
    """Cross-validate a head with and without some decisions, in the same folds, duplicates kept together.

    Images that the decisions leave out or relabel train, but are not judged, because their right label is in question.
    Answers for merged classes count as the same class before and after.

    Args:
        table: N images with their labels in the files.
        features: (N, D).
        groups: int64 (N,), equal for duplicates.
        decisions: all stored decisions.
        chosen: ids of the decisions to compare; the others apply both before and after.
        folds: at least 2.
        seed: seed of the folds.
        reader: the source of the features, in words.
        progress: called with (heads fitted, heads in all).

    Raises:
        InputError: none of the chosen decisions is active, or too few images are left to judge on.
    """
    compared = set(chosen) & {decision.id for decision in decisions.active}
    if not compared:
        raise InputError("None of these decisions is active, so nothing can be compared. See eyeshot decisions list.")
    without = ordered(
        decision for decision in decisions.stored if decision.id not in compared and decision.undoes not in compared
    )
    labels = [_labels(table, counted) for counted in (without, decisions)]
    merged = {
        name: decision.label for decision in decisions.active
        if decision.id in compared and decision.kind == "merge-classes" for name in decision.classes
    }  # fmt: skip
    as_one = [[None if name is None else _follow(name, merged) for name in side] for side in labels]
    unchanged = np.array(
        [before is not None and before == after for before, after in zip(*as_one, strict=True)], dtype=bool
    )
    if (table.labels < 0).any():
        raise InputError("Decisions are compared on images with labels in the files; leave the others out.")
    fold = make_folds(table, groups, folds=folds, seed=seed, small=True)
    judged = unchanged & (fold != ALWAYS_TRAIN)
    if judged.sum() < FEWEST_JUDGED:
        raise InputError(
            f"A comparison needs at least {FEWEST_JUDGED} images that the decisions do not change, "
            f"got {int(judged.sum())}."
        )
    right = np.zeros((2, len(table)), dtype=bool)
    fits_done = 0
    for side, names in enumerate(labels):
        classes = sorted({name for name in names if name is not None})
        number = {name: place for place, name in enumerate(classes)}
        own = np.array([-1 if name is None else number[name] for name in names], dtype=np.int64)
        answers = np.array([_follow(name, merged) for name in classes])
        truth = np.array([name or "" for name in as_one[0]])
        for held in range(folds):
            trains = (fold != held) & (own >= 0)
            judges = (fold == held) & judged
            if judges.any():
                head = fit_head(features[trains], own[trains], class_count=len(classes), tolerance=COARSE)
                right[side, judges] = answers[head.predict(features[judges])] == truth[judges]
            fits_done += 1
            progress(fits_done, 2 * folds)
    gain = right[1][judged].astype(float) - right[0][judged]
    mean, half = mean_over_groups(gain, groups[judged])
    return Comparison(
        decisions=len(compared),
        judged=int(judged.sum()),
        before=float(right[0][judged].mean()),
        after=float(right[1][judged].mean()),
        gain_points=100 * mean,
        gain_low=100 * (mean - half),
        gain_high=100 * (mean + half),
        reader=reader,
    )


def _labels(table: ImageTable, decisions: Decisions) -> list[str | None]:
    """The label of each row after decisions; None if it is left out. Rows are identified by id."""
    manifest = compute_manifest(table, decisions)
    remaining = dict(zip(manifest.table.ids, manifest.table.frame["label"], strict=True))
    return [remaining.get(name) for name in table.ids]


def _follow(name: str, merged: dict[str, str | None]) -> str:
    """The class that a class is merged into; a cycle of merges ends where it began."""
    visited = {name}
    while (after := merged.get(name)) is not None and after not in visited:
        visited.add(after)
        name = after
    return name
