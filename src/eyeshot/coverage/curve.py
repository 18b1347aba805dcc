"""Cover by more and more clean images: the unit in which a gain can be felt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.coverage.clouds import Target, cover_by_cloud
from eyeshot.coverage.report import CurvePoint

POINTS = 9


def clean_curve(
    target: Target, clean: NDArray[np.float32], labels: NDArray[np.int64], *, sources: int
) -> list[CurvePoint]:
    """Cover of the target by the first so many clean images.

    Args:
        target: the points to be covered.
        clean: float32 (m, d), all clean images at hand, the candidates' sources first.
        labels: int64 (m,)
        sources: n, the number of sources; always a point of the curve.
    """
    steps = np.geomspace(max(8, sources // 8), max(len(clean), sources), POINTS).round().astype(int)
    counts = sorted({int(step) for step in steps if step <= len(clean)} | {sources, len(clean)})
    bare = Target(target.points, target.radii, None, None)
    points = []
    for count in counts:
        found = cover_by_cloud(bare, clean[:count, None], labels[:count])
        points.append(
            CurvePoint(
                images=count,
                coverage=found.coverage,
                label_consistent_coverage=found.label_consistent_coverage,
            )
        )
    return points


def worth_in_images(curve: list[CurvePoint], gain: float, *, sources: int) -> tuple[int, bool]:
    """How many more clean images bring the same gain of label-consistent coverage.

    Returns:
        the number of images, and whether the gain lies beyond the end of the curve (then the number is what the
        whole curve can show: the truth is more).
    """
    if gain <= 0:
        return 0, False
    counts = np.array([point.images for point in curve], float)
    # More images cover no less; sampling noise may say otherwise.
    cover = np.maximum.accumulate([point.label_consistent_coverage for point in curve])
    here = float(np.interp(sources, counts, cover))
    wanted = here + gain
    if wanted > cover[-1]:
        return int(counts[-1] - sources), True
    first = int(np.searchsorted(cover, wanted))
    low, high = max(0, first - 1), first
    span = cover[high] - cover[low]
    share = 0.0 if span <= 0 else (wanted - cover[low]) / span
    return max(0, round(counts[low] + share * (counts[high] - counts[low]) - sources)), False
