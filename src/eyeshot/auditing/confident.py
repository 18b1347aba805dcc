"""Confident learning: which given labels does a model, asked out of fold, confidently contradict?

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70 (2021) 1373-1411.
Equations by their numbers there. Nothing here knows images: probabilities and given labels in, suspects out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SLACK = 1e-6  # below a threshold, for means that rounding moved: a class of equal probabilities is confident in itself
SMALLEST = 1e-12  # probability under which a logarithm tells nothing more
PRIOR = 8.0  # images
PROPOSED = 2.0
BLOCK = 8192

Probabilities = NDArray[np.floating]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Suspects:
    """Images whose given label is contradicted, the most worth looking at first.

    Attributes:
        rows: int64 (m,), rows of the probabilities.
        proposed: int64 (m,), the class that each one is confidently counted for.
        worth: float64 (m,), of `worth`, falling.
    """

    rows: NDArray[np.int64]
    proposed: Labels
    worth: NDArray[np.float64]

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


def confident_joint(probabilities: Probabilities, given: Labels) -> NDArray[np.int64]:
    """How many images with given label i are confidently counted for j: int64 (C, C), eq. 1."""
    count = probabilities.shape[1]
    found = counted_for(probabilities, given)
    sure = found >= 0
    joint = np.bincount(given[sure] * count + found[sure], minlength=count * count)
    return joint.reshape(count, count).astype(np.int64)


def noise_rates(probabilities: Probabilities, given: Labels) -> NDArray[np.float64]:
    """How often each label is given to each true class, P(given = i | true = j): float64 (C, C), columns sum to 1.

    From the joint distribution of given and true labels, eq. 3: rows of the confident joint, scaled to the images of
    each given class. So that no cell is zero by chance, 8 images a class are first spread over the other classes.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
    """
    count = probabilities.shape[1]
    joint = confident_joint(probabilities, given).astype(np.float64)
    joint += PRIOR / max(1, count - 1) * (1 - np.eye(count)) + SMALLEST
    joint *= np.bincount(given, minlength=count)[:, None] / joint.sum(axis=1, keepdims=True)
    return np.asarray(joint / np.maximum(joint.sum(axis=0, keepdims=True), SMALLEST), np.float64)


def worth(probabilities: Probabilities, given: Labels) -> NDArray[np.float64]:
    """How much an image is worth a look, float64 (n,), larger is more.

    The logarithm of the odds that its label is wrong, by Bayes' rule with class-conditional noise (the assumption of
    section 2): sum over j != i of P(given = i | true = j) p_j, over P(given = i | true = i) p_i; plus twice that of the
    largest p_j, so that images of which a better class can be named come before those that are merely strange. The
    weight of 2 and the 8 images of `noise_rates` were chosen on planted labels in PACS photographs and digits, on other
    seeds than those that `benchmarks/label_issues.py` reports.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
    """
    rates = np.maximum(noise_rates(probabilities, given), SMALLEST)
    found = np.empty(len(given))
    for part in _blocks(len(given)):
        values = np.maximum(np.asarray(probabilities[part], np.float64), SMALLEST)
        label = given[part]
        place = (np.arange(len(label)), label)
        own = values[place] * rates[label, label]
        values[place] = 0.0
        wrong = np.einsum("nc,nc->n", rates[label], values)
        found[part] = np.log(wrong) - np.log(own) + PROPOSED * np.log(values.max(axis=1))
    return found


def find_suspects(probabilities: Probabilities, given: Labels) -> Suspects:
    """Images off the diagonal of the confident joint whose given class is not the most probable one.

    The off-diagonal counts are the label errors of section 3.2 ("confident joint"); an image whose given class is
    still the most probable one is in doubt, but nothing better can be proposed.

    Args:
        probabilities: out of fold, (n, C), rows sum to 1.
        given: int64 (n,), 0 to C - 1.
    """
    if not len(given) or probabilities.shape[1] < 2:
        return Suspects(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    found = counted_for(probabilities, given)
    likeliest = np.asarray(probabilities).argmax(axis=1)
    rows = np.flatnonzero((found >= 0) & (found != given) & (likeliest != given))
    values = worth(probabilities, given)[rows]
    order = np.argsort(-values, kind="stable")
    return Suspects(rows[order], found[rows[order]], values[order])


def _blocks(count: int) -> list[slice]:
    """Rows in parts, so that a thousand classes of a hundred thousand images need no copies of the whole."""
    return [slice(start, start + BLOCK) for start in range(0, count, BLOCK)]
