"""Label issues as a queue: labels that out-of-fold probabilities contradict, with the nearest images beside them."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.class_neighbours import Values, nearest_in
from eyeshot.auditing.confident import Suspects, find_suspects
from eyeshot.auditing.found import by_model
from eyeshot.auditing.report import Finding, LabelIssues, LabelPair
from eyeshot.auditing.sources import Sources

SHOWN_NEIGHBOURS = 3
FEWEST_EACH_WAY = 3  # label issues in both directions, from which on two classes are called confusable
NOT_MEASURED = "not measured on these images"


def find_label_issues(
    sources: Sources,
    rows: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    vectors: Values,
    groups: NDArray[np.int64],
    *,
    reader: str,
) -> tuple[Suspects, list[Finding], LabelIssues]:
    """Suspects, as findings too, the most worth looking at first, and their summary.

    Args:
        sources: where the images come from.
        rows: int64 (n,), positions of labelled images in `sources`.
        probabilities: out of fold, (n, C), rows sum to 1.
        vectors: float32 (n, d) of length 1, in which nearest images are found.
        groups: int64 (n,), equal for copies: these are no neighbours of each other.
        reader: what the probabilities are, in words.
    """
    given = sources.labels[rows]
    suspects = find_suspects(probabilities, given)
    trusted = np.ones(len(given), np.bool_)
    trusted[suspects.rows] = False  # a suspect shows nothing about the class that it is labelled as
    near = {
        name: _nearest_names(sources, rows, suspects.rows, labels, given, trusted, vectors, groups)
        for name, labels in (("nearest_given", given[suspects.rows]), ("nearest_proposed", suspects.proposed))
    }
    classes = sources.train.classes
    findings = []
    for rank, (row, proposed) in enumerate(zip(suspects.rows.tolist(), suspects.proposed.tolist(), strict=True), 1):
        ref = sources.ref(int(rows[row]))
        label = int(given[row])
        sure, own = float(probabilities[row, proposed]), float(probabilities[row, label])
        words = (
            f"{ref.id} is labelled {classes[label]!r}; {reader} says {classes[proposed]!r} "
            f"(probability {sure:.2f}, of the given label {own:.2f})."
        )
        findings.append(
            by_model(
                "label-issue", [ref], words, suggestion="relabel", confidence=round(sure, 4),
                evidence={
                    "given": classes[label], "proposed": classes[proposed], "probability": round(sure, 4),
                    "probability_given": round(own, 4), "margin": round(float(suspects.margins[rank - 1]), 4),
                    "rank": float(rank), **{name: names[rank - 1] for name, names in near.items()},
                },
            )
        )  # fmt: skip
    return suspects, findings, _summary(classes, given, probabilities, suspects, reader)


def _nearest_names(
    sources: Sources,
    rows: NDArray[np.int64],
    suspects: NDArray[np.int64],
    labels: NDArray[np.int64],
    given: NDArray[np.int64],
    trusted: NDArray[np.bool_],
    vectors: Values,
    groups: NDArray[np.int64],
) -> list[list[str]]:
    """Ids of the nearest images to each suspect among those of one class each."""
    names: list[list[str]] = [[] for _ in suspects]
    for label in np.unique(labels).tolist():
        among = np.flatnonzero((given == label) & trusted)
        places = np.flatnonzero(labels == label)
        found = nearest_in(vectors, suspects[places], among, groups, SHOWN_NEIGHBOURS)
        for place, others in zip(places.tolist(), found, strict=True):
            names[place] = [sources.ids[rows[other]] for other in others.tolist()]
    return names


def _summary(
    classes: tuple[str, ...],
    given: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    suspects: Suspects,
    reader: str,
) -> LabelIssues:
    counts = Counter(zip(given[suspects.rows].tolist(), suspects.proposed.tolist(), strict=True))
    pairs = [
        LabelPair(
            first=classes[first],
            second=classes[second],
            first_as_second=counts[first, second],
            second_as_first=counts[second, first],
            confusable=min(counts[first, second], counts[second, first]) >= FEWEST_EACH_WAY,
        )
        for first, second in {(min(pair), max(pair)) for pair in counts}
    ]
    pairs.sort(key=lambda one: (-(one.first_as_second + one.second_as_first), one.first, one.second))
    agreed = float((np.asarray(probabilities).argmax(axis=1) == given).mean()) if len(given) else 0.0
    count = len(suspects)
    words = (
        f"{count:,} of {len(given):,} labels {'is' if count == 1 else 'are'} contradicted by {reader} (precision "
        f"{NOT_MEASURED}): look at them from the top, and stop where they are right. {suspects.reason}"
        if count
        else f"No label is contradicted by {reader}."
    )
    return LabelIssues(
        reader=reader, judged=len(given), agreed=agreed, precision=NOT_MEASURED, pairs=pairs, words=words
    )
