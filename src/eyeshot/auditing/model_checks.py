"""What a model or the user's probabilities show beyond the files: label issues, outliers, train against test."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.findings import AdversarialFeatures, Evidence, Finding, LabelIssues, make_finding
from eyeshot.auditing.images import AuditImages
from eyeshot.auditing.label_issues import (
    GivenProbabilities,
    Values,
    directions,
    find_label_issues,
    neighbours_vote,
    one_of_each,
    warn_of_fitted,
)
from eyeshot.auditing.train_vs_test import classify_by_features
from eyeshot.core import InputError, Progress, plural
from eyeshot.models import Backbone, model_features, nearest_neighbours, out_of_fold

Rows = NDArray[np.int64]

NEIGHBOURS = 10  # number of neighbours for the mean distance
FEWEST = 20  # different images of a class; with fewer, its spread is not known
NAMED = 5  # classes that a note names
FAR = 3.5  # robust z-scores; Iglewicz and Hoaglin (1993), "How to Detect and Handle Outliers", section 3
LEAST_SPREAD = 1e-3  # spread of pictures that are nearly the same
TO_SIGMA = 0.6745  # median absolute deviation of a normal distribution, in standard deviations


@dataclass
class ModelChecks:
    """Results of the checks.

    Attributes:
        findings: label issues and outliers, each the most doubtful first.
        label_issues: summary of the label issues; None if labels were not checked.
        adversarial: train against test by features; None without test images or without a model.
        notes: what was left out, and why.
    """

    findings: list[Finding] = field(default_factory=list)
    label_issues: LabelIssues | None = None
    adversarial: AdversarialFeatures | None = None
    notes: list[str] = field(default_factory=list)


def _read_features(
    images: AuditImages, rows: Rows, backbone: Backbone, *, cache: Path, device: str, progress: Progress
) -> tuple[Rows, NDArray[np.generic]]:
    """Features of images, computed once and cached.

    Returns:
        positions in `images` of the images that can be decoded at the model's size, and their features float (n, D).
    """
    positions, features = [], []
    for table, offset in ((images.train, 0), (images.test, len(images.train))):
        if table is None:
            continue
        own = rows[(rows >= offset) & (rows < offset + len(table))] - offset
        if not len(own):
            continue
        readable, values = model_features(table, own, backbone, cache=cache, device=device, progress=progress)
        positions.append(readable + offset)
        features.append(values)
    return np.concatenate(positions), np.concatenate(features)


def run_model_checks(
    images: AuditImages,
    rows: Rows,
    groups: Rows,
    *,
    backbone: Backbone | None,
    probabilities: GivenProbabilities | None,
    device: str,
    cache: Path,
    progress: Progress,
) -> ModelChecks:
    """Label issues, outliers and adversarial validation, as far as the model and the probabilities allow.

    Args:
        images: all images.
        rows: int64 (n,), positions of the images that can be decoded.
        groups: int64 (N,), the duplicate group of every image in `images`.
        backbone: model whose features are used.
        probabilities: the user's own probabilities, instead of those of a head.
        device: where the model runs.
        cache: folder of all caches.
        progress: called with the progress.

    Raises:
        InputError: the probabilities cannot be used.
        ModelError: the model's features are not finite.
        StorageError: the cache cannot be written.
    """
    checks = ModelChecks()
    labelled = rows[images.labels[rows] >= 0]
    judged: _Judged | None = None
    if len(np.unique(images.labels[labelled])) < 2:
        checks.notes.append("Labels were not checked, because this needs images of at least two classes.")
    elif probabilities is not None:
        given, checks.notes = probabilities.of(images, labelled)
        checks.notes += warn_of_fitted(given, images.labels[labelled])
        judged = _Judged(labelled, given, f"the probabilities of {probabilities.file.name}")
    if backbone is None:
        if judged is not None:
            # Square roots have length 1, and their cosine is the overlap of two distributions (Bhattacharyya).
            _issues(checks, images, judged, np.sqrt(judged.probabilities), groups)
        return checks
    readable, features = _read_features(images, rows, backbone, cache=cache, device=device, progress=progress)
    if len(readable) < len(rows):
        checks.notes.append(
            f"{len(rows) - len(readable)} images cannot be decoded at the model's size and were not checked."
        )
    checks.adversarial = classify_by_features(images, readable, features, groups[readable], model=backbone.name)
    own = np.flatnonzero(images.labels[readable] >= 0)
    if not len(own):
        return checks
    readable, features = readable[own], features[own]
    vectors = directions(features)
    if judged is None and len(np.unique(images.labels[readable])) > 1:
        judged = _from_head(checks, images, readable, features, groups, backbone.name, progress)
    elif judged is not None:
        judged = judged.take(np.isin(judged.rows, readable))
    passed_over: set[int] = set()
    if judged is not None:
        progress(0, 0, "nearest images")
        own = np.searchsorted(readable, judged.rows)
        votes = neighbours_vote(vectors, images.labels[readable], groups[readable], len(images.train.classes))[own]
        judged = judged.with_votes(votes, backbone.name)
        passed_over = _issues(checks, images, judged, vectors[own], groups)
    progress(0, 0, "distances within classes")
    checks.findings += find_outliers(
        images, readable, vectors, groups[readable], passed_over=passed_over, model=backbone.name
    )
    return checks


@dataclass(frozen=True, eq=False)
class _Judged:
    rows: Rows  # positions in the images, ascending
    probabilities: NDArray[np.float32]
    reader: str

    def take(self, which: NDArray[np.bool_]) -> _Judged:
        return _Judged(self.rows[which], self.probabilities[which], self.reader)

    def with_votes(self, votes: NDArray[np.float32], model: str) -> _Judged:
        """The mean of both: they make different errors, see `benchmarks/label_issues.py`."""
        reader = f"{self.reader} and a vote of nearest neighbours"
        if model not in self.reader:
            reader += f" on features of {model}"
        return _Judged(self.rows, np.asarray((self.probabilities + votes) / 2, np.float32), reader)


def _issues(checks: ModelChecks, images: AuditImages, judged: _Judged, vectors: Values, groups: Rows) -> set[int]:
    """Add label issues; returns the positions of their images."""
    predicted = judged.probabilities.argmax(axis=1)
    never = np.setdiff1d(images.labels[judged.rows], predicted)
    if len(never) and len(np.unique(predicted)) > 1:
        # All its images would look wrong, which says something of the judge and nothing of them.
        own = np.isin(images.labels[judged.rows], never)
        names = ", ".join(repr(images.train.classes[label]) for label in never[:NAMED].tolist())
        checks.notes.append(
            f"The labels of {int(own.sum())} images were not checked: {judged.reader} never "
            f"{plural(len(never), 'predict their class', 'predict their classes')}, {names}"
            f"{', …' if len(never) > NAMED else ''}."
        )
        judged, vectors = judged.take(~own), vectors[~own]
        if not len(judged.rows):
            return set()
    ranking, findings, checks.label_issues = find_label_issues(
        images, judged.rows, judged.probabilities, vectors, groups[judged.rows], reader=judged.reader
    )
    checks.findings += findings
    return set(judged.rows[ranking.rows].tolist())


def _from_head(
    checks: ModelChecks,
    images: AuditImages,
    rows: Rows,
    features: NDArray[np.generic],
    groups: Rows,
    model: str,
    progress: Progress,
) -> _Judged | None:
    try:
        probabilities, judged, _ = out_of_fold(
            images.train.take(rows), features, groups[rows],
            progress=progress.sub("heads out of fold"),
        )  # fmt: skip
    except InputError as error:
        checks.notes.append(f"Labels were not checked: {error}")
        return None
    unjudged = int((~judged).sum())
    if unjudged:
        checks.notes.append(
            f"The labels of {unjudged} images were not checked: their classes have fewer than 5 different images, too "
            "few for cross-validation."
        )
    if not judged.any():
        return None
    return _Judged(rows, probabilities, f"a linear probe on features of {model}").take(judged)


def find_outliers(
    images: AuditImages,
    rows: NDArray[np.int64],
    vectors: Values,
    groups: NDArray[np.int64],
    *,
    passed_over: set[int],
    model: str,
) -> list[Finding]:
    """Findings about outliers, the farthest first.

    Args:
        images: the images of the audit.
        rows: int64 (n,), positions of labelled images in `images`.
        vectors: from `directions`, float32 (n, d).
        groups: int64 (n,), equal for duplicates.
        passed_over: positions in `images` with a label issue, which is more specific.
        model: name of the model of the features.
    """
    labels = images.labels[rows]
    one_a_group, distances, usual, scores = distances_within_classes(vectors, labels, groups)
    findings: list[Finding] = []
    for place in np.argsort(-scores, kind="stable").tolist():
        position = int(rows[one_a_group[place]])
        score = float(scores[place])
        if score < FAR:
            break
        if position in passed_over:
            continue
        ref = images.ref(position)
        distance, median = float(distances[place]), float(usual[place])
        words = (
            f"{ref.id} is far from the rest of {ref.label!r}: {distance:.2f} from its nearest neighbours, where "
            f"{median:.2f} is usual (robust z-score {score:.1f}, features of {model}). Rare is not wrong."
        )
        evidence: Evidence = {
            "class": ref.label or "", "distance": round(distance, 4), "usual": round(median, 4),
            "score": round(score, 2), "rank": float(len(findings) + 1),
        }  # fmt: skip
        findings.append(make_finding("outlier", [ref], words, basis="rule", suggestion="look", evidence=evidence))
    return findings


def distances_within_classes(
    vectors: Values, labels: Rows, groups: Rows
) -> tuple[Rows, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """How far each image is from its class, compared with the distances between the images of the class.

    The mean distance to the 10 nearest neighbours (the weight of Angiulli and Pizzuti, "Fast outlier detection in high
    dimensional spaces", PKDD 2002), here within the class, as a robust z-score: 0.6745 (x - median) / MAD (Iglewicz and
    Hoaglin 1993). Classes with fewer than 20 different images are skipped.

    Args:
        vectors: from `directions`, (n, D).
        labels: int64 (n,); images with -1 have no class.
        groups: int64 (n,), equal for duplicates.

    Returns:
        int64 (m,) rows, an image per duplicate group of each class that is large enough; float64 (m,) their mean
        distances to the nearest images of the class, the medians of these in the class, and the robust z-scores.
    """
    parts: list[tuple[Rows, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]] = []
    for label in np.unique(labels[labels >= 0]).tolist():
        in_class = one_of_each(np.flatnonzero(labels == label), groups)
        if len(in_class) < FEWEST:
            continue
        distances = _mean_distances(vectors[in_class])
        median = float(np.median(distances))
        spread = float(np.median(np.abs(distances - median)))
        scores = TO_SIGMA * (distances - median) / max(spread, LEAST_SPREAD)
        parts.append((in_class, distances, np.full(len(in_class), median), scores))
    if not parts:
        none = np.empty(0)
        return np.empty(0, np.int64), none, none, none
    rows, distances, usual, scores = (np.concatenate(values) for values in zip(*parts, strict=True))
    return rows, distances, usual, scores


def _mean_distances(vectors: Values) -> NDArray[np.float64]:
    """Mean distance (1 minus the cosine) of each of m vectors to its 10 nearest others: float64 (m,)."""
    squared = nearest_neighbours(vectors, None, NEIGHBOURS)[1]
    return np.asarray(squared.mean(axis=1, dtype=np.float64) / 2, np.float64)
