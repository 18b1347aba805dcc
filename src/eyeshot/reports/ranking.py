"""The axis of the ranking, shared by the page and the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyeshot.reports.interval_plot import Axis, make_axis

if TYPE_CHECKING:
    from eyeshot.coverage import CoverReport


def score_scale(report: CoverReport) -> float:
    """What a score is multiplied by before it is written: reach is told in points."""
    return 100.0 if report.ranked_by == "reach" else 1.0


def ranking_axis(report: CoverReport) -> Axis:
    """The axis that holds all ranked scores and their intervals, in the unit that is written."""
    scale = score_scale(report)
    return make_axis(
        scale * value
        for candidate in report.of("ranked")
        for value in (candidate.score, *(candidate.interval or ()))
        if value is not None
    )
