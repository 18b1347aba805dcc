"""Outliers: images that lie far from the other images of their class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.class_neighbours import FAR, Values, far_from_own
from eyeshot.auditing.found import Evidence, rule
from eyeshot.auditing.report import Finding
from eyeshot.auditing.sources import Sources


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
