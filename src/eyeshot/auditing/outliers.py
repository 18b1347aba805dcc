"""Images that lie far from all others of their class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from eyeshot.auditing.found import rule
from eyeshot.auditing.report import Finding
from eyeshot.auditing.sources import Sources

NEIGHBOURS = 5
FEWEST = 20  # images of a class that tell what is usual in it
MOST_COMPARED = 5000  # images of a class that each one is compared with
MOST = 20  # of a class: a queue that nobody would look through is no help
DIMENSIONS = 64
FAR = 5.0
BLOCK = 1024
MAD_TO_SD = 1.4826
Rows = NDArray[np.int64]


def find_outliers(
    sources: Sources, rows: Rows, features: NDArray[np.floating], groups: Rows, *, seed: int = 0
) -> list[Finding]:
    """Findings, at most 20 a class, the farthest first.

    The mean distance to the 5 nearest images of the same class that are no copies (Angiulli and Pizzuti, "Fast outlier
    detection in high dimensional spaces", PKDD 2002), in 64 principal components of standardised features; far is more
    than 5 robust deviations (median absolute deviation times 1.4826) above the median of the class, both of logarithms.

    Args:
        sources: all images.
        rows: int64 (n,), positions of labelled images.
        features: (n, D).
        groups: int64 (n,), equal for copies.
        seed: of the images that large classes are compared with.

    Time O(sum over classes of n_c × min(n_c, 5,000) × 64); memory a block of 1,024 rows.
    """
    labels = sources.labels[rows]
    points = _components(features, seed)
    found = []
    random = np.random.default_rng([seed, 17])
    for label in np.unique(labels[labels >= 0]):
        own = np.flatnonzero(labels == label)
        if len(own) < FEWEST:
            continue
        distance = np.log(np.maximum(_mean_distance(points[own], groups[own], random), 1e-9))
        usual = float(np.median(distance))
        spread = MAD_TO_SD * float(np.median(np.abs(distance - usual)))
        if spread <= 0:
            continue
        beyond = (distance - usual) / spread
        far = np.flatnonzero(beyond > FAR)
        for place in far[np.argsort(-beyond[far], kind="stable")][:MOST].tolist():
            ref = sources.ref(int(rows[own[place]]))
            times = float(np.exp(distance[place] - usual))
            words = f"{ref.id} lies {times:.1f} × as far from other images of {ref.label} as is usual in it."
            evidence: dict[str, float | str | list[str]] = {
                "times": round(times, 3),
                "deviations": round(float(beyond[place]), 2),
            }
            found.append(rule("outlier", [ref], words, suggestion="look", evidence=evidence))
    return found


def _components(features: NDArray[np.floating], seed: int) -> NDArray[np.float32]:
    values = np.asarray(features, np.float32)
    spread = values.std(axis=0, dtype=np.float64)
    values = ((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).astype(np.float32)
    wanted = min(DIMENSIONS, *values.shape)
    return np.asarray(PCA(wanted, svd_solver="randomized", random_state=seed).fit_transform(values), np.float32)


def _mean_distance(points: NDArray[np.float32], groups: Rows, random: np.random.Generator) -> NDArray[np.float64]:
    """Of each point (n, d) to its nearest points of other groups; infinite ones are left out of the mean."""
    compared = np.arange(len(points))
    if len(points) > MOST_COMPARED:
        compared = np.sort(random.choice(len(points), MOST_COMPARED, replace=False))
    others, own_groups = points[compared], groups[compared]
    squares = np.square(others).sum(axis=1)
    found = np.empty(len(points))
    for begin in range(0, len(points), BLOCK):
        part = slice(begin, begin + BLOCK)
        squared = np.square(points[part]).sum(axis=1)[:, None] + squares - 2 * points[part] @ others.T
        squared[groups[part][:, None] == own_groups] = np.inf
        count = min(NEIGHBOURS, squared.shape[1])
        nearest = np.partition(squared, count - 1, axis=1)[:, :count]
        known = np.isfinite(nearest)
        distance = np.sqrt(np.maximum(np.where(known, nearest, 0.0), 0.0))
        found[part] = distance.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return found
