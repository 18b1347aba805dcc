"""Make findings: their ids follow from kind and contents, not from places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import xxhash

from eyeshot.auditing.report import Finding, ImageRef, Kind, Suggestion

Evidence = dict[str, float | str | list[str]]


def finding(
    kind: Kind,
    images: Sequence[ImageRef],
    words: str,
    *,
    suggestion: Suggestion,
    evidence: Evidence | None = None,
    confidence: float | None = None,
) -> Finding:
    """A finding. Without a confidence it is exact: it follows from the bytes.

    `confidence`: an estimated share of such findings that are true.
    """
    # Files that cannot be read have no content: their name has to do.
    parts = sorted(f"{one.split} {one.label} {one.content or one.id}" for one in images)
    key = xxhash.xxh3_64_hexdigest("\n".join([kind, *parts]).encode("utf-8", "surrogateescape"))
    return Finding(
        id=f"{kind}-{key}",
        kind=kind,
        images=list(images),
        confidence=1.0 if confidence is None else confidence,
        confidence_basis="exact" if confidence is None else "estimated",
        words=words,
        evidence=evidence or {},
        suggestion=suggestion,
    )


def told_apart(findings: list[Finding]) -> list[Finding]:
    """The same findings; those about equal files in one class get numbers behind their ids."""
    seen: Counter[str] = Counter()
    made = []
    for one in findings:
        seen[one.id] += 1
        made.append(one if seen[one.id] == 1 else one.model_copy(update={"id": f"{one.id}-{seen[one.id]}"}))
    return made


def rule(
    kind: Kind, images: Sequence[ImageRef], words: str, *, suggestion: Suggestion, evidence: Evidence | None = None
) -> Finding:
    """A finding by a rule of thumb: what it says is measured, whether it matters is for a person to say."""
    made = finding(kind, images, words, suggestion=suggestion, evidence=evidence)
    return made.model_copy(update={"confidence_basis": "rule"})


def by_model(
    kind: Kind, images: Sequence[ImageRef], words: str, *, suggestion: Suggestion, evidence: Evidence, confidence: float
) -> Finding:
    """A finding that a model suggests; `confidence` is what the model says, which is no measured precision."""
    made = finding(kind, images, words, suggestion=suggestion, evidence=evidence, confidence=confidence)
    return made.model_copy(update={"confidence_basis": "model"})
