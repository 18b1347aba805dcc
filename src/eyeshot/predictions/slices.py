"""Groups of images, by what was measured of them, in which a run errs more often than elsewhere.

A slice is a part of the images that one property picks out: its lowest or highest quarter, or one of its values. The
parts are fixed by the property alone, before any error is looked at. Two exact tests follow: Fisher's, whether errors
are more frequent in the slice than outside, and the same within classes, whether they still are when it is known which
classes the images are of. Holm's correction allows for all slices that were tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyeshot.predictions.comparison import holm

QUARTER = 0.25
FEWEST = 10
"""Images that a slice and its rest must have: with fewer, even an error in each would hardly be beyond chance."""
MOST_VALUES = 12
"""The most frequent values of a property that are tried: each one more weakens all other slices."""
CHANCE = 0.05


class Part(NamedTuple):
    """Images that one property picks out.

    Attributes:
        name: of the property.
        side: "low", "high", or the value of a category.
        limit: the largest number of a low part, the smallest of a high part; None for a category.
        inside: bool (n,).
    """

    name: str
    side: str
    limit: float | None
    inside: NDArray[np.bool_]


class Tested(NamedTuple):
    """Errors in a part, and how likely chance is.

    Attributes:
        part: the images.
        n, errors: images of the part, and how many of them are wrong.
        rest_n, rest_errors: the same for all other images.
        expected: errors in the part if every image erred as often as its class does.
        p: Fisher's exact test, one-sided: as many errors in the part or more.
        adjusted: `p` after Holm's correction for all parts.
        p_within: the exact test within classes.
        adjusted_within: after Holm's correction.
    """

    part: Part
    n: int
    errors: int
    rest_n: int
    rest_errors: int
    expected: float
    p: float
    adjusted: float
    p_within: float
    adjusted_within: float


def parts_of_numbers(name: str, numbers: NDArray[np.floating]) -> list[Part]:
    """The lowest and the highest quarter of a number (n,); a part with half of the images or more is none.

    Equal numbers stay together. Values that are not finite are in no part.
    """
    finite = numbers[np.isfinite(numbers)]
    if not len(finite) or np.ptp(finite) == 0:
        return []
    low, high = (float(np.quantile(finite, share, method="lower")) for share in (QUARTER, 1 - QUARTER))
    parts = [Part(name, "low", low, numbers <= low), Part(name, "high", high, numbers >= high)]
    return [part for part in parts if _fits(part.inside) and 2 * part.inside.sum() < len(numbers)]


def parts_of_values(name: str, values: Sequence[str] | NDArray[np.str_]) -> list[Part]:
    """One part for each of the most frequent values (n,) of a category."""
    names, counts = np.unique(np.asarray(values, np.str_), return_counts=True)
    if len(names) < 2:
        return []
    order = np.lexsort((names, -counts))[:MOST_VALUES]
    parts = [Part(name, str(names[position]), None, np.asarray(values) == names[position]) for position in order]
    return [part for part in parts if _fits(part.inside)]


def errors_of_parts(parts: Sequence[Part], wrong: NDArray[np.bool_], classes: NDArray[np.int64]) -> list[Tested]:
    """All parts with both tests, the least likely by chance first.

    Args:
        parts: of the same n images.
        wrong: bool (n,).
        classes: int64 (n,), class numbers: what the test within classes holds fixed.
    """
    n, errors = len(wrong), int(wrong.sum())
    sizes = np.bincount(classes, minlength=int(classes.max(initial=0)) + 1)
    wrong_of = np.bincount(classes[wrong], minlength=len(sizes))
    results = []
    for part in parts:
        count, hits = int(part.inside.sum()), int((wrong & part.inside).sum())
        inside_of = np.bincount(classes[part.inside], minlength=len(sizes))
        expected = float((inside_of * wrong_of / np.maximum(sizes, 1)).sum())
        results.append((
            part, count, hits, expected, fisher_greater(hits, count, errors, n),
            stratified_greater(hits, inside_of, wrong_of, sizes),
        ))  # fmt: skip
    adjusted = holm([row[4] for row in results])
    adjusted_within = holm([row[5] for row in results])
    tested = [
        Tested(part, count, hits, n - count, errors - hits, expected, p, all_p, p_within, all_within)
        for (part, count, hits, expected, p, p_within), all_p, all_within in zip(
            results, adjusted, adjusted_within, strict=True
        )
    ]
    return sorted(tested, key=lambda row: (row.p, -row.errors))


def fisher_greater(hits: int, count: int, all_hits: int, n: int) -> float:
    """Probability of `hits` errors or more in a part of `count` of n images with `all_hits` errors (Fisher 1935)."""
    from scipy.stats import hypergeom

    return float(min(1.0, hypergeom.sf(hits - 1, n, all_hits, count)))


def stratified_greater(
    hits: int, inside: NDArray[np.integer], wrong: NDArray[np.integer], sizes: NDArray[np.integer]
) -> float:
    """The same if errors are exchangeable within each class alone: the exact conditional test for several 2 x 2 tables.

    The number of errors in the part is a sum of independent hypergeometric numbers, whose distribution follows by
    convolution (Mehta, Patel and Gray, J. Am. Stat. Assoc. 80, 1985, p. 969).

    Args:
        hits: errors in the part.
        inside, wrong, sizes: int (C,): images of each class in the part, its errors, and all its images.
    """
    from scipy.stats import hypergeom

    total = np.ones(1)
    for part_size, errors, size in zip(inside.tolist(), wrong.tolist(), sizes.tolist(), strict=True):
        low, high = max(0, part_size + errors - size), min(part_size, errors)
        if high == low:  # a fixed number of errors
            total = np.concatenate([np.zeros(low), total])
            continue
        chances = hypergeom.pmf(np.arange(high + 1), size, errors, part_size)
        total = np.convolve(total, chances)
    return float(min(1.0, total[hits:].sum()))


def overlap_chance(first: set[str], second: set[str], count: int) -> tuple[int, float, float]:
    """How many names two sets share, how many chance would give, and the chance of so many or more.

    Args:
        first, second: subsets of the names.
        count: names that there are in all.
    """
    shared = len(first & second)
    expected = len(first) * len(second) / max(1, count)
    return shared, expected, fisher_greater(shared, len(first), len(second), count)


def _fits(inside: NDArray[np.bool_]) -> bool:
    count = int(inside.sum())
    return FEWEST <= count <= len(inside) - FEWEST
