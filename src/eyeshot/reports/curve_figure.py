"""The curve of cover over the number of clean training images, as coordinates of a small SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eyeshot.reports.interval_plot import make_axis

if TYPE_CHECKING:
    from eyeshot.coverage import CoverReport

WIDTH, HEIGHT = 380, 230
LEFT, RIGHT, TOP, BOTTOM = 42, 14, 14, 38


@dataclass(frozen=True)
class CurveFigure:
    """Coordinates in a box of `width` by `height`.

    Attributes:
        coverage, agreeing: points (x, y) of coverage and of label-consistent coverage.
        x_ticks, y_ticks: position and what stands there.
        level: y of the advised candidate's label-consistent coverage, where it is known.
        level_share: that coverage.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    coverage: list[tuple[float, float]]
    agreeing: list[tuple[float, float]]
    x_ticks: list[tuple[float, float]]
    y_ticks: list[tuple[float, float]]
    level: float | None
    level_share: float | None


def make_curve(report: CoverReport) -> CurveFigure | None:
    """The figure, or None where there are not two points to join."""
    curve = sorted(report.curve, key=lambda point: point.images)
    if len(curve) < 2:
        return None
    advised = next((one for one in report.candidates if one.name == report.advice), None)
    share = advised.scores.label_consistent_coverage if advised else None
    across = make_axis([curve[-1].images], ticks=5)
    heights = [value for point in curve for value in (point.coverage, point.label_consistent_coverage)]
    up = make_axis([*heights, *([] if share is None else [share])], ticks=4)

    def x(images: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * images / across.high, 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / up.high, 1)

    return CurveFigure(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=HEIGHT - BOTTOM,
        coverage=[(x(point.images), y(point.coverage)) for point in curve],
        agreeing=[(x(point.images), y(point.label_consistent_coverage)) for point in curve],
        x_ticks=[(x(tick), tick) for tick in across.ticks if tick >= 0],
        y_ticks=[(y(tick), tick) for tick in up.ticks if tick >= 0],
        level=None if share is None else y(share),
        level_share=share,
    )
