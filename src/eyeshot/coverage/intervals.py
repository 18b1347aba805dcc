"""Intervals of shares."""

from __future__ import annotations

import math


def wilson(hits: int, count: int, *, z: float = 1.959964) -> tuple[float, float]:
    """Interval of a share: Wilson, J. American Statistical Association 22 (1927), p. 209.

    Args:
        hits: successes.
        count: trials; (0, 1) for none.
        z: normal quantile, 1.96 for 95 %.
    """
    if count == 0:
        return 0.0, 1.0
    share = hits / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)
