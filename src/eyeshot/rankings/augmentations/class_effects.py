"""What a candidate does to single classes: helped, harmed, taken for each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eyeshot.rankings.augmentations.kept_labels import SIGNIFICANCE, CleanHead, fall_of_accuracy
from eyeshot.rankings.augmentations.measure import Measured
from eyeshot.rankings.augmentations.report import Candidate, ClassScores, MixedClasses

LEAST_HARM = 0.05
LEAST_REACHED = 10  # newly reached target images, before classes are named
HELPED_SHARE = 0.2
MIXED_SHARE = 0.1


def per_class(one: Measured, classes: Sequence[str]) -> dict[str, ClassScores]:
    """Scores by class."""

    def value(scores: NDArray[np.float64], number: int) -> float | None:
        return None if np.isnan(scores[number]) else float(scores[number])

    newly = one.cover.reached & ~one.yardstick.reached
    found = {}
    for number, name in enumerate(classes):
        found[name] = ClassScores(
            reached=None if one.mixes else int((newly & (one.cover.agreed_class == number)).sum()),
            affinity=value(one.kept.affinity_by_class, number),
            relearnability=value(one.kept.relearnability_by_class, number),
            retention=value(one.kept.retention_by_class, number),
        )
    return found


def helped_classes(candidate: Candidate) -> list[str]:
    """Classes to which most of the newly reached target images are near."""
    total = sum(scores.reached or 0 for scores in candidate.per_class.values())
    helped = [
        (scores.reached or 0, name)
        for name, scores in candidate.per_class.items()
        if total >= LEAST_REACHED and (scores.reached or 0) >= HELPED_SHARE * total
    ]
    return [name for _, name in sorted(helped, reverse=True)[:3]]


def harmed_classes(one: Measured, head: CleanHead, classes: Sequence[str]) -> list[str]:
    """Classes whose clean accuracy falls by 5 points or more, beyond noise (McNemar, 5 %, each class alone)."""
    harmed = []
    for number, name in enumerate(classes):
        member = head.judged_labels == number
        if not member.any():
            continue
        fall, p_value = fall_of_accuracy(head, one.kept, member)
        if fall >= LEAST_HARM and p_value < SIGNIFICANCE:
            harmed.append((fall, name))
    return [name for _, name in sorted(harmed, reverse=True)[:3]]


def mixed_classes(one: Measured, head: CleanHead, classes: Sequence[str]) -> list[MixedClasses]:
    """Pairs of classes that are taken for each other more often than before."""
    count = len(classes)

    def confusion(true: NDArray[np.int64], said: NDArray[np.int64]) -> NDArray[np.float64]:
        table = np.bincount(true * count + said, minlength=count * count).reshape(count, count).astype(float)
        shares: NDArray[np.float64] = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        return shares

    before = confusion(head.judged_labels, head.judged_predicted)
    after = confusion(head.judged_labels, one.kept.predicted_after)
    relearned = confusion(one.kept.relearn_true, one.kept.relearn_predicted)
    more = np.maximum(after, relearned if _hard_to_relearn(one, head) else after) - before
    np.fill_diagonal(more, 0)
    order = np.argsort(-more, axis=None)[:4]
    return [
        MixedClasses(true=classes[cell // count], taken_for=classes[cell % count], share=float(more.flat[cell]))
        for cell in order
        if more.flat[cell] >= MIXED_SHARE
    ]


def _hard_to_relearn(one: Measured, head: CleanHead) -> bool:
    return one.kept.relearnability is not None and one.kept.relearnability < (head.majority + head.accuracy) / 2


def name_class(why: str, classes: Sequence[str]) -> str:
    """A reason with the class's name in the place of its number."""
    start, mark, number = why.rpartition(" in class ")
    return f"{start}{mark}{classes[int(number)]}" if mark and number.isdigit() else why
