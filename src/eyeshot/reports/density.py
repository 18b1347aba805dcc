"""Density contours of a cloud on the map: lines around the densest shares of its points."""

from __future__ import annotations

from typing import Any

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SHARES = (0.9, 0.6, 0.3)
"""Each line encloses the smallest region that holds this share of the cloud (Hyndman, The American Statistician
50, 1996, highest density regions)."""
CELLS = 96
LEAST_POINTS = 10
BANDWIDTHS = tuple(0.012 * 1.25**step for step in range(10))
"""In sides of the frame: 1 to 9 %."""
DIGITS = 4

Frame = tuple[float, float, float, float]
Line = tuple[float, list[float], list[float]]


def density_contours(xy: NDArray[np.float32], frame: Frame) -> list[Line]:
    """Contours of a kernel density on a grid; time linear in the points.

    The bandwidth maximises the likelihood of left-out points (Habbema, Hermans and van den Broek, COMPSTAT 1974): a
    rule of thumb based on the standard deviation would merge islands.

    Args:
        xy: float32 (n, 2), points of a cloud; points outside of the frame (and a margin) are left out.
        frame: left, right, bottom, top of a square.

    Returns:
        for each line the share that it encloses, and its x and y; none for fewer than 10 points.
    """
    left, right, bottom, _ = frame
    side = right - left
    low = np.array([left, bottom]) - 0.1 * side
    inside = xy[np.isfinite(xy).all(axis=1)].astype(float)
    inside = inside[((inside >= low) & (inside <= low + 1.2 * side)).all(axis=1)]
    if len(inside) < LEAST_POINTS:
        return []
    cell = 1.2 * side / CELLS
    edges = [start + cell * np.arange(CELLS + 1) for start in low]
    counts = np.histogram2d(inside[:, 0], inside[:, 1], bins=(edges[0], edges[1]))[0]
    density = _smoothed(counts, side / cell)
    middles = [axis_edges[:-1] + cell / 2 for axis_edges in edges]
    generator = contour_generator(middles[0], middles[1], density.T)
    # Four decimal digits of the frame are finer than a pixel.
    digits = DIGITS - int(np.floor(np.log10(side)))
    lines: list[Line] = []
    for share, level in zip(SHARES, levels_around(density, SHARES), strict=True):
        for line in generator.lines(level):
            places: Any = np.round(np.asarray(line), digits)
            lines.append((share, places[:, 0].tolist(), places[:, 1].tolist()))
    return lines


def _smoothed(counts: NDArray[np.float64], side: float) -> NDArray[np.float64]:
    """The density of `counts` with the bandwidth that predicts left-out points best; `side` of the frame in cells."""
    alone = np.zeros_like(counts)
    alone[CELLS // 2, CELLS // 2] = 1.0
    best, most = counts, -np.inf
    for bandwidth in BANDWIDTHS:
        density = gaussian_filter(counts, bandwidth * side, mode="constant")
        own = gaussian_filter(alone, bandwidth * side, mode="constant").max()
        held = counts > 0
        likelihood = float((counts[held] * np.log(np.maximum(density[held] - own, 1e-9))).sum())
        if likelihood > most:
            best, most = density, likelihood
    return best


def levels_around(density: NDArray[np.float64], shares: tuple[float, ...]) -> list[float]:
    """The heights above which the cells of `density` contain these shares of the total."""
    falling = np.sort(density, axis=None)[::-1]
    held = np.cumsum(falling) / falling.sum()
    return [float(falling[int(np.searchsorted(held, share))]) for share in shares]
