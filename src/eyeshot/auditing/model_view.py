"""What a model adds to an audit: label issues, outliers, and whether its features tell train from test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.adversarial import tell_apart_by_features
from eyeshot.auditing.head_features import model_features, name_reader
from eyeshot.auditing.label_issues import find_label_issues
from eyeshot.auditing.out_of_fold import fold_probabilities, read_probabilities
from eyeshot.auditing.outliers import find_outliers
from eyeshot.auditing.report import Adversarial, Finding, LabelIssues
from eyeshot.auditing.sources import Sources
from eyeshot.errors import InputError
from eyeshot.models import Backbone

Rows = NDArray[np.int64]
Progress = Callable[[str, int, int], None]


@dataclass(eq=False)
class ModelView:
    """What was found."""

    findings: list[Finding] = field(default_factory=list)
    label_issues: LabelIssues | None = None
    adversarial: Adversarial | None = None
    notes: list[str] = field(default_factory=list)


def look_with_model(
    sources: Sources,
    usable: Rows,
    groups: Rows,
    *,
    backbone: Backbone | None,
    probabilities: Path | None,
    device: str,
    cache: Path,
    seed: int,
    progress: Progress,
) -> ModelView:
    """Read the images with a model, or the user's probabilities, or both.

    Args:
        sources: all images.
        usable: positions of those that can be decoded.
        groups: int64 (N,) of all positions, equal for copies.
        backbone: whose features; None with `probabilities` alone.
        probabilities: CSV of out-of-fold probabilities; None: those of a head on the features.
        device: where the model runs.
        cache: of decoded images and features.
        seed: of the folds.
        progress: called with (what, done, total).

    Raises:
        InputError: the probabilities do not fit the images, or there are no two classes.
        StorageError: the cache cannot be written.
    """
    view = ModelView()
    given = None if probabilities is None else read_probabilities(probabilities, sources.train)
    features: NDArray[np.floating] | None = None
    rows = usable
    if backbone is not None:
        rows, features = _features(sources, usable, backbone, device=device, cache=cache, progress=progress)
    labelled = np.flatnonzero(sources.labels[rows] >= 0)
    classes = np.unique(sources.labels[rows[labelled]])
    if len(classes) < 2:
        if given is not None:
            raise InputError(f"Label issues need at least two classes, got {len(classes)}. Leave out --probabilities.")
        view.notes.append("label issues: not looked for, since there are no two classes.")
    else:
        own, own_features = rows[labelled], None if features is None else features[labelled]
        if given is not None:
            judged, chances, reader = np.arange(len(own)), given[own], f"the probabilities of {probabilities}"
        elif own_features is not None:
            judged, chances = fold_probabilities(
                sources.train.take(own), own_features, groups[own], seed=seed,
                progress=lambda done, total: progress("reading labels out of fold", done, total),
            )  # fmt: skip
            reader = name_reader(backbone)
        else:
            raise ValueError("a backbone or probabilities must be given")
        if len(judged):
            found, view.label_issues = find_label_issues(
                sources, own[judged], chances, groups[own[judged]],
                features=None if own_features is None else own_features[judged], reader=reader,
            )  # fmt: skip
            view.findings += found
        else:
            view.notes.append("label issues: not looked for, since every class has fewer than 5 copy groups.")
    if features is not None:
        if len(labelled):
            view.findings += find_outliers(sources, rows[labelled], features[labelled], groups[rows[labelled]])
        in_test = sources.in_test[rows]
        if in_test.any() and not in_test.all():
            progress("comparing training and test by features", 0, 0)
            view.adversarial = tell_apart_by_features(
                features, in_test, groups[rows], lambda places: sources.refs(rows[places]), seed=seed
            )
    return view


def _features(
    sources: Sources, usable: Rows, backbone: Backbone, *, device: str, cache: Path, progress: Progress
) -> tuple[Rows, NDArray[np.floating]]:
    """Positions of the images that can be decoded at the model's size, and their features (n, D)."""
    positions, features = [], []
    first = 0
    for table, what in ((sources.train, "training"), (sources.test, "test")):
        if table is None:
            continue
        wanted = usable[(usable >= first) & (usable < first + len(table))] - first
        if len(wanted):
            rows, found = model_features(
                table, wanted, backbone, cache=cache, device=device,
                report=lambda done, total, what=what: progress(f"features of {what} images", done, total),  # type: ignore[misc]
            )  # fmt: skip
            positions.append(first + rows)
            features.append(found)
        first += len(table)
    return np.concatenate(positions), np.concatenate(features)
