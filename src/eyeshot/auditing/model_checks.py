"""What a model or the user's probabilities say beyond the files: label issues, outliers, train against test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.findings import AdversarialFeatures, Evidence, Finding, LabelIssues, rule
from eyeshot.auditing.images import Sources
from eyeshot.auditing.label_issues import (
    GivenProbabilities,
    Values,
    directions,
    doubt_probabilities,
    find_label_issues,
    neighbours_vote,
    one_of_each,
)
from eyeshot.auditing.train_vs_test import tell_apart_by_features
from eyeshot.errors import InputError
from eyeshot.models import Backbone, model_features, out_of_fold

Progress = Callable[[str, int, int], None]
Rows = NDArray[np.int64]


NEIGHBOURS = 10  # of the mean distance
FEWEST = 20  # different images of a class, below which its spread is not known
FAR = 3.5  # robust z-scores; Iglewicz and Hoaglin (1993), "How to Detect and Handle Outliers", section 3
LEAST_SPREAD = 1e-3  # of pictures that are almost one
TO_SIGMA = 0.6745  # median absolute deviation of a normal distribution, in standard deviations
BLOCK = 1024


@dataclass
class WithModel:
    """What was found.

    Attributes:
        findings: label issues and outliers, each in the order of their worth.
        label_issues: their summary; None where labels were not looked at.
        adversarial: train against test by features; None without test images or without a model.
        notes: what was left out, and why.
    """

    findings: list[Finding] = field(default_factory=list)
    label_issues: LabelIssues | None = None
    adversarial: AdversarialFeatures | None = None
    notes: list[str] = field(default_factory=list)


def _read_features(
    sources: Sources, rows: Rows, backbone: Backbone, *, cache: Path, device: str, progress: Progress
) -> tuple[Rows, NDArray[np.generic]]:
    """Features of images, computed once and kept.

    Returns:
        positions in `sources` of those that can be decoded at the model's size, and float (n, D).
    """
    found, features = [], []
    for table, offset in ((sources.train, 0), (sources.test, len(sources.train))):
        if table is None:
            continue
        own = rows[(rows >= offset) & (rows < offset + len(table))] - offset
        if not len(own):
            continue
        seen, values = model_features(table, own, backbone, cache=cache, device=device, progress=progress)
        found.append(seen + offset)
        features.append(values)
    return np.concatenate(found), np.concatenate(features)


def look_with_model(
    sources: Sources,
    rows: Rows,
    groups: Rows,
    *,
    backbone: Backbone | None,
    probabilities: GivenProbabilities | None,
    device: str,
    cache: Path,
    progress: Progress,
) -> WithModel:
    """Label issues, outliers and adversarial validation, as far as a model and probabilities allow.

    Args:
        sources: all images.
        rows: int64 (n,), positions of those that can be decoded.
        groups: int64 (N,), the copy group of every image in `sources`.
        backbone: whose features are read.
        probabilities: the user's own, in the place of a head's probabilities.
        device: where the model runs.
        cache: folder of all caches.
        progress: called with (what, done, total).

    Raises:
        InputError: the probabilities cannot be used.
        ModelError: the model's features are not finite.
        StorageError: the cache cannot be written.
    """
    made = WithModel()
    labelled = rows[sources.labels[rows] >= 0]
    judged: _Judged | None = None
    if len(np.unique(sources.labels[labelled])) < 2:
        made.notes.append("Labels were not looked at: that needs images of at least two classes.")
    elif probabilities is not None:
        found, made.notes = probabilities.of(sources, labelled)
        made.notes += doubt_probabilities(found, sources.labels[labelled])
        judged = _Judged(labelled, found, f"the probabilities of {probabilities.file.name}")
    if backbone is None:
        if judged is not None:
            # Square roots have length 1, and their cosine is the overlap of two distributions (Bhattacharyya).
            _issues(made, sources, judged, np.sqrt(judged.probabilities), groups)
        return made
    seen, features = _read_features(sources, rows, backbone, cache=cache, device=device, progress=progress)
    if len(seen) < len(rows):
        made.notes.append(f"{len(rows) - len(seen)} images cannot be decoded at the model's size: not looked at.")
    made.adversarial = tell_apart_by_features(sources, seen, features, groups[seen], model=backbone.name)
    own = np.flatnonzero(sources.labels[seen] >= 0)
    if not len(own):
        return made
    seen, features = seen[own], features[own]
    vectors = directions(features)
    if judged is None and len(np.unique(sources.labels[seen])) > 1:
        judged = _from_head(made, sources, seen, features, groups, backbone.name, progress)
    elif judged is not None:
        judged = judged.take(np.isin(judged.rows, seen))
    passed_over: set[int] = set()
    if judged is not None:
        progress("nearest images", 0, 0)
        own = np.searchsorted(seen, judged.rows)
        votes = neighbours_vote(vectors, sources.labels[seen], groups[seen], len(sources.train.classes))[own]
        judged = judged.with_votes(votes, backbone.name)
        passed_over = _issues(made, sources, judged, vectors[own], groups)
    progress("distances within classes", 0, 0)
    made.findings += find_outliers(sources, seen, vectors, groups[seen], passed_over=passed_over, model=backbone.name)
    return made


@dataclass(frozen=True, eq=False)
class _Judged:
    rows: Rows  # positions in the sources, ascending
    probabilities: NDArray[np.float32]
    reader: str

    def take(self, which: NDArray[np.bool_]) -> _Judged:
        return _Judged(self.rows[which], self.probabilities[which], self.reader)

    def with_votes(self, votes: NDArray[np.float32], model: str) -> _Judged:
        """The mean of both: they err in different places, see `benchmarks/label_issues.py`."""
        reader = f"{self.reader} and the nearest images"
        if model not in self.reader:
            reader += f" by features of {model}"
        return _Judged(self.rows, np.asarray((self.probabilities + votes) / 2, np.float32), reader)


def _issues(made: WithModel, sources: Sources, judged: _Judged, vectors: Values, groups: Rows) -> set[int]:
    """Add label issues; returns the positions of their images."""
    suspects, found, made.label_issues = find_label_issues(
        sources, judged.rows, judged.probabilities, vectors, groups[judged.rows], reader=judged.reader
    )
    made.findings += found
    return set(judged.rows[suspects.rows].tolist())


def _from_head(
    made: WithModel,
    sources: Sources,
    rows: Rows,
    features: NDArray[np.generic],
    groups: Rows,
    model: str,
    progress: Progress,
) -> _Judged | None:
    try:
        found = out_of_fold(
            sources.train.take(rows), features, groups[rows],
            progress=lambda done, total: progress("heads out of fold", done, total),
        )  # fmt: skip
    except InputError as error:
        made.notes.append(f"Labels were not looked at: {error}")
        return None
    left = int((~found.judged).sum())
    if left:
        made.notes.append(
            f"The labels of {left} images were not looked at: their classes have under 5 different images, too few for "
            "a head that has not seen them."
        )
    if not found.judged.any():
        return None
    judged = _Judged(rows, found.probabilities, f"a linear head on features of {model}")
    return judged.take(found.judged)


def find_outliers(
    sources: Sources,
    rows: NDArray[np.int64],
    vectors: Values,
    groups: NDArray[np.int64],
    *,
    passed_over: set[int],
    model: str,
) -> list[Finding]:
    """Findings, the farthest first.

    Args:
        sources: where the images come from.
        rows: int64 (n,), positions of labelled images in `sources`.
        vectors: of `directions`, float32 (n, d).
        groups: int64 (n,), equal for copies.
        passed_over: positions in `sources` that have a label issue, which says more.
        model: whose features these are.
    """
    labels = sources.labels[rows]
    far = far_from_own(vectors, labels, groups)
    findings: list[Finding] = []
    for place in np.argsort(-far.scores, kind="stable").tolist():
        position = int(rows[far.rows[place]])
        score = float(far.scores[place])
        if score < FAR:
            break
        if position in passed_over:
            continue
        ref = sources.ref(position)
        distance, usual = float(far.distances[place]), float(far.usual[place])
        words = (
            f"{ref.id} lies far from the rest of {ref.label!r}: {distance:.2f} from its nearest, where {usual:.2f} is "
            f"usual (robust z-score {score:.1f}, features of {model}). Rare is not wrong."
        )
        evidence: Evidence = {
            "class": ref.label or "", "distance": round(distance, 4), "usual": round(usual, 4),
            "score": round(score, 2), "rank": float(len(findings) + 1),
        }  # fmt: skip
        findings.append(rule("outlier", [ref], words, suggestion="look", evidence=evidence))
    return findings


@dataclass(frozen=True, eq=False)
class Far:
    """How far images lie from their own class.

    Attributes:
        rows: int64 (m,), one of each copy group of each class that is large enough.
        distances: float64 (m,), mean distance to the nearest of the class.
        usual: float64 (m,), the median of these distances in the class.
        scores: float64 (m,), robust z-score within the class.
    """

    rows: Rows
    distances: NDArray[np.float64]
    usual: NDArray[np.float64]
    scores: NDArray[np.float64]


def far_from_own(vectors: Values, labels: Rows, groups: Rows) -> Far:
    """How far each image lies from its class, against how far the class's images lie from each other.

    The mean distance to the 10 nearest neighbours (the weight of Angiulli and Pizzuti, "Fast outlier detection in high
    dimensional spaces", PKDD 2002), here within the class, as a robust z-score: 0.6745 (x - median) / MAD (Iglewicz and
    Hoaglin 1993). Classes with under 20 different images are passed over.

    Args:
        vectors: of `directions`, (n, D).
        labels: int64 (n,); images with -1 belong to no class.
        groups: int64 (n,), equal for copies.
    """
    parts: list[tuple[Rows, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]] = []
    for label in np.unique(labels[labels >= 0]).tolist():
        rows = one_of_each(np.flatnonzero(labels == label), groups)
        if len(rows) < FEWEST:
            continue
        distances = _mean_distances(vectors[rows])
        usual = float(np.median(distances))
        spread = float(np.median(np.abs(distances - usual)))
        scores = TO_SIGMA * (distances - usual) / max(spread, LEAST_SPREAD)
        parts.append((rows, distances, np.full(len(rows), usual), scores))
    if not parts:
        none = np.empty(0)
        return Far(np.empty(0, np.int64), none, none, none)
    return Far(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _mean_distances(vectors: Values) -> NDArray[np.float64]:
    """Mean distance of each of m vectors to its 10 nearest others: float64 (m,)."""
    found = np.empty(len(vectors))
    count = min(NEIGHBOURS, len(vectors) - 1)
    for start in range(0, len(vectors), BLOCK):
        near = vectors[start : start + BLOCK] @ vectors.T
        near[np.arange(len(near)), np.arange(start, start + len(near))] = -np.inf
        best = np.partition(near, -count, axis=1)[:, -count:]
        found[start : start + len(near)] = 1.0 - best.mean(axis=1, dtype=np.float64)
    return found
