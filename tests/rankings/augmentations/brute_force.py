"""Cover of a target by a cloud, slowly and in float64, written from the definitions alone (shares no code)."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class SlowCover(NamedTuple):
    covered: NDArray[np.bool_]
    agreed: list[int]
    distance: list[float]
    density: float
    margin: float
    """Smallest relative difference that decides anything: a ball's radius or the order of neighbours."""

    @property
    def consistent(self) -> NDArray[np.bool_]:
        return self.covered & (np.array(self.agreed) >= 0)


def slow_radii(target: NDArray[np.floating], neighbours: int) -> NDArray[np.float64]:
    points = np.asarray(target, np.float64)
    found = []
    for row, point in enumerate(points):
        others = np.delete(points, row, axis=0)
        found.append(sorted(float(np.sqrt(((point - other) ** 2).sum())) for other in others)[neighbours - 1])
    return np.array(found)


def slow_coverage(
    target: NDArray[np.floating],
    clouds: NDArray[np.floating],
    labels: NDArray[np.int64],
    *,
    present: NDArray[np.bool_] | None = None,
    neighbours: int = 5,
    radii: NDArray[np.float64] | None = None,
) -> SlowCover:
    """`target` (M, d), `clouds` (n, L, d), `labels` (n,), `present` (n, L)."""
    balls = slow_radii(target, neighbours) if radii is None else radii
    covered, agreed, distance, inside, margins = [], [], [], 0, [1.0]
    for point, ball in zip(np.asarray(target, np.float64), balls, strict=True):
        per_source = []
        for source in range(len(clouds)):
            samples = [
                float(np.sqrt(((point - np.asarray(view, np.float64)) ** 2).sum()))
                for layer, view in enumerate(clouds[source])
                if present is None or present[source, layer]
            ]
            per_source.append(min(samples))
        order = sorted(range(len(clouds)), key=lambda source: per_source[source])
        near = sorted(per_source)
        classes = Counter(int(labels[source]) for source in order[:5])
        name, votes = classes.most_common(1)[0]
        agreed.append(name if votes >= min(4, sum(classes.values())) else -1)
        covered.append(near[0] <= ball)
        distance.append(near[0] / ball if ball > 0 else np.inf)
        inside += sum(one <= ball for one in per_source)
        scale = max(1.0, float(np.sqrt((point**2).sum())), near[-1])
        margins += [abs(one - ball) / scale for one in per_source]
        if len(near) > 5:
            margins.append((near[5] - near[4]) / scale)
    return SlowCover(np.array(covered), agreed, distance, inside / (neighbours * len(clouds)), min(margins))
