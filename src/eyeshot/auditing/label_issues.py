"""Labels that out-of-fold probabilities speak against: a queue to look at, never a removal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.confident import Confident, confident
from eyeshot.auditing.found import finding
from eyeshot.auditing.report import Confused, Finding, LabelIssues
from eyeshot.auditing.sources import Sources

MOST = 2000
NEAREST = 3
Rows = NDArray[np.int64]


def find_label_issues(
    sources: Sources,
    rows: Rows,
    probabilities: NDArray[np.float64],
    groups: Rows,
    *,
    features: NDArray[np.floating] | None,
    reader: str,
) -> tuple[list[Finding], LabelIssues]:
    """Findings, the clearest first, at most 2,000; and what they rest on.

    Args:
        sources: all images.
        rows: int64 (n,), positions of the labelled images that were judged.
        probabilities: float64 (n, C), out of fold.
        groups: int64 (n,), equal for copies: an image's copies are not shown as its neighbours.
        features: (n, D), for the nearest images; None where there are none.
        reader: what was read, in words.
    """
    labels = sources.labels[rows]
    said = confident(labels, probabilities)
    order = said.order(labels)
    classes = sources.train.classes
    near = _nearest(features, labels, said, order[:MOST], groups) if features is not None else None
    found = []
    for number, place in enumerate(order[:MOST].tolist()):
        ref = sources.ref(int(rows[place]))
        given, proposed = classes[labels[place]], classes[said.proposed[place]]
        chances = probabilities[place, labels[place]], probabilities[place, said.proposed[place]]
        evidence: dict[str, float | str | list[str]] = {
            "given": given,
            "proposed": proposed,
            "probability_given": round(float(chances[0]), 4),
            "probability_proposed": round(float(chances[1]), 4),
            "quality": round(float(said.quality[place]), 4),
        }
        if near is not None:
            for name, positions in zip(("nearest_given", "nearest_proposed"), near[number], strict=True):
                evidence[name] = [sources.ids[int(rows[position])] for position in positions]
        words = (
            f"{ref.id} is labelled {given}; a model that has not seen it gives {100 * chances[1]:.0f} % to {proposed} "
            f"and {100 * chances[0]:.0f} % to {given}."
        )
        found.append(
            finding("label-issue", [ref], words, suggestion="look", evidence=evidence, confidence=float(1 - chances[0]))
        )
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    return found, LabelIssues(
        reader=reader,
        judged=len(rows),
        left_out=int((sources.labels >= 0).sum()) - len(rows),
        accuracy=accuracy,
        found=len(order),
        noise=said.noise,
        confused=_confused(said, classes),
        words=_words(reader, len(rows), len(order), accuracy),
    )


def _words(reader: str, judged: int, found: int, accuracy: float) -> str:
    who = f"Read by {reader}, fitted without the image"
    agrees = f"{100 * accuracy:.1f} % of {judged:,} labels are what it thinks most probable"
    if not found:
        return f"{who}: no label is clearly spoken against; {agrees}."
    return (
        f"{who}: {found:,} labels are spoken against; {agrees}. How many of them are wrong was not measured on these "
        "images: look, from the top, and stop where most are right."
    )


def _confused(said: Confident, classes: tuple[str, ...]) -> list[Confused]:
    """Pairs of classes by how many images of either are taken for the other; both directions together."""
    both = said.joint + said.joint.T
    first, second = np.nonzero(np.triu(both, 1))
    order = np.argsort(-both[first, second], kind="stable")
    return [
        Confused(
            first=classes[one], second=classes[other], images=int(both[one, other]),
            first_as_second=int(said.joint[one, other]), second_as_first=int(said.joint[other, one]),
        )
        for one, other in zip(first[order].tolist(), second[order].tolist(), strict=True)
    ]  # fmt: skip


def _nearest(
    features: NDArray[np.floating], labels: Rows, said: Confident, chosen: Rows, groups: Rows
) -> list[tuple[Rows, Rows]]:
    """For each chosen image the nearest of its given and of its proposed class, by cosine of standardised features.

    Only images whose own label is not spoken against, and no copies of the image. One class after the other, so that
    no more than (chosen of a class) × (images of a class) products are held.
    """
    spread = features.std(axis=0, dtype=np.float64)
    points = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    points = (points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    agreed = said.proposed == labels
    found = [[np.empty(0, np.int64), np.empty(0, np.int64)] for _ in chosen]
    for side, wanted in enumerate((labels, said.proposed)):
        for label in np.unique(wanted[chosen]):
            numbers = np.flatnonzero(wanted[chosen] == label)
            others = np.flatnonzero((labels == label) & agreed)
            if not len(others):
                continue
            alike = points[chosen[numbers]] @ points[others].T
            alike[groups[chosen[numbers]][:, None] == groups[others]] = -np.inf
            best = np.argsort(-alike, axis=1, kind="stable")[:, :NEAREST]
            for row, number in enumerate(numbers):
                found[number][side] = others[best[row][np.isfinite(alike[row, best[row]])]]
    return [(one, other) for one, other in found]
