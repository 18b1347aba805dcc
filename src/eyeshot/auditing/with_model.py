"""What a model or the user's probabilities say beyond the files: label issues, outliers, train against test."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.adversarial_features import tell_apart_by_features
from eyeshot.auditing.class_neighbours import Values, directions, neighbours_vote
from eyeshot.auditing.given_probabilities import GivenProbabilities, doubt_probabilities
from eyeshot.auditing.head_features import model_features
from eyeshot.auditing.label_issues import find_label_issues
from eyeshot.auditing.out_of_fold import out_of_fold
from eyeshot.auditing.outliers import find_outliers
from eyeshot.auditing.report import AdversarialFeatures, Finding, LabelIssues
from eyeshot.auditing.sources import Sources
from eyeshot.core import Progress
from eyeshot.errors import InputError
from eyeshot.models import Backbone

Rows = NDArray[np.int64]


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
        progress: told how far it is.

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
        progress(0, 0, "nearest images")
        own = np.searchsorted(seen, judged.rows)
        votes = neighbours_vote(vectors, sources.labels[seen], groups[seen], len(sources.train.classes))[own]
        judged = judged.with_votes(votes, backbone.name)
        passed_over = _issues(made, sources, judged, vectors[own], groups)
    progress(0, 0, "distances within classes")
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
            sources.train.take(rows), features, groups[rows], progress=progress.sub("heads out of fold")
        )
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
