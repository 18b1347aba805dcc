"""Confident learning: which given labels does a model, asked out of fold, confidently contradict?

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70 (2021) 1373-1411.
Equations by their numbers there. Nothing here knows images: probabilities and given labels in, suspects out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SLACK = 1e-6  # below a threshold, for means that rounding moved: a class of equal probabilities is confident in itself
CLEAR = 0.4  # margin
# Planted wrong labels spread evenly have an unevenness of 0.8 to 1.4, those of similar classes 2.4 to 9 (seeds 100 to
# 102 of `benchmarks/label_issues.py`, three sets of probabilities).
EVEN = 1.8
SMALLEST = 1e-12  # probability; those written with few digits may be 0
BLOCK = 8192

Probabilities = NDArray[np.floating]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Suspects:
    """Images whose given label is contradicted, the most worth looking at first.

    Attributes:
        rows: int64 (m,), rows of the probabilities.
        proposed: int64 (m,), the class that each one more probably belongs to.
        margins: float64 (m,), of `margin`.
        reason: why they stand in this order, a sentence.
    """

    rows: NDArray[np.int64]
    proposed: Labels
    margins: NDArray[np.float64]
    reason: str = ""

    def __len__(self) -> int:
        return len(self.rows)


def thresholds(probabilities: Probabilities, given: Labels) -> NDArray[np.float64]:
    """Mean self-confidence of each class, eq. 2: how sure the model is of a class where that label is given.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.

    Returns:
        float64 (C,); infinite for classes that no image has, so that nothing is counted for them.
    """
    count = probabilities.shape[1]
    own = probabilities[np.arange(len(given)), given].astype(np.float64)
    images = np.bincount(given, minlength=count)
    sums = np.bincount(given, weights=own, minlength=count)
    return np.where(images > 0, sums / np.maximum(images, 1), np.inf)


def counted_for(probabilities: Probabilities, given: Labels) -> Labels:
    """The class that each image is confidently counted for, eq. 1.

    Of the classes whose threshold its probability reaches, the most probable one; -1 where it reaches none.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
    """
    least = thresholds(probabilities, given) - SLACK
    found = np.empty(len(given), np.int64)
    for part in _blocks(len(given)):
        reached = probabilities[part] >= least
        best = np.where(reached, probabilities[part], -1.0).argmax(axis=1)
        found[part] = np.where(reached.any(axis=1), best, -1)
    return found


def margin(probabilities: Probabilities, given: Labels) -> NDArray[np.float64]:
    """Probability of the most probable other class less that of the given one, float64 (n,), -1 to 1.

    What "prune by noise rate" of section 3.2 ranks by; cleanlab's normalised margin is (1 - margin) / 2.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
    """
    found = np.empty(len(given))
    for part in _blocks(len(given)):
        values = np.array(probabilities[part], np.float64)
        place = (np.arange(len(values)), given[part])
        own = values[place]
        values[place] = -np.inf
        found[part] = values.max(axis=1) - own
    return found


def unevenness(probabilities: Probabilities, given: Labels) -> float:
    """How much oftener two wrong labels of one class are the same one than if all were equally likely.

    The index of coincidence (Friedman, "The Index of Coincidence and Its Applications in Cryptanalysis", 1922) of the
    off-diagonal counts of the confident joint, class by class: 1 where labels were replaced by any other, up to C - 1
    where each class is taken for one other. Infinite where no class has two, which tells nothing.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
    """
    count = probabilities.shape[1]
    found = counted_for(probabilities, given)
    off = (found >= 0) & (found != given)
    counts = np.zeros((count, count))
    np.add.at(counts, (found[off], given[off]), 1)
    each = counts.sum(axis=1)
    pairs = float((each * (each - 1)).sum())
    return float((counts * (counts - 1)).sum()) * (count - 1) / pairs if pairs else float("inf")


def doubt(probabilities: Probabilities, given: Labels) -> tuple[NDArray[np.float64], str]:
    """What labels are ranked by, the most doubtful first: float64 (n,), and the reason, a sentence.

    If wrong labels are spread evenly, the odds that a label is wrong are those of the other class against the given
    one, by Bayes: that is all that counts, however probable either is. If they go to similar classes, the given class
    of a wrong label stays probable, and low odds are those of odd images: then the margin ranks better.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
    """
    if unevenness(probabilities, given) >= EVEN:
        return margin(probabilities, given), "Ranked by the margin: contradicted labels go to particular classes."
    own = probabilities[np.arange(len(given)), given].astype(np.float64)
    other = margin(probabilities, given) + own
    odds = np.log(np.maximum(other, SMALLEST)) - np.log(np.maximum(own, SMALLEST))
    return odds, "Ranked by the odds: contradicted labels are spread evenly over classes."


def contradicted(probabilities: Probabilities, given: Labels) -> NDArray[np.bool_]:
    """Images off the diagonal of the confident joint whose given class is not the most probable one, bool (n,).

    The off-diagonal counts are the label errors of section 3.2 ("confident joint"); an image whose given class is
    still the most probable one is in doubt, but nothing better can be proposed.
    """
    found = counted_for(probabilities, given)
    return np.asarray((found >= 0) & (found != given) & (margin(probabilities, given) > 0), np.bool_)


def find_suspects(probabilities: Probabilities, given: Labels) -> Suspects:
    """Images that are `contradicted`, and those of which another class is at least 0.4 more probable.

    The latter since half of the images of a class lie below its mean, wrong labels among them: of 5 and 20 % planted
    wrong labels in PACS photographs and digits `contradicted` alone finds 66 to 87 %, both together 79 to 98 %, and
    of what they find the same share is wrong, within 6 points (seeds 100 to 105 of `benchmarks/label_issues.py`).

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
    """
    if not len(given) or probabilities.shape[1] < 2:
        return Suspects(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    confident = contradicted(probabilities, given)
    margins = margin(probabilities, given)
    proposed = np.where(confident, counted_for(probabilities, given), np.asarray(probabilities).argmax(axis=1))
    rows = np.flatnonzero(confident | (margins >= CLEAR))
    scores, reason = doubt(probabilities, given)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    return Suspects(rows, proposed[rows].astype(np.int64), margins[rows], reason)


def _blocks(count: int) -> list[slice]:
    """Rows in parts, so that a thousand classes of a hundred thousand images need no copies of the whole."""
    return [slice(start, start + BLOCK) for start in range(0, count, BLOCK)]
