"""Do decisions help? One reader, trained before and after them, judged on the same images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.decision import Decisions, ordered
from eyeshot.auditing.leakage import TOLERANCE
from eyeshot.auditing.manifest import compute_manifest
from eyeshot.core import SILENT, Progress, cluster_mean
from eyeshot.errors import InputError
from eyeshot.images import ALWAYS_TRAIN, ImageTable, make_folds
from eyeshot.models import fit_head

FEWEST_JUDGED = 20


@dataclass(frozen=True)
class Comparison:
    """A linear head before and after decisions.

    Attributes:
        decisions: how many were compared.
        judged: how many images both were judged on: those that the decisions leave as they are.
        before, after: share of right answers.
        gain_points: after less before, in percentage points, with its 95 % interval.
        reader: what was read.
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
        """Helps, hurts, or cannot be told."""
        if self.gain_low > 0:
            return "helps"
        return "hurts" if self.gain_high < 0 else "cannot be told"

    def words(self) -> str:
        """The figures in one sentence."""
        return (
            f"{self.decisions} decisions: {self.verdict}. Right answers before {100 * self.before:.1f} %, after "
            f"{100 * self.after:.1f} %: {self.gain_points:+.1f} points (95 % interval {self.gain_low:+.1f} to "
            f"{self.gain_high:+.1f}), on the {self.judged} images that they leave as they are. Read by {self.reader}."
        )


def compare_decisions(
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
    """Cross-validate a head with and without some decisions, in the same folds, copies never apart.

    Images that the decisions leave out or relabel train, but judge neither side: by which label would they be
    judged? Answers for merged classes count as one class on both sides.

    Args:
        table: N images with their labels in the files.
        features: (N, D).
        groups: int64 (N,), equal for copies.
        decisions: all that are stored.
        chosen: ids of those to compare; the others count on both sides.
        folds: at least 2.
        seed: of the folds.
        reader: what the features are, in words.
        progress: called with (heads fitted, heads in all).

    Raises:
        InputError: none of the chosen decisions counts, or too few images are left to judge on.
    """
    wanted = set(chosen) & {one.id for one in decisions.active}
    if not wanted:
        raise InputError("None of these decisions counts, so there is nothing to compare. See eyeshot decisions list.")
    without = ordered(one for one in decisions.stored if one.id not in wanted and one.undoes not in wanted)
    labels = [_labels(table, one) for one in (without, decisions)]
    merged = {
        name: one.label for one in decisions.active if one.id in wanted and one.kind == "merge-classes"
        for name in one.classes
    }  # fmt: skip
    as_one = [[None if name is None else _follow(name, merged) for name in one] for one in labels]
    unchanged = np.array([one is not None and one == other for one, other in zip(*as_one, strict=True)], dtype=bool)
    if (table.labels < 0).any():
        raise InputError("Decisions are compared on images with labels in the files; leave the others out.")
    fold = make_folds(table, groups, folds=folds, seed=seed, small=True)
    judged = unchanged & (fold != ALWAYS_TRAIN)
    if judged.sum() < FEWEST_JUDGED:
        raise InputError(
            f"A comparison needs at least {FEWEST_JUDGED} images that the decisions leave as they are, "
            f"got {int(judged.sum())}."
        )
    right = np.zeros((2, len(table)), dtype=bool)
    done = 0
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
                head = fit_head(features[trains], own[trains], class_count=len(classes), tolerance=TOLERANCE)
                right[side, judges] = answers[head.predict(features[judges])] == truth[judges]
            done += 1
            progress(done, 2 * folds)
    gain = right[1][judged].astype(float) - right[0][judged]
    mean, half = cluster_mean(gain, groups[judged])
    return Comparison(
        decisions=len(wanted),
        judged=int(judged.sum()),
        before=float(right[0][judged].mean()),
        after=float(right[1][judged].mean()),
        gain_points=100 * mean,
        gain_low=100 * (mean - half),
        gain_high=100 * (mean + half),
        reader=reader,
    )


def _labels(table: ImageTable, decisions: Decisions) -> list[str | None]:
    """The label of each row after decisions; None where it is left out. Rows are told apart by id."""
    manifest = compute_manifest(table, decisions)
    left = dict(zip(manifest.table.ids, manifest.table.frame["label"], strict=True))
    return [left.get(name) for name in table.ids]


def _follow(name: str, merged: dict[str, str | None]) -> str:
    """The class that a class ends up in; a ring of merges ends where it began."""
    seen = {name}
    while (after := merged.get(name)) is not None and after not in seen:
        seen.add(after)
        name = after
    return name
