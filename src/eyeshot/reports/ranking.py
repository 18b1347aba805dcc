"""What ranks, in which unit and words it is written, and its axis: shared by the page and the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from eyeshot.reports.interval_plot import Axis, make_axis
from eyeshot.reports.wording import signed

if TYPE_CHECKING:
    from eyeshot.rankings import Candidate, RankingReport

Interval = tuple[float, float]


@dataclass(frozen=True)
class RankedBy:
    """The number that ranks.

    Attributes:
        all_parts: whether it is the ranking of all, by reach, cover after the run and validation.
        factor: what the number is multiplied by before it is written: reach is told in points.
        digits: how many are written.
        column: head of its column.
        axis_name: what its axis says.
        what: what a dot stands for.
        zero: what the black line at zero stands for.
    """

    all_parts: bool
    factor: float
    digits: int
    column: str
    axis_name: str
    what: str
    zero: str

    def value(self, candidate: Candidate) -> float | None:
        """The candidate's number as it is written."""
        value = candidate.combined if self.all_parts else candidate.score
        return None if value is None else self.factor * value

    def interval(self, candidate: Candidate) -> Interval | None:
        """Its interval as it is written."""
        interval = candidate.combined_interval if self.all_parts else candidate.interval
        return None if interval is None else (self.factor * interval[0], self.factor * interval[1])

    def text(self, candidate: Candidate) -> str:
        """The number: "+14.2"."""
        return signed(self.value(candidate), self.digits)

    def interval_text(self, candidate: Candidate) -> str:
        """The interval: "+11.0 to +17.3", empty where there is none."""
        interval = self.interval(candidate)
        return "" if interval is None else " to ".join(signed(end, self.digits) for end in interval)

    def perhaps_nothing(self, candidate: Candidate) -> bool:
        """Whether the gain could be none: the interval is not known or holds zero."""
        interval = self.interval(candidate)
        return interval is None or interval[0] <= 0

    def axis(self, candidates: list[Candidate]) -> Axis:
        """The axis that holds all these numbers and their intervals."""
        return make_axis(
            value
            for candidate in candidates
            for value in (self.value(candidate), *(self.interval(candidate) or ()))
            if value is not None
        )


ALL_PARTS = RankedBy(
    all_parts=True,
    factor=1.0,
    digits=2,
    column="gain",
    axis_name="gain over clean, in robust spreads",
    what="the weighted sum of what cover (the larger of reach and cover after the run) and validation gain over "
    "clean, in robust spreads over the candidates",
    zero="clean itself",
)
REACH = RankedBy(
    all_parts=False,
    factor=100.0,
    digits=1,
    column="coverage gain",
    axis_name="coverage gain, in points of the target",
    what="coverage gain",
    zero="the no-op, as many views that change nothing",
)
DISTANCE = RankedBy(
    all_parts=False,
    factor=1.0,
    digits=2,
    column="nearer by",
    axis_name="how much nearer the target than the no-op, in neighbour radii",
    what="how much nearer than the no-op the cloud comes",
    zero="the no-op, as many views that change nothing",
)


def ranked_by(report: RankingReport, role: Literal["ranked", "regulariser"] = "ranked") -> RankedBy:
    """By what this list of the report is ranked: all parts where short runs were made."""
    if any(candidate.combined is not None for candidate in report.of(role)):
        return ALL_PARTS
    return by_cover_alone(report)


def by_cover_alone(report: RankingReport) -> RankedBy:
    """What `score` is in this report."""
    return REACH if report.ranked_by == "coverage_gain" else DISTANCE
