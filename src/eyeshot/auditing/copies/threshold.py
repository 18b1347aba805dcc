"""From which score on two pictures are near duplicates, and an estimate of how many of these are true.

The cut-off is fixed: a score says how much of two pictures agrees, and what else lies in the folder does not change
it. How precise it is in this set is estimated from the labels, which no score knows of. Duplicates rarely cross classes
and look-alikes do: of the pairs below the cut-off, which are very similar and no duplicates, a share q crosses classes.
If a share p of the near duplicates does, about p / q of them are look-alikes. Pairs with identical pixels tell how
often true copies stand under two labels; that share is no sign of look-alikes and is taken off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.findings import CutOff
from eyeshot.core import plural, wilson

BASE = 0.38
SIMILAR = 0.28
REASON = (
    "fixed, whatever the set: chosen on photographs and drawings of PACS and on five classes of CIFAR-10 with near "
    "duplicates that people judged"
)
BELOW = 0.25  # look-alikes are looked for this far below the cut-off
LEAST_LOOKED_AT = BASE - BELOW  # scores under it are all one
FEWEST_BELOW = 50
FEWEST_ABOVE = 10
FEWEST_CERTAIN = 20
NO_LABELS = "not estimated: there are no labels, so pairs across classes cannot be counted"


def estimate_precision(
    near: NDArray[np.bool_] | None,
    alike: NDArray[np.bool_] | None,
    *,
    identical: tuple[int, int] = (0, 0),
) -> tuple[float | None, tuple[float, float] | None, str]:
    """The share of true duplicates among near pairs, its interval of 95 %, and what it rests on.

    Args:
        near: bool (m,), whether the two labels of a near pair differ; None where there are no labels.
        alike: bool (k,), the same of look-alikes, pairs below the cut-off.
        identical: pairs with identical pixels, and how many of them cross classes.

    Returns:
        None twice where there is nothing to go by; the words say why.
    """
    if near is None or alike is None:
        return None, None, NO_LABELS
    if len(alike) < FEWEST_BELOW or not alike.any():
        pairs = plural(len(alike), "pair of look-alikes lies", "pairs of look-alikes lie")
        words = f"{len(alike)} labelled {pairs} below the cut-off, {int(alike.sum())} of them across classes"
        return None, None, f"not estimated: {words}"
    if len(near) < FEWEST_ABOVE:
        return None, None, f"not estimated: {len(near)} near pairs with labels were found"
    noise = identical[1] / identical[0] if identical[0] >= FEWEST_CERTAIN else 0.0
    rate = float(alike.mean())
    crossing = int(near.sum())
    low, high = wilson(crossing, len(near))
    share = max(0.0, crossing / len(near) - noise)
    interval = (max(0.0, 1 - max(0.0, high - noise) / rate), min(1.0, 1 - max(0.0, low - noise) / rate))
    basis = (
        f"{crossing} of {len(near)} near pairs cross classes, against {int(alike.sum())} of {len(alike)} look-alikes "
        "below the cut-off"
    )
    if noise:
        basis += f"; {identical[1]} of {identical[0]} pairs with identical pixels do, which was subtracted"
    return float(np.clip(1 - share / rate, 0, 1)), interval, basis


def describe_cut_off(
    scores: NDArray[np.float32],
    precision: tuple[float | None, tuple[float, float] | None, str],
    *,
    thorough: bool,
    exact: bool,
) -> CutOff:
    """The cut-off for the report; `scores` float32 (m,) of all compared pairs, the others as of `CutOff`."""
    return CutOff(
        score=BASE,
        reason=REASON,
        precision=precision[0],
        precision_interval=precision[1],
        basis=precision[2],
        pairs=int((scores >= BASE).sum()),
        pairs_below=int((scores < BASE).sum()),
        thorough=thorough,
        exact=exact,
    )
